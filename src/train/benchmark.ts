/** How long a training step takes, where the time goes, and how near that is to what oneDNN's kernels or the graphics card allow. */
import { singleProcess } from '../cluster/collective.ts';
import type { Dataset } from '../data/dataset.ts';
import { splitOf } from '../data/image-set.ts';
import { createTrainingLoader } from '../data/loader.ts';
import type { Engine, TrainingPlan } from '../engine/engine.ts';
import { isTimed, type DeviceCeilings, type KernelTime, type KernelTimes, type TimedPlan } from '../engine/kernel-times.ts';
import type { ProfiledPlan } from '../engine/onednn/engine.ts';
import type { Operation, Pass } from '../engine/onednn/program.ts';
import type { Network } from '../nn/network.ts';
import { initialValues } from '../nn/parameter.ts';
import { ConfigurationError } from '../util/errors.ts';
import { percentile } from '../util/percentile.ts';
import { uniform } from '../util/random.ts';
import { createClassifier, trainingPreprocessing, type Classifier } from './classifier.ts';
import type { TrainingConfig } from './config-schema.ts';
import { initializeParameters } from './initialize.ts';
import { createOptimizer } from './optimizers/registry.ts';
import { createTrainer, trainingOptions, type Trainer } from './trainer.ts';

export interface TrainingBenchmarkOptions {
  /** One whose kernels can be timed one by one. */
  readonly engine: Engine;
  readonly config: TrainingConfig;
  /** Default: what the configuration describes. */
  readonly classifier?: Classifier;
  readonly dataset: Dataset;
  /** Steps before the timing starts. */
  readonly warmUpSteps: number;
  /** Steps timed. */
  readonly steps: number;
  /** Runs of each operation by itself, on a graphics card of the step with a clock around each kernel, of which the median is reported. */
  readonly repetitions: number;
}

export interface OperationTime {
  /** Empty for what a graphics card does for no layer: the loss and the update. */
  readonly layer: string;
  /** oneDNN's or the graphics card's passes. */
  readonly pass: string;
  /** The name of the kernel, or `host`. */
  readonly implementation: string;
  /** Median over the repetitions, each in its place in the step; the sum where the kernel runs several times. */
  readonly ms: number;
  /**
   * Of oneDNN, only for convolutions and dense layers: least time of the kernel, run again and again with its data in the cache or in its place in the step. Of a
   * graphics card: what its arithmetic would take at the ceiling of products, or its arrays at that of copying, whichever is longer.
   */
  readonly ceilingMs?: number;
  /** Reached, of kernels on a graphics card. */
  readonly gflops?: number;
  readonly gbPerSecond?: number;
}

export interface TrainingBenchmark {
  /** From one updated set of weights to the next, the wait for the batch included. */
  readonly msPerStep: { readonly median: number; readonly min: number; readonly p95: number };
  readonly imagesPerSecond: number;
  /** Arithmetic of the convolutions and dense layers (2 per multiply-add, in every pass they run) over the median step. */
  readonly gflops: number;
  /** The sum of the kernels' ceilings. */
  readonly ceilingMs: number;
  /** ceilingMs over the median step: 1 is a step that does nothing else. */
  readonly ceilingFraction: number;
  /** Milliseconds of a step by what they are spent on: passes, `loss`, `optimizer`, `other`, and with oneDNN `inputWait`, which a graphics card computes through. */
  readonly breakdown: Readonly<Record<string, number>>;
  /** Of a graphics card. */
  readonly device?: {
    readonly timedBy: KernelTimes['timedBy'];
    readonly ceilings: DeviceCeilings;
    /** Milliseconds of a step that this process waited for the batch. */
    readonly inputWaitMs: number;
  };
  readonly layers: readonly OperationTime[];
  /** Bytes held by the compiled network. */
  readonly memoryBytes: number;
  /** Resident set size of the process after the timing. */
  readonly residentBytes: number;
}

const passes = ['forward', 'backwardData', 'backwardWeights', 'elementwise', 'reorder'] as const satisfies readonly Pass[];

/**
 * Trains for a while on real batches and times the steps; then runs each operation of a step by itself. Nothing is recorded.
 *
 * @throws ConfigurationError if the configuration has a teacher, whose part of a step is not timed, or the engine's operations cannot be timed
 */
