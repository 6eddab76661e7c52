/** What a training leaves, told and recorded, however it begins and ends. What it computes is tested in train.test.ts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { CommunicationError } from '../cluster/collective.ts';
import { DeviceError } from '../engine/device-error.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { latestCheckpoint, listCheckpoints, loadCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun, readEnvironment, runName, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { resumeConfig } from './resume.ts';
import { train } from './train.ts';
import { DivergenceError } from './trainer.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-train-ends-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));
const dataset = noiseDataset(8, { train: 16, test: 5 });

const tiny: ConfigOverrides = {
  ...{ model: 'cs231n', dataset: 'noise', inputSize: 8, 'conv1.filters': 2, 'dense1.features': 4 },
  ...{ augment: false, batchSize: 4, steps: 2, evalEvery: 0, saveEvery: 1, keepCheckpoints: 9, threads: 1 },
};

interface Options {
  readonly overrides?: ConfigOverrides;
  readonly engine?: Engine;
  /** Called after each step. */
  readonly onStep?: (step: number) => void;
}

async function start({ overrides = {}, engine = referenceEngine, onStep = () => undefined }: Options = {}) {
  let run: Run | undefined;
  let steps = 0;
  const hooks = { onStart: (begun: { readonly run?: Run | undefined }) => (run = begun.run), onStep: () => onStep(++steps) };
  const config = resolveConfig(tiny, overrides);
  const end = await train({ config, engine, dataset, record: { runsFolder }, hooks }).catch((error: unknown) => error);
  return { run: run!, end };
}

const resume = (run: Run, engine: Engine = referenceEngine) =>
  train({ config: resumeConfig(run, {}), engine, dataset, record: { resume: run } });

describe('a training that cannot go on says what is kept, and its status whether it can be continued', () => {
  const failing = (error: Error, at: number, overrides: ConfigOverrides = {}) =>
    start({
      overrides,
      onStep: (step) => {
        if (step === at) throw error;
      },
    });

  test('a device that is gone, before the first checkpoint', async () => {
    const { run, end } = await failing(new DeviceError('the card is gone', { fix: 'put it back' }), 1, { saveEvery: 0 });
    const message = `the card is gone; no checkpoint had been saved in ${runName(run)}`;
    expect(end).toBeInstanceOf(DeviceError);
    expect(end).toMatchObject({
      message,
      fix: `ablate train --resume ${runName(run)}. put it back`,
      cause: { fix: 'put it back' },
    });
    expect(readStatus(run)).toMatchObject({ status: 'interrupted', reason: message });
    expect(readStatus(run)).not.toHaveProperty('diverged');
  });

  test('a device that is gone, after one', async () => {
    const { run, end } = await failing(new DeviceError('the card is gone'), 2);
    const { step } = latestCheckpoint(run)!;
    expect(step).toBeGreaterThan(0);
    expect(end).toMatchObject({
      message: `the card is gone; the checkpoint of step ${step} is kept in ${runName(run)}`,
      fix: `ablate train --resume ${runName(run)}`,
    });
    expect(readStatus(run).status).toBe('interrupted');
  });

  test('a loss beyond hope', async () => {
    const { run, end } = await failing(new DivergenceError('the loss is NaN', 2, 'f32'), 2);
    const { step } = latestCheckpoint(run)!;
    expect(end).toBeInstanceOf(DivergenceError);
    const message = `training diverged: the loss is NaN at step 2; the checkpoint of step ${step} is kept in ${runName(run)}`;
    expect(end).toMatchObject({ message, what: 'the loss is NaN', step: 2, precision: 'f32' });
    expect(readStatus(run)).toMatchObject({ status: 'failed', reason: message, diverged: true });
  });

  test.each([
    ['interrupted', new CommunicationError('a process is gone')],
    ['failed', new TypeError('a fault')],
  ] as const)('another error is told as it is: %s', async (status, error) => {
    const { run, end } = await failing(error, 1);
    expect(end).toBe(error);
    expect(readStatus(run)).toMatchObject({ status, reason: error.message });
  });
});

