/**
 * From a trained network to a small file, in rounds. Each round removes filters, trains the smaller network on, freezes it, quantizes it to
 * 8-bit integers and measures it, until the targets are reached (rounds.ts). Each step is one that can also be done alone (prune/, quantize/,
 * deploy/freeze.ts). Validation images decide; the test images are looked at when nothing is left to be decided.
 */
import type { Dataset } from '../data/dataset.ts';
import { accuracyRecord } from '../deploy/evaluate.ts';
import { freeze, type Frozen } from '../deploy/freeze.ts';
import type { Device } from '../deploy/mcu/cores.ts';
import type { Engine } from '../engine/engine.ts';
import { countOperations, type Network } from '../nn/network.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import type { Tensor } from '../runs/safetensors.ts';
import type { ConfigOverrides, TrainingConfig } from '../train/config-schema.ts';
import { classifierFor, readSavedModel, type SavedModel } from '../train/saved-model.ts';
import type { TrainHooks } from '../train/train-options.ts';
import { preferredWeights } from '../train/weights.ts';
import { defaultThreads } from '../util/cpu.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import {
  decisive,
  dropOf,
  layerSensitivities,
  measureNetwork,
  measureSize,
  validationImages,
  withinDrop,
  type MeasuredFile,
  type MeasuredNetwork,
  type Measuring,
} from './network.ts';
import { sparsityOf } from './prune/measure.ts';
import { planPruning, startOf, type PruningPlan } from './prune/prune.ts';
import { OutOfReachError, type ShrinkTarget } from './prune/shrink.ts';
import { compareOnTest, type FileComparison } from './quantize/compare.ts';
import type { LayerSensitivity } from './quantize/sensitivity.ts';
import { requireEnoughRounds, requireWithinReach } from './reach.ts';
import { sourceReference, trainRound } from './round-runs.ts';
import {
  defaultRounds,
  hasDeviceLimits,
  hasLimits,
  nextRound,
  reachedBy,
  requireTargets,
  resultOf,
  type CompressTargets,
  type DeviceSize,
  type MeasuredRounds,
  type NextRound,
  type Reached,
  type RoundSettings,
  type StopReason,
} from './rounds.ts';

export interface CompressOptions extends RoundSettings {
  readonly source: SavedModel;
  /** How the user named the source. */
  readonly reference: string;
  readonly targets: CompressTargets;
  /** For the target `deviceMs`. */
  readonly device?: Device | undefined;
  /** Of training in each round. */
  readonly steps: number;
  readonly overrides: ConfigOverrides;
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly runsFolder: string;
  /** Of ONNX Runtime. */
  readonly threads: number;
  /** Times files; default `benchInference`. */
  readonly bench?: Measuring['bench'];
  readonly signal?: AbortSignal;
  readonly hooks?: CompressHooks;
}

/** What may be left out of `CompressOptions`: rounds as `defaultRounds` says, no overrides, the path of the source, the physical cores. */
type Defaulted = 'shrink' | 'rounds' | 'overrides' | 'reference' | 'threads';
export type CompressRequest = Omit<CompressOptions, Defaulted> & Partial<Pick<CompressOptions, Defaulted>>;

/** What is told while it happens. */
export interface CompressHooks {
  /** A round trains; one that was trained before does not. */
  training?(round: number, config: TrainingConfig): TrainHooks;
  /** A network is measured; round 0 is the original. */
  onNetwork?(round: number, network: MeasuredNetwork, original: MeasuredNetwork, reused: boolean): void;
  /** The test images, at the end. */
  onTest?(done: number, total: number): void;
  onLayer?(done: number, total: number, layer: string): void;
}

/** A file of a network; its size is that with its accuracy in it. */
export interface StageFile extends MeasuredFile {
  /** On all test images; chosen by nothing. */
  readonly testAccuracy: number;
  /** From the original in float32, on validation images. */
  readonly dropPoints: number;
}

/** A network at one point of the way. */
export interface Stage {
  /** `original`, `round 1`, ... */
  readonly name: string;
  /** `tuto/3`; null for the original. */
  readonly run: string | null;
  readonly parameters: number;
  readonly operations: number;
  /** On a microcontroller, where that is limited. */
  readonly device?: DeviceSize | undefined;
  readonly float32: StageFile;
  readonly int8: StageFile & {
    /** Layers that stay in float32. */
    readonly floatLayers: readonly string[];
  };
}

