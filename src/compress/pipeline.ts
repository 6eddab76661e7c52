/**
 * From a trained network to a small file: filters are removed so that what is left fits the targets, the smaller network is trained on, frozen, and
 * quantized to 8-bit integers. Each step is one that can also be done alone (prune/, quantize/, deploy/freeze.ts).
 */
import type { Dataset } from '../data/dataset.ts';
import { evaluateFrozen } from '../deploy/evaluate.ts';
import { freeze, type Frozen } from '../deploy/freeze.ts';
import type { FrozenAccuracy, FrozenMetadata } from '../deploy/metadata.ts';
import { openSession } from '../deploy/onnx-runtime.ts';
import type { Engine } from '../engine/engine.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { readSavedModel, type SavedModel } from '../train/saved-model.ts';
import type { TrainHooks } from '../train/train.ts';
import { preferredWeights } from '../train/weights.ts';
import { ConfigurationError } from '../util/errors.ts';
import { planPruning, prune, type PruneResult } from './prune/prune.ts';
import { compareOnTest, type FileComparison } from './quantize/compare.ts';
import { quantize, type Quantized } from './quantize/quantize.ts';

export interface CompressTargets {
  /** Part of the operations that is left at most, in (0, 1). */
  readonly operations?: number | undefined;
  /** Of the quantized file, at most. */
  readonly bytes?: number | undefined;
  /** Points of accuracy that quantization may cost on training images; layers return to float32 until it does not. */
  readonly maxDrop?: number | undefined;
}