test('what a training returns, recorded or not: its weights as a checkpoint of this step has them', async () => {
  const { run, end } = await start();
  const { saved, ...rest } = end as Awaited<ReturnType<typeof train>>;
  expect(rest).toMatchObject({ status: 'finished', stopped: 'steps', step: 2, best: undefined, run: { path: run.path } });
  const { tensors, metadata } = loadCheckpoint(latestCheckpoint(run)!.path);
  expect(saved).toMatchObject({ path: runName(run), step: 2 });
  expect(metadata).toMatchObject(saved!.file.metadata);
  expect(saved!.file.metadata).toMatchObject({ model: 'cs231n', dataset: 'noise', step: '2' });
  expect(new Map(saved!.file.tensors)).toEqual(new Map(tensors));

  const config = resolveConfig(tiny);
  const unrecorded = await train({ config, engine: referenceEngine, dataset });
  expect(unrecorded.run).toBeUndefined();
  expect(unrecorded.saved).toMatchObject({ path: 'the trained cs231n', step: 2 });
  expect(new Map(unrecorded.saved!.file.tensors)).toEqual(new Map(tensors));

  // A finished run is told by its records.
  const known = await resume(run);
  const { seconds, imagesPerSecond, trainLoss, evaluations } = known;
  expect({ seconds, imagesPerSecond, trainLoss }).toEqual({ seconds: 0, imagesPerSecond: 0, trainLoss: undefined });
  expect(evaluations).toHaveLength(1);
  expect(evaluations[0]!.accuracy).toBe(rest.evaluations[0]!.accuracy);
  expect(known).toMatchObject({ status: 'finished', stopped: 'steps', step: 2, best: undefined, saved: { step: 2 } });
});

test('weights to start from are kept as the checkpoint of step 0: where they came from may be gone later', async () => {
  const { run: first } = await start();
  const { path } = latestCheckpoint(first)!;
  const { run } = await start({ overrides: { init: path, learningRate: 1e-30, movingAverage: false } });
  expect(listCheckpoints(run).map(({ step }) => step)).toEqual([0, 1, 2]);
  const [kept, from] = [loadCheckpoint(listCheckpoints(run)[0]!.path), loadCheckpoint(path)];
  const averaged = from.tensors.get('ema.conv1.weight') ?? from.tensors.get('conv1.weight');
  expect(kept.tensors.get('conv1.weight')).toEqual(averaged);
  const { run: plain } = await start();
  expect(listCheckpoints(plain).map(({ step }) => step)).toEqual([1, 2]);
});

describe('the environment of a run', () => {
  const recorded = (tuning: string | undefined, engine = 'reference') =>
    createRun(runsFolder, 'cs231n', resolveConfig(tiny), {
      ...describeEnvironment({ threads: 1, engine }),
      ...(tuning !== undefined && { tuning }),
    });
  const tunable = (asked: string[]): Engine => ({
    ...referenceEngine,
    tunedAs: (tuning) => {
      asked.push(tuning);
      return { ...referenceEngine, tuning };
    },
  });

  test.each([
    ['as it has measured', 'fast', 'reference', ['fast']],
    ['anew if it has not measured', undefined, 'reference', []],
    ['anew if it was another one', 'fast', 'onednn', []],
  ])('an engine computes as the run recorded it: %s', async (_, tuning, name, expected) => {
    const run = recorded(tuning, name);
    const asked: string[] = [];
    await resume(run, tunable(asked));
    expect(asked).toEqual(expected);
    // It was only prepared: it starts here and now.
    const { engine, tuning: now } = readEnvironment(run);
    expect([engine, now]).toEqual(['reference', expected[0]]);
  });

  test('one that cannot be tuned, or whose record is damaged, computes as it does', async () => {
    const run = recorded('fast');
    expect((await resume(run)).status).toBe('finished');
    const damaged = recorded('fast');
    writeFileSync(join(damaged.path, 'environment.json'), '{');
    const asked: string[] = [];
    expect((await resume(damaged, tunable(asked))).status).toBe('finished');
    expect(asked).toEqual([]);
  });

  test('is that of the beginning, also after it was continued', async () => {
    const { run } = await start({
      onStep: (step) => {
        if (step === 2) throw new DeviceError('gone');
      },
    });
    const path = join(run.path, 'environment.json');
    const before = readFileSync(path, 'utf8').replace(/"host": ?"[^"]*"/, '"host":"elsewhere"');
    writeFileSync(path, before);
    expect((await resume(run)).status).toBe('finished');
    const { continued, ...beginning } = readEnvironment(run);
    expect(beginning).toEqual(JSON.parse(before));
    // Where it went on is beside it.
    expect(continued).toMatchObject([{ step: 1, host: hostname(), engine: 'reference' }]);
  });
});
