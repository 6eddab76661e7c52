import { expect, test } from 'vitest';
import { formatAccuracy, formatBytes, formatCount, formatDuration, formatOperations } from './format.ts';

test('numbers read as the field writes them', () => {
  expect(formatOperations(37_746_688)).toBe('37.75M');
  expect(formatOperations(1_204_000_000)).toBe('1.20G');
  expect([0, 999, 4_273_192].map(formatBytes)).toEqual(['0 B', '999 B', '4.3 MB']);
  expect(formatAccuracy(0.81425)).toBe('81.42%');
  expect(formatAccuracy(undefined)).toBe('-');
  expect([5, 245, 3723].map(formatDuration)).toEqual(['0:05', '4:05', '1:02:03']);
});

test('counts have thousands separators', () => {
  expect([0, 999, 1000, 1_068_298].map(formatCount)).toEqual(['0', '999', '1,000', '1,068,298']);
});
