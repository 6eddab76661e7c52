/**
 * Prunes a trained network and trains what is left: an ordinary run, which starts from the network's weights. Weights are pruned in rounds by the
 * training itself (`pruning` in its configuration); filters are removed before it starts, so that it trains a smaller network. Without
 * steps nothing is trained.
 */
import { join } from 'node:path';
import * as z from 'zod';
import type { Dataset } from '../../data/dataset.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Network } from '../../nn/network.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';
import { latestCheckpoint } from '../../runs/checkpoint.ts';
import { checkpointWeights } from '../../runs/checkpoint-weights.ts';
import { runName, type Run } from '../../runs/run-folder.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { requireFits, type Classifier } from '../../train/classifier.ts';
import { changeConfig } from '../../train/config.ts';
import { magnitudePruning, type ConfigOverrides, type TrainingConfig } from '../../train/config-schema.ts';
import { magnitudeMasks, requireSparsity, zerosIn, type CountedWeights } from '../../train/magnitude-pruning.ts';
import { masksAmong, withItsMasks, withMasks } from '../../train/masks.ts';
import { resumeConfig } from '../../train/resume.ts';
import { classifierFor, fixedReference, type SavedModel } from '../../train/saved-model.ts';
import { evaluationSchema, type Evaluation } from '../../train/tally.ts';
import type { NamedWeights, TrainHooks, TrainOptions, TrainResult } from '../../train/train-options.ts';
import { train } from '../../train/train.ts';
import { preferredWeights } from '../../train/weights.ts';
import { threadsAsRecorded } from '../../util/cpu.ts';
import { ConfigurationError, DataError } from '../../util/errors.ts';
import { requiredRecordAt } from '../../util/json-file.ts';
import { statIfReachable } from '../../util/regular-file.ts';
import { check } from '../../util/schema.ts';
import { quoted } from '../../util/shell.ts';
import { showValue } from '../../util/show-value.ts';
import { requireTrainingOverrides } from '../training-overrides.ts';
import { weightsMetadata } from '../weights-file.ts';
import { measureAccuracy } from './accuracy.ts';
import type { FilterScope } from './filter-order.ts';
import { measureSize, networkSizeSchema } from './measure.ts';
import { shrinkNetwork, type Shrunk, type ShrinkTarget } from './shrink.ts';

const weightPruning = magnitudePruning.omit({ type: true }).extend({ sparsity: z.number().gt(0).lt(1) });

export interface WeightPruning {
  readonly type: 'weights';
  /** Only the sparsity must be given. */
  readonly pruning: z.input<typeof weightPruning>;
}

export interface FilterPruning {
  readonly type: 'filters';
  readonly target: ShrinkTarget;
  /** Default `layer`. */
  readonly scope?: FilterScope | undefined;
}

export interface PruningRequest {
  readonly source: SavedModel;
  /** How the user named the source: a run or a file. Default: its path. */
  readonly reference?: string;
  readonly method: WeightPruning | FilterPruning;
  /** Of training, for each round; default 0: prunes only. */
  readonly steps?: number;
  /** Of the configuration that the source was trained with: `requireTrainingOverrides` says which keys. */
  readonly overrides?: ConfigOverrides;
  /** Where runs are that the reference and a teacher name; given, the name of a model is taken for its newest run. */
  readonly runsFolder?: string;
}

/** Everything that is decided before the first step. */
export interface PruningPlan {
  readonly request: PruningRequest;
  /** Of the source, for good. */
  readonly reference: string;
  /** Of the run that trains what is left; without steps of the pruned network. */
  readonly config: TrainingConfig;
  /** What the run trains: with filters removed, or the source's. */
  readonly classifier: Classifier;
  /** With filters removed. */
  readonly shrunk: Shrunk | undefined;
}

const reportSchema = networkSizeSchema.extend({
  /** On the test images, or the validation images where they are kept out of training; chosen by nothing. Null if it was stopped. */
  evaluation: evaluationSchema.pick({ split: true, accuracy: true, loss: true, images: true }).readonly().nullable(),
});