/** A convolution or dense layer of the result. */
export interface CompressedLayer {
  readonly name: string;
  /** Filters or features, of the original and of the result. */
  readonly before: number;
  readonly after: number;
  /** Of the result, without biases. */
  readonly weights: number;
  /** Part of these weights that is zero, in float32: 8 bits round further ones to it. */
  readonly sparsity: number;
  readonly quantized: boolean;
  /** What it costs to quantize it alone, on the validation images. */
  readonly dropPoints: number;
  readonly divergence: number;
}

export interface Compressed {
  readonly stages: readonly Stage[];
  /** Position in `stages`. */
  readonly result: number;
  readonly reason: StopReason;
  readonly targets: readonly Reached[];
  /** Of the result, in the order of the network. */
  readonly layers: readonly CompressedLayer[];
  readonly validationImages: number;
  readonly testImages: number;
  /** Of the rounds. */
  readonly runs: readonly Run[];
  /** The result's bytes, its accuracy recorded in it. */
  readonly file: Uint8Array;
}

/** What was stopped; all that is finished is found again. */
export interface Stopped {
  readonly stopped: { readonly round: number; readonly run?: Run; readonly step?: number };
}

interface Round {
  readonly saved: SavedModel;
  readonly run: Run | undefined;
  readonly network: MeasuredNetwork;
}

/** A training that is killed loses no more than this, unless the user says otherwise. */
const saveEverySeconds = 60;

/**
 * @throws ConfigurationError for targets out of range or out of reach; AblateError if no network keeps the drop; and what pruning, training,
 *   freezing and quantizing throw
 */
export async function compress(request: CompressRequest): Promise<Compressed | Stopped> {
  const defaults = { ...defaultRounds, overrides: {}, reference: request.source.path, threads: defaultThreads() };
  const given: CompressOptions = { ...defaults, ...request };
  const source = { ...given.source, classifier: classifierFor(given.source, given.dataset) };
  const options = { ...given, source, overrides: roundOverrides(given) };
  const { targets, signal } = options;
  requireTargets(targets, options);
  const { operations } = targets;
  // Planned before anything is measured: an error if it is out of reach, or for keys that cannot be set.
  const start = { saved: source, run: undefined };
  if (operations === undefined) planUnlessOutOfReach({ operations: options.shrink }, start, options);
  else planFor({ operations }, start, options);
  const { dataset, threads, reference, bench } = options;
  const devices = hasDeviceLimits(targets) ? (options.device === undefined ? [] : [options.device]) : undefined;
  const measuring: Measuring = { dataset, threads, source: reference, devices, bench, signal };
  const rounds: Round[] = [];
  try {
    return await goThrough(rounds, measuring, options);
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return { stopped: { round: Math.max(1, rounds.length) } };
    throw error;
  }
}

/** Adds the original and each round to `rounds`. @throws the reason of the signal, where it stops a calibration */
async function goThrough(rounds: Round[], measuring: Measuring, options: CompressOptions): Promise<Compressed | Stopped> {
  const { source, targets, signal, hooks = {} } = options;
  const original = await measureNetwork(await freezeSaved(source, undefined, options), measuring);
  const measure = async (saved: SavedModel, run: Run | undefined, reused: boolean): Promise<Round> => {
    const plain = run === undefined ? original : await measureNetwork(await freezeSaved(saved, run, options), measuring);
    const network = await withinDrop(plain, original, targets, measuring);
    hooks.onNetwork?.(rounds.length, network, original, reused);
    return { saved, run, network };
  };
  rounds.push(await measure(source, undefined, false));
  let reason: StopReason;
  for (;;) {
    if (signal?.aborted === true) return { stopped: { round: rounds.length } };
    const next = nextRound(targets, options, measuredRounds(rounds, original));
    if (next.type === 'stop') {
      ({ reason } = next);
      break;
    }
    const plan = planRound(next, rounds, options);
    if (plan === undefined) {
      reason = 'smallest';
      break;
    }
    if (rounds.length === 1) await requireReachable(original, measuring, options);
    const { status, run, step, reused } = await trainPlan(plan, rounds.length, options);
    if (status === 'interrupted') return { stopped: { round: rounds.length, run, step } };
    rounds.push(await measure(readSavedModel(latestCheckpoint(run)!.path, {}), run, reused));
  }
  return await concluded(rounds, original, reason, measuring, options);
}

