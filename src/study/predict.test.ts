import { expect, test } from 'vitest';
import { secondsInAll } from './predict.ts';

test('runs at the same time take as long as the busiest place', () => {
  expect(secondsInAll([3, 1, 2], 1)).toBe(6);
  expect(secondsInAll([3, 1, 2], 2)).toBe(3);
  expect(secondsInAll([1, 1, 1], 2)).toBe(2);
  expect(secondsInAll([3, 1, 2], 100)).toBe(3);
  // What is finished takes no time.
  expect(secondsInAll([0, 0, 5], 2)).toBe(5);
});
