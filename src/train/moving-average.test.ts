import { expect, test } from 'vitest';
import { averageDecayAt } from './moving-average.ts';

test('the memory is short at first, until (1 + t) / (10 + t) reaches the decay', () => {
  const rule2017 = { decay: 0.9999, warmup: true };
  expect([0, 1, 90].map((t) => averageDecayAt(rule2017, t))).toEqual([1 / 10, 2 / 11, 0.91]);
  // (1 + t) / (10 + t) = 0.9999 at t = 89,990.
  expect(averageDecayAt(rule2017, 89_989)).toBe(89_990 / 89_999);
  expect(averageDecayAt(rule2017, 89_989)).toBeLessThan(0.9999);
  expect([89_991, 299_999].map((t) => averageDecayAt(rule2017, t))).toEqual([0.9999, 0.9999]);
  expect([0, 1, 299_999].map((t) => averageDecayAt({ ...rule2017, warmup: false }, t))).toEqual([0.9999, 0.9999, 0.9999]);
});
