import { expect, test } from 'vitest';
import { erf } from './erf.ts';

// Abramowitz and Stegun, tables 7.1 and 7.3, and DLMF 7.
test.each([
  [0, 0],
  [1e-9, 1.1283791670955127e-9],
  [0.1, 0.1124629160182849],
  [0.5, 0.5204998778130465],
  [1, 0.8427007929497149],
  [2, 0.9953222650189527],
  [3, 0.9999779095030014],
  [5, 0.9999999999984626],
  [7, 1],
  [Infinity, 1],
])('erf(%d)', (x, expected) => {
  expect(Math.abs(erf(x) - expected)).toBeLessThanOrEqual(1e-15 * Math.max(expected, 1e-9));
  expect(erf(-x)).toBe(-erf(x));
});

test('not a number stays so', () => {
  expect(erf(NaN)).toBeNaN();
});
