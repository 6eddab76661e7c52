import { expect, test } from 'vitest';
import { integer, streamKey, uniform } from '../../util/random.ts';
import { fixedPointOf, requantize } from './fixed-point.ts';

/** gemmlowp/fixedpoint.h and TensorFlow Lite's common.cc, line by line, with integers of any length. */
function multiplyByQuantizedMultiplier(x: bigint, multiplier: bigint, shift: number): bigint {
  const left = x * 2n ** BigInt(Math.max(-shift, 0));
  const product = left * multiplier;
  const nudge = product >= 0n ? 1n << 30n : 1n - (1n << 30n);
  const high = (product + nudge) / (1n << 31n);
  const exponent = BigInt(Math.max(shift, 0));
  const mask = (1n << exponent) - 1n;
  const remainder = high & mask;
  const threshold = (mask >> 1n) + (high < 0n ? 1n : 0n);
  return (high >> exponent) + (remainder > threshold ? 1n : 0n);
}

test.each([
  [0.5, 2 ** 30, 0],
  [0.25, 2 ** 30, 1],
  [1, 2 ** 30, -1],
  [3, 0.75 * 2 ** 31, -2],
  [0.1, Math.round(0.8 * 2 ** 31), 3],
  // Rounds up to the next power of two.
  [0.5 - 2 ** -40, 2 ** 30, 0],
  [2 ** -32, 2 ** 30, 31],
  [2 ** -33, 0, 0],
])('the factor %f', (factor, multiplier, shift) => {
  expect(fixedPointOf(factor)).toEqual({ multiplier, shift });
});

test('factors that are none are refused', () => {
  for (const factor of [0, -1, NaN, Infinity]) expect(() => fixedPointOf(factor)).toThrow(RangeError);
});

test('rounding is that of gemmlowp, halves included', () => {
  const half = { multiplier: 2 ** 30, shift: 0 };
  const quarter = { multiplier: 2 ** 30, shift: 1 };
  // In one step of 2^31, halves go up; in a step of the shift, away from zero.
  expect([-3, -1, 1, 3].map((sum) => requantize(sum, half) + 0)).toEqual([-1, 0, 1, 2]);
  expect([-6, -2, 2, 6].map((sum) => requantize(sum, quarter) + 0)).toEqual([-2, -1, 1, 2]);
});

test('a hundred thousand products', () => {
  const key = streamKey(1, 'products');
  for (let i = 0; i < 100_000; i++) {
    const sum = integer(key, 4 * i, 2 ** 31) - 2 ** 30;
    const fixed = fixedPointOf(2 ** (-20 * uniform(key, 4 * i + 1)));
    // Every other sum is one at which rounding is close.
    const x =
      i % 2 === 0 ? sum : Math.round((integer(key, 4 * i + 2, 255) - 127.5) / (fixed.multiplier * 2 ** (-31 - fixed.shift)));
    const expected = multiplyByQuantizedMultiplier(BigInt(x), BigInt(fixed.multiplier), fixed.shift);
    if (requantize(x, fixed) !== Number(expected)) expect([x, fixed, requantize(x, fixed)]).toEqual([x, fixed, Number(expected)]);
  }
});

test('factors above one shift to the left first', () => {
  for (let x = -255; x <= 255; x++) {
    const fixed = fixedPointOf(2.71);
    expect(requantize(x, fixed) + 0).toBe(
      Number(multiplyByQuantizedMultiplier(BigInt(x), BigInt(fixed.multiplier), fixed.shift)),
    );
  }
});
