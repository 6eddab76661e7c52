/** What a training starts from, each part by itself. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { singleProcess } from '../cluster/collective.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun } from '../runs/run-folder.ts';
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import { createClassifier, encodeClassifier } from './classifier.ts';
import { recordOfClassifier } from './classifier-record.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides, SettledConfig } from './config-schema.ts';
import { initializeParameters } from './initialize.ts';
import { teacherChecksum } from './teacher.ts';
import { createTrainer, trainingOptions } from './trainer.ts';
import {
  checkGradients,
  classifierToTrain,
  environmentOf,
  metadataOf,
  preparePruning,
  prepareTraining,
  readTeacher,
  readStart,
  restoreLatest,
  startChecksum,
  type Training,
} from './training-start.ts';
import { tensorsOf } from './weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-start-'));
afterAll(() => rmSync(folder, { recursive: true }));

const dataset = noiseDataset(8, { train: 8, test: 2 });
const engine = referenceEngine;

function configOf(overrides: ConfigOverrides = {}): SettledConfig {
  const config = resolveConfig({
    ...{ model: 'tuto', 'conv1.filters': 2, 'conv1.kernel': 3, 'conv2.filters': 2, 'conv2.kernel': 3, 'dense1.features': 2 },
    ...{ dense2: false, batchSize: 2, steps: 4, inputSize: 6, threads: 1, evalEvery: 0, movingAverage: false, dataset: 'noise' },
    ...overrides,
  });
  return config as SettledConfig;
}

function trainingOf(overrides: ConfigOverrides = {}, more: Partial<Training> = {}): Training {
  const config = configOf(overrides);
  const classifier = createClassifier(config, dataset);
  return { config, classifier, engine, dataset, collective: singleProcess, own: undefined, ...more };
}

async function trainerOf(training: Training) {
  const plan = await engine.compileTraining(training.classifier.network, trainingOptions(training.config, singleProcess));
  await initializeParameters(plan.parameters, training.config.seed, { type: 'heNormal' });
  return { plan, trainer: createTrainer(plan, training.config, singleProcess) };
}

/** The first weights of a seed, in a file, some of them zero. */
async function weightsFile(seed: number, zeros = false): Promise<{ path: string; tensors: Map<string, Tensor> }> {
  const { plan } = await trainerOf(trainingOf({ seed }));
  const tensors = await tensorsOf(plan.parameters, plan.parameters.values, '');
  if (zeros) tensors.get('logits.weight')!.data[3] = 0;
  const path = join(folder, `weights-${seed}-${zeros}.safetensors`);
  const { config, classifier } = trainingOf({ seed });
  const metadata = {
    model: 'tuto',
    config: JSON.stringify(config),
    step: '4',
    classifier: JSON.stringify(encodeClassifier(classifier)),
  };
  writeFileSync(path, encodeSafetensors(tensors, metadata));
  return { path, tensors };
}

function runIn(runsFolder: string, training = trainingOf()) {
  const environment = describeEnvironment({ threads: 1, libraries: {} });
  return createRun(runsFolder, 'tuto', training.config, environment, recordOfClassifier(training.classifier));
}

describe('the weights', () => {
  test('are first values, those that are given, or those that are named, with the masks of their zeros', async () => {
    const none = { init: undefined, rewind: undefined };
    expect(readStart(trainingOf(), singleProcess)).toEqual(none);
    const { path, tensors } = await weightsFile(1, true);
    const initialWeights = { path: 'given', file: { tensors: new Map(), metadata: {} } };
    expect(readStart(trainingOf({ init: 'no file' }, { initialWeights }), singleProcess)).toEqual({
      ...none,
      init: initialWeights,
    });
    const { init, rewind } = readStart(trainingOf({ init: path }), singleProcess)!;
    expect(rewind).toBeUndefined();
    const named = init!;
    expect(named.path).toBe(path);
    expect(named.file.tensors.get('conv1.weight')).toEqual(tensors.get('conv1.weight'));
    expect([...named.file.tensors.get('mask.logits.weight')!.data]).toEqual([1, 1, 1, 0, 1, 1, 1, 1]);
  });

  test('of runs are looked for where the training is recorded, or in runs', () => {
    const runsFolder = join(folder, 'looked-for');
    const run = runIn(runsFolder);
    const missing = (record: Training['record']) => () =>
      readStart(trainingOf({ init: 'alex1' }, { ...(record && { record }) }), singleProcess);
    expect(missing({ runsFolder })).toThrow(`there is no run "alex1" in ${runsFolder}`);
    expect(missing({ resume: run })).toThrow(`there is no run "alex1" in ${runsFolder}`);
    expect(missing(undefined)).toThrow('there is no run "alex1" in runs');
  });
});

