import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import type { Dataset } from './dataset.ts';
import { selectImages, sliceImages, splitOf, trainingCount, validationCount } from './image-set.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';

function datasetOf(trainCount: number): Dataset {
  const train = allocateImages(trainCount, [1, 1, 2]);
  const test = allocateImages(4, [1, 1, 2]);
  train.labels.forEach((_, i) => (train.labels[i] = i));
  train.images.forEach((_, i) => (train.images[i] = i));
  return { name: 'small', classes: ['a', 'b'], shape: [1, 1, 2], synthetic: false, fingerprint: '', train, test };
}

test('validation takes the last 5,000 training images, or a tenth of a smaller set', () => {
  expect(validationCount(50_000)).toBe(5000);
  expect(validationCount(200_000)).toBe(5000);
  expect(validationCount(10_000)).toBe(1000);
  expect(validationCount(19)).toBe(1);
});

test('splits are views: train and val share the training images, test stays', () => {
  const dataset = datasetOf(20);
  expect(splitOf(dataset, 'train', false)).toBe(dataset.train);
  expect(splitOf(dataset, 'test', true)).toBe(dataset.test);
  const train = splitOf(dataset, 'train', true);
  const val = splitOf(dataset, 'val', true);
  expect([train.count, val.count]).toEqual([18, 2]);
  expect([...val.labels]).toEqual([18, 19]);
  expect([...val.images]).toEqual([36, 37, 38, 39]);
  expect(val.images.buffer).toBe(dataset.train.images.buffer);
  expect(train.images.buffer).toBe(dataset.train.images.buffer);
});

test('val is refused where none was set aside, or the set is too small', () => {
  expect(() => splitOf(datasetOf(20), 'val', false)).toThrow(ConfigurationError);
  expect(() => splitOf(datasetOf(9), 'val', true)).toThrow('at least 10 training images for validation, not 9');
});

test('the fingerprint changes with every image, label and class name', () => {
  const { train, test: held } = datasetOf(20);
  const prints = [fingerprintOf(['a', 'b'], train, held), fingerprintOf(['a', 'c'], train, held)];
  held.labels[3] = 1;
  prints.push(fingerprintOf(['a', 'b'], train, held));
  train.images[0] = 9;
  prints.push(fingerprintOf(['a', 'b'], train, held));
  expect(new Set(prints).size).toBe(4);
});

test('room for images and labels is shared memory of the right size', () => {
  const { count, images, labels } = allocateImages(5, [2, 3, 4]);
  expect([count, images.length, labels.length]).toEqual([5, 120, 5]);
  expect(images.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(labels.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test('a slice is a view, a selection a copy in its own order', () => {
  const { train } = datasetOf(20);
  const slice = sliceImages(train, 3, 5);
  expect([slice.count, [...slice.images], [...slice.labels]]).toEqual([2, [6, 7, 8, 9], [3, 4]]);
  const selection = selectImages(train, Uint32Array.of(7, 0, 7));
  expect([selection.count, [...selection.images], [...selection.labels]]).toEqual([3, [14, 15, 0, 1, 14, 15], [7, 0, 7]]);
  train.images[14] = 99;
  expect(selection.images[0]).toBe(14);
  expect(selection.images.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test('validation begins with ten training images, and the borders are those of the documents', () => {
  const counts = (count: number) => [
    splitOf(datasetOf(count), 'train', true).count,
    splitOf(datasetOf(count), 'val', true).count,
  ];
  expect([10, 11, 29, 30].map(counts)).toEqual([
    [9, 1],
    [10, 1],
    [27, 2],
    [27, 3],
  ]);
  expect(validationCount(49_999)).toBe(4999);
  expect(validationCount(50_001)).toBe(5000);
});

test('the fingerprint of known data is known', () => {
  // printf '["a","b"]\0\1\7\2\3\0' | sha256sum
  const set = (images: number[], label: number) => ({ count: 1, images: Uint8Array.from(images), labels: Uint8Array.of(label) });
  expect(fingerprintOf(['a', 'b'], set([0, 1], 7), set([2, 3], 0))).toBe(
    '6d1263ef56bfb63e096c58f28a32c6b520e9774fbae4cae3f2898b5055b833bf',
  );
});

test('with validation a training passes over the images that are left, else over all', () => {
  expect([trainingCount(50_000, true), trainingCount(999, true), trainingCount(50_000, false)]).toEqual([45_000, 900, 50_000]);
});

test('a split that there is not is named as it was given', () => {
  expect(() => splitOf(datasetOf(20), 'tst' as 'test', false)).toThrow('split (=tst) must be one of train, val, test');
});

test('validation images are had only where some were set aside', () => {
  expect(() => splitOf(datasetOf(20), 'val', false)).toThrow(
    expect.objectContaining({
      message: 'split (=val) must be train or test: no images were set aside for validation',
      fix: 'add --val',
    }) as Error,
  );
});
