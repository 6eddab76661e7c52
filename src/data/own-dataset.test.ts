import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { defineDataset, loadOwnDataset, type DatasetSource, type OwnImages } from './own-dataset.ts';

const halves: DatasetSource = {
  name: 'halves',
  classes: ['dark', 'bright'],
  height: 1,
  width: 2,
  train: () => ({ images: Uint8Array.of(1, 2, 3, 4, 5, 6, 201, 202, 203, 204, 205, 206), labels: [0, 1] }),
  test: () => Promise.resolve({ images: Uint8ClampedArray.of(11, 12, 13, 14, 15, 16), labels: Uint8Array.of(1) }),
};

test('pixels side by side become planes in shared memory', async () => {
  const dataset = await loadOwnDataset(defineDataset(halves), './halves.ts');
  expect(dataset).toMatchObject({ name: './halves.ts', classes: ['dark', 'bright'], shape: [3, 1, 2], synthetic: false });
  expect([...dataset.train.images]).toEqual([1, 4, 2, 5, 3, 6, 201, 204, 202, 205, 203, 206]);
  expect([...dataset.test.images]).toEqual([11, 14, 12, 15, 13, 16]);
  expect([[...dataset.train.labels], [...dataset.test.labels]]).toEqual([[0, 1], [1]]);
  expect(dataset.train.images.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect((await loadOwnDataset(defineDataset({ ...halves, name: 'other' }))).fingerprint).toBe(dataset.fingerprint);
});

test('grey images, another shape of the same bytes, and more than 256 classes', async () => {
  const bytes = Uint8Array.from({ length: 12 }, (_, i) => i);
  const grey = { ...halves, channels: 1, height: 2, width: 3, train: () => ({ images: bytes, labels: [0, 1] }) } as const;
  const held = () => ({ images: bytes.subarray(0, 6), labels: [0] });
  const one = await loadOwnDataset(defineDataset({ ...grey, test: held }));
  expect([one.shape, [...one.train.images]]).toEqual([[1, 2, 3], [...bytes]]);
  const turned = await loadOwnDataset(defineDataset({ ...grey, height: 3, width: 2, test: held }));
  expect(turned.fingerprint).not.toBe(one.fingerprint);
  const classes = Array.from({ length: 300 }, (_, i) => `class ${i}`);
  const many = await loadOwnDataset(
    defineDataset({ ...grey, classes, train: () => ({ images: bytes, labels: [299, 256] }), test: held }),
  );
  expect([...many.train.labels]).toEqual([299, 256]);
});

test.each<[changes: Record<string, unknown>, message: string]>([
  [{ clases: [] }, 'there is no key "clases". Did you mean "classes"?'],
  [{ classes: ['a'] }, 'classes (=["a"]) must be a list of 2 to 4096 different names'],
  [{ classes: ['a', 'a'] }, 'classes (=["a","a"]) must be a list of 2 to 4096 different names'],
  [{ height: 0 }, 'height (=0) must be an integer from 1 to 512'],
  [{ width: 513 }, 'width (=513) must be an integer from 1 to 512'],
  [{ channels: 4 }, 'channels (=4) must be 1 (grey) or 3 (colour)'],
  [{ test: undefined }, 'test (=missing) must be a function that returns { images, labels }'],
])('a definition that is wrong is refused: %j', (changes, message) => {
  const define = () => defineDataset({ ...halves, ...changes });
  expect(define).toThrow(ConfigurationError);
  expect(define).toThrow(message);
});

test.each<[what: string, given: unknown, message: string]>([
  ['nothing', undefined, 'images of test (=missing) must be a Uint8Array: bytes from 0 to 255'],
  ['floats', { images: new Float32Array(6), labels: [0] }, 'images of test (=Float32Array) must be a Uint8Array'],
  ['no labels', { images: new Uint8Array(6) }, 'labels of test (=missing) must be a list of numbers'],
  [
    'too few bytes',
    { images: new Uint8Array(11), labels: [0, 1] },
    'images of test have 11 bytes, and 2 labels: an image has 6 (1 x 2 x 3), and a label',
  ],
  ['no images', { images: new Uint8Array(0), labels: [] }, 'images of test have 0 bytes, and 0 labels'],
  ['NaN', { images: new Uint8Array(12), labels: [0, NaN] }, 'label 1 of test (=NaN) must be an integer from 0 to 1'],
  ['a class too many', { images: new Uint8Array(12), labels: [2, 0] }, 'label 0 of test (=2) must be an integer from 0 to 1'],
  ['half a class', { images: new Uint8Array(6), labels: [0.5] }, 'label 0 of test (=0.5) must be an integer from 0 to 1'],
  ['a name', { images: new Uint8Array(6), labels: ['dark'] }, 'label 0 of test (=dark) must be an integer from 0 to 1'],
])('images that are wrong are refused: %s', async (_, given, message) => {
  const load = loadOwnDataset(defineDataset({ ...halves, test: () => given as OwnImages }));
  await expect(load).rejects.toThrow(ConfigurationError);
  await expect(load).rejects.toThrow(message);
});
