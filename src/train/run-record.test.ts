/** What a training records of itself, by a clock that moves only while the network computes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { plainTraining } from '../../test/plain-training.ts';
import { singleProcess, type Collective } from '../cluster/collective.ts';
import type { Engine, SharedBatch } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { bestCheckpoint, latestCheckpoint, listCheckpoints, loadCheckpoint } from '../runs/checkpoint.ts';
import { readMetrics } from '../runs/metrics.ts';
import { metricsPath, readConfig, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { createClassifier, decodeClassifier } from './classifier.ts';
import { networkChecksum, recordedClassifier } from './classifier-record.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { readPredictions } from './predictions.ts';
import { readEvaluation } from './recorded-evaluation.ts';
import { resumeConfig } from './resume.ts';
import type { TrainHooks, TrainOptions, WeightsEvaluation } from './train-options.ts';
import { train } from './train.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-record-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const dataset = noiseDataset(8, { train: 20, test: 6 });

const tiny: ConfigOverrides = {
  model: 'tuto',
  dataset: 'noise',
  'conv1.filters': 2,
  'conv1.kernel': 3,
  'conv2.filters': 2,
  'conv2.kernel': 3,
  'dense1.features': 4,
  dense2: false,
  inputSize: 6,
  batchSize: 4,
  steps: 7,
  evalEvery: 3,
  saveEvery: 0,
  logEvery: 2,
  keepCheckpoints: 0,
  threads: 1,
};

/** Milliseconds that pass in forward passes: in training 10 in the first, 20 in the second, and so on, in an evaluation 5. */
let clock = 0;
beforeEach(() => {
  clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
});
afterEach(() => vi.restoreAllMocks());

function clocked(asked: unknown[] = []): Engine {
  return {
    ...referenceEngine,
    async compileTraining(network, options) {
      const plan = await referenceEngine.compileTraining(network, options);
      const forward = plan.forward.bind(plan);
      plan.forward = (draws) => {
        clock += 10 * (draws.step + 1);
        forward(draws);
      };
      plan.dispose = () => asked.push('disposed of');
      asked.push(['training', options.batchSize, options.precision]);
      return plan;
    },
    async compileInference(network, options) {
      asked.push(['inference', options.batchSize, options.precision]);
      const plan = await referenceEngine.compileInference(network, options);
      const forward = plan.forward.bind(plan);
      plan.forward = () => {
        clock += 5;
        forward();
      };
      return plan;
    },
  };
}

function start(overrides: ConfigOverrides = {}, more: Partial<TrainOptions> = {}) {
  const config = resolveConfig(tiny, overrides);
  return train({ config, engine: clocked(), dataset, record: { runsFolder }, ...more });
}

const recordsOf = (run: Run | undefined) =>
  readMetrics(metricsPath(run!)).map(({ step, metrics }): Record<string, number> => ({ step, ...metrics }));