test('weights to start with are named by what they are, masks and those to go back to included', async () => {
  const start = async (seed: number, zeros = false) =>
    readStart(trainingOf({ init: (await weightsFile(seed, zeros)).path }), singleProcess)!;
  expect(startChecksum(readStart(trainingOf(), singleProcess)!)).toBe('');
  const { init } = await start(1);
  const checksum = startChecksum({ init, rewind: undefined });
  expect(checksum).toMatch(/^[0-9a-f]{64}$/);
  const others = [startChecksum(await start(4)), startChecksum(await start(1, true)), startChecksum({ init, rewind: init })];
  expect(new Set([checksum, startChecksum({ init: undefined, rewind: init }), ...others]).size).toBe(5);
  expect(startChecksum({ init: { ...init!, path: 'elsewhere' }, rewind: undefined })).toBe(checksum);
});

test('a training that was prepared with other weights than there are now does not start', async () => {
  const { path } = await weightsFile(1);
  const training = trainingOf({ init: path });
  const prepared = (initChecksum: string) => ({ ...training, config: { ...training.config, initChecksum } });
  const start = readStart(training, singleProcess)!;
  expect(readStart(prepared(startChecksum(start)), singleProcess)).toEqual(start);
  expect(() => readStart(prepared('0'.repeat(64)), singleProcess)).toThrow(
    `${path} has other weights now than those that this training was prepared with`,
  );
  const { classifier, ...options } = training;
  const checksumWith = (given: typeof options, known: typeof start | undefined) =>
    prepareTraining({ ...given, classifier }, singleProcess, undefined, undefined, known).config.initChecksum;
  expect(checksumWith(options, start)).toBe(startChecksum(start));
  // What goes on from a checkpoint keeps what it says.
  expect(checksumWith(prepared('5'), undefined)).toBe('5');
});

test('only the first process reads weights, and only before the first checkpoint', () => {
  const run = runIn(join(folder, 'going-on'));
  const training = trainingOf({ init: 'gone.safetensors' }, { record: { resume: run } });
  expect(() => readStart(training, singleProcess)).toThrow('there is no file gone.safetensors');
  expect(readStart(training, { ...singleProcess, rank: 1 })).toBeUndefined();
  saveCheckpoint(run, { step: 1, tensors: new Map(), metadata: {} });
  expect(readStart(training, singleProcess)).toBeUndefined();
});

test('a teacher is what the configuration names, with the weights that were recorded', async () => {
  expect(readTeacher(trainingOf())).toBeUndefined();
  const { path } = await weightsFile(2);
  const saved = readTeacher(trainingOf({ teacher: path }))!;
  expect(saved.path).toBe(path);
  const checksum = teacherChecksum(saved);
  const withChecksum = (teacherChecksum: string) => readTeacher(trainingOf({ teacher: path, teacherChecksum }));
  expect(withChecksum(checksum)).toEqual(saved);
  expect(() => withChecksum('0'.repeat(64))).toThrow(`the teacher ${path} has other weights now`);
  const { classifier, ...training } = trainingOf();
  const { config, ...prepared } = prepareTraining(training, singleProcess, saved, undefined, undefined);
  expect(config).toMatchObject({
    teacherChecksum: checksum,
    networkChecksum: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
  });
  expect(prepared.classifier).toEqual(classifier);
  expect(prepareTraining(training, singleProcess, undefined, undefined, undefined).config.teacherChecksum).toBe('');
});

test('what does not fit the images is refused', () => {
  const { classifier, ...training } = trainingOf();
  const others = { ...classifier, classes: ['a', 'b', 'd', 'c'] };
  expect(() => prepareTraining({ ...training, classifier: others }, singleProcess, undefined, undefined, undefined)).toThrow(
    'the network tuto tells a, b, d, c apart; noise has the classes a, b, c, d',
  );
  const config = { ...training.config, augmentation: { ...training.config.augmentation, translate: 8 } };
  expect(() => prepareTraining({ ...training, config }, singleProcess, undefined, undefined, undefined)).toThrow(
    'augmentation.translate (=8)',
  );
});

