/** What a training starts from: its classifier, weights, teacher and folder. */
import { dirname } from 'node:path';
import { fromFirst } from '../cluster/agreement.ts';
import type { Collective } from '../cluster/collective.ts';
import { checkPreprocessing } from '../data/preprocessing.ts';
import type { OpenTrainingLoader } from '../data/shared-loaders.ts';
import { checkCustomGradients } from '../engine/custom-gradients.ts';
import type { TrainingPlan } from '../engine/engine.ts';
import { describeEnvironment, type EnvironmentRecord } from '../runs/environment.ts';
import { withCustomLayers } from '../nn/network.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { createRun, runName, type Run } from '../runs/run-folder.ts';
import { readSafetensors } from '../runs/safetensors.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import {
  type Classifier,
  createClassifier,
  decodeClassifier,
  encodeClassifier,
  requireFits,
  trainingPreprocessing,
} from './classifier.ts';
import { networkChecksum, recordedClassifier, recordOfClassifier } from './classifier-record.ts';
import type { SettledConfig, TrainingConfig } from './config-schema.ts';
import { requirePrunable } from './magnitude-pruning.ts';
import { masksAmong, withItsMasks } from './masks.ts';
import type { OwnAugmentation } from './own-augmentation.ts';
import { resumePoint } from './resume.ts';
import type { RunRecorder } from './run-recorder.ts';
import { findWeights, readSavedModel, type SavedModel } from './saved-model.ts';
import { requireSameTeacher, teacherChecksum } from './teacher.ts';
import type { NamedWeights, TrainOptions } from './train-options.ts';
import type { Trainer } from './trainer.ts';
import { preferredWeights } from './weights.ts';
import { weightsChecksum } from './weights-checksum.ts';

/** A training of which everything is known that is not weights. */
export interface Training extends TrainOptions {
  /** Complete: with what the images and the teacher decide. */
  readonly config: SettledConfig;
  readonly classifier: Classifier;
  readonly collective: Collective;
  readonly own: OwnAugmentation | undefined;
}

export interface TrainingWithLoader extends Training {
  readonly openLoader: OpenTrainingLoader;
}

/** A training that is set up. */
export interface TrainingUnderWay {
  readonly training: TrainingWithLoader;
  readonly plan: TrainingPlan;
  readonly trainer: Trainer;
  /** Undefined without a folder: on processes other than 0, and where nothing is recorded. */
  readonly run: Run | undefined;
  readonly recorder: RunRecorder;
}

/**
 * Settles what is trained, and checks that it is for the images.
 *
 * @throws ConfigurationError or DataError for what does not fit together
 */
export function prepareTraining(
  options: TrainOptions & { readonly config: SettledConfig },
  collective: Collective,
  teacher: SavedModel | undefined,
  own: OwnAugmentation | undefined,
  start: StartingWeights | undefined,
): Training {
  const { dataset } = options;
  const classifier = classifierToTrain(options, collective);
  const config = {
    ...options.config,
    ...own?.keys,
    inputSize: classifier.preprocessing.inputSize,
    networkChecksum: networkChecksum(classifier.network),
    initChecksum: fromFirst(collective, () => (start === undefined ? options.config.initChecksum : startChecksum(start))),
    teacherChecksum: teacher === undefined ? '' : teacherChecksum(teacher),
  };
  requireFits(classifier, dataset, `the network ${classifier.network.name}`);
  checkPreprocessing(dataset.shape, trainingPreprocessing(classifier, config));
  return { ...options, config, classifier, collective, own };
}

/** A run goes on with the network it was started with; only process 0 needs to see its folder. */
export function classifierToTrain({ record, classifier, config, dataset }: TrainOptions, collective: Collective): Classifier {
  const recorded = fromFirst(collective, () => {
    const known = record !== undefined && 'resume' in record ? recordedClassifier(record.resume) : undefined;
    return JSON.stringify(known === undefined ? null : encodeClassifier(known));
  });
  if (recorded !== 'null') {
    const decoded = decodeClassifier(JSON.parse(recorded), `the run of ${config.model}`);
    return { ...decoded, network: withCustomLayers(decoded.network, classifier?.network.customLayers) };
  }
  return classifier ?? createClassifier(config, dataset);
}

/** Checks the custom layers of the network, and tells what was checked. Throws as `checkCustomGradients`. */
export function checkGradients({ classifier: { network }, hooks = {} }: Training): void {
  const checked = checkCustomGradients(network);
  if (checked.length === 0) hooks.onNotice?.(`${network.name} has no custom layers whose gradients could be checked`);
  for (const { layer, type, compared, error } of checked) {
    const agreement = `${compared} gradients agree with central differences, to ${error.toExponential(1)} of the largest`;
    hooks.onNotice?.(`layer "${layer}" (custom layer "${type}"): ${agreement}`);
  }
}

/** The weights that are given to a training before its first step. */
export interface StartingWeights {
  /** What it starts from; undefined for first values. */
  readonly init: NamedWeights | undefined;
  /** What its pruning goes back to, where that is named. */
  readonly rewind: NamedWeights | undefined;
}

/**
 * Reads the weights that a training starts with. Undefined for one that goes on from a checkpoint, and on processes other than 0, which get theirs from
 * it.
 *
 * @throws DataError if they are no longer those that the run was prepared with
 */