/** A network with what it takes and what it reaches. */
export type NetworkReport = Readonly<z.output<typeof reportSchema>>;

export interface PruneResult {
  readonly status: 'finished' | 'interrupted';
  /** Undefined without training. */
  readonly run: Run | undefined;
  readonly step: number;
  readonly steps: number;
  readonly record: PruningRecord;
  /** Undefined if interrupted. */
  readonly pruned: PrunedNetwork | undefined;
}

export interface PrunedNetwork {
  readonly report: NetworkReport;
  /** Its weights alone: to be evaluated, frozen, pruned again or written (`encodeSavedWeights`). */
  readonly saved: SavedModel & { readonly classifier: Classifier };
}

const recordSchema = z.object({
  format: z.literal('ablate-pruning-1'),
  method: z.enum(['weights', 'filters']),
  /** A run or a file. */
  source: z.string(),
  before: reportSchema.readonly(),
  /** Layers that lost filters. */
  layers: z.array(z.object({ name: z.string(), before: z.int(), after: z.int() }).readonly()).readonly(),
});

/** `pruning.json` in the folder of the run: what a training of a pruned network is compared with. */
export type PruningRecord = Readonly<z.output<typeof recordSchema>>;

export interface PruningWork {
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly signal?: AbortSignal;
  readonly hooks?: TrainHooks;
}

/**
 * Decides how a network is pruned and trained.
 *
 * @throws ConfigurationError or DataError for what cannot be done
 */
export function planPruning(request: PruningRequest, dataset: Dataset): PruningPlan {
  const { source, method, steps = 0, overrides = {} } = request;
  const original = classifierFor(source, dataset);
  requireFits(original, dataset, source.path);
  requireTrainingOverrides(overrides);
  const weights = method.type === 'weights' ? check(weightPruning, method.pruning) : undefined;
  const rounds = weights?.rounds ?? 1;
  if (steps === 0 && rounds > 1) {
    throw new ConfigurationError(`rounds (=${rounds}) must be 1 without training between them`, { fix: 'Give --steps too' });
  }
  const pruning = weights !== undefined && steps > 0 ? { type: 'magnitude', ...weights } : { type: 'none' };
  const { reference, teacher } = fixedReferences(request);
  const config = changeConfig(
    { ...source.config, init: 'none', initChecksum: '', teacher: 'none', teacherChecksum: '' },
    { init: reference, threads: threadsAsRecorded(source.config.threads) },
    overrides,
    { pruning, teacher, dataset: dataset.name, steps: steps === 0 ? source.config.steps : steps * rounds },
  );
  requireSameNetwork(source.config, config);
  if (method.type === 'weights') {
    // A training checks it too, but nothing may be trained.
    requireSparsity(prunableWeights(original.network, source), weights!);
    return { request, reference, config, classifier: original, shrunk: undefined };
  }
  const { target, scope = 'layer' } = method;
  const shrunk = shrinkNetwork({
    network: original.network,
    weights: weightsOf(source),
    masks: masksAmong(withItsMasks(source.file, source.path).tensors),
    target,
    scope,
  });
  return { request, reference, config, classifier: { ...original, network: shrunk.network }, shrunk };
}

/** Runs get their own names, as the newest run of a model is another one once this training has begun. */
function fixedReferences({ source, reference = source.path, overrides = {}, runsFolder }: PruningRequest) {
  const { teacher } = overrides;
  if (runsFolder === undefined) return { reference, teacher };
  const fixed = typeof teacher === 'string' ? fixedReference(teacher, runsFolder) : teacher;
  return { reference: fixedReference(reference, runsFolder), teacher: fixed };
}

function prunableWeights(network: Network, { file, path }: SavedModel): CountedWeights[] {
  const masks = masksAmong(withItsMasks(file, path).tensors);
  return prunableOf(network).map(({ name, shape }) => {
    const mask = masks.get(name);
    return { name, length: sizeOf(shape), zeros: mask === undefined ? 0 : zerosIn(mask.data) };
  });
}

