import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { createTransform, plainView } from '../data/transform.ts';
import {
  createClassifier,
  decodeClassifier,
  encodeClassifier,
  requireFits,
  trainingPreprocessing,
  type Classifier,
} from './classifier.ts';
import { networkChecksum } from './classifier-record.ts';
import { withWidths } from '../nn/description.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';

const shape = [3, 1, 1] as const;

/** What an image of one pixel becomes. */
function seen(pixel: readonly number[], keys: Record<string, unknown>): number[] {
  const config = resolveConfig({ model: 'cs231n', inputSize: 1, threads: 1, ...keys });
  const output = new Float32Array(3);
  const { preprocessing } = createClassifier(config, { shape, classes: ['a', 'b'] });
  const transform = createTransform(shape, preprocessing);
  transform.evaluation(Uint8Array.from(pixel), 0, plainView, output, 0);
  return [...output];
}

test('standardization by channel takes 128 from every byte and divides by 64, unless told other constants', () => {
  expect(seen([0, 128, 255], { standardization: 'channel' })).toEqual([-2, 0, Math.fround(127 / 64)]);
  expect(
    seen([51, 51, 102], { standardization: 'channel', 'standardization.mean': 0, 'standardization.deviation': 0.5 }),
  ).toEqual([0.4, 0.4, 0.8].map(Math.fround));
  const constants = { standardization: { type: 'channel', mean: [0, 0.2, 0.2], deviation: [1, 0.2, 0.4] } };
  expect(seen([51, 51, 102], constants)).toEqual([0.2, 0, 0.5].map(Math.fround));
});

test('constants that are no numbers, or not one for each channel, are refused', () => {
  const keys = { standardization: 'channel', 'standardization.mean': 'half' };
  expect(() => seen([0, 0, 0], keys)).toThrow(
    'standardization.mean (=half) must be a number, or a list with one for each channel',
  );
  expect(() => seen([0, 0, 0], { standardization: { type: 'channel', mean: [0.5], deviation: 1 } })).toThrow(
    'standardization.mean (=[0.5]) must be a list of 3 numbers, one for each channel',
  );
});

const oblong = [3, 20, 30] as const;

test.each([
  [{ inputSize: 24 }, 'inputSize', 'inputSize (=24) must be from 1x1 to 20x30, the size of the images'],
  [{ inputSize: '18x31' }, 'inputSize', 'inputSize (=18x31) must be from 1x1 to 20x30, the size of the images'],
  [
    { inputSize: 12, 'augmentation.translate': 20 },
    'augmentation.translate',
    'augmentation.translate (=20) must be an integer from 0 to 19',
  ],
])('what does not fit the images is refused, %j', (overrides, key, message) => {
  const make = () => createClassifier(resolveConfig({ model: 'tuto', ...overrides }), { shape: oblong, classes: ['a', 'b'] });
  expect(make).toThrow(expect.objectContaining({ key, message }) as Error);
});

test('images are cropped to the input, or to their shorter side', () => {
  const { preprocessing } = createClassifier(resolveConfig({ model: 'tuto', augment: false }), {
    shape: oblong,
    classes: ['a', 'b'],
  });
  expect(preprocessing.inputSize).toEqual([20, 30]);
});

const config = resolveConfig({ model: 'cs231n', inputSize: 6, threads: 1, augmentation: { flip: 'random' } });
const dataset = noiseDataset(8, { train: 4, test: 4 });
const classifier = createClassifier(config, dataset);

function written(value: Classifier): Record<string, unknown> {
  return JSON.parse(JSON.stringify(encodeClassifier(value))) as Record<string, unknown>;
}

test('a classifier is what the configuration and the images make it', () => {
  expect(classifier).toMatchObject({
    network: { name: 'cs231n', inputShape: [3, 6, 6], outputShape: [4] },
    preprocessing: { inputSize: 6, standardization: { type: 'image' } },
    classes: ['a', 'b', 'c', 'd'],
    imageShape: [3, 8, 8],
  });
  expect(createClassifier({ ...config, inputSize: 'full' }, dataset).preprocessing.inputSize).toBe(8);
  expect(() => createClassifier({ ...config, inputSize: 9 }, dataset)).toThrow('inputSize (=9) must be from 1x1 to 8x8');
});

test('augmentation belongs to training alone', () => {
  expect(classifier.preprocessing).not.toHaveProperty('augmentation');
  expect(trainingPreprocessing(classifier, config)).toEqual({ ...classifier.preprocessing, augmentation: config.augmentation });
  expect(trainingPreprocessing(classifier, { ...config, augment: false })).toEqual(classifier.preprocessing);
});

