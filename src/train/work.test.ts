import { expect, test } from 'vitest';
import type { SettledConfig } from './config-schema.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { workLeft } from './work.ts';

const config = (overrides: ConfigOverrides = {}) =>
  resolveConfig({ model: 'tuto', steps: 100, batchSize: 20, evalEvery: 30, threads: 1 }, overrides) as SettledConfig;

test('every image of a step is three passes, one of an evaluation one for raw and for averaged weights', () => {
  // After steps 30, 60, 90 and 100.
  expect(workLeft(config(), 7)).toEqual({ steps: 100, trainingPasses: 6000, evaluations: 4, evaluationPasses: 56 });
  expect(workLeft(config({ movingAverage: false }), 7).evaluationPasses).toBe(28);
  expect(workLeft(config({ tta: 'mirror' }), 7).evaluationPasses).toBe(112);
  expect(workLeft(config({ tta: 'mirror+shift', movingAverage: false }), 7).evaluationPasses).toBe(4 * 6 * 7);
});

test.each([
  // The last step has one evaluation, whether it is a multiple or not.
  [50, [2, 2, 2, 2, 1, 1]],
  [0, [1, 1, 1, 1, 1, 1]],
  [100, [1, 1, 1, 1, 1, 1]],
  [30, [4, 4, 3, 3, 3, 1]],
  [1, [100, 100, 70, 51, 41, 1]],
])('evaluations that are left of 100 steps, one every %i', (evalEvery, expected) => {
  const steps = [0, 1, 31, 50, 60, 100];
  expect(steps.map((step) => workLeft(config({ evalEvery }), 7, step).evaluations)).toEqual(expected);
});

test('steps that are left', () => {
  expect(workLeft(config({ evalEvery: 0 }), 7, 90)).toEqual({
    steps: 10,
    trainingPasses: 600,
    evaluations: 1,
    evaluationPasses: 14,
  });
});