export async function benchmarkTraining(options: TrainingBenchmarkOptions): Promise<TrainingBenchmark> {
  const { engine, config, dataset, warmUpSteps, steps, repetitions } = options;
  if (config.teacher !== 'none') {
    throw new ConfigurationError(`teacher (=${config.teacher}) must be none: steps are timed without one`, {
      fix: 'leave the teacher out',
    });
  }
  const classifier = options.classifier ?? createClassifier(config, dataset);
  const { network } = classifier;
  const preprocessing = trainingPreprocessing(classifier, config);
  const { batchSize, seed } = config;
  const plan = await engine.compileTraining(network, trainingOptions(config, singleProcess));
  try {
    if (!isTimed(plan)) requireProfiled(plan, engine);
  } catch (error) {
    plan.dispose();
    throw error;
  }
  await initializeParameters(plan.parameters, seed, config.initializer);
  const trainer = createTrainer(plan, config, singleProcess);
  const images = splitOf(dataset, 'train', config.val);
  const loader = createTrainingLoader({ images, shape: dataset.shape, preprocessing, batchSize, seed, firstStep: 0 });
  try {
    const train = async (): Promise<boolean> => await trainer.train((await loader.next())!, false);
    const stepMs: number[] = [];
    let waitBefore = 0;
    // Steps that the plan may have under way are timed together, but not all of them, so that there are several times.
    const together = Math.min(plan.stepsInFlight, Math.ceil(steps / 5));
    for (let done = -warmUpSteps, count: number; done < steps; done += count) {
      count = Math.min(together, (done < 0 ? 0 : steps) - done);
      if (done === 0) waitBefore = loader.waitMs;
      const before = performance.now();
      for (let i = 0; i < count; i++) await train();
      await trainer.losses();
      if (done >= 0) stepMs.push((performance.now() - before) / count);
    }
    const inputWait = (loader.waitMs - waitBefore) / steps;
    const msPerStep = { median: percentile(stepMs, 0.5), min: percentile(stepMs, 0), p95: percentile(stepMs, 0.95) };
    let parts: StepParts;
    if (isTimed(plan)) {
      parts = await timeOnDevice(plan, trainer, train, repetitions, inputWait);
    } else {
      requireProfiled(plan, engine);
      parts = await timeOnProcessor(network, plan, config, (await loader.next())!.labels, repetitions, inputWait);
    }
    const { layers, spent, device } = parts;
    const ceilingMs = sum(layers.map((layer) => layer.ceilingMs ?? 0));
    return {
      msPerStep,
      imagesPerSecond: (1000 * batchSize) / msPerStep.median,
      gflops: (operationsPerStep(network, layers) * batchSize) / msPerStep.median / 1e6,
      ceilingMs,
      ceilingFraction: ceilingMs / msPerStep.median,
      breakdown: { ...spent, other: msPerStep.median - sum(Object.values(spent)) },
      ...(device !== undefined && { device }),
      layers,
      memoryBytes: plan.memoryBytes,
      residentBytes: process.memoryUsage.rss(),
    };
  } finally {
    await loader.dispose();
    plan.dispose();
  }
}

/** Where the time of a step goes. */
interface StepParts {
  readonly layers: readonly OperationTime[];
  /** Milliseconds by what they are spent on. */
  readonly spent: Readonly<Record<string, number>>;
  readonly device?: TrainingBenchmark['device'];
}

async function timeOnProcessor(
  network: Network,
  plan: TrainingPlan & ProfiledPlan,
  config: TrainingConfig,
  labels: Uint8Array | Uint16Array,
  repetitions: number,
  inputWait: number,
): Promise<StepParts> {
  const layers = timeOperations(network, plan, repetitions, config.seed);
  const lossTimes = repeat(repetitions, () => plan.computeLoss({ labels }));
  await plan.takeLosses();
  const loss = percentile(lossTimes, 0.5);
  const optimizer = percentile(timeOptimizer(plan, config, repetitions), 0.5);
  return { layers, spent: { ...sumsByPass(layers, passes), loss, optimizer, inputWait } };
}

const devicePasses = ['forward', 'backwardData', 'backwardWeights', 'backward', 'copy', 'loss', 'optimizer'] as const;

