import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides, TrainingConfig } from '../train/config-schema.ts';
import { experimentIdentity, runIdentity } from './identity.ts';

const config = resolveConfig({ model: 'tuto' });

test('what is computed makes the identity; what is not, such as threads and records, does not', () => {
  expect(runIdentity({ ...config, threads: 7, evalEvery: 1, recipe: 'other' })).toBe(runIdentity(config));
  expect(runIdentity({ ...config, learningRate: 0.2 })).not.toBe(runIdentity(config));
  expect(runIdentity({ ...config, tta: 'mirror' })).not.toBe(runIdentity(config));
  expect(runIdentity({ ...config, seed: 2 })).not.toBe(runIdentity(config));
  expect(experimentIdentity({ ...config, seed: 2 })).toBe(experimentIdentity(config));
});

test.each(['init', 'teacher'] as const)('of %s its weights count, and its name only as long as those are not known', (key) => {
  const checksum = `${key}Checksum` as const;
  const known = { ...config, [key]: 'nin2/1', [checksum]: 'ab' };
  expect(runIdentity({ ...known, [key]: 'nin2/2' })).toBe(runIdentity(known));
  expect(runIdentity({ ...known, [checksum]: 'cd' })).not.toBe(runIdentity(known));
  const unknown = { ...known, [checksum]: '' };
  expect(runIdentity({ ...unknown, [key]: 'nin2/2' })).not.toBe(runIdentity(unknown));
});

test('of a teacher its name, weight and temperature count, without one none of them', () => {
  expect(runIdentity({ ...config, teacherWeight: 0.9, teacherTemperature: 9 })).toBe(runIdentity(config));
  const taught = { ...config, teacher: 'nin2/1' };
  expect(runIdentity(taught)).not.toBe(runIdentity(config));
  expect(runIdentity({ ...taught, teacherWeight: 0.9 })).not.toBe(runIdentity(taught));
  expect(runIdentity({ ...taught, teacherTemperature: 9 })).not.toBe(runIdentity(taught));
});

test('whatever decides what is trained, or how it is evaluated, makes another experiment', () => {
  const changes: readonly ConfigOverrides[] = [
    ...[{ val: true }, { precision: 'bf16' }, { labelSmoothing: 0.1 }, { dataset: 'synthetic' }, { model: 'alex0' }],
    ...[{ steps: 77 }, { batchSize: 77 }, { inputSize: 20 }, { augment: false }, { movingAverage: false }, { lrn: false }],
    ...[{ schedule: 'cosine' }, { 'optimizer.momentum': 0.5 }, { weightDecay: 0.5 }, { gradientPrecision: 'bf16' }],
    ...[{ 'learningRateMultipliers.bias': 3 }, { syncBatchNorm: true }, { networkChecksum: 'ab' }],
    ...[{ init: 'tuto/1' }, { pruning: 'magnitude', 'pruning.sparsity': 0.5 }, { 'dense.batchNorm': true }],
  ];
  const all = changes.map((change) => resolveConfig({ model: 'tuto' }, change));
  const identities = [config, ...all].map(experimentIdentity);
  expect(new Set(identities).size).toBe(changes.length + 1);
});

test('what only organizes a run makes none', () => {
  const organized = {
    ...{ evalEvery: 7, saveEvery: 7, saveEverySeconds: 7, logEvery: 7, keepCheckpoints: 7, threads: 7, recipe: 'another' },
  };
  expect(runIdentity({ ...config, ...organized })).toBe(runIdentity(config));
});

test('the order of keys says nothing, that of a list does', () => {
  const backwards = Object.fromEntries(Object.entries(config).reverse()) as typeof config;
  const settings = Object.fromEntries(Object.entries(config.modelSettings).reverse());
  expect(runIdentity({ ...backwards, modelSettings: settings })).toBe(runIdentity(config));
  const milestones = (list: readonly number[]) =>
    runIdentity(resolveConfig({ model: 'tuto', schedule: { type: 'step', milestones: list } }));
  expect(milestones([0.75, 0.5])).not.toBe(milestones([0.5, 0.75]));
});

test('of an own augmentation its code counts, and where its file lies only as long as that is not known', () => {
  const own = { ...config, augmentWith: './mine.ts', augmentationChecksum: 'ab' };
  expect(runIdentity({ ...own, augmentWith: './moved.ts' })).toBe(runIdentity(own));
  expect(runIdentity({ ...own, augmentationChecksum: 'cd' })).not.toBe(runIdentity(own));
  const unknown = { ...own, augmentationChecksum: '' };
  expect(runIdentity({ ...unknown, augmentWith: './other.ts' })).not.toBe(runIdentity(unknown));
});

test('is the digest of what counts, with keys in order: runs that are recorded are found again', () => {
  const odd = { threads: 3, seed: 7, steps: 5, model: 'x', modelSettings: { b: [2, 1], a: null, c: { z: 1, y: '2' } } };
  const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);
  const rest = '"model":"x","modelSettings":{"a":null,"b":[2,1],"c":{"y":"2","z":1}}';
  expect(runIdentity(odd as unknown as TrainingConfig)).toBe(digest(`{${rest},"seed":7,"steps":5}`));
  expect(experimentIdentity(odd as unknown as TrainingConfig)).toBe(digest(`{${rest},"steps":5}`));
  expect(runIdentity(odd as unknown as TrainingConfig)).toMatch(/^[0-9a-f]{32}$/);
});
