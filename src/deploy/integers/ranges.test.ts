import { expect, test } from 'vitest';
import { normal, streamKey } from '../../util/random.ts';
import { addToHistogram, chooseRange, scaleOf, type Histogram } from './ranges.ts';

function histogramOf(values: Float32Array, bins = 2048): Histogram {
  const histogram = { low: Math.min(...values), high: Math.max(...values), counts: new Float64Array(bins) };
  addToHistogram(histogram, values);
  return histogram;
}

const bell = Float32Array.from({ length: 20_000 }, (_, i) => normal(streamKey(1, 'test'), i));

test('every value is counted, the largest in the last bin', () => {
  const { counts } = histogramOf(Float32Array.of(0, 0.1, 0.5, 1, 1), 4);
  expect([...counts]).toEqual([2, 0, 1, 2]);
  const { counts: same } = histogramOf(Float32Array.of(3, 3), 4);
  expect([...same]).toEqual([2, 0, 0, 0]);
});

test('zero is exact, and the range becomes 0 to 255', () => {
  expect(scaleOf({ low: 0, high: 510 })).toEqual({ scale: 2, zeroPoint: 0 });
  expect(scaleOf({ low: -1, high: 1.55 })).toEqual({ scale: Math.fround(0.01), zeroPoint: 100 });
  expect(scaleOf({ low: -255, high: -1 })).toEqual({ scale: 1, zeroPoint: 255 });
  expect(scaleOf({ low: 5, high: 25.5 }).zeroPoint).toBe(0);
  expect(scaleOf({ low: 0, high: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
});

test('min-max takes all values', () => {
  const histogram = histogramOf(bell);
  expect(chooseRange(histogram, { method: 'min-max', percentile: 99 })).toMatchObject({
    low: histogram.low,
    high: histogram.high,
  });
});

test('a percentile leaves half of the rest out at each end', () => {
  const uniform = histogramOf(Float32Array.from({ length: 100_001 }, (_, i) => i / 1000 - 50));
  const { low, high } = chooseRange(uniform, { method: 'percentile', percentile: 90 });
  expect(low).toBeCloseTo(-45, 1);
  expect(high).toBeCloseTo(45, 1);
  // Of values that are not negative, most of them zero, the lower end stays zero.
  const rectified = histogramOf(Float32Array.from(bell, (value) => Math.max(value, 0)));
  expect(chooseRange(rectified, { method: 'percentile', percentile: 99 }).low).toBeCloseTo(0, 2);
});

test('the least squared error ignores a lone outlier, and keeps a range that is full', () => {
  const error = (values: Float32Array, { low, high }: { low: number; high: number }) => {
    const { scale, zeroPoint } = scaleOf({ low, high });
    const rounded = (value: number) => (Math.min(Math.max(Math.round(value / scale) + zeroPoint, 0), 255) - zeroPoint) * scale;
    return values.reduce((sum, value) => sum + (value - rounded(value)) ** 2, 0);
  };
  // One value in four million: what is rounded less outweighs what it loses.
  const spiked = histogramOf(Float32Array.from(bell, (value, i) => (i === 7 ? 12 : value)));
  const many = { ...spiked, counts: spiked.counts.map((number, bin) => (bin === 2047 ? number : 200 * number)) };
  const chosen = chooseRange(many, { method: 'mse', percentile: 0 });
  expect(chosen.high).toBeLessThan(9);
  expect(chosen.high).toBeGreaterThan(3);
  expect(error(bell, chosen)).toBeLessThan(0.8 * error(bell, spiked));
  const flat = Float32Array.from({ length: 10_000 }, (_, i) => i / 10_000);
  expect(chooseRange(histogramOf(flat), { method: 'mse', percentile: 0 }).high).toBeGreaterThan(0.98);
});

test('a percentile is exact: linear within a bin, half of the rest at each end', () => {
  // Bins from -2 on, of width 2.
  const histogram = { low: -2, high: 6, counts: Float64Array.of(1, 2, 0, 1) };
  const range = (percentile: number) => chooseRange(histogram, { method: 'percentile', percentile });
  expect(range(100)).toEqual({ low: -2, high: 6 });
  // Below a quarter of four values lies the first bin; below three quarters also half of the second.
  expect(range(50)).toEqual({ low: 0, high: 2 });
  expect(range(75)).toEqual({ low: -1, high: 5 });
  // Ends without values belong to no range.
  const inside = { low: 0, high: 5, counts: Float64Array.of(0, 10, 0, 10, 0) };
  expect(chooseRange(inside, { method: 'percentile', percentile: 100 })).toEqual({ low: 1, high: 4 });
  // 1 % of ten thousand values at each end of 98 %, 2.5 % of 95, 5 % of 90.
  const flat = { low: 0, high: 100, counts: new Float64Array(100).fill(100) };
  for (const [percentile, low] of [
    [98, 1],
    [95, 2.5],
    [90, 5],
  ] as const) {
    const chosen = chooseRange(flat, { method: 'percentile', percentile });
    expect(chosen.low).toBeCloseTo(low, 10);
    expect(chosen.high).toBeCloseTo(100 - low, 10);
  }
});

test('the least squared error finds the only range that costs nothing, at either end', () => {
  // Bins of width 1. Of the scales 0.02 * (100, 99, ... 20), only 0.5 has both 0.5 and 101.5 among its multiples.
  const counts = new Float64Array(510);
  counts[0] = 3;
  counts[101] = 5;
  expect(chooseRange({ low: 0, high: 510, counts }, { method: 'mse', percentile: 0 })).toEqual({ low: 0, high: 127.5 });
  const mirrored = chooseRange({ low: -510, high: 0, counts: counts.toReversed() }, { method: 'mse', percentile: 0 });
  expect(mirrored.low).toBe(-127.5);
  expect(mirrored.high).toBeCloseTo(0, 12);
});

test('an end is moved to a fifth at most, and not at all where that costs', () => {
  // All but one in 10^12 lie in the first seventh: the smallest range there may be.
  const counts = new Float64Array(2048);
  counts.fill(1e10, 0, 300);
  counts[2047] = 1;
  expect(chooseRange({ low: 0, high: 100, counts }, { method: 'mse', percentile: 0 })).toEqual({ low: 0, high: 20 });
  // All at the end.
  const full = new Float64Array(2048);
  full[2047] = 1;
  full[0] = 1;
  expect(chooseRange({ low: 0, high: 100, counts: full }, { method: 'mse', percentile: 0 }).high).toBe(100);
});

test('a range is widened to hold zero, and its scale is a float32', () => {
  expect(scaleOf({ low: -30, high: -25.5 })).toEqual({ scale: Math.fround(30 / 255), zeroPoint: 255 });
  expect(scaleOf({ low: 2, high: 51 })).toEqual({ scale: Math.fround(0.2), zeroPoint: 0 });
  expect(scaleOf({ low: -1, high: 3 })).toEqual({ scale: Math.fround(4 / 255), zeroPoint: 64 });
  // Too small for a float32.
  expect(scaleOf({ low: -1e-50, high: 1e-50 })).toEqual({ scale: 1, zeroPoint: 0 });
});