test('a run that goes on has the network it was started with; another has what is given, or what the configuration makes', () => {
  const started = trainingOf({ 'dense1.features': 3 });
  const run = runIn(join(folder, 'started'), started);
  const { classifier, ...training } = trainingOf();
  const given = trainingOf({ 'dense1.features': 5 }).classifier;
  const of = (more: Partial<Training>) => classifierToTrain({ ...training, ...more }, singleProcess);
  expect(of({ record: { resume: run }, classifier: given })).toEqual(started.classifier);
  expect(of({ record: { runsFolder: folder }, classifier: given })).toBe(given);
  expect(of({ classifier: given })).toBe(given);
  expect(of({ record: { resume: { ...run, path: folder } } })).toEqual(classifier);
  expect(of({})).toEqual(classifier);
  // Only the first process sees the folder.
  const told: Uint8Array[] = [];
  const first = { ...singleProcess, worldSize: 2, broadcast: (bytes: Uint8Array) => void told.push(bytes.slice()) };
  classifierToTrain({ ...training, record: { resume: run } }, first);
  const second = { ...first, rank: 1, broadcast: (bytes: Uint8Array) => bytes.set(told.shift()!) };
  const elsewhere = { resume: { ...run, path: join(folder, 'elsewhere') } };
  expect(classifierToTrain({ ...training, record: elsewhere }, second)).toEqual(started.classifier);
});

test('that there is no gradient to check is told', () => {
  const notices: string[] = [];
  checkGradients(trainingOf({}, { hooks: { onNotice: (notice) => notices.push(notice) } }));
  expect(notices).toEqual(['tuto has no custom layers whose gradients could be checked']);
  expect(() => checkGradients(trainingOf())).not.toThrow();
});

test('pruning is checked, and goes back to weights where it names them', async () => {
  const { path, tensors } = await weightsFile(3);
  const taken: unknown[] = [];
  const prepare = async (overrides: ConfigOverrides) => {
    const training = trainingOf(overrides);
    const { plan, trainer } = await trainerOf(training);
    taken.length = 0;
    const takeRewind = (...args: unknown[]) => Promise.resolve(void taken.push(args));
    await preparePruning(training, plan, { ...trainer, takeRewind }, readStart(training, singleProcess)!.rewind);
  };
  const pruning: ConfigOverrides = { pruning: true, 'pruning.sparsity': 0.5 };
  await prepare({});
  for (const rewind of ['none', 'rate']) await prepare({ ...pruning, 'pruning.rewind': rewind });
  expect(taken).toEqual([]);
  await prepare({ ...pruning, 'pruning.rewind': path });
  expect(taken).toEqual([[tensors, path]]);
  await expect(prepare({ ...pruning, 'pruning.sparsity': 0.99, 'pruning.scope': 'layer' })).rejects.toThrow(
    'pruning.sparsity (=0.99) must be at most',
  );
});

test('a run goes on at its newest checkpoint, with the same images and no fewer steps', async () => {
  const training = trainingOf();
  const run = runIn(join(folder, 'goes-on'), training);
  const notices: string[] = [];
  const restore = async (steps: number, fingerprint: string) => {
    const again = trainingOf(
      { steps },
      { dataset: { ...dataset, fingerprint }, hooks: { onNotice: (notice) => notices.push(notice) } },
    );
    const { trainer } = await trainerOf(again);
    return [await restoreLatest(run, trainer, again), trainer.step];
  };
  expect(await restore(4, 'noise-8')).toEqual([false, 0]);
  const { trainer } = await trainerOf(training);
  saveCheckpoint(run, { step: 3, tensors: await trainer.state(), metadata: metadataOf(training) });
  expect(await restore(4, 'noise-8')).toEqual([true, 3]);
  expect(await restore(3, 'noise-8')).toEqual([true, 3]);
  await expect(restore(2, 'noise-8')).rejects.toThrow('steps (=2) must be at least 3: that many tuto/1 has taken');
  await expect(restore(4, 'other')).rejects.toThrow(
    expect.objectContaining({
      name: 'DataError',
      message: 'tuto/1 was trained on other images than noise has now',
      fix: 'Give the data set the run was started with, or start a new run',
    }) as Error,
  );
  expect(notices).toEqual([]);
  writeFileSync(join(run.path, 'checkpoints', 'step-000000004.safetensors'), 'damaged');
  expect(await restore(4, 'noise-8')).toEqual([true, 3]);
  expect(notices).toEqual([expect.stringContaining('is damaged: continuing from the checkpoint before, of step 3')]);
});

test('the environment has the engine, how it was tuned, and the libraries', () => {
  const tuned = {
    ...referenceEngine,
    threads: 3,
    versions: { device: '1' },
    tuning: { order: 'fast' },
  } as unknown as typeof referenceEngine;
  expect(environmentOf({ engine: tuned, libraries: { other: '2' } })).toMatchObject({
    ...{ engine: 'reference', threads: 3, tuning: { order: 'fast' } },
    versions: { device: '1', other: '2' },
  });
  expect(environmentOf({ engine: referenceEngine })).not.toHaveProperty('tuning');
});
