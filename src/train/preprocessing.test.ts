import { expect, test } from 'vitest';
import { createTransform, plainView } from '../data/transform.ts';
import { resolveConfig } from './config.ts';
import { preprocessingOf } from './preprocessing.ts';

const shape = [3, 1, 1] as const;
const oblong = [3, 20, 30] as const;

/** What an image of one pixel becomes. */
function seen(pixel: readonly number[], keys: Record<string, unknown>): number[] {
  const config = resolveConfig({ model: 'tuto', inputSize: 1, threads: 1, ...keys });
  const output = new Float32Array(3);
  const transform = createTransform(shape, preprocessingOf(config, shape));
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

test('images are cropped to the input, or to their shorter side; augmentation is left out where it is off', () => {
  const { augmentation, standardization } = resolveConfig({ model: 'tuto' });
  const small = { model: 'tuto', inputSize: 12 };
  expect(preprocessingOf(resolveConfig(small), oblong)).toEqual({ inputSize: 12, standardization, augmentation });
  expect(preprocessingOf(resolveConfig({ model: 'tuto', augment: false }), oblong)).toEqual({ inputSize: 20, standardization });
});

test.each([
  [{}, 'inputSize', 'inputSize (=24) must be an integer from 1 to 20, the size of the images'],
  [
    { inputSize: 12, 'augmentation.translate': 20 },
    'augmentation.translate',
    'augmentation.translate (=20) must be an integer from 0 to 19',
  ],
])('what does not fit the images is refused, %j', (overrides, key, message) => {
  const config = resolveConfig({ model: 'tuto', ...overrides });
  expect(() => preprocessingOf(config, oblong)).toThrow(expect.objectContaining({ key, message }) as Error);
});
