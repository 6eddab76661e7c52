import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import type { Dataset } from './dataset.ts';
import { allocateImages, fingerprintOf, splitOf, validationCount } from './image-set.ts';

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
