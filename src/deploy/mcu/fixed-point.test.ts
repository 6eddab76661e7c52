import { expect, test } from 'vitest';
import { integer, streamKey, uniform } from '../../util/random.ts';
import { fixedPointOf, requantize } from './fixed-point.ts';

/** TensorFlow Lite's common.cc with TFLITE_SINGLE_ROUNDING, with integers of any length. */
function multiplyByQuantizedMultiplier(x: bigint, multiplier: bigint, shift: number): bigint {
  const totalShift = BigInt(31 + shift);
  return (x * multiplier + (1n << (totalShift - 1n))) >> totalShift;
}

test.each([
  [0.25, 2 ** 30, 1],
  [0.375, 0.75 * 2 ** 31, 1],
  [0.1, Math.round(0.8 * 2 ** 31), 3],
  // Rounds up to the next power of two.
  [0.25 - 2 ** -40, 2 ** 30, 1],
  [2 ** -32, 2 ** 30, 31],
  [2 ** -33, 0, 1],
])('the factor %f', (factor, multiplier, shift) => {
  expect(fixedPointOf(factor)).toEqual({ multiplier, shift });
});

test('factors that are none are refused', () => {
  for (const factor of [0, -1, NaN, Infinity, 0.5]) expect(() => fixedPointOf(factor)).toThrow(RangeError);
});

test('halves go up', () => {
  const quarter = { multiplier: 2 ** 30, shift: 1 };
  expect([-6, -2, 2, 6].map((sum) => requantize(sum, quarter) + 0)).toEqual([-1, 0, 1, 2]);
});

test('what a first rounding would make a half is none', () => {
  // 1.4999... and -1.5000...: rounded twice, they would be 2 and -2.
  expect(requantize(3 * 2 ** 20 - 1, { multiplier: 2 ** 30, shift: 20 })).toBe(1);
  expect(requantize(-3 * 2 ** 20 + 1, { multiplier: 2 ** 30, shift: 20 })).toBe(-1);
});

test('a hundred thousand products', () => {
  const key = streamKey(1, 'products');
  for (let i = 0; i < 100_000; i++) {
    const sum = integer(key, 4 * i, 2 ** 31) - 2 ** 30;
    const fixed = fixedPointOf(2 ** (-1.001 - 20 * uniform(key, 4 * i + 1)));
    // Every other sum is one at which rounding is close.
    const x =
      i % 2 === 0 ? sum : Math.round((integer(key, 4 * i + 2, 255) - 127.5) / (fixed.multiplier * 2 ** (-31 - fixed.shift)));
    const expected = multiplyByQuantizedMultiplier(BigInt(x), BigInt(fixed.multiplier), fixed.shift);
    if (requantize(x, fixed) !== Number(expected)) expect([x, fixed, requantize(x, fixed)]).toEqual([x, fixed, Number(expected)]);
  }
});