function prunableOf(network: Network): readonly ParameterSpec[] {
  return network.parameters.filter(({ role, kind }) => role === 'weight' && kind === 'trainable');
}

/** What is left starts from these weights. */
export function startOf({ request: { source }, shrunk }: PruningPlan): NamedWeights {
  const { path, file } = source;
  if (shrunk === undefined) return { path, file: withItsMasks(file, path) };
  return { path, file: { tensors: withMasks(shrunk.weights, shrunk.masks), metadata: {} } };
}

/**
 * Prunes and trains as planned. Interrupted before training, or while what is left is evaluated without training, nothing is kept.
 *
 * @param work its `runsFolder` gets the run that trains what is left; without one the training records nothing
 */
export async function prune(plan: PruningPlan, work: PruningWork & { readonly runsFolder?: string }): Promise<PruneResult> {
  const { request, reference, config, classifier, shrunk } = plan;
  const { source, method, steps = 0 } = request;
  const original = classifierFor(source, work.dataset);
  // Both on the same images.
  const sourceConfig = { ...source.config, val: config.val };
  const before = await reportOf(
    original,
    weightsOf(source),
    sourceConfig,
    weightsMetadata(source, source.config, original),
    work,
  );
  const record: PruningRecord = {
    format: 'ablate-pruning-1',
    method: method.type,
    source: reference,
    before,
    layers: shrunk?.layers ?? [],
  };
  const untrained = { run: undefined, step: 0, steps: config.steps, record };
  if (before.evaluation === null) return { ...untrained, status: 'interrupted', pruned: undefined };
  if (steps === 0) {
    const tensors = shrunk?.weights ?? withoutSmallWeights(original.network, weightsOf(source), method);
    return { ...untrained, ...(await describe(source, config, classifier, tensors, work)) };
  }
  const { runsFolder } = work;
  const start = {
    ...(runsFolder !== undefined && { record: { runsFolder, files: { [recordName]: record } } }),
    initialWeights: startOf(plan),
    classifier,
  };
  const result = await trainPruned(config, work, start);
  return await resultOf(result, record, config, work);
}

/**
 * Continues a training that `prune` started; one that is finished is only measured again.
 *
 * @param config from `configOfPruning`
 */
export async function resumePruning(run: Run, config: TrainingConfig, work: PruningWork): Promise<PruneResult> {
  const record = readRecord(run);
  // The smaller network is saved with the first checkpoint: before that, there is nothing to train on.
  if (record.layers.length > 0 && latestCheckpoint(run) === undefined) {
    throw new DataError(`${runName(run)} was interrupted before the pruned weights were saved: there is nothing to continue`, {
      fix: `ablate prune ${quoted(record.source)} with the options of the first time`,
    });
  }
  const result = await trainPruned(config, work, { record: { resume: run } });
  return await resultOf(result, record, config, work);
}

/**
 * The configuration to continue a run of pruning with.
 *
 * @param data where the images are now, if they have moved
 * @throws ConfigurationError if the run is none, or for a key that it cannot change
 */
export function configOfPruning(run: Run, overrides: ConfigOverrides, data?: string): TrainingConfig {
  readRecord(run);
  requireTrainingOverrides(overrides);
  return resumeConfig(run, { ...overrides, dataset: data });
}

/** In the folder of a run from its beginning. */
const recordName = 'pruning.json';

function readRecord(run: Run): PruningRecord {
  const path = join(run.path, recordName);
  if (statIfReachable(path) === undefined) {
    throw new ConfigurationError(`${runName(run)} has no pruning.json: ablate prune did not start it`, {
      fix: `ablate train --resume ${quoted(runName(run))}`,
    });
  }
  return requiredRecordAt(path, recordSchema, 'is not the record of a pruning', 'restore the file, or prune again');
}