/** Whole steps, in which the device times each kernel. */
async function timeOnDevice(
  plan: TimedPlan,
  trainer: Trainer,
  train: () => Promise<unknown>,
  repetitions: number,
  inputWaitMs: number,
): Promise<StepParts> {
  const ceilings = await plan.measureCeilings();
  const steps: ReadonlyMap<string, KernelTime>[] = [];
  let timedBy: KernelTimes['timedBy'] = 'timestamps';
  for (let i = 0; i < repetitions; i++) {
    const times = await plan.timeKernels(train);
    await trainer.losses();
    ({ timedBy } = times);
    steps.push(sumSame(times.kernels));
  }
  const layers = [...new Map(steps.flatMap((step) => [...step]))].map(([key, work]): OperationTime => {
    const { layer, pass, implementation, operations, bytes } = work;
    const ms = percentile(
      steps.map((step) => step.get(key)?.ms ?? 0),
      0.5,
    );
    const ceilingMs = Math.max(operations / ceilings.productGflops, bytes / ceilings.copyGBPerSecond) / 1e6;
    return {
      ...{ layer, pass, implementation, ms, ceilingMs, gbPerSecond: bytes / ms / 1e6 },
      ...(operations > 0 && { gflops: operations / ms / 1e6 }),
    };
  });
  return { layers, spent: sumsByPass(layers, devicePasses), device: { timedBy, ceilings, inputWaitMs } };
}

/** Kernels of the same name in a step are one, with their times together. */
function sumSame(times: readonly KernelTime[]): Map<string, KernelTime> {
  const sums = new Map<string, KernelTime>();
  for (const time of times) {
    const key = JSON.stringify([time.layer, time.pass, time.implementation]);
    const { ms = 0, operations = 0, bytes = 0 } = sums.get(key) ?? {};
    sums.set(key, { ...time, ms: ms + time.ms, operations: operations + time.operations, bytes: bytes + time.bytes });
  }
  return sums;
}

function sumsByPass(layers: readonly OperationTime[], among: readonly string[]): Record<string, number> {
  return Object.fromEntries(among.map((pass) => [pass, sum(layers.filter((layer) => layer.pass === pass).map(({ ms }) => ms))]));
}

export interface LayerTime {
  readonly layer: string;
  /** Median milliseconds of all that a step runs for it, in either direction; 0 for one that is computed as a part of its neighbour. */
  readonly forwardMs: number;
  readonly backwardMs: number;
}

export interface LayerTimesOptions {
  /** One whose operations can be timed one by one: oneDNN's. */
  readonly engine: Engine;
  readonly network: Network;
  readonly batchSize: number;
  /** Runs of each operation, of which the median is reported. */
  readonly repetitions: number;
}

/**
 * Times what a training step computes for each layer, on noise: without batches, loss and updates.
 *
 * @throws ConfigurationError if the engine's operations cannot be timed
 */
export async function timeLayers({ engine, network, batchSize, repetitions }: LayerTimesOptions): Promise<LayerTime[]> {
  const plan = await engine.compileTraining(network, { batchSize });
  try {
    requireProfiled(plan, engine);
    const seed = 1;
    plan.input.forEach((_, i) => (plan.input[i] = uniform(seed, i) - 0.5));
    for (const entry of plan.parameters.entries) {
      await plan.parameters.write(entry, initialValues(entry.spec, seed), plan.parameters.values);
    }
    const { forwardOperations, backwardOperations } = plan;
    const ofLayers = (operations: readonly Operation[]) => {
      const ms = new Map<string, number>();
      for (const { layer, times } of timesInPlace(operations, repetitions, seed)) {
        ms.set(layer, (ms.get(layer) ?? 0) + percentile(times, 0.5));
      }
      return ms;
    };
    // The backward pass works on what the forward pass has left.
    const [forward, backward] = [ofLayers(forwardOperations), ofLayers(backwardOperations)];
    return network.layers.map(({ name }) => ({
      layer: name,
      forwardMs: forward.get(name) ?? 0,
      backwardMs: backward.get(name) ?? 0,
    }));
  } finally {
    plan.dispose();
  }
}

