import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { initialValues } from '../nn/parameter.ts';
import { openRun, type Run } from '../runs/run-folder.ts';
import { readStatus, writeStatus } from '../runs/run-status.ts';
import { createClassifier } from '../train/classifier.ts';
import { resolveConfig } from '../train/config.ts';
import { resumeConfig } from '../train/resume.ts';
import { train } from '../train/train.ts';
import { sourceReference, trainRound, type RoundTraining } from './round-runs.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-rounds-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const dataset = noiseDataset(8, { train: 16, test: 4 });
const config = resolveConfig({
  model: 'cs231n',
  'conv1.filters': 2,
  'dense1.features': 4,
  inputSize: 8,
  batchSize: 8,
  dataset: 'noise',
  threads: 1,
  steps: 2,
});
const classifier = createClassifier(config, dataset);
const { network } = classifier;
const weights = (seed: number) => ({
  path: 'w.safetensors',
  file: {
    tensors: new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, seed) }])),
    metadata: {},
  },
});
const round: RoundTraining = { config, classifier, initialWeights: weights(1), engine: referenceEngine, dataset, runsFolder };

test('a round that is finished is found again, one that was continued to more steps is not', async () => {
  const once = { ...round, config: { ...config, steps: 1, evalEvery: 0 } };
  const first = await trainRound(once);
  expect(await trainRound(once)).toEqual({ ...first, reused: true });
  const longer = { config: resumeConfig(first.run, { steps: 2 }), engine: referenceEngine, dataset };
  await train({ ...longer, record: { resume: first.run } });
  const again = await trainRound(once);
  expect(again).toMatchObject({ status: 'finished', step: 1, reused: false });
  expect(again.run.number).toBeGreaterThan(first.run.number!);
});

test('a round is what its configuration, its weights and its images make it, wherever these come from', async () => {
  const first = await trainRound(round);
  expect(first).toMatchObject({ status: 'finished', step: 2, reused: false });
  const found = async (changes: Partial<RoundTraining>) => {
    const { run, reused, step } = await trainRound({ ...round, ...changes });
    expect(step).toBe(2);
    expect(reused).toBe(run.number === first.run.number);
    return reused;
  };
  expect(await found({ initialWeights: { ...weights(1), path: 'elsewhere.safetensors' } })).toBe(true);
  expect(await found({ config: { ...config, init: 'cs231n/7', threads: 2, logEvery: 1 } })).toBe(true);
  expect(await found({ initialWeights: weights(2) })).toBe(false);
  expect(await found({ config: { ...config, seed: 2 } })).toBe(false);
  expect(await found({ dataset: { ...dataset, fingerprint: 'others' } })).toBe(false);
  // A finished round without its weights is of no use, nor one with a damaged record.
  rmSync(join(first.run.path, 'checkpoints'), { recursive: true });
  const second = await trainRound(round);
  expect(second.reused).toBe(false);
  writeFileSync(join(second.run.path, 'compression.json'), '{');
  const third = await trainRound(round);
  expect(third).toMatchObject({ reused: false });
  expect(third.run.number).toBeGreaterThan(second.run.number!);
  expect(JSON.parse(readFileSync(join(third.run.path, 'compression.json'), 'utf8'))).toEqual({
    format: 'ablate-compression-1',
    identity: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
  });
  writeFileSync(join(third.run.path, 'compression.json'), '{"format":"ablate-compression-2","identity":"x"}');
  expect((await trainRound(round)).reused).toBe(false);
});

test('a round that was interrupted goes on where it was', async () => {
  const controller = new AbortController();
  const longer = { ...round, config: { ...config, steps: 4, seed: 9 } };
  const hooks = () => ({ onStep: () => controller.abort() });
  const stopped = await trainRound({ ...longer, signal: controller.signal, hooks });
  expect(stopped).toMatchObject({ status: 'interrupted', reused: false });
  expect(stopped.step).toBeLessThan(4);
  const starts: number[] = [];
  const ended = await trainRound({ ...longer, hooks: () => ({ onStart: ({ step }) => starts.push(step) }) });
  expect(ended).toEqual({ status: 'finished', run: stopped.run, step: 4, reused: false });
  expect(starts).toEqual([stopped.step]);
});

test('of several runs of a round, a finished one counts, else the one that came furthest', async () => {
  const folder = join(runsFolder, 'several');
  const training = { ...round, config: { ...config, steps: 6 }, runsFolder: folder };
  /** Of a training that is stopped by it. */
  const until = (last: number) => {
    const controller = new AbortController();
    const onStep = ({ step }: { readonly step: number }) => (step === last ? controller.abort() : undefined);
    return { signal: controller.signal, hooks: { onStep } };
  };
  const { signal, hooks } = until(2);
  const { run: one, step } = await trainRound({ ...training, signal, hooks: () => hooks });
  const [two, three] = ['2', '3'].map((number) => {
    cpSync(one.path, join(folder, 'cs231n', number), { recursive: true });
    return openRun(join(folder, 'cs231n', number));
  }) as [Run, Run];
  await train({ ...training, ...until(4), config: resumeConfig(two, {}), record: { resume: two } });
  const starts: number[] = [];
  const ended = await trainRound({ ...training, hooks: () => ({ onStart: (start) => starts.push(start.step) }) });
  expect([ended.run.number, ended.step]).toEqual([2, 6]);
  expect(starts).toEqual([step + 2]);
  // As if it were a step further than the end.
  writeStatus(three, { ...readStatus(three), step: 7 });
  expect(await trainRound(training)).toMatchObject({ run: { number: 2 }, reused: true });
});

test('a model stands for its newest run that is no round; other references for themselves', async () => {
  const folder = join(runsFolder, 'references');
  expect(sourceReference('cs231n', folder)).toBe('cs231n');
  await train({ config, engine: referenceEngine, dataset, record: { runsFolder: folder } });
  await train({ config, engine: referenceEngine, dataset, record: { runsFolder: folder } });
  await trainRound({ ...round, runsFolder: folder });
  expect(sourceReference('cs231n', folder)).toBe('cs231n/2');
  for (const reference of ['cs231n/1', 'a.safetensors/', './cs231n', '-cs231n'])
    expect(sourceReference(reference, folder)).toBe(reference);
});
