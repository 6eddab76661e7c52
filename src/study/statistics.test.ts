import { expect, test } from 'vitest';
import { estimateMean, holm, seedsToResolve } from './statistics.ts';

test('mean, interval and p-value of five values, by the closed form for four degrees of freedom', () => {
  const { count, mean, deviation, low, high, pValue } = estimateMean([0.4, 1.1, -0.2, 0.9, 0.8]);
  expect(count).toBe(5);
  expect(mean).toBeCloseTo(0.6, 12);
  expect(deviation).toBeCloseTo(Math.sqrt(0.265), 12);
  expect(low).toBeCloseTo(0.6 - 2.7764451051977987 * Math.sqrt(0.265 / 5), 10);
  expect(high).toBeCloseTo(0.6 + 2.7764451051977987 * Math.sqrt(0.265 / 5), 10);
  // F(t) = 1/2 + 3/8 * u * (1 - u^2 / 12), with u = t / sqrt(1 + t^2 / 4)
  const t = 0.6 / Math.sqrt(0.265 / 5);
  const u = t / Math.sqrt(1 + t ** 2 / 4);
  expect(pValue).toBeCloseTo(1 - 0.75 * u * (1 - u ** 2 / 12), 10);
});

test('two values: Student with one degree of freedom, which is Cauchy', () => {
  // p = 1 - (2 / pi) * atan(t), with t = mean / (deviation / sqrt(2)) = 3
  const { pValue, high } = estimateMean([1, 2]);
  expect(pValue).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(3), 10);
  expect(high).toBeCloseTo(1.5 + 0.5 * Math.tan(0.475 * Math.PI), 8);
});

test('a single value has no interval and no p-value', () => {
  expect(estimateMean([0.3])).toEqual({
    count: 1,
    mean: 0.3,
    deviation: undefined,
    low: undefined,
    high: undefined,
    pValue: undefined,
  });
});

test('values that are all alike, but for rounding, say nothing of how much they vary', () => {
  const unknown = { deviation: 0, low: undefined, high: undefined, pValue: 1 };
  expect(estimateMean([0.5, 0.5, 0.5])).toEqual({ count: 3, mean: 0.5, ...unknown });
  expect(estimateMean([0, 0])).toEqual({ count: 2, mean: 0, ...unknown });
  const [one, other] = [0.3 - 0.2, 0.2 - 0.1] as const;
  expect(one).not.toBe(other);
  expect(estimateMean([one, other])).toMatchObject(unknown);
  // Relative to the largest of them, whatever its sign.
  expect(estimateMean([1e6, 1e6 + 1e-4])).toMatchObject(unknown);
  expect(estimateMean([-1e6, -1e6 - 1e-4])).toMatchObject(unknown);
  expect(estimateMean([1e-6, 1.001e-6]).deviation).toBeCloseTo(1e-9 / Math.SQRT2, 15);
  // An interaction that is zero but for the last digits of the accuracies.
  expect(estimateMean([1.1e-16, -5.6e-17, 0])).toMatchObject(unknown);
  expect(estimateMean([0, 1e-12]).deviation).toBeGreaterThan(0);
});

test('Holm: each p-value times the comparisons left, never below an earlier one, at most 1', () => {
  const corrected = holm([0.04, 0.01, 0.03, 0.005]);
  [0.06, 0.03, 0.06, 0.02].forEach((value, i) => expect(corrected[i]).toBeCloseTo(value, 12));
  expect(holm([0.6, 0.7])).toEqual([1, 1]);
  expect(holm([])).toEqual([]);
});

test('seeds to resolve half a point, by the deviation of the differences', () => {
  // A difference of one deviation takes 9.94 pairs by the noncentral t distribution (Cohen, 1988).
  expect(seedsToResolve(0.005, 0.005)).toBe(10);
  expect(seedsToResolve(0.005, 0.0001)).toBe(2);
  // By the formula, with quantiles of Student's t from the incomplete beta function (continued fraction), in double precision.
  const needed = [0.001, 0.003, 0.01, 0.02, 0.05, 0.055].map((deviation) => seedsToResolve(0.005, deviation));
  expect(needed).toEqual([3, 5, 34, 128, 787, 952]);
  // Ten times the difference takes as many as a tenth of the deviation.
  expect(seedsToResolve(0.05, 0.1)).toBe(34);
  expect([0.05638, 0.05639].map((deviation) => seedsToResolve(0.005, deviation))).toEqual([1000, undefined]);
  expect(seedsToResolve(0.005, 0.5)).toBeUndefined();
  // t(0.975, 1) = tan(0.475 pi), t(0.8, 1) = tan(0.3 pi): two pairs are enough from here on.
  const two = (Math.tan(0.475 * Math.PI) + Math.tan(0.3 * Math.PI)) / Math.SQRT2;
  expect([0.999999, 1.000001].map((size) => seedsToResolve(size * two, 1))).toEqual([3, 2]);
});
