import type { Dataset, ImageSet } from '../src/data/dataset.ts';
import { allocateImages } from '../src/data/new-image-set.ts';
import { integer, streamKey } from '../src/util/random.ts';

/** Images of noise in four classes: nothing to generalize, all to be learnt by heart. `train` and `test` count them. */
export function noiseDataset(side: number, { train, test }: { readonly train: number; readonly test: number }): Dataset {
  const shape = [3, side, side] as const;
  return {
    name: 'noise',
    classes: ['a', 'b', 'c', 'd'],
    shape,
    synthetic: true,
    fingerprint: `noise-${side}`,
    train: noiseImages(train, 1, shape),
    test: noiseImages(test, 2, shape),
  };
}

function noiseImages(count: number, seed: number, shape: Dataset['shape']): ImageSet {
  const set = allocateImages(count, shape);
  const key = streamKey(seed, 'noise');
  set.images.forEach((_, i) => (set.images[i] = integer(key, i, 256)));
  set.labels.forEach((_, i) => (set.labels[i] = i % 4));
  return set;
}
