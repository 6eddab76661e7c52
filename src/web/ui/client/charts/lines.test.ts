import { expect, test } from 'vitest';
import type { RowChoices } from '../../protocol.ts';
import { meanDifference, meanOf, scaleOf, smoothed, valueAt, type Track } from './lines.ts';

const track = (...points: readonly (readonly [number, number])[]): Track => ({
  x: Float64Array.from(points, ([x]) => x),
  y: Float64Array.from(points, ([, y]) => y),
});

const choices: RowChoices = {
  ...{ recipe: '2017', seed: 1, dataset: 'cifar10', changes: {}, config: {} },
  ...{ batchSize: 128, trainImages: 50_000, operations: 1e6 },
};

test('what a step is on each axis, where that is known', () => {
  expect(scaleOf('step', undefined)).toBe(1);
  expect(scaleOf('time', undefined)).toBe('seconds');
  expect(scaleOf('images', choices)).toBe(128);
  expect(scaleOf('epoch', choices)).toBeCloseTo(128 / 50_000);
  // Forward, and backward with twice the work.
  expect(scaleOf('operations', choices)).toBe(3 * 128 * 1e6);
  expect(scaleOf('epoch', { ...choices, trainImages: undefined } as never)).toBeUndefined();
  expect(scaleOf('images', undefined)).toBeUndefined();
});

test('between points a track is straight, and outside of them there is nothing', () => {
  const line = track([10, 1], [20, 3], [40, 5]);
  expect([10, 15, 20, 30, 40].map((x) => valueAt(line, x))).toEqual([1, 2, 3, 4, 5]);
  expect([9, 41].map((x) => valueAt(line, x))).toEqual([NaN, NaN]);
  expect(valueAt(track(), 1)).toBeNaN();
  expect(valueAt(track([5, 2], [5, 4]), 5)).toBe(2);
});

test('smoothing keeps a constant, starts at the first value, and does not depend on how many points there are', () => {
  const x = Float64Array.from({ length: 100 }, (_, i) => i);
  expect([
    ...smoothed(
      x,
      x.map(() => 3),
      10,
    ),
  ]).toEqual(Array.from({ length: 100 }, () => expect.closeTo(3, 12) as number));
  const noisy = x.map((at) => 100 - at + (at % 2));
  const fine = smoothed(x, noisy, 10);
  expect(fine[0]).toBe(100);
  // Every second point, twice as far apart.
  const coarse = smoothed(
    x.filter((_, i) => i % 2 === 0),
    noisy.filter((_, i) => i % 2 === 0),
    10,
  );
  expect(Math.abs(coarse[49]! - fine[98]!)).toBeLessThan(1);
  const gaps = smoothed(Float64Array.of(0, 1, 2), Float64Array.of(NaN, 5, NaN), 1);
  expect([...gaps]).toEqual([NaN, 5, 5]);
});

const tQuantiles = [12.706, 4.303, 3.182];

test('the mean of tracks with the 95% interval of Student’s t, or from the least to the greatest', () => {
  const tracks = [track([0, 1], [10, 1]), track([0, 2], [10, 2]), track([0, 6], [10, 6])];
  const mean = meanOf(tracks, 'interval', tQuantiles);
  expect([...mean.y]).toEqual([3, 3]);
  // The deviation is sqrt(7), over two degrees of freedom.
  expect(mean.high[0]).toBeCloseTo(3 + (4.303 * Math.sqrt(7)) / Math.sqrt(3), 6);
  expect(mean.low[0]).toBeCloseTo(3 - (4.303 * Math.sqrt(7)) / Math.sqrt(3), 6);
  const range = meanOf(tracks, 'range', tQuantiles);
  expect([range.low[1], range.high[1]]).toEqual([1, 6]);
  expect(meanOf(tracks.slice(0, 1), 'interval', tQuantiles).low[0]).toBeNaN();
});

test('tracks that end early, or have other points, take part where they are', () => {
  const mean = meanOf([track([0, 0], [10, 10], [20, 20]), track([0, 2], [20, 22], [40, 42])], 'range', tQuantiles);
  expect([...mean.x]).toEqual([0, 10, 20, 40]);
  expect([...mean.y]).toEqual([1, 11, 21, 42]);
  expect([...mean.counts]).toEqual([2, 2, 2, 1]);
  expect(meanOf([], 'range', tQuantiles).x).toHaveLength(0);
});

test('paired differences: what all pairs have in common is not in their interval', () => {
  const pairs = [1, 50].map(
    (level, i) => [track([0, level + 2 + i], [10, level + 2 + i]), track([0, level], [5, level], [10, level])] as const,
  );
  const { y, low, high } = meanDifference(pairs, 'interval', tQuantiles);
  expect([...y]).toEqual([2.5, 2.5]);
  expect(high[0]! - low[0]!).toBeCloseTo((2 * 12.706 * Math.SQRT1_2) / Math.SQRT2, 6);
});
