import { expect, test } from 'vitest';
import { resolveConfig } from '../train/config.ts';
import { experimentIdentity, runIdentity } from './identity.ts';

const config = resolveConfig({ model: 'tuto' });

test('what is computed makes the identity; what is not, such as threads and records, does not', () => {
  expect(runIdentity({ ...config, threads: 7, evalEvery: 1, recipe: 'other' })).toBe(runIdentity(config));
  expect(runIdentity({ ...config, learningRate: 0.2 })).not.toBe(runIdentity(config));
  expect(runIdentity({ ...config, tta: 'mirror' })).not.toBe(runIdentity(config));
  expect(runIdentity({ ...config, seed: 2 })).not.toBe(runIdentity(config));
  expect(experimentIdentity({ ...config, seed: 2 })).toBe(experimentIdentity(config));
});

test('keys that are younger than some runs count only where they are used', () => {
  const { init, pruning, teacher, teacherChecksum, teacherWeight, teacherTemperature, tta, ...older } = config;
  expect([init, pruning, teacher, tta]).toEqual(['none', { type: 'none' }, 'none', 'none']);
  expect([teacherChecksum, teacherWeight, teacherTemperature]).toEqual(['', 0.5, 4]);
  expect(runIdentity(older as typeof config)).toBe(runIdentity(config));
  expect(runIdentity({ ...config, init: 'tuto/1' })).not.toBe(runIdentity(config));
  expect(runIdentity(resolveConfig(config, { pruning: 'magnitude', 'pruning.sparsity': 0.5 }))).not.toBe(runIdentity(config));
});

test('so do younger settings of models', () => {
  const { 'dense.batchNorm': dense, ...older } = config.modelSettings;
  expect(dense).toBe(false);
  expect(runIdentity({ ...config, modelSettings: older })).toBe(runIdentity(config));
  expect(runIdentity({ ...config, modelSettings: { ...older, 'dense.batchNorm': true } })).not.toBe(runIdentity(config));
});

test('of a teacher its name, weight and temperature count, without one none of them', () => {
  expect(runIdentity({ ...config, teacherWeight: 0.9 })).toBe(runIdentity(config));
  const taught = { ...config, teacher: 'nin2/1' };
  expect(runIdentity(taught)).not.toBe(runIdentity(config));
  expect(runIdentity({ ...taught, teacherWeight: 0.9 })).not.toBe(runIdentity(taught));
  expect(runIdentity({ ...taught, teacherChecksum: 'ab' })).toBe(runIdentity(taught));
});
