import { expect, test } from 'vitest';
import { allocateImages } from '../data/new-image-set.ts';
import { imageBatches, toInterleaved } from './pixels.ts';

test('planes of each image become pixels', () => {
  // Two images of 1x2 pixels: R R G G B B.
  const planar = Uint8Array.of(1, 2, 11, 12, 21, 22, 3, 4, 13, 14, 23, 24);
  expect([...toInterleaved(planar, 2, 1, 2)]).toEqual([1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);
  expect([...toInterleaved(planar, 1, 2, 1)]).toEqual([1, 11, 21, 2, 12, 22]);
});

test('batches in order, the last one partial, no more than the limit', () => {
  const set = allocateImages(5, [3, 1, 2]);
  set.images.forEach((_, i) => (set.images[i] = i));
  set.labels.forEach((_, i) => (set.labels[i] = 10 + i));
  const batches = [...imageBatches(set, [3, 1, 2], 2)];
  expect(batches.map(({ labels }) => [...labels])).toEqual([[10, 11], [12, 13], [14]]);
  expect(batches.map(({ batch: { count, height, width } }) => [count, height, width])).toEqual([
    [2, 1, 2],
    [2, 1, 2],
    [1, 1, 2],
  ]);
  expect([...batches[2]!.batch.pixels]).toEqual([24, 26, 28, 25, 27, 29]);
  const limited = [...imageBatches(set, [3, 1, 2], 2, 3)];
  expect(limited.map(({ labels }) => [...labels])).toEqual([[10, 11], [12]]);
  expect([...imageBatches(set, [3, 1, 2], 4, 9)].map(({ batch }) => batch.count)).toEqual([4, 1]);
});
