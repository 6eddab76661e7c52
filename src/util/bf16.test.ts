import { expect, test } from 'vitest';
import { fromBf16, toBf16 } from './bf16.ts';

function rounded(...values: number[]): number[] {
  const halves = new Uint16Array(values.length);
  const result = new Float32Array(values.length);
  toBf16(Float32Array.from(values), halves);
  fromBf16(halves, result);
  return [...result];
}

test('what has 8 bits is exact, the rest is rounded to nearest, ties to even', () => {
  expect(rounded(0, -1.5, 2 ** 100, 1 + 2 ** -7, Infinity)).toEqual([0, -1.5, 2 ** 100, 1 + 2 ** -7, Infinity]);
  expect(rounded(1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20)).toEqual([1, 1 + 2 ** -6, 1 + 2 ** -7]);
  expect(rounded(3.4e38)).toEqual([Infinity]);
  expect(rounded(NaN)).toEqual([NaN]);
});