describe('a run', () => {
  test('records losses, decay, rates and speeds of the steps since the last record', async () => {
    const overrides = { recipe: 'modern', weightDecay: { rule: 'coupled', value: 0.01 } };
    const result = await start(overrides);
    const steps = plainTraining(resolveConfig(tiny, overrides), dataset);
    const mean = (from: number, to: number) => steps.slice(from, to).reduce((sum, { loss }) => sum + loss, 0) / (to - from);
    const record = (from: number, to: number, ms: number) => ({
      step: to,
      'train/loss': expect.closeTo(mean(from, to), 4) as number,
      'train/weightDecayLoss': expect.closeTo(steps[to - 1]!.weightDecayLoss, 4) as number,
      // Of the step that was taken, not of the next one.
      'train/learningRate': expect.closeTo(steps[to - 1]!.learningRate, 9) as number,
      'train/imagesPerSecond': expect.closeTo((1000 * (to - from) * 4) / ms, 9) as number,
      ...Object.fromEntries(
        [...steps[to - 1]!.tensors].flatMap(([name, values]) => {
          const layer = /^(\w+)\.weight$/.exec(name)?.[1];
          if (layer === undefined) return [];
          const gradient = expect.any(Number) as number;
          return [
            [`weightNorm/${layer}`, expect.closeTo(Math.hypot(...values), 3) as number],
            [`gradientNorm/${layer}`, gradient],
          ];
        }),
      ),
    });
    const records = recordsOf(result.run);
    expect(records.filter((one) => 'train/loss' in one)).toEqual([
      record(0, 2, 10 + 20),
      record(2, 4, 30 + 40),
      record(4, 6, 50 + 60),
      record(6, 7, 70),
    ]);
    expect(result.trainLoss).toBe(records.findLast((one) => 'train/loss' in one)!['train/loss']);
    // 7 steps of 4 images in 280 ms.
    expect(result.imagesPerSecond).toBeCloseTo((7 * 4) / 0.28, 9);
    // Three times two evaluations of two batches are no part of that, but of the whole.
    expect(result.seconds).toBeCloseTo(0.28 + 3 * 2 * 2 * 0.005, 9);
    expect(result).toMatchObject({ status: 'finished', step: 7 });
  });

  test('records evaluations of averages and raw weights when they are due, and the last one in full', async () => {
    const seen: WeightsEvaluation[] = [];
    const { run, evaluations } = await start({}, { hooks: { onEvaluation: (evaluation) => seen.push(evaluation) } });
    expect(seen.map(({ step, weights }) => `${step} ${weights}`)).toEqual(['3 ema', '3 raw', '6 ema', '6 raw', '7 ema', '7 raw']);
    const evaluated = [0, 2, 4].map((i) => ({
      step: seen[i]!.step,
      'test/accuracy': seen[i]!.accuracy,
      'test/loss': seen[i]!.loss,
      'test/rawAccuracy': seen[i + 1]!.accuracy,
      'test/rawLoss': seen[i + 1]!.loss,
    }));
    expect(recordsOf(run).filter((one) => 'test/loss' in one)).toEqual(evaluated);
    expect(evaluations).toEqual(seen.slice(4));
    expect(readEvaluation(run!)).toEqual({ ...seen[4]!, datasetFingerprint: dataset.fingerprint });
    expect(readStatus(run!)).toMatchObject({ status: 'finished', step: 7, steps: 7, accuracy: seen[4]!.accuracy });
    // Of each image what the evaluation counts, and of the averages alone.
    const { count, at, ...of } = readPredictions(run!)!;
    expect(of).toEqual({ split: 'test', tta: 'none', step: 7, weights: 'ema', datasetFingerprint: dataset.fingerprint });
    const confusion = seen[4]!.confusion.map((row) => row.map(() => 0));
    for (let image = 0; image < count; image++) {
      const { label, prediction } = at(image);
      expect(label).toBe(dataset.test.labels[image]);
      confusion[label]![prediction]!++;
    }
    expect(confusion).toEqual(seen[4]!.confusion);
    // Six images in two batches of 5 ms.
    expect(seen.map(({ imagesPerSecond }) => Math.round(imagesPerSecond))).toEqual(Array(6).fill(600));
    // The averages lag behind.
    expect(seen[4]!.loss).not.toBe(seen[5]!.loss);
  });

  test('waits for steps under way before it records, evaluates or saves, and tells of each all the same', async () => {
    const trained = async (stepsInFlight: number) => {
      const waits: number[] = [];
      const engine: Engine = {
        ...clocked(),
        async compileTraining(network, options) {
          const plan = await referenceEngine.compileTraining(network, options);
          const takeLosses = plan.takeLosses.bind(plan);
          plan.takeLosses = async () => {
            const losses = await takeLosses();
            waits.push(losses.length);
            return losses;
          };
          return Object.assign(plan, { stepsInFlight });
        },
      };
      const seen: (readonly [number, number])[] = [];
      const hooks: TrainHooks = { onStep: ({ step, loss }) => seen.push([step, loss]) };
      const overrides = { steps: 12, logEvery: 100, evalEvery: 5, saveEvery: 9 };
      const { run, saved, trainLoss } = await start(overrides, { engine, hooks });
      return { waits, seen, trainLoss, records: recordsOf(run).length, tensors: saved!.file.tensors };
    };
    const [one, many] = [await trained(1), await trained(3)];
    expect(one.waits).toEqual(Array(12).fill(1));
    // After 3 steps, then before the evaluation of step 5, after 3 more, at the save of step 9, at the evaluation of step 10, at the end.
    expect(many.waits).toEqual([3, 2, 3, 1, 1, 2]);
    expect(many.seen.map(([step]) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect({ ...many, waits: [] }).toEqual({ ...one, waits: [] });
  });

  test('tells of its start and of every step', async () => {
    const seen: unknown[] = [];
    const asked: unknown[] = [];
    const hooks: TrainHooks = {
      onStart: ({ run, network, step, steps, evaluatedImages, memoryBytes }) =>
        seen.push([run?.number, network.name, step, steps, evaluatedImages, memoryBytes > 1000]),
      onStep: ({ step, loss, imagesPerSecond }) => seen.push([step, loss > 0, Number(imagesPerSecond.toFixed(6))]),
    };
    const { run } = await start({ steps: 3, evalEvery: 0 }, { hooks, engine: clocked(asked), libraries: { oneDNN: '3.9' } });
    expect(seen).toEqual([
      [run!.number, 'tuto', 0, 3, 6, true],
      [1, true, 4 / 0.01],
      // Over the steps since the last record.
      [2, true, Number((8 / 0.03).toFixed(6))],
      [3, true, Number((4 / 0.03).toFixed(6))],
    ]);
    expect(asked).toEqual([['training', 4, 'f32'], ['inference', 4, 'f32'], 'disposed of']);
    expect(JSON.parse(readFileSync(join(run!.path, 'environment.json'), 'utf8'))).toMatchObject({
      engine: 'reference',
      threads: 1,
      versions: { oneDNN: '3.9' },
    });
  });

  test('says in every checkpoint what it is of', async () => {
    const config = resolveConfig(tiny, { inputSize: 'full', steps: 1 });
    const { run } = await train({ config, engine: clocked(), dataset, record: { runsFolder } });
    const classifier = createClassifier(config, dataset);
    const complete = { ...config, inputSize: 8, networkChecksum: networkChecksum(classifier.network) };
    expect(readConfig(run!)).toEqual(complete);
    expect(recordedClassifier(run!)).toEqual(classifier);
    const { metadata } = loadCheckpoint(latestCheckpoint(run!)!.path);
    const { config: recorded, classifier: own, ...others } = metadata;
    expect(JSON.parse(recorded!)).toEqual(complete);
    expect(decodeClassifier(JSON.parse(own!), 'the checkpoint')).toEqual(classifier);
    expect(others).toMatchObject({ model: 'tuto', dataset: 'noise', datasetFingerprint: 'noise-8', step: '1', final: 'true' });
  });

  test('saves every so many steps, and when so many seconds have passed since it last did', async () => {
    const savedAt = async (overrides: ConfigOverrides) => {
      const saved: number[] = [];
      clock = 0;
      const { run } = await start({ evalEvery: 0, ...overrides }, { hooks: { onSave: (step) => saved.push(step) } });
      expect(listCheckpoints(run!).map(({ step }) => step)).toEqual(saved);
      return saved;
    };
    expect(await savedAt({})).toEqual([7]);
    expect(await savedAt({ saveEvery: 3 })).toEqual([3, 6, 7]);
    expect(await savedAt({ saveEvery: 7 })).toEqual([7]);
    // The steps end after 10, 30, 60, 100, 150, 210 and 280 ms.
    expect(await savedAt({ saveEverySeconds: 0.06 })).toEqual([3, 5, 6, 7]);
    expect(await savedAt({ saveEverySeconds: 0.05 })).toEqual([3, 5, 6, 7]);
    expect(await savedAt({ saveEverySeconds: 0.1, saveEvery: 2 })).toEqual([2, 4, 6, 7]);
  });

  test('continued from a step evaluates as if it had never stopped; its speed is of its own steps', async () => {
    const straight = await start();
    const controller = new AbortController();
    const hooks: TrainHooks = { onStep: ({ step }) => step === 4 && controller.abort() };
    const stopped = await start({}, { hooks, signal: controller.signal });
    expect(stopped).toMatchObject({ status: 'interrupted', step: 5 });
    const started: unknown[] = [];
    const resumed = await train({
      config: resumeConfig(stopped.run!, {}),
      engine: clocked(),
      dataset,
      record: { resume: stopped.run! },
      hooks: { onStart: ({ step, steps, run }) => started.push([step, steps, run]) },
    });
    expect(started).toEqual([[5, 7, stopped.run]]);
    const evaluationsOf = (run: Run | undefined) => recordsOf(run).filter((one) => 'test/loss' in one);
    expect(evaluationsOf(resumed.run)).toEqual(evaluationsOf(straight.run));
    // The step at which it stopped is recorded, and the others when they are due.
    expect(recordsOf(resumed.run).flatMap((one) => ('train/loss' in one ? [one.step] : []))).toEqual([2, 4, 5, 6, 7]);
    expect(recordsOf(resumed.run).at(-2)).toMatchObject({ step: 7, ...recordsOf(straight.run).at(-2) });
    // Two steps, of 60 and 70 ms.
    expect(resumed.imagesPerSecond).toBeCloseTo((2 * 4) / 0.13, 9);
  });
});

describe('a run that stops before its last step', () => {
  // Steps end after 10, 30, 60, 100, 150, 210 and 280 ms.
  test.each([
    [0.1, 5],
    [0.0999, 5],
    [0.1001, 6],
  ])('of %f s ends after the step at which they have passed, is evaluated there, and goes on later', async (maxSeconds, step) => {
    const stopped = await start({ evalEvery: 0 }, { maxSeconds });
    expect(stopped).toMatchObject({ status: 'interrupted', stopped: 'time', step, best: undefined });
    expect(stopped.evaluations.map((one) => [one.step, one.weights])).toEqual([
      [step, 'ema'],
      [step, 'raw'],
    ]);
    expect(recordsOf(stopped.run).at(-1)).toMatchObject({ step, 'test/accuracy': stopped.evaluations[0]!.accuracy });
    expect(latestCheckpoint(stopped.run!)!.step).toBe(step);
    const config = resumeConfig(stopped.run!, {});
    const resumed = await train({ config, engine: clocked(), dataset, record: { resume: stopped.run! } });
    expect(resumed).toMatchObject({ status: 'finished', stopped: 'steps', step: 7 });
  });

  test('because nothing gets better, keeps the best, is not evaluated twice at its end, and stays stopped', async () => {
    // So that every evaluation is the same: the first is the best.
    const overrides: ConfigOverrides = { val: true, evalEvery: 2, learningRate: 1e-12, movingAverage: false };
    const seen: number[] = [];
    const hooks: TrainHooks = { onEvaluation: ({ step }) => seen.push(step) };
    const stopped = await start(overrides, { patience: 2, hooks });
    expect(stopped).toMatchObject({ status: 'interrupted', stopped: 'patience', step: 6, best: { step: 2 } });
    expect(seen).toEqual([2, 4, 6]);
    expect(bestCheckpoint(stopped.run!)).toMatchObject({ step: 2, accuracy: stopped.best!.accuracy });
    const config = resumeConfig(stopped.run!, {});
    const again = await train({ config, engine: clocked(), dataset, record: { resume: stopped.run! }, patience: 2, hooks });
    expect(again).toMatchObject({ status: 'interrupted', stopped: 'patience', step: 6, best: { step: 2 } });
    expect(again.evaluations).toMatchObject([{ step: 6, split: 'val' }]);
    expect(seen).toEqual([2, 4, 6]);
    // One more chance is one more evaluation, at the end.
    const longer = await train({ config, engine: clocked(), dataset, record: { resume: stopped.run! }, patience: 3, hooks });
    expect(longer).toMatchObject({ status: 'finished', stopped: 'steps', step: 7, best: { step: 2 } });
    expect(seen).toEqual([2, 4, 6, 7]);
  });

  test('by a signal says so; one given before the first step trains one', async () => {
    const stopped = await start({}, { signal: AbortSignal.abort() });
    expect(stopped).toMatchObject({ status: 'interrupted', stopped: 'signal', step: 1, evaluations: [] });
    expect(readStatus(stopped.run!)).toMatchObject({ status: 'interrupted', step: 1 });
    expect(recordsOf(stopped.run).map(({ step }) => step)).toEqual([1]);
  });
});

/** Process 0 knows of no evaluation, and says so in a length and a text; else it says what the others do. */
function sayNothing(bytes: Uint8Array): void {
  if (bytes.length === 8) bytes.set(new Uint8Array(Float64Array.of(4).buffer));
  if (bytes.length === 4) bytes.set(new TextEncoder().encode('null'));
}

test('a process that is not the first trains its part and records nothing', async () => {
  const calls: string[] = [];
  const collective: Collective = {
    ...singleProcess,
    rank: 1,
    worldSize: 2,
    broadcast: sayNothing,
    barrier: () => calls.push('barrier'),
    metrics: () => ({ 'train/gradientWaitMs': 1 }),
  };
  const asked: unknown[] = [];
  const runs: unknown[] = [];
  const result = await start(
    { syncBatchNorm: true },
    { collective, engine: clocked(asked), hooks: { onStart: ({ run }) => runs.push(run) } },
  );
  expect(result).toMatchObject({ status: 'finished', run: undefined, step: 7 });
  expect(runs).toEqual([undefined]);
  expect(asked[0]).toEqual(['training', 2, 'f32']);
  expect(calls).toEqual(['barrier']);
  await expect(start({ batchSize: 5 }, { collective: { ...singleProcess, worldSize: 2 } })).rejects.toThrow(
    'batchSize (=5) must be a multiple of the 2 processes that train together',
  );
});

test('processes see one part each of the batch that one alone sees, and share what they ask them to', async () => {
  const seen = async (rank: number, worldSize: number, overrides: ConfigOverrides = {}) => {
    const inputs: Float32Array[] = [];
    let shared: SharedBatch | undefined;
    const engine: Engine = {
      ...referenceEngine,
      async compileTraining(network, options) {
        shared = options.sharedBatch;
        const plan = await referenceEngine.compileTraining(network, options);
        const bindInput = plan.bindInput.bind(plan);
        plan.bindInput = (buffer) => {
          inputs.push(buffer.slice());
          bindInput(buffer);
        };
        return plan;
      },
    };
    const summed: number[] = [];
    const collective: Collective = {
      ...singleProcess,
      rank,
      worldSize,
      broadcast: (bytes) => {
        if (rank > 0) sayNothing(bytes);
      },
      sum: (values) => summed.push(values.length),
    };
    await start({ steps: 2, evalEvery: 0, ...overrides }, { engine, collective });
    return { inputs, shared, summed };
  };
  const whole = (await seen(0, 1)).inputs;
  const halves = [(await seen(0, 2)).inputs, (await seen(1, 2)).inputs];
  expect(whole).toHaveLength(2);
  for (const step of [0, 1]) expect([...halves[0]![step]!, ...halves[1]![step]!]).toEqual([...whole[step]!]);
  expect((await seen(0, 2)).shared).toBeUndefined();
  const { shared, summed } = await seen(0, 2, { syncBatchNorm: true });
  expect(shared!.processes).toBe(2);
  summed.length = 0;
  shared!.sum(new Float64Array(3));
  expect(summed).toEqual([3]);
});

test('metrics.jsonl has what the processes say of their exchange', async () => {
  const steps: number[] = [];
  const collective: Collective = {
    ...singleProcess,
    metrics(window) {
      steps.push(window);
      return { 'train/gradientWaitMs': 7 };
    },
  };
  const { run } = await start({}, { collective });
  expect(recordsOf(run).flatMap((one) => ('train/loss' in one ? [one['train/gradientWaitMs']] : []))).toEqual([7, 7, 7, 7]);
  expect(steps).toEqual([2, 2, 2, 1]);
  expect(readFileSync(metricsPath(run!), 'utf8')).toContain('"train/gradientWaitMs":7');
});
