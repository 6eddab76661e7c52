import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { skippable } from '../../test/skippable.ts';
import type { Engine } from '../engine/engine.ts';
import { createOnednnEngine } from '../engine/onednn/engine.ts';
import { probeOnednn } from '../engine/onednn/probe.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { latestCheckpoint, listCheckpoints, loadCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { readMetrics } from '../runs/metrics.ts';
import { allRuns, checkpointsFolder, createRun, metricsPath, type Run } from '../runs/run-folder.ts';
import { readStatus, writeStatus } from '../runs/run-status.ts';
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import { ConfigurationError } from '../util/errors.ts';
import { createClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { resumeConfig } from './resume.ts';
import type { TrainHooks, TrainResult } from './train-options.ts';
import { train } from './train.ts';
import { DivergenceError } from './trainer.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-train-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

// More test images than a whole number of batches.
const dataset = noiseDataset(12, { train: 32, test: 37 });
const noise = dataset.train;

/** A small network with everything that has state: dropout, running statistics, momentum and averages. */
const small: ConfigOverrides = {
  model: 'tuto',
  dataset: 'noise',
  'conv1.filters': 4,
  'conv1.kernel': 3,
  'conv2.filters': 5,
  'conv2.kernel': 3,
  'dense1.features': 16,
  dense2: false,
  batchNorm: true,
  'dense.dropout': 0.2,
  batchSize: 8,
  steps: 12,
  inputSize: 10,
  recipe: 'modern',
  weightDecay: '2017',
  'weightDecay.value': 0.5,
  evalEvery: 0,
  saveEvery: 4,
  logEvery: 3,
  threads: 1,
};

const engines: [string, () => Engine][] = [
  ['reference', () => referenceEngine],
  ...(probeOnednn().ok ? [['onednn', () => createOnednnEngine({ threads: 1 })] satisfies [string, () => Engine]] : []),
];

test('a classifier of a program whose network has not an output for each class is refused before anything is recorded', async () => {
  const config = resolveConfig(small);
  const { network } = createClassifier(config, { ...dataset, classes: [...dataset.classes, 'more'] });
  const classifier = { ...createClassifier(config, dataset), network };
  const folder = join(runsFolder, 'inconsistent');
  const training = train({ config, engine: referenceEngine, dataset, classifier, record: { runsFolder: folder } });
  await expect(training).rejects.toThrow(/^the network tuto has an output of 5, and must have 4: one for each class$/);
  expect(existsSync(folder)).toBe(false);
});

describe.each(engines)('on the %s engine', (_, createEngine) => {
  const engine = createEngine();

  function start(overrides: ConfigOverrides = {}, more: { hooks?: TrainHooks; signal?: AbortSignal } = {}) {
    return train({ config: resolveConfig(small, overrides), engine, dataset, record: { runsFolder }, ...more });
  }

  function resume(run: Run, overrides: ConfigOverrides = {}): Promise<TrainResult> {
    return train({ config: resumeConfig(run, overrides), engine, dataset, record: { resume: run } });
  }

  test('learns 32 images by heart', async () => {
    const byHeart = { ...dataset, test: noise };
    const config = resolveConfig(small, {
      steps: 150,
      augment: false,
      'dense.dropout': 0,
      labelSmoothing: 0,
      weightDecay: 'none',
      learningRate: 0.05,
      saveEvery: 0,
    });
    const result = await train({ config, engine, dataset: byHeart, record: { runsFolder } });
    expect(result.status).toBe('finished');
    expect(result.trainLoss).toBeLessThan(0.1);
    expect(result.evaluations.map(({ weights, accuracy, images }) => [weights, accuracy, images])).toEqual([
      ['ema', 1, 32],
      ['raw', 1, 32],
    ]);
  });

  test('the same seed gives the same bytes, another seed others', async () => {
    const [a, b, c] = [await start(), await start(), await start({ seed: 2 })];
    expect(finalBytes(a)).toEqual(finalBytes(b));
    expect(finalBytes(a)).not.toEqual(finalBytes(c));
  });

  test('interrupted, saved and resumed ends in the same bytes as straight through', async () => {
    const straight = await start();
    const controller = new AbortController();
    const interrupted = await start(
      {},
      { signal: controller.signal, hooks: { onStep: ({ step }) => step === 5 && controller.abort() } },
    );
    expect(interrupted).toMatchObject({ status: 'interrupted', step: 6 });
    expect(readStatus(interrupted.run!)).toMatchObject({ status: 'interrupted', step: 6, steps: 12 });
    expect(latestCheckpoint(interrupted.run!)?.step).toBe(6);
    const resumed = await resume(interrupted.run!, { logEvery: 2 });
    expect(resumed).toMatchObject({ status: 'finished', step: 12, run: interrupted.run });
    expect(tensorBytes(resumed)).toEqual(tensorBytes(straight));
    expect(resumed.evaluations[0]!.loss).toBe(straight.evaluations[0]!.loss);
  });

  test('interrupted when an evaluation is due, or in it, it has the same evaluations in the end', async () => {
    const evaluationsOf = (run: Run) =>
      readMetrics(metricsPath(run)).flatMap(({ step, metrics: { 'test/loss': loss } }) =>
        loss === undefined ? [] : [[step, loss]],
      );
    const straight = await start({ evalEvery: 3 });
    // The abort after step 5 ends the run at step 6 before its evaluation, that after step 6 in it.
    for (const last of [5, 6]) {
      const controller = new AbortController();
      const hooks: TrainHooks = { onStep: ({ step }) => step === last && controller.abort() };
      const interrupted = await start({ evalEvery: 3 }, { signal: controller.signal, hooks });
      expect(interrupted).toMatchObject({ status: 'interrupted', step: 6 });
      const resumed = await resume(interrupted.run!);
      expect(evaluationsOf(resumed.run!)).toEqual(evaluationsOf(straight.run!));
      expect(tensorBytes(resumed)).toEqual(tensorBytes(straight));
    }
  });

  test('a run that died before its first checkpoint starts over; later records are done again', async () => {
    const straight = await start();
    const died = await start({ saveEvery: 0 });
    rmSync(latestCheckpoint(died.run!)!.path);
    writeStatus(died.run!, { status: 'running', step: 9, steps: 12, saved: false });
    expect(tensorBytes(await resume(died.run!))).toEqual(tensorBytes(straight));
    expect(readMetrics(metricsPath(died.run!)).map(({ step }) => step)).toEqual([3, 6, 9, 12, 12]);
  });

  test('records losses, rates, evaluations, checkpoints and status', async () => {
    const seen: string[] = [];
    const result = await start(
      { evalEvery: 6, keepCheckpoints: 2 },
      {
        hooks: {
          onEvaluation: ({ step, weights, images }) => seen.push(`${step} ${weights} ${images}`),
          onSave: (step) => seen.push(`save ${step}`),
        },
      },
    );
    expect(seen).toEqual(['save 4', '6 ema 37', '6 raw 37', 'save 8', 'save 12', '12 ema 37', '12 raw 37']);
    const records = readMetrics(metricsPath(result.run!));
    expect(records.map(({ step, metrics }) => [step, Object.keys(metrics)[0]])).toEqual([
      [3, 'train/loss'],
      [6, 'train/loss'],
      [6, 'test/accuracy'],
      [9, 'train/loss'],
      [12, 'train/loss'],
      [12, 'test/accuracy'],
    ]);
    expect(records[0]!.metrics['train/weightDecayLoss']).toBeGreaterThan(0);
    expect(records.at(-1)!.metrics['test/accuracy']).toBe(result.evaluations[0]!.accuracy);
    expect(listCheckpoints(result.run!).map(({ step }) => step)).toEqual([8, 12]);
    expect(readStatus(result.run!)).toMatchObject({ status: 'finished', step: 12, accuracy: result.evaluations[0]!.accuracy });
    const { perClass, confusion, accuracy } = result.evaluations[0]!;
    expect(perClass.map(({ images }) => images)).toEqual([10, 9, 9, 9]);
    expect(confusion.flat().reduce((sum, n) => sum + n, 0)).toBe(37);
    expect(confusion.reduce((sum, row, k) => sum + row[k]!, 0) / 37).toBe(accuracy);
  });

  test.each([
    ['no number', 1e30, /the loss is (NaN|Infinity)|not finite/],
    ['finite, but beyond hope', 1e3, /the loss is \d/],
  ])('a loss that is %s stops the run, keeps the last checkpoint and says at which step', async (_, learningRate, what) => {
    let run: Run | undefined;
    const hooks: TrainHooks = { onStart: (begun) => (run = begun.run) };
    const failure = await start({ learningRate, schedule: 'constant', batchNorm: false, saveEvery: 1 }, { hooks }).catch(
      (e: unknown) => e,
    );
    expect(failure).toBeInstanceOf(DivergenceError);
    expect((failure as DivergenceError).message).toMatch(/^training diverged: .* at step \d+; .* in tuto\/\d+$/);
    expect((failure as DivergenceError).what).toMatch(what);
    expect((failure as DivergenceError).exitCode).toBe(1);
    expect(readStatus(run!)).toMatchObject({ status: 'failed', reason: (failure as Error).message, diverged: true });
    for (const { path } of listCheckpoints(run!)) {
      for (const { data } of loadCheckpoint(path).tensors.values()) expect(data.every(Number.isFinite)).toBe(true);
    }
  });

  test('starts from the weights of another run', async () => {
    const first = await start();
    const { path } = latestCheckpoint(first.run!)!;
    const second = await start({
      learningRate: 1e-12,
      'dense.dropout': 0,
      movingAverage: false,
      'schedule.warmup': 0,
      init: path,
    });
    const { tensors } = loadCheckpoint(path);
    const kept = loadCheckpoint(latestCheckpoint(second.run!)!.path).tensors;
    for (const name of ['conv1.weight', 'logits.weight']) {
      const distance = kept.get(name)!.data.map((value, i) => Math.abs(value - tensors.get(`ema.${name}`)!.data[i]!));
      expect(Math.max(...distance)).toBeLessThan(1e-6);
    }
  });
});

describe('refuses', () => {
  const config = (overrides: ConfigOverrides = {}): TrainingConfig => resolveConfig(small, overrides);
  const start = (overrides: ConfigOverrides = {}, init = 'none') =>
    train({ config: config({ ...overrides, init }), engine: referenceEngine, dataset, record: { runsFolder } });

  test('weights of another model, with other shapes, missing or extra tensors', async () => {
    const result = await start({ steps: 1 });
    const { path } = latestCheckpoint(result.run!)!;
    await expect(start({ model: 'alex3' }, path)).rejects.toThrow(`${path} is of model tuto, not alex3`);
    await expect(start({ 'conv1.filters': 6 }, path)).rejects.toThrow(
      /does not fit the network: conv1\.weight is 4x3x3x3 and must be 6x3x3x3/,
    );
    await expect(start({ dense2: true }, path)).rejects.toThrow(/dense2\.weight is missing/);
    await expect(start({ batchNorm: false }, path)).rejects.toThrow(/which has no conv1\/norm\./);
    await expect(start({}, join(runsFolder, 'nothing.safetensors'))).rejects.toThrow(/nothing\.safetensors/);
  });

  test('weights that are not finite, before a run is made', async () => {
    const result = await start({ steps: 1 });
    const { tensors, metadata } = loadCheckpoint(latestCheckpoint(result.run!)!.path);
    const bias = tensors.get('ema.logits.bias')!;
    const broken = join(runsFolder, 'broken.safetensors');
    const changed = new Map(tensors).set('ema.logits.bias', { ...bias, data: bias.data.map(() => NaN) });
    writeFileSync(broken, encodeSafetensors(changed, metadata));
    const runs = allRuns(runsFolder).length;
    await expect(start({}, broken)).rejects.toThrow(`${broken} has values in ema.logits.bias that are not finite`);
    expect(allRuns(runsFolder)).toHaveLength(runs);
  });

  test('a change on resume that would make it another run', async () => {
    const { run } = await start({ steps: 2 });
    expect(() => resumeConfig(run!, { learningRate: 1 })).toThrow(ConfigurationError);
    expect(() => resumeConfig(run!, { learningRate: 1 })).toThrow(
      /learningRate \(=1\) must be 0\.08, as tuto\/\d+ was started with/,
    );
    expect(() => resumeConfig(run!, { lrn: false })).toThrow(/modelSettings/);
    expect(resumeConfig(run!, { steps: 20, threads: 2 })).toMatchObject({ steps: 20, threads: 2, batchSize: 8 });
    const other = { ...dataset, fingerprint: 'other' };
    const again = train({ config: resumeConfig(run!, {}), engine: referenceEngine, dataset: other, record: { resume: run! } });
    await expect(again).rejects.toThrow(/was trained on other images than noise has now/);
    const fewer = train({ config: resumeConfig(run!, { steps: 1 }), engine: referenceEngine, dataset, record: { resume: run! } });
    await expect(fewer).rejects.toThrow(/steps \(=1\) must be at least 2/);
  });

  test('an input larger than the images', async () => {
    await expect(start({ inputSize: 13 })).rejects.toThrow(/inputSize \(=13\)/);
  });
});

describe('a failure to write', () => {
  const config = resolveConfig(small, { steps: 2 });

  const whyNotLinux = process.platform === 'linux' ? undefined : 'needs /proc of Linux';

  test.skipIf(whyNotLinux)(skippable('the weights it starts from fails the run', whyNotLinux), async () => {
    const { run: first } = await train({ config, engine: referenceEngine, dataset, record: { runsFolder } });
    const { path } = latestCheckpoint(first!)!;
    const run = createRun(runsFolder, config.model, config, describeEnvironment({ threads: 1, libraries: {} }));
    // A folder that can be listed, and in which nobody can make a file.
    rmSync(checkpointsFolder(run), { recursive: true, force: true });
    symlinkSync('/proc/self/fdinfo', checkpointsFolder(run));
    const started = train({ config: { ...config, init: path }, engine: referenceEngine, dataset, record: { resume: run } });
    await expect(started).rejects.toThrow(/cannot write .*checkpoints/);
    expect(readStatus(run)).toMatchObject({ status: 'failed', reason: expect.stringContaining('checkpoints') as string });
    expect(readStatus(run)).not.toHaveProperty('diverged');
  });

  test('how it ended does not hide why', async () => {
    const failing = (hooks: (run: () => Run) => TrainHooks) => {
      let run: Run | undefined;
      const all = { ...hooks(() => run!), onStart: (begun: { run: Run | undefined }) => (run = begun.run) };
      return train({ config, engine: referenceEngine, dataset, record: { runsFolder }, hooks: all });
    };
    const blockStatus = ({ path }: Run) => {
      rmSync(join(path, 'status.json'));
      mkdirSync(join(path, 'status.json', 'in-the-way'), { recursive: true });
    };
    const inStep = failing((run) => ({
      onStep: () => {
        blockStatus(run());
        throw new Error('the step failed');
      },
    }));
    await expect(inStep).rejects.toThrow('the step failed');
    const atEnd = failing((run) => ({ onEvaluation: ({ weights }) => weights === 'raw' && blockStatus(run()) }));
    await expect(atEnd).rejects.toThrow(/status\.json/);
  });
});

test('without a moving average there is one evaluation, of the raw weights', async () => {
  const config = resolveConfig(small, { movingAverage: false, steps: 2, recipe: '2017', val: true });
  const result = await train({ config, engine: referenceEngine, dataset, record: { runsFolder } });
  expect(result.evaluations.map(({ weights, split, images }) => [weights, split, images])).toEqual([['raw', 'val', 3]]);
});

function finalBytes({ run }: TrainResult): Buffer {
  return readFileSync(latestCheckpoint(run!)!.path);
}

/** All tensors of the last checkpoint, without the metadata, which say how often to log. */
function tensorBytes({ run }: TrainResult): Buffer {
  const { tensors } = loadCheckpoint(latestCheckpoint(run!)!.path);
  return Buffer.from(encodeSafetensors(tensors as Map<string, Tensor>, {}));
}
