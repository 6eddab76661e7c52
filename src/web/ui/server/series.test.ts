import { expect, test } from 'vitest';
import { pointColumns } from '../protocol.ts';
import { bucketColumns, createSeries } from './series.ts';

/** Rows of `bucketColumns`. */
function rowsOf(values: Float32Array): number[][] {
  return Array.from({ length: values.length / bucketColumns.length }, (_, i) => [
    ...values.subarray(i * bucketColumns.length, (i + 1) * bucketColumns.length),
  ]);
}

test('the page knows how many columns a point has', () => {
  expect(pointColumns).toBe(bucketColumns.length);
});

test('a short series has a bucket for each record', () => {
  const series = createSeries();
  for (const step of [10, 20, 30]) series.add(step, step / 2, -step);
  expect(series.width).toBe(1);
  expect(rowsOf(series.read(1))).toEqual([
    [20, 10, -20, -20, -20],
    [30, 15, -30, -30, -30],
  ]);
});

test('a long series keeps the least, the greatest and the mean of all its records in a bounded number of buckets', () => {
  const series = createSeries(8);
  const values = Array.from({ length: 100 }, (_, i) => Math.sin(i * 1.7));
  values.forEach((value, i) => {
    series.add(i, i / 10, value);
  });
  expect(series.width).toBe(16);
  expect(series.length).toBe(7);
  const rows = rowsOf(series.read(0));
  rows.forEach(([step, seconds, least, greatest, mean], i) => {
    const own = values.slice(i * 16, (i + 1) * 16);
    const last = Math.min(i * 16 + 15, 99);
    expect(step).toBe(last);
    expect(seconds).toBeCloseTo(last / 10, 5);
    expect(least).toBeCloseTo(Math.min(...own), 6);
    expect(greatest).toBeCloseTo(Math.max(...own), 6);
    expect(mean).toBeCloseTo(own.reduce((sum, value) => sum + value, 0) / own.length, 6);
  });
});

test('buckets are joined for a reader that wants fewer, as if there were fewer', () => {
  const [fine, coarse] = [createSeries(64), createSeries(16)];
  for (let i = 0; i < 60; i++) {
    fine.add(i, i, i % 7);
    coarse.add(i, i, i % 7);
  }
  expect(coarse.width).toBe(4);
  const joined = rowsOf(fine.read(0, 4));
  expect(joined).toEqual(rowsOf(coarse.read(0)));
  expect(rowsOf(fine.read(8, 4))).toEqual(joined.slice(2));
});

test('values that are no finite numbers are gaps, and spoil nothing else', () => {
  const series = createSeries(2);
  series.add(1, 1, NaN);
  series.add(2, 2, 5);
  expect(rowsOf(series.read(0))).toEqual([
    [1, 1, NaN, NaN, NaN],
    [2, 2, 5, 5, 5],
  ]);
  series.add(3, 3, Infinity);
  series.add(4, 4, NaN);
  expect(rowsOf(series.read(0))).toEqual([
    [2, 2, 5, 5, 5],
    [4, 4, NaN, NaN, NaN],
  ]);
  expect(rowsOf(series.read(0, 2))).toEqual([[4, 4, 5, 5, 5]]);
  expect(series.hasGaps).toBe(true);
});

test('records of earlier steps are left out', () => {
  const series = createSeries();
  for (const step of [10, 20, 15, 20, 30]) series.add(step, 0, step);
  expect(rowsOf(series.read(0)).map(([step]) => step)).toEqual([10, 20, 20, 30]);
});