/** Every operation, each time in its place among the others. */
function timesInPlace(operations: readonly Operation[], repetitions: number, seed: number) {
  const times = operations.map((): number[] => []);
  for (let i = 0; i < repetitions; i++) {
    operations.forEach((operation, k) => times[k]!.push(...repeat(1, () => operation.run({ seed, step: 0 }))));
  }
  return operations.map(({ layer }, k) => ({ layer, times: times[k]! }));
}

function requireProfiled(plan: TrainingPlan, engine: Engine): asserts plan is TrainingPlan & ProfiledPlan {
  if (isProfiled(plan)) return;
  throw new ConfigurationError(`engine (=${engine.name}) has no operations that can be timed one by one`, {
    fix: 'use --engine onednn or webgpu',
  });
}

function isProfiled(plan: TrainingPlan): plan is TrainingPlan & ProfiledPlan {
  return 'forwardOperations' in plan;
}

/** Every operation in its place in the step, several times over; then the kernels that set the ceiling, each alone. */
function timeOperations(network: Network, plan: ProfiledPlan, repetitions: number, seed: number): OperationTime[] {
  const operations = [...plan.forwardOperations, ...plan.backwardOperations];
  const kinds = new Map(network.layers.map((layer) => [layer.name, layer.kind]));
  const times = timesInPlace(operations, repetitions, seed).map((each) => each.times);
  const run = (operation: Operation): void => {
    operation.run({ seed, step: 0 });
  };
  const each = operations.map((operation, k): OperationTime => {
    const { layer, pass, implementation } = operation;
    const kind = kinds.get(layer);
    const counts = (kind === 'conv' || kind === 'dense') && pass !== 'elementwise' && pass !== 'reorder';
    const time = { layer, pass, implementation, ms: percentile(times[k]!, 0.5) };
    return counts ? { ...time, ceilingMs: percentile([...times[k]!, ...repeat(repetitions, () => run(operation))], 0) } : time;
  });
  return sumOverParts(each);
}

/** A kernel that a layer runs several times in a pass, each time for a part of the batch, counts as one with their times together. */
function sumOverParts(times: readonly OperationTime[]): OperationTime[] {
  const sums = new Map<string, OperationTime>();
  for (const time of times) {
    const key = JSON.stringify([time.layer, time.pass, time.implementation]);
    const { ms, ceilingMs } = sums.get(key) ?? { ms: 0 };
    const ceiling = time.ceilingMs === undefined ? {} : { ceilingMs: time.ceilingMs + (ceilingMs ?? 0) };
    sums.set(key, { ...time, ms: time.ms + ms, ...ceiling });
  }
  return [...sums.values()];
}

/** Milliseconds of updates: weight decay, the optimizer's state and moving average. With a learning rate of 0, so that the weights stay. */
function timeOptimizer(
  plan: Pick<TrainingPlan, 'parameters' | 'vectorMath'>,
  config: TrainingConfig,
  repetitions: number,
): number[] {
  const { parameters } = plan;
  const average = config.movingAverage.type === 'none' ? undefined : parameters.allocate();
  const optimizer = createOptimizer({ plan, rules: config }, config.optimizer);
  const follow = average && plan.vectorMath.approach(parameters.values, average);
  return repeat(repetitions, () => {
    optimizer.step(0, 0, 1);
    follow?.(0.5);
  });
}

const countedPasses: ReadonlySet<string> = new Set(['forward', 'backwardData', 'backwardWeights']);

/** Multiplications and additions for one image in all the passes of the convolutions and dense layers that a step runs. */
function operationsPerStep(network: Network, layers: readonly OperationTime[]): number {
  const multiplyAdds = new Map(network.layers.map((layer) => [layer.name, layer.multiplyAdds]));
  // Once for each pass, whatever kernels it takes.
  const counted = layers.filter(({ pass }) => countedPasses.has(pass));
  const passesOf = new Map(counted.map(({ layer, pass }) => [`${pass} ${layer}`, layer]));
  return sum([...passesOf.values()].map((layer) => 2 * multiplyAdds.get(layer)!));
}

/** Milliseconds of each of `count` calls. */
function repeat(count: number, work: () => unknown): number[] {
  return Array.from({ length: count }, () => {
    const before = performance.now();
    work();
    return performance.now() - before;
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