test('a classifier is the same after it was written as JSON and read', () => {
  expect(decodeClassifier(written(classifier), 'w')).toEqual(classifier);
});

const names = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);
const classesText = 'must be a list of 2 to 4096 different names';
const sideText = 'must be an integer from 1 to 8192';
const standardization = { type: 'channel', mean: [0, 0], deviation: [1, 1] };

test.each([
  ['null', null, 'it (=null) must be a group of keys: network, preprocessing, classes, imageShape'],
  ['no network', { network: undefined }, 'network must be one that can be built: a network must be an object with name'],
  ['one class', { classes: ['a'] }, `classes (=["a"]) ${classesText}`],
  ['two classes of one name', { classes: ['a', 'b', 'c', 'a'] }, classesText],
  ['a class without a name', { classes: ['a', 'b', 'c', ''] }, 'classes[3] (="") must be a name'],
  ['too many classes', { classes: names(4097) }, classesText],
  ['another number of classes', { classes: names(5) }, 'it has an output of 4, and must have 5: one for each class'],
  ['images of two channels', { imageShape: [2, 8, 8] }, 'imageShape[0] (=2) must be 1 or 3'],
  ['images of no height', { imageShape: [3, 0, 8] }, `imageShape[1] (=0) ${sideText}`],
  ['enormous images', { imageShape: [3, 8, 8193] }, `imageShape[2] (=8193) ${sideText}`],
  ['images smaller than the input', { imageShape: [3, 5, 8] }, 'inputSize (=6) must be from 1x1 to 5x8'],
  [
    'another input',
    { preprocessing: { ...classifier.preprocessing, inputSize: 7 } },
    'it takes images of 3x6x6, and inputSize (=7x7) makes them 3x7x7',
  ],
  [
    'constants of two channels',
    { preprocessing: { inputSize: 6, standardization } },
    'standardization.mean (=[0,0]) must be a list of 3 numbers, one for each channel',
  ],
  ['a key that there is not', { more: 1 }, 'there is no key "more". Allowed: network, preprocessing, classes, imageShape'],
])('%s is refused', (_, changed, message) => {
  const decode = () => decodeClassifier(changed && { ...written(classifier), ...changed }, 'w.safetensors');
  expect(decode).toThrow(DataError);
  expect(decode).toThrow('what w.safetensors says of its network is damaged: ');
  expect(decode).toThrow(message);
  expect(decode).toThrow(expect.objectContaining({ fix: 'use another file, or an earlier checkpoint' }) as Error);
});

test('what fails of itself is no damage', () => {
  const network = {
    get layers() {
      throw new TypeError('not read');
    },
  };
  expect(() => decodeClassifier({ ...written(classifier), network }, 'w')).toThrow(new TypeError('not read'));
});

test('a network has the checksum of what its layers are, not of how they were asked for', () => {
  const { network } = classifier;
  const checksum = networkChecksum(network);
  expect(checksum).toMatch(/^[0-9a-f]{32}$/);
  expect(networkChecksum(createClassifier(config, dataset).network)).toBe(checksum);
  expect(networkChecksum(decodeClassifier(written(classifier), 'w').network)).toBe(checksum);
  const asked = network.layers.map((layer) => ({ ...layer, options: {} }));
  expect(networkChecksum({ ...network, layers: asked })).toBe(checksum);
  expect(networkChecksum(withWidths(network, new Map([['conv1', 7]])))).not.toBe(checksum);
});

test('another data set is for another classifier', () => {
  expect(() => requireFits(classifier, dataset, 'w')).not.toThrow();
  const fix = 'give the data it was trained on with --data';
  for (const [change, message] of [
    [{ classes: ['a', 'b', 'd', 'c'] }, 'w tells a, b, c, d apart; noise has the classes a, b, d, c'],
    [{ shape: [3, 8, 9] }, 'w is for images of 3x8x8; those of noise are 3x8x9'],
  ] as const) {
    expect(() => requireFits(classifier, { ...dataset, ...change }, 'w')).toThrow(
      expect.objectContaining({ message, fix }) as Error,
    );
  }
});

test('a classifier whose network is for other images or classes is not for its own', () => {
  const { preprocessing } = classifier;
  const fit = (changes: Partial<Classifier>) => () => requireFits({ ...classifier, ...changes }, dataset, 'the network');
  const { network } = createClassifier(config, { ...dataset, classes: names(10) });
  expect(fit({ network })).toThrow(ConfigurationError);
  expect(fit({ network })).toThrow('the network has an output of 10, and must have 4: one for each class');
  expect(fit({ preprocessing: { ...preprocessing, inputSize: 5 } })).toThrow(
    'the network takes images of 3x6x6, and inputSize (=5x5) makes them 3x5x5',
  );
});
