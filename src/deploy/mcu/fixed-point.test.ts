import { expect, test } from 'vitest';
import { integer, streamKey, uniform } from '../../util/random.ts';
import { factorOf, fixedPointOf, nearestEven, requantize } from './fixed-point.ts';

test.each([
  [0.25, 2 ** 30, 1],
  [0.375, 0.75 * 2 ** 31, 1],
  [Math.fround(0.1), Math.fround(0.1) * 2 ** 34, 3],
  // The next below 1/2.
  [0.5 - 2 ** -25, 2 ** 31 - 2 ** 7, 1],
  [2 ** -31, 2 ** 30, 30],
  [2 ** -32, 0, 1],
])('the factor %f', (factor, multiplier, shift) => {
  expect(fixedPointOf(factor)).toEqual({ multiplier, shift });
  if (multiplier > 0) expect(factorOf({ multiplier, shift })).toBe(factor);
});

test('factors that are none are refused', () => {
  for (const factor of [0, -1, NaN, Infinity, 0.5]) {
    expect(() => fixedPointOf(factor)).toThrow(new RangeError(`factor (=${factor}) must be above 0 and below 1/2`));
  }
});

test('of two integers as near, the even one', () => {
  expect([-10, -6, -2, 2, 6, 10].map((sum) => requantize(sum, 0.25) + 0)).toEqual([-2, -2, 0, 0, 2, 2]);
  expect([-1.5, -0.5, 0.4999, 0.5, 2.5, 3.5].map((value) => nearestEven(value) + 0)).toEqual([-2, 0, 0, 0, 2, 4]);
});

test('a product that a float32 cannot tell from a half is that half', () => {
  const rounded = (factor: number, sums: readonly number[]) => sums.map((sum) => requantize(sum, Math.fround(factor)));
  // 100.5000015, where the next float32 is 0.0000076 away; 101.4999983.
  expect(rounded(0.1, [1005, -1005])).toEqual([100, -100]);
  expect(rounded(0.35, [290, -290])).toEqual([102, -102]);
  // 101.499976 is none.
  expect(rounded(0.35 * (1 - 2 ** -22), [290, -290])).toEqual([101, -101]);
});

/** What the C code does, with integers of any length: the exact product, rounded once but near halves. */
function scaled(sum: number, { multiplier, shift }: { multiplier: number; shift: number }): number {
  const product = BigInt(sum) * BigInt(multiplier);
  const magnitude = product < 0n ? -product : product;
  // To 24 bits, then to an integer: to the nearest, of two to the even one, twice.
  const drop = BigInt(Math.max(magnitude.toString(2).length - 24, 0));
  const round = (value: bigint, bits: bigint) => {
    const [quotient, rest] = [value >> bits, 2n * (value & ((1n << bits) - 1n))];
    return rest > 1n << bits || (rest === 1n << bits && quotient % 2n === 1n) ? quotient + 1n : quotient;
  };
  const result = Number(round(round(magnitude, drop) << drop, BigInt(31 + shift)));
  return product < 0n ? -result : result;
}

test('a hundred thousand products', () => {
  const key = streamKey(1, 'products');
  let near = 0;
  for (let i = 0; i < 100_000; i++) {
    const sum = integer(key, 4 * i, 2 ** 25 - 1) - 2 ** 24 + 1;
    const fixed = fixedPointOf(Math.fround(2 ** (-1.001 - 20 * uniform(key, 4 * i + 1))));
    // Every other sum is one at which rounding is close.
    const close = Math.round((integer(key, 4 * i + 2, 255) - 127.5) / factorOf(fixed));
    const x = i % 2 === 0 || Math.abs(close) >= 2 ** 24 ? sum : close;
    const expected = scaled(x, fixed) + 0;
    const got = requantize(x, factorOf(fixed)) + 0;
    if (got !== expected) expect([x, fixed, got]).toEqual([x, fixed, expected]);
    if (expected !== Math.floor(x * factorOf(fixed) + 0.5)) near++;
  }
  // Some are not what one rounding gives.
  expect(near).toBeGreaterThan(100);
});