function trainPruned(
  config: TrainingConfig,
  { engine, dataset, signal, hooks }: PruningWork,
  start: Pick<TrainOptions, 'record' | 'initialWeights' | 'classifier'>,
): Promise<TrainResult> {
  return train({
    config,
    engine,
    dataset,
    ...start,
    ...(signal !== undefined && { signal }),
    ...(hooks !== undefined && { hooks }),
  });
}

async function resultOf(
  { status, run, step, saved }: TrainResult,
  record: PruningRecord,
  { steps }: TrainingConfig,
  work: PruningWork,
): Promise<PruneResult> {
  const trained = { run, step, steps, record };
  if (status === 'interrupted') return { ...trained, status, pruned: undefined };
  const { config, classifier } = saved!;
  return { ...trained, ...(await describe(saved!, config, classifier!, weightsOf(saved!), work)) };
}

async function describe(
  saved: SavedModel,
  config: TrainingConfig,
  classifier: Classifier,
  tensors: ReadonlyMap<string, Tensor>,
  work: PruningWork,
): Promise<Pick<PruneResult, 'status' | 'pruned'>> {
  const metadata = weightsMetadata(saved, config, classifier);
  const report = await reportOf(classifier, tensors, config, metadata, work);
  if (report.evaluation === null) return { status: 'interrupted', pruned: undefined };
  const { path, step } = saved;
  return { status: 'finished', pruned: { saved: { path, file: { tensors, metadata }, config, step, classifier }, report } };
}

async function reportOf(
  classifier: Classifier,
  tensors: ReadonlyMap<string, Tensor>,
  config: TrainingConfig,
  metadata: Readonly<Record<string, string>>,
  { engine, dataset, signal }: PruningWork,
): Promise<NetworkReport> {
  const evaluation = await measureAccuracy({ engine, classifier, tensors, config, dataset, signal });
  return {
    ...measureSize(classifier.network, tensors, metadata),
    evaluation: evaluation === undefined ? null : inShort(evaluation),
  };
}

function inShort({ split, accuracy, loss, images }: Evaluation): NonNullable<NetworkReport['evaluation']> {
  return { split, accuracy, loss, images };
}

/** The weights of which a file is evaluated: moving averages, where there are any. */
function weightsOf({ file, path }: SavedModel): ReadonlyMap<string, Tensor> {
  return checkpointWeights(file, preferredWeights(file), path);
}

function withoutSmallWeights(
  network: Network,
  tensors: ReadonlyMap<string, Tensor>,
  method: WeightPruning | FilterPruning,
): ReadonlyMap<string, Tensor> {
  if (method.type === 'filters') return tensors;
  const weights = prunableOf(network).map(({ name }) => ({ name, values: tensors.get(name)!.data }));
  const masks = magnitudeMasks(weights, method.pruning.sparsity, method.pruning.scope ?? 'global');
  return new Map(
    [...tensors].map(([name, { shape, data }]) => {
      const mask = masks.get(name);
      return [name, { shape, data: mask === undefined ? data : data.map((value, i) => (mask[i] === 0 ? 0 : value)) }];
    }),
  );
}

/** Weights are of no use to another network, nor to images that are prepared in another way. */
function requireSameNetwork(source: TrainingConfig, config: TrainingConfig): void {
  const fixed = ({ model, modelSettings, inputSize, standardization }: TrainingConfig): Record<string, unknown> => ({
    ...{ model, inputSize, standardization },
    ...modelSettings,
  });
  const [before, after] = [fixed(source), fixed(config)];
  const changed = Object.keys(after).find((key) => JSON.stringify(after[key]) !== JSON.stringify(before[key]));
  if (changed === undefined) return;
  const value = showValue(after[changed]);
  throw new ConfigurationError(`${changed} cannot be set here: the network has it already, with the weights for it`, {
    fix: `train another network: ablate train ${config.model} --set ${quoted(`${changed}=${value}`)}`,
  });
}
