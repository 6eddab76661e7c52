import { expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { requireLimits, watchValidation } from './validation-watch.ts';

const evaluations = (...accuracies: readonly number[]) => accuracies.map((accuracy, i) => ({ step: 10 * (i + 1), accuracy }));

test('the best is the first of the highest accuracy; equal ones are no improvement', () => {
  const watch = watchValidation(2);
  expect(watch.best()).toBeUndefined();
  const seen = evaluations(0.5, 0.4, 0.6, 0.6, 0.1).map((evaluation) => [watch.add(evaluation), watch.isOver()]);
  expect(seen).toEqual([
    [true, false],
    [false, false],
    [true, false],
    [false, false],
    [false, true],
  ]);
  expect(watch.best()).toEqual({ step: 30, accuracy: 0.6 });
});

test('what was before a run was continued counts', () => {
  expect(watchValidation(2, evaluations(0.5, 0.4)).isOver()).toBe(false);
  expect(watchValidation(2, evaluations(0.5, 0.4, 0.5)).isOver()).toBe(true);
  expect(watchValidation(undefined, evaluations(0.5, 0.4, 0.3, 0.2)).isOver()).toBe(false);
});

test.each<[Parameters<typeof requireLimits>[0], Parameters<typeof requireLimits>[1], string, string?]>([
  [{ patience: 0 }, { val: true, evalEvery: 1 }, 'patience (=0) must be a positive integer: a number of evaluations'],
  [{ patience: 1.5 }, { val: true, evalEvery: 1 }, 'patience (=1.5) must be a positive integer: a number of evaluations'],
  [
    { patience: 2 },
    { val: false, evalEvery: 1 },
    'patience needs validation images: when to stop must not be chosen on the test images',
    'add --val, which keeps some training images out for it',
  ],
  [
    { patience: 2 },
    { val: true, evalEvery: 0 },
    'evalEvery (=0) must be above 0 with patience, which counts evaluations',
    'set --eval-every to a number of steps',
  ],
  [{ maxSeconds: 0 }, { val: false, evalEvery: 0 }, 'maxSeconds (=0) must be a number above 0'],
  [{ maxSeconds: NaN }, { val: false, evalEvery: 0 }, 'maxSeconds (=NaN) must be a number above 0'],
])('%j with %j is refused', (limits, config, message, fix) => {
  expect(told(() => requireLimits(limits, config))).toEqual({ kind: 'ConfigurationError', message, fix });
});

test('limits that can be kept are not refused', () => {
  expect(() => requireLimits({}, { val: false, evalEvery: 0 })).not.toThrow();
  expect(() => requireLimits({ patience: 1, maxSeconds: 0.1 }, { val: true, evalEvery: 5 })).not.toThrow();
});
