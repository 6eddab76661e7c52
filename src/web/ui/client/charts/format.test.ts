import { expect, test } from 'vitest';
import { ago, compact, countOfRuns, duration, formatValue, metricTitle } from './format.ts';

test('numbers of any size in a few digits', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [12, '12'],
    [1234, '1234'],
    [12_345, '12.3k'],
    [1_068_298, '1.07M'],
    [37_750_000, '37.8M'],
    [2.34567, '2.35'],
    [0.0123456, '0.0123'],
    [0.00001, '1.0e-5'],
    [-0.5, '-0.5'],
    [3e20, '3.0e20'],
    [Infinity, 'Infinity'],
  ];
  for (const [value, text] of cases) expect(compact(value), String(value)).toBe(text);
});

test('one run, and any other number of runs', () => {
  expect([0, 1, 12].map(countOfRuns)).toEqual(['0 runs', '1 run', '12 runs']);
});

test('times', () => {
  expect(duration(3723)).toBe('1:02:03');
  expect(duration(100_000)).toBe('1 d 3 h');
  const now = Date.parse('2026-01-31T12:00:00Z');
  const before = [3, 30, 300, 7200, 200_000, 9e6].map((seconds) => ago(now - 1000 * seconds, now));
  expect(before).toEqual(['now', '30 s ago', '5 min ago', '2 h ago', '2 d ago', '2025-10-19']);
  // A clock of another machine that is ahead.
  expect(ago(now + 60_000, now)).toBe('now');
});

test('fractions in percent', () => {
  expect(formatValue('test/accuracy', 0.8123)).toBe('81.23%');
  expect(formatValue('train/loss', 0.8123)).toBe('0.812');
  expect(formatValue('train/loss', NaN)).toBe('–');
});

test('metrics in words', () => {
  const titles = ['train/loss', 'weightNorm/conv1', 'gradientNorm/a/b', 'otherNorm/x', 'constructor'].map(metricTitle);
  expect(titles).toEqual(['training loss', 'weight norm of conv1', 'gradient norm of a/b', 'otherNorm/x', 'constructor']);
});