export function readStart(options: TrainOptions, collective: Collective): StartingWeights | undefined {
  const { config, initialWeights, record } = options;
  if (collective.rank !== 0) return undefined;
  if (record !== undefined && 'resume' in record && latestCheckpoint(record.resume) !== undefined) return undefined;
  const read = (reference: string) => readNamed(reference, options);
  const start =
    initialWeights === undefined
      ? namedStart(config, read)
      : { ...namedStart({ ...config, init: 'none' }, read), init: initialWeights };
  const checksum = startChecksum(start);
  if (config.initChecksum === '' || checksum === '' || checksum === config.initChecksum) return start;
  const from = [start.init, start.rewind].flatMap((weights) => weights?.path ?? []);
  throw new DataError(`${from.join(' and ')} has other weights now than those that this training was prepared with`, {
    fix: 'Restore its weights, or start a new run',
  });
}

/** The weights that a configuration names for its start. @param read the file of a reference */
export function namedStart({ init, pruning }: TrainingConfig, read: (reference: string) => NamedWeights): StartingWeights {
  const rewind = pruning.type === 'none' || pruning.rewind === 'none' || pruning.rewind === 'rate' ? undefined : pruning.rewind;
  const withMasks = ({ path, file }: NamedWeights) => ({ path, file: withItsMasks(file, path) });
  return { init: init === 'none' ? undefined : withMasks(read(init)), rewind: rewind === undefined ? undefined : read(rewind) };
}

/** Names the weights that a training starts with: SHA-256 over their names and values; empty for none. */
export function startChecksum({ init, rewind }: StartingWeights): string {
  const tensors = [init, rewind].flatMap((weights, i) => {
    if (weights === undefined) return [];
    const { path, file } = weights;
    const all = [...checkpointWeights(file, preferredWeights(file), path), ...masksAmong(file.tensors)];
    return all.map(([name, tensor]) => [`${i} ${name}`, tensor] as const);
  });
  return tensors.length === 0 ? '' : weightsChecksum(new Map(tensors));
}

/** The weights that the configuration names by a run or a file. */
function readNamed(reference: string, options: Pick<TrainOptions, 'record'>): NamedWeights {
  const { path } = findWeights(reference, runsFolderOf(options));
  return { path, file: readSafetensors(path) };
}

/** Where runs are named in the configuration of a training that records nothing. */
const defaultRunsFolder = 'runs';

/** `<folder>/<model>/<number>` is the folder of a run. */
function runsFolderOf({ record }: Pick<TrainOptions, 'record'>): string {
  if (record === undefined) return defaultRunsFolder;
  return 'resume' in record ? dirname(dirname(record.resume.path)) : record.runsFolder;
}

/** Every process reads it. */
export function readTeacher(options: TrainOptions): SavedModel | undefined {
  const { teacher, teacherChecksum: recorded } = options.config;
  if (teacher === 'none') return undefined;
  const saved = readSavedModel(findWeights(teacher, runsFolderOf(options)).path, {});
  requireSameTeacher(saved, recorded);
  return saved;
}

/** Checks that the network can be pruned as the configuration says. @param rewind the weights that pruning goes back to */
export async function preparePruning(
  { config: { pruning } }: Training,
  plan: TrainingPlan,
  trainer: Trainer,
  rewind: NamedWeights | undefined,
): Promise<void> {
  if (pruning.type === 'none') return;
  await requirePrunable(plan.parameters, pruning, trainer.masks());
  if (rewind !== undefined) await trainer.takeRewind(rewind.file.tensors, rewind.path);
}

export function newRun(options: Training, runsFolder: string, files: Readonly<Record<string, unknown>> = {}): Run {
  const { config, classifier, own } = options;
  const records = { ...recordOfClassifier(classifier), ...own?.records, ...files };
  return createRun(runsFolder, config.model, config, environmentOf(options), records);
}

export function environmentOf({ engine, libraries = {} }: Pick<Training, 'engine' | 'libraries'>): EnvironmentRecord {
  const { name, threads, versions, tuning } = engine;
  return describeEnvironment({
    ...{ engine: name, threads },
    ...(tuning !== undefined && { tuning }),
    libraries: { ...versions, ...libraries },
  });
}

/** What a checkpoint says of itself, so that evaluating and freezing need nothing else. */
export function metadataOf({ config, classifier, dataset }: Training): Readonly<Record<string, string>> {
  return {
    model: config.model,
    config: JSON.stringify(config),
    classifier: JSON.stringify(encodeClassifier(classifier)),
    dataset: dataset.name,
    datasetFingerprint: dataset.fingerprint,
  };
}

/** Restores the newest checkpoint. A run that has none yet starts over: then false. */
export async function restoreLatest(run: Run, trainer: Trainer, { config, dataset, hooks = {} }: Training): Promise<boolean> {
  const { checkpoint, notice } = resumePoint(run);
  if (notice !== undefined) hooks.onNotice?.(notice);
  if (checkpoint === undefined) return false;
  const { step, tensors, metadata, path } = checkpoint;
  if (metadata['datasetFingerprint'] !== dataset.fingerprint) {
    throw new DataError(`${runName(run)} was trained on other images than ${dataset.name} has now`, {
      fix: 'Give the data set the run was started with, or start a new run',
    });
  }
  if (step > config.steps) {
    throw new ConfigurationError(`steps (=${config.steps}) must be at least ${step}: that many ${runName(run)} has taken`);
  }
  await trainer.restore(tensors, step, path);
  return true;
}