export interface CompressOptions {
  readonly source: SavedModel;
  /** How the user named the source. */
  readonly reference: string;
  readonly targets: CompressTargets;
  /** Of training after the filters are removed. */
  readonly steps: number;
  readonly overrides: ConfigOverrides;
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly runsFolder: string;
  /** Of ONNX Runtime. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  readonly hooks?: TrainHooks;
  readonly libraries?: Readonly<Record<string, string>>;
}

/** What a network takes and reaches at one point of the way. */
export interface Stage {
  readonly name: 'as trained' | 'without filters' | 'quantized';
  readonly parameters: number;
  readonly operations: number;
  /** Of the ONNX file. */
  readonly bytes: number;
  /** On all test images; chosen by nothing. */
  readonly accuracy: number;
}

export interface Reached {
  readonly target: 'operations' | 'bytes';
  readonly limit: number;
  readonly value: number;
  readonly met: boolean;
}

export interface Compressed {
  readonly stages: readonly Stage[];
  readonly targets: readonly Reached[];
  /** The run of the training; undefined if no filter had to go. */
  readonly run: Run | undefined;
  readonly quantized: Quantized;
  /** The file's bytes, its accuracy recorded in it. */
  readonly file: Uint8Array;
}

/** A training that was stopped: its run can be resumed. */
export interface Stopped {
  readonly stopped: PruneResult;
}

/**
 * @throws ConfigurationError for targets out of range or out of reach, and what pruning, freezing and quantizing throw
 */
export async function compress(options: CompressOptions): Promise<Compressed | Stopped> {
  const { source, targets, dataset } = options;
  requireTargets(targets);
  const original = await freezeSaved(source, undefined, options);
  const parameters = targets.bytes === undefined ? undefined : await parametersFor(targets.bytes, original, options);
  const pruned = await pruneTo(targets.operations, parameters, options);
  if (pruned?.status === 'interrupted') return { stopped: pruned };
  const run = pruned?.run;
  const smaller = run === undefined ? original : await freezeSaved(newest(run), run, options);
  const quantized = await quantizeFrozen(smaller, targets.maxDrop, options);
  const size = quantized.encode(null);
  const comparison = await compareOnTest({ float: smaller.encode(null), quantized: size, ...filesOf(smaller.metadata, options) });
  const file = quantized.encode(accuracyOf(comparison, dataset));
  const before = run === undefined ? undefined : await originalAccuracy(original, options);
  const stages: Stage[] = [
    ...(before === undefined ? [] : [stage('as trained', original.metadata, original.encode(null).length, before)]),
    stage(
      run === undefined ? 'as trained' : 'without filters',
      smaller.metadata,
      smaller.encode(null).length,
      comparison.floatAccuracy,
    ),
    stage('quantized', smaller.metadata, file.length, comparison.accuracy),
  ];
  return { stages, targets: reachedBy(targets, original.metadata, smaller.metadata, file.length), run, quantized, file };
}

function requireTargets({ operations, bytes, maxDrop }: CompressTargets): void {
  if (operations !== undefined && !(operations > 0 && operations < 1)) {
    throw new ConfigurationError(`operations (=${operations}) must be a number in (0, 1): the part that is left`);
  }
  if (bytes !== undefined && !(Number.isInteger(bytes) && bytes > 0)) {
    throw new ConfigurationError(`bytes (=${bytes}) must be a positive integer`);
  }
  if (maxDrop !== undefined && !(maxDrop >= 0))
    throw new ConfigurationError(`max-drop (=${maxDrop}) must be a number of at least 0`);
}

async function freezeSaved(saved: SavedModel, run: Run | undefined, { engine }: CompressOptions): Promise<Frozen> {
  return await freeze({ saved, weights: preferredWeights(saved.file), engine, run: run && runName(run) });
}

function newest(run: Run): SavedModel {
  return readSavedModel(latestCheckpoint(run)!.path, {});
}

/**
 * How many parameters a quantized file of so many bytes has at most; undefined if the whole network's is small enough. A weight takes one
 * byte there; what else goes with a filter (a bias, a scale) takes more, so that the file is a little smaller than allowed.
 */
async function parametersFor(bytes: number, original: Frozen, options: CompressOptions): Promise<number | undefined> {
  const whole = (await quantizeFrozen(original, undefined, options)).encode(null).length;
  if (whole <= bytes) return undefined;
  const parameters = original.metadata.parameters - (whole - bytes);
  if (parameters >= 1) return parameters;
  throw new ConfigurationError(
    `bytes (=${bytes}) must be above ${whole - original.metadata.parameters}: that is what the file takes without any weights`,
  );
}

/** Undefined if the network is small enough as it is. */
async function pruneTo(
  operations: number | undefined,
  parameters: number | undefined,
  { source, reference, steps, overrides, engine, dataset, runsFolder, signal, hooks, libraries }: CompressOptions,
): Promise<PruneResult | undefined> {
  if (operations === undefined && parameters === undefined) return undefined;
  const target = { ...(operations !== undefined && { operations }), ...(parameters !== undefined && { parameters }) };
  const method = { type: 'filters', target, scope: 'layer' } as const;
  const plan = planPruning({ source, reference, method, steps, overrides }, dataset);
  return await prune(plan, {
    engine,
    dataset,
    runsFolder,
    ...(signal !== undefined && { signal }),
    ...(hooks !== undefined && { hooks }),
    ...(libraries !== undefined && { libraries }),
  });
}

async function quantizeFrozen(
  frozen: Frozen,
  maxDrop: number | undefined,
  { reference, dataset, threads }: CompressOptions,
): Promise<Quantized> {
  return await quantize({
    file: { bytes: frozen.encode(null), source: reference },
    scheme: 'int8',
    weightBits: 7,
    calibration: { method: 'mse', percentile: 99.99 },
    keepFloat: [],
    check: maxDrop === undefined ? undefined : { maxDrop, threads },
    seed: 1,
    dataset,
  });
}

function filesOf(metadata: FrozenMetadata, { dataset, threads }: CompressOptions) {
  return { metadata, dataset, threads };
}

async function originalAccuracy(original: Frozen, options: CompressOptions): Promise<number> {
  const { metadata } = original;
  const session = await openSession(original.encode(null), 'the frozen file', { threads: options.threads });
  try {
    return (await evaluateFrozen({ session, metadata, dataset: options.dataset, split: 'test' }))!.accuracy;
  } finally {
    await session.dispose();
  }
}

function accuracyOf({ accuracy: value, images }: FileComparison, { name: dataset, fingerprint }: Dataset): FrozenAccuracy {
  return { value, split: 'test', images, dataset, fingerprint };
}

function stage(name: Stage['name'], { parameters, operations }: FrozenMetadata, bytes: number, accuracy: number): Stage {
  return { name, parameters, operations, bytes, accuracy };
}

function reachedBy(targets: CompressTargets, before: FrozenMetadata, after: FrozenMetadata, size: number): Reached[] {
  const values = { operations: after.operations / before.operations, bytes: size };
  return (['operations', 'bytes'] as const).flatMap((target) => {
    const limit = targets[target];
    return limit === undefined ? [] : [{ target, limit, value: values[target], met: values[target] <= limit }];
  });
}