function roundOverrides({ overrides, runsFolder }: CompressOptions): ConfigOverrides {
  if ('val' in overrides) {
    throw new ConfigurationError(
      'val cannot be set here: the last training images are always kept out, as they decide when to stop',
      { key: 'val' },
    );
  }
  const { teacher } = overrides;
  // The name of a model must not come to mean a round.
  return typeof teacher === 'string' ? { ...overrides, teacher: sourceReference(teacher, runsFolder) } : overrides;
}

async function freezeSaved(saved: SavedModel, run: Run | undefined, { engine }: CompressOptions): Promise<Frozen> {
  return await freeze({ saved, engine, run: run && runName(run) });
}

function measuredRounds(rounds: readonly Round[], original: MeasuredNetwork): MeasuredRounds {
  const [first, ...rest] = rounds.map(({ network }) => decisive(network, original));
  return [first!, ...rest];
}

/** The round that removes less, of the whole one and what is enough. Undefined if no filter can go any more. */
function planRound(
  { whole, enough }: Extract<NextRound, { type: 'shrink' }>,
  rounds: readonly Round[],
  options: CompressOptions,
): PruningPlan | undefined {
  const now = rounds.at(-1)!;
  const last = enough && planAtMost(enough, now, options);
  const left = last && countOperations(last.shrunk!.network) / now.network.frozen.metadata.operations;
  return left !== undefined && left >= options.shrink ? last : planUnlessOutOfReach(whole, now, options);
}

/** That a limit is out of reach, or the rounds are too few for it, is told before anything is trained. */
async function requireReachable(original: MeasuredNetwork, measuring: Measuring, options: CompressOptions): Promise<void> {
  const limits: CompressTargets = { ...options.targets, operations: undefined, maxDrop: undefined };
  if (!hasLimits(limits)) return;
  const measured = decisive(original, original);
  const missedBy = async (saved: SavedModel, of: CompressTargets) => {
    const size = await measureSize(await freezeSaved(saved, undefined, options), of, measuring);
    return reachedBy(of, measured, { ...measured, ...size }).filter(({ met }) => !met);
  };
  const { source } = options;
  const certain = { ...limits, latencyMs: undefined };
  const smallest = hasLimits(certain) ? planAtMost({ parameters: 1 }, { saved: source, run: undefined }, options) : undefined;
  if (smallest !== undefined) requireWithinReach(await missedBy(plannedModel(smallest, source), certain));
  await requireEnoughRounds<SavedModel>(options, {
    original: source,
    smaller(saved) {
      const plan = planUnlessOutOfReach({ operations: options.shrink }, { saved, run: undefined }, options);
      return plan && plannedModel(plan, saved);
    },
    missedBy: (saved) => missedBy(saved, limits),
  });
}

/** What a plan makes of a model, not trained on yet. */
function plannedModel(plan: PruningPlan, saved: SavedModel): SavedModel {
  const { tensors } = startOf(plan).file;
  return { ...saved, config: plan.config, classifier: plan.classifier, file: { tensors, metadata: saved.file.metadata } };
}

function planUnlessOutOfReach(
  target: ShrinkTarget,
  now: Pick<Round, 'saved' | 'run'>,
  options: CompressOptions,
): PruningPlan | undefined {
  try {
    return planFor(target, now, options);
  } catch (error) {
    if (error instanceof OutOfReachError) return undefined;
    throw error;
  }
}

/** As little as asked for or, where that is out of reach, as can be. Undefined if no filter can go any more. */
function planAtMost(target: ShrinkTarget, now: Pick<Round, 'saved' | 'run'>, options: CompressOptions): PruningPlan | undefined {
  try {
    return planFor(target, now, options);
  } catch (error) {
    if (!(error instanceof OutOfReachError)) throw error;
    return error.least && planAtMost({ ...target, ...error.least }, now, options);
  }
}

function planFor(target: ShrinkTarget, { saved, run }: Pick<Round, 'saved' | 'run'>, options: CompressOptions): PruningPlan {
  return planPruning(
    {
      source: saved,
      reference: run === undefined ? options.reference : runName(run),
      method: { type: 'filters', target, scope: 'layer' },
      steps: options.steps,
      overrides: { saveEverySeconds, ...options.overrides, val: true },
    },
    options.dataset,
  );
}

async function trainPlan(plan: PruningPlan, round: number, options: CompressOptions) {
  const { config, classifier } = plan;
  const { engine, dataset, runsFolder, signal, hooks } = options;
  return await trainRound({
    config,
    classifier,
    initialWeights: startOf(plan),
    engine,
    dataset,
    runsFolder,
    ...(signal !== undefined && { signal }),
    hooks: () => hooks?.training?.(round, config),
  });
}

