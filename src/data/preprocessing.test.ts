import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { checkPreprocessing, noAugmentation, augmentation2017, type Augmentation, type Preprocessing } from './preprocessing.ts';

const shape = [3, 20, 30] as const;
const channel = { type: 'channel', mean: [0, 0.5, 1], deviation: [0.1, 1, 2] } as const;
const valid: Preprocessing = { inputSize: 12, standardization: channel, augmentation: augmentation2017 };

/** The message that refuses it; undefined if it is accepted. */
function refusal(preprocessing: Preprocessing): string | undefined {
  try {
    checkPreprocessing(shape, preprocessing);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as Error).message;
  }
}

const withInput = (inputSize: number): string | undefined => refusal({ ...valid, inputSize });
const withAugmentation = (changes: Partial<Augmentation>): string | undefined =>
  refusal({ ...valid, augmentation: { ...noAugmentation, ...changes } });
const withChannel = (changes: Partial<typeof channel> | object): string | undefined =>
  refusal({ ...valid, standardization: { ...channel, ...changes } });

test('what fits is accepted, up to the ends of each range', () => {
  expect(refusal(valid)).toBeUndefined();
  expect(refusal({ inputSize: 12, standardization: { type: 'image' } })).toBeUndefined();
  expect([1, 20].map(withInput)).toEqual([undefined, undefined]);
  for (const changes of [
    { translate: 0 },
    { translate: 19 },
    { brightness: 0 },
    { brightness: 0.5 },
    { contrast: [0, 0] },
    { contrast: [0, 3] },
    { contrast: [1, 1] },
    { cutout: 0, mixup: 0, cutmix: 0 },
    { cutout: 24 },
    { mixup: 0.01, cutmix: 0 },
    { mixup: 0, cutmix: 100 },
  ] as const) {
    expect(withAugmentation(changes), JSON.stringify(changes)).toBeUndefined();
  }
});

test('what does not is refused with its name, its value and what is allowed', () => {
  for (const inputSize of [0, 21, 12.5, NaN]) {
    expect(withInput(inputSize)).toMatch(/^inputSize \(=.*\) must be from 1x1 to 20x30, the size of the images$/);
  }
  for (const mean of [
    [0, 0],
    [0, 0, 0, 0],
    [0, NaN, 0],
    [0, 0, Infinity],
  ]) {
    expect(withChannel({ mean })).toMatch(
      /^standardization\.mean(\[\d\])? \(=.*\) must be (a list of 3 numbers, one for each channel|a number)$/,
    );
  }
  for (const deviation of [
    [1, 1],
    [1, 1, 1, 1],
    [1, 0, 1],
    [1, 1, -1],
    [1, Infinity, 1],
    [NaN, 1, 1],
  ]) {
    expect(withChannel({ deviation })).toMatch(
      /^standardization\.deviation(\[\d\])? \(=.*\) must be (a list of 3 numbers, one for each channel|a number above 0)$/,
    );
  }
  for (const translate of [-1, 20, 0.5, NaN]) {
    expect(withAugmentation({ translate })).toMatch(/^augmentation\.translate \(=.*\) must be an integer from 0 to 19$/);
  }
  for (const brightness of [-0.1, NaN, Infinity]) {
    expect(withAugmentation({ brightness })).toMatch(/^augmentation\.brightness \(=.*\) must be a number of at least 0$/);
  }
  for (const contrast of [
    [-0.1, 1],
    [1, 0.9],
    [0, Infinity],
    [NaN, 1],
    [0, NaN],
  ] as const) {
    expect(withAugmentation({ contrast })).toMatch(
      /^augmentation\.contrast(\[\d\])? \(=.*\) must be (two numbers \[low, high\] with 0 <= low <= high|a number of at least 0)$/,
    );
  }
  for (const mixup of [-1, 0.009, 100.1, NaN, true, '1']) {
    expect(withAugmentation({ mixup } as object)).toMatch(
      /^augmentation\.mixup \(=.*\) must be 0, or a number from 0.01 to 100$/,
    );
    expect(withAugmentation({ cutmix: mixup } as object)).toMatch(/^augmentation\.cutmix \(=.*\) must be 0, or a number/);
  }
  for (const cutout of [-1, 25, 1.5]) {
    expect(withAugmentation({ cutout })).toMatch(/^augmentation\.cutout \(=.*\) must be an integer from 0 to 24$/);
  }
});

test('no augmentation does nothing; that of tensorsandbox is the published one', () => {
  expect(noAugmentation).toEqual({
    translate: 0,
    randomCrop: false,
    flip: 'none',
    brightness: 0,
    contrast: [1, 1],
    cutout: 0,
    mixup: 0,
    cutmix: 0,
  });
  // TensorFlow's tutorial on CIFAR-10: crops, mirror images, brightness up to 63, contrast from 0.2 to 1.8.
  expect(augmentation2017).toEqual({
    translate: 0,
    randomCrop: true,
    flip: 'random',
    brightness: 63,
    contrast: [0.2, 1.8],
    cutout: 0,
    mixup: 0,
    cutmix: 0,
  });
});
