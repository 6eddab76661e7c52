import { expect, test } from 'vitest';
import { percentile } from './percentile.ts';

test('interpolates between the nearest values, as NumPy does', () => {
  const values = [40, 10, 20, 30];
  expect(percentile(values, 0)).toBe(10);
  expect(percentile(values, 0.5)).toBe(25);
  expect(percentile(values, 0.95)).toBeCloseTo(38.5, 12);
  expect(percentile(values, 1)).toBe(40);
  expect(values).toEqual([40, 10, 20, 30]);
});

test('one value is every percentile of itself, and none has none', () => {
  expect(percentile([7], 0.99)).toBe(7);
  expect(() => percentile([], 0.5)).toThrow(RangeError);
});