/** Chooses the result, and only then looks at the test images. */
async function concluded(
  rounds: readonly Round[],
  original: MeasuredNetwork,
  reason: StopReason,
  measuring: Measuring,
  { targets, dataset, hooks = {} }: CompressOptions,
): Promise<Compressed> {
  const measured = measuredRounds(rounds, original);
  const result = resultOf(targets, measured);
  if (result === undefined) throw nothingWithin(targets.maxDrop!, measured, validationImages(dataset).count);
  const { saved, network } = rounds[result]!;
  const sensitivities = await layerSensitivities(network, measuring, hooks.onLayer);
  const comparisons: FileComparison[] = [];
  for (const round of rounds) {
    hooks.onTest?.(comparisons.length, rounds.length);
    const { frozen, quantized } = round.network;
    const files = { float: frozen.encode(null), quantized: quantized.encode(null) };
    comparisons.push(await compareOnTest({ ...files, ...measuring, metadata: frozen.metadata }));
  }
  hooks.onTest?.(rounds.length, rounds.length);
  const file = network.quantized.encode(accuracyRecord({ ...comparisons[result]!, split: 'test' }, dataset));
  return {
    stages: rounds.map((round, i) => stageOf(i, round, original, comparisons[i]!, dataset)),
    result,
    reason,
    targets: reachedBy(targets, measured[0], { ...measured[result]!, bytes: file.length }),
    layers: layersOf(
      rounds[0]!.network.frozen.classifier.network,
      network.frozen.classifier.network,
      weightsOf(saved),
      sensitivities,
      network.quantized.layers,
    ),
    validationImages: validationImages(dataset).count,
    testImages: dataset.test.count,
    runs: rounds.flatMap(({ run }) => run ?? []),
    file,
  };
}

function nothingWithin(maxDrop: number, measured: MeasuredRounds, images: number): AblateError {
  const [original, first] = measured.map(({ dropPoints }) => dropPoints.toFixed(2));
  const costs = `quantizing alone costs ${original!}${first === undefined ? '' : `, and the first round ${first}`}`;
  return new AblateError(`no network keeps within a drop of ${maxDrop} points on ${images} validation images: ${costs}`, {
    fix: 'allow a larger --max-drop, remove less in a round (--shrink 0.9), or train more (--steps)',
  });
}

function stageOf(
  round: number,
  { run, network }: Round,
  original: MeasuredNetwork,
  { floatAccuracy, accuracy }: FileComparison,
  dataset: Dataset,
): Stage {
  const { frozen, quantized, float32, int8, device } = network;
  const { parameters, operations } = frozen.metadata;
  const fileOf = (file: MeasuredFile, { encode }: Pick<Frozen, 'encode'>, testAccuracy: number): StageFile => ({
    ...file,
    bytes: encode(accuracyRecord({ accuracy: testAccuracy, split: 'test', images: dataset.test.count }, dataset)).length,
    testAccuracy,
    dropPoints: dropOf(file, original),
  });
  return {
    name: round === 0 ? 'original' : `round ${round}`,
    run: run === undefined ? null : runName(run),
    parameters,
    operations,
    ...(device && { device }),
    float32: fileOf(float32, frozen, floatAccuracy),
    int8: { ...fileOf(int8, quantized, accuracy), floatLayers: quantized.quantization.floatLayers },
  };
}

/** Those that were frozen. */
function weightsOf({ file, path }: SavedModel): ReadonlyMap<string, Tensor> {
  return checkpointWeights(file, preferredWeights(file), path);
}

function layersOf(
  before: Network,
  after: Network,
  tensors: ReadonlyMap<string, Tensor>,
  sensitivities: readonly LayerSensitivity[],
  quantized: readonly string[],
): CompressedLayer[] {
  const filtersOf = (network: Network, name: string) => network.layers.find((layer) => layer.name === name)!.outputShape[0]!;
  return sensitivities.map(({ layer: name, dropPoints, divergence }) => {
    const { data } = tensors.get(`${name}.weight`)!;
    return {
      name,
      before: filtersOf(before, name),
      after: filtersOf(after, name),
      weights: data.length,
      sparsity: sparsityOf(data),
      quantized: quantized.includes(name),
      dropPoints,
      divergence,
    };
  });
}
