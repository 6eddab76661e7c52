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
