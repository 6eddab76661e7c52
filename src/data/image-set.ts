/** Dividing sets of images. */
import { splitNames, type Dataset, type ImageSet, type Labels, type SplitName } from './dataset.ts';
import { ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';

export function allocateLabels(count: number, classes: number): Labels {
  if (classes <= 256) return new Uint8Array(new SharedArrayBuffer(count));
  return new Uint16Array(new SharedArrayBuffer(Uint16Array.BYTES_PER_ELEMENT * count));
}

/** A view of images [start, end) of a set. */
export function sliceImages(set: ImageSet, start: number, end: number): ImageSet {
  const imageLength = set.images.length / set.count;
  return {
    count: end - start,
    images: set.images.subarray(start * imageLength, end * imageLength),
    labels: set.labels.subarray(start, end),
  };
}

/** Copies of the images at `positions` of a set, in that order. */
export function selectImages(set: ImageSet, positions: Uint32Array): ImageSet {
  const imageLength = set.images.length / set.count;
  const images = new Uint8Array(new SharedArrayBuffer(positions.length * imageLength));
  const labels = allocateLabels(positions.length, set.labels instanceof Uint8Array ? 256 : Infinity);
  for (const [i, position] of positions.entries()) {
    images.set(set.images.subarray(position * imageLength, (position + 1) * imageLength), i * imageLength);
    labels[i] = set.labels[position]!;
  }
  return { count: positions.length, images, labels };
}

/** Number of training images that validation takes: 5,000, or a tenth of a set of less than 50,000. */
export function validationCount(trainCount: number): number {
  return Math.min(5000, Math.floor(trainCount / 10));
}

/** Number of training images that a training passes over. */
export function trainingCount(trainCount: number, useVal: boolean): number {
  return useVal ? trainCount - validationCount(trainCount) : trainCount;
}

/**
 * The images of a split, as a view. With `useVal` the last `validationCount` training images are `val` and the rest is `train`;
 * without it all are `train` and there is no `val`.
 *
 * @throws ConfigurationError if `val` is asked for without `useVal`, or the set is too small to be divided
 */
export function splitOf(dataset: Pick<Dataset, 'name' | 'train' | 'test'>, split: SplitName, useVal: boolean): ImageSet {
  if (split === 'test') return dataset.test;
  // Programs without types may ask for anything.
  if (!splitNames.includes(split)) {
    throw new ConfigurationError(`split (=${showValue(split)}) must be one of ${splitNames.join(', ')}`);
  }
  const { train } = dataset;
  if (!useVal) {
    if (split === 'train') return train;
    throw new ConfigurationError(`split (=val) must be train or test: no images were set aside for validation`, {
      fix: 'add --val',
    });
  }
  const border = train.count - validationCount(train.count);
  if (border === train.count) {
    throw new ConfigurationError(
      `data set ${dataset.name} must have at least 10 training images for validation, not ${train.count}`,
    );
  }
  return split === 'train' ? sliceImages(train, 0, border) : sliceImages(train, border, train.count);
}
