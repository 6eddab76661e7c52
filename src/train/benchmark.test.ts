/** The figures of a benchmark by a clock that moves only while work is done: each pass and operation takes the time that it is given here. */
import { afterEach, expect, test, vi } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine, TrainingPlan } from '../engine/engine.ts';
import type { TimedPlan } from '../engine/kernel-times.ts';
import type { OnednnEngine, ProfiledPlan } from '../engine/onednn/engine.ts';
import type { Operation, Pass } from '../engine/onednn/program.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { benchmarkTraining, timeLayers, type TrainingBenchmarkOptions } from './benchmark.ts';
import { initialValues } from '../nn/parameter.ts';
import { createClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';

const dataset = noiseDataset(16, { train: 12, test: 2 });

const tiny: ConfigOverrides = {
  model: 'tuto',
  'conv1.filters': 2,
  'conv1.kernel': 3,
  'conv2.filters': 3,
  'conv2.kernel': 3,
  'dense1.features': 5,
  dense2: false,
  lrn: false,
  batchSize: 4,
  inputSize: 8,
  threads: 1,
};

afterEach(() => vi.restoreAllMocks());

/** Milliseconds that pass in work alone. */
let clock = 0;

/** What a step runs: each with the milliseconds that it takes the first time, the second, and so on; the last ones again. */
const operations: readonly (readonly [layer: string, pass: Pass, implementation: string, ms: readonly number[]])[] = [
  ['conv1', 'forward', 'direct', [3, 1, 2, 0.5, 4]],
  ['pool1', 'forward', 'pool', [1]],
  ['conv2', 'forward', 'winograd', [2, 2, 2, 6]],
  ['conv2', 'forward', 'winograd', [4, 4, 4, 3]],
  ['dense1', 'reorder', 'reorder', [0.25]],
  ['dense1', 'elementwise', 'host', [0.5]],
  ['logits', 'backwardData', 'gemm', [5]],
  ['logits', 'backwardWeights', 'gemm', [7]],
];

/** What each operation should draw from. */
const seedOfDraws = 1;

/** Milliseconds of the forward passes of steps, first of those that warm up. Backward passes take 20. */
const forwardMs = [1000, 500, 10, 30, 20, 60];

/** The reference engine with a clock, and operations that are made up. */
function clocked(seen: unknown[]): OnednnEngine {
  return {
    ...referenceEngine,
    threads: 1,
    libraryVersion: 'none',
    async compileTraining(network, options) {
      seen.push(options);
      const plan = await referenceEngine.compileTraining(network, options);
      let step = 0;
      const forward = plan.forward.bind(plan);
      const backward = plan.backward.bind(plan);
      plan.forward = (draws) => {
        clock += forwardMs[step++] ?? 0;
        forward(draws);
      };
      plan.backward = (onProgress) => {
        clock += 20;
        backward(onProgress);
      };
      plan.dispose = () => seen.push('disposed of');
      const profiled = operations.map(([layer, pass, implementation, ms]): Operation => {
        let run = 0;
        return {
          ...{ layer, pass, implementation },
          run(draws) {
            expect(draws).toEqual({ seed: seedOfDraws, step: 0 });
            clock += ms[run++] ?? ms.at(-1)!;
          },
        };
      });
      return Object.assign(plan, {
        forwardOperations: profiled.slice(0, 6),
        backwardOperations: profiled.slice(6),
      } satisfies ProfiledPlan);
    },
    compileInference: () => {
      throw new Error('a benchmark of training compiles nothing else');
    },
  };
}

function benchmark(overrides: ConfigOverrides = {}, options: Partial<TrainingBenchmarkOptions> = {}, seen: unknown[] = []) {
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  const config = resolveConfig(tiny, overrides);
  return benchmarkTraining({ engine: clocked(seen), config, dataset, warmUpSteps: 2, steps: 4, repetitions: 3, ...options });
}

test('times of steps without those that warm up, rates, and where the time goes', async () => {
  const seen: unknown[] = [];
  const result = await benchmark({ seed: seedOfDraws }, {}, seen);
  expect(result).not.toHaveProperty('device');
  // Steps of 30, 50, 40 and 80 ms.
  expect(result.msPerStep.median).toBeCloseTo(45, 9);
  expect(result.msPerStep.min).toBeCloseTo(30, 9);
  // Between the third and the fourth of them: 0.95 * 3 = 2.85.
  expect(result.msPerStep.p95).toBeCloseTo(50 + 0.85 * 30, 9);
  expect(result.imagesPerSecond).toBeCloseTo((4 * 1000) / 45, 9);
  expect(result.layers).toEqual([
    // Median of three in place; the least of these and three alone.
    { layer: 'conv1', pass: 'forward', implementation: 'direct', ms: 2, ceilingMs: 0.5 },
    { layer: 'pool1', pass: 'forward', implementation: 'pool', ms: 1 },
    // Two parts of the batch: 2 + 4, and 2 + 3.
    { layer: 'conv2', pass: 'forward', implementation: 'winograd', ms: 6, ceilingMs: 5 },
    { layer: 'dense1', pass: 'reorder', implementation: 'reorder', ms: 0.25 },
    { layer: 'dense1', pass: 'elementwise', implementation: 'host', ms: 0.5 },
    { layer: 'logits', pass: 'backwardData', implementation: 'gemm', ms: 5, ceilingMs: 5 },
    { layer: 'logits', pass: 'backwardWeights', implementation: 'gemm', ms: 7, ceilingMs: 7 },
  ]);
  const { breakdown } = result;
  expect(breakdown).toMatchObject({ forward: 9, backwardData: 5, backwardWeights: 7, elementwise: 0.5, reorder: 0.25 });
  // The clock stands still in them.
  expect([breakdown.loss, breakdown.optimizer, breakdown.inputWait]).toEqual([0, 0, 0]);
  expect(breakdown.other).toBeCloseTo(45 - 21.75, 9);
  expect(result.ceilingMs).toBeCloseTo(17.5, 9);
  expect(result.ceilingFraction).toBeCloseTo(17.5 / 45, 9);
  // conv1: 8 * 8 pixels, 3 * 3 * 3 weights, 2 filters. conv2: 4 * 4, 3 * 3 * 2, 3. logits twice: 5 features, 4 classes.
  const multiplyAdds = 64 * 27 * 2 + 16 * 18 * 3 + 2 * 20;
  expect(result.gflops).toBeCloseTo((2 * multiplyAdds * 4) / 0.045 / 1e9, 12);
  expect(result.memoryBytes).toBeGreaterThan(4 * 2 * (56 + 57 + 65 + 24)); // Values and gradients of four layers.
  expect(result.residentBytes).toBeGreaterThan(1e7);
  const loss = { labelSmoothing: 0, wholeBatchSize: 4 };
  expect(seen).toEqual([{ batchSize: 4, precision: 'f32', loss }, 'disposed of']);
});

test('what a step computes for each layer, in either direction', async () => {
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  const seen: unknown[] = [];
  const { network } = createClassifier(resolveConfig(tiny), dataset);
  const times = await timeLayers({ engine: clocked(seen), network, batchSize: 2, repetitions: 3 });
  expect(times.map(({ layer }) => layer)).toEqual(network.layers.map(({ name }) => name));
  expect(times.filter(({ forwardMs: forward, backwardMs }) => forward + backwardMs > 0)).toEqual([
    { layer: 'conv1', forwardMs: 2, backwardMs: 0 },
    { layer: 'pool1', forwardMs: 1, backwardMs: 0 },
    { layer: 'conv2', forwardMs: 6, backwardMs: 0 },
    { layer: 'dense1', forwardMs: 0.75, backwardMs: 0 },
    { layer: 'logits', forwardMs: 0, backwardMs: 12 },
  ]);
  expect(seen).toEqual([{ batchSize: 2 }, 'disposed of']);
  await expect(timeLayers({ engine: referenceEngine, network, batchSize: 2, repetitions: 1 })).rejects.toThrow(notTimed);
});

const notTimed = expect.objectContaining({
  message: 'engine (=reference) has no operations that can be timed one by one',
  fix: 'use --engine onednn or webgpu',
}) as Error;

test('layers are timed on noise, with first values', async () => {
  const { network } = createClassifier(resolveConfig(tiny), dataset);
  const engine = clocked([]);
  const { compileTraining } = engine;
  let plan: TrainingPlan | undefined;
  engine.compileTraining = async (...args) => (plan = await compileTraining(...args));
  await timeLayers({ engine, network, batchSize: 2, repetitions: 1 });
  const { input, parameters } = plan!;
  const [least, most] = [Math.min(...input), Math.max(...input)];
  expect(least).toBeGreaterThan(-0.5);
  expect(least).toBeLessThan(-0.4);
  expect(most).toBeGreaterThan(0.4);
  expect(most).toBeLessThan(0.5);
  for (const entry of parameters.entries)
    expect(await parameters.read(entry, parameters.values)).toEqual(initialValues(entry.spec, 1));
});

test('an engine whose operations cannot be timed is refused before the first step', async () => {
  const did: string[] = [];
  const engine: Engine = {
    ...referenceEngine,
    async compileTraining(network, options) {
      const plan = await referenceEngine.compileTraining(network, options);
      return Object.assign(plan, { forward: () => did.push('forward'), dispose: () => did.push('dispose') });
    },
  };
  await expect(benchmark({}, { engine })).rejects.toThrow(notTimed);
  expect(did).toEqual(['dispose']);
});

test.each([
  [11, 3, [3, 3, 3, 2]],
  [4, 3, [1, 1, 1, 1]],
  [10, 9, [2, 2, 2, 2, 2]],
  [12, 2, [2, 2, 2, 2, 2, 2]],
])(
  '%i steps of which %i may be under way are timed %j at a time, so that there are at least five times',
  async (steps, stepsInFlight, together) => {
    const engine = clocked([]);
    const { compileTraining } = engine;
    const counts: number[] = [];
    let underWay = 0;
    engine.compileTraining = async (...args) => {
      const plan = await compileTraining(...args);
      const [backward, takeLosses] = [plan.backward.bind(plan), plan.takeLosses.bind(plan)];
      return Object.assign(plan, {
        stepsInFlight,
        backward: (onProgress?: (finalFrom: number) => void) => {
          underWay++;
          backward(onProgress);
        },
        takeLosses: () => {
          if (underWay > 0) counts.push(underWay);
          underWay = 0;
          return takeLosses();
        },
      });
    };
    await benchmark({}, { engine, warmUpSteps: 0, steps, repetitions: 1 });
    expect(counts).toEqual(together);
  },
);

test('on a graphics card: times of kernels beside what its ceilings allow, and steps that are under way together', async () => {
  const kernel = (layer: string, pass: string, implementation: string, ms: number, operations: number, bytes: number) => {
    return { layer, pass, implementation, ms, operations, bytes };
  };
  // Two steps: the second takes twice as long, and does something that the first did not.
  const steps = [1, 2].map((k) => [
    kernel('conv1', 'forward', 'product', k, 4e9, 1e6),
    kernel('pool1', 'forward', 'elementwise', k, 0, 2e9),
    kernel('', 'loss', 'loss', 0.5 * k, 0, 1e3),
    kernel('', 'optimizer', 'vector math', 3 * k, 0, 5e8),
    kernel('', 'optimizer', 'vector math', k, 0, 5e8),
    ...(k === 2 ? [kernel('', 'optimizer', 'norm', 8, 0, 1)] : []),
  ]);
  const inFlight: number[] = [];
  let underWay = 0;
  const engine: Engine = {
    ...referenceEngine,
    async compileTraining(network, options) {
      const plan = await referenceEngine.compileTraining(network, options);
      const [backward, takeLosses] = [plan.backward.bind(plan), plan.takeLosses.bind(plan)];
      let timed = 0;
      return Object.assign(plan, {
        stepsInFlight: 3,
        backward: (onProgress?: (finalFrom: number) => void) => {
          clock += 10;
          underWay++;
          backward(onProgress);
        },
        takeLosses: () => {
          inFlight.push(underWay);
          underWay = 0;
          return takeLosses();
        },
        measureCeilings: () => Promise.resolve({ productGflops: 8000, copyGBPerSecond: 4000 }),
        timeKernels: async (work: () => Promise<unknown>) => {
          await work();
          return { timedBy: 'timestamps', kernels: steps[timed++]! } as const;
        },
      } satisfies TimedPlan & Partial<TrainingPlan>);
    },
  };
  const result = await benchmark({}, { engine, warmUpSteps: 1, steps: 11, repetitions: 2 });
  // Eleven steps by three; then those whose kernels are timed.
  expect(inFlight).toEqual([1, 3, 3, 3, 2, 1, 1]);
  expect(result.msPerStep).toEqual({ median: 10, min: 10, p95: 10 });
  expect(result.layers).toEqual([
    {
      layer: 'conv1',
      pass: 'forward',
      implementation: 'product',
      ms: 1.5,
      ceilingMs: 0.5,
      gflops: 4000 / 1.5,
      gbPerSecond: 1 / 1.5,
    },
    { layer: 'pool1', pass: 'forward', implementation: 'elementwise', ms: 1.5, ceilingMs: 0.5, gbPerSecond: 2000 / 1.5 },
    {
      layer: '',
      pass: 'loss',
      implementation: 'loss',
      ms: 0.75,
      ceilingMs: 2.5e-7,
      gbPerSecond: expect.closeTo(1e-3 / 0.75, 9) as number,
    },
    { layer: '', pass: 'optimizer', implementation: 'vector math', ms: 6, ceilingMs: 0.25, gbPerSecond: 1000 / 6 },
    { layer: '', pass: 'optimizer', implementation: 'norm', ms: 4, ceilingMs: 2.5e-10, gbPerSecond: 2.5e-7 },
  ]);
  expect(result.breakdown).toEqual({
    ...{ forward: 3, backwardData: 0, backwardWeights: 0, backward: 0, copy: 0, loss: 0.75, optimizer: 10, other: 10 - 13.75 },
  });
  expect(result.device).toEqual({
    timedBy: 'timestamps',
    ceilings: { productGflops: 8000, copyGBPerSecond: 4000 },
    inputWaitMs: 0,
  });
  // conv1 forward alone: 8 * 8 pixels, 3 * 3 * 3 weights, 2 filters, 4 images.
  expect(result.gflops).toBeCloseTo((2 * 64 * 27 * 2 * 4) / 0.01 / 1e9, 12);
});

test('the loss and the updates take the time that they take', async () => {
  // Every look at the clock takes a millisecond: what is timed by itself lasts one, and the work below longer.
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock++);
  const engine = clocked([]);
  const { compileTraining } = engine;
  engine.compileTraining = async (...args) => {
    const plan = await compileTraining(...args);
    const { computeLoss, vectorMath } = plan;
    return Object.assign(plan, {
      computeLoss: (given: Parameters<typeof computeLoss>[0]) => {
        clock += 2;
        computeLoss.call(plan, given);
      },
      vectorMath: {
        ...vectorMath,
        approach: (...arrays: Parameters<typeof vectorMath.approach>) => {
          const follow = vectorMath.approach(...arrays);
          return (share: number) => {
            clock += 100;
            follow(share);
          };
        },
        multiplyAdd: (...arrays: Parameters<typeof vectorMath.multiplyAdd>) => {
          const add = vectorMath.multiplyAdd(...arrays);
          return (factors: readonly number[]) => {
            clock += 10;
            add(factors);
          };
        },
      },
    });
  };
  for (const movingAverage of [false, true]) {
    // Plain descent is one pass over all parameters.
    const config = resolveConfig(tiny, { weightDecay: false, movingAverage });
    const { breakdown } = await benchmarkTraining({ engine, config, dataset, warmUpSteps: 2, steps: 3, repetitions: 2 });
    expect(breakdown).toMatchObject({ loss: 3, optimizer: movingAverage ? 111 : 11 });
  }
});

test('the plan is disposed of when a step fails', async () => {
  const seen: unknown[] = [];
  await expect(benchmark({ learningRate: 1e30 }, {}, seen)).rejects.toThrow('training diverged');
  expect(seen.at(-1)).toBe('disposed of');
});

test('a teacher is refused, not silently left out of the steps timed', async () => {
  // Refused before the engine is asked for anything.
  const seen: unknown[] = [];
  const timing = benchmark({ teacher: 'nin2' }, {}, seen);
  await expect(timing).rejects.toThrow(
    expect.objectContaining({
      message: 'teacher (=nin2) must be none: steps are timed without one',
      fix: 'leave the teacher out',
    }) as Error,
  );
  expect(seen).toEqual([]);
});
