import { expect, test } from 'vitest';
import { generateSynthetic } from '../data/synthetic.ts';
import { createPlainArena } from '../engine/reference/arena.ts';
import { buildModel } from '../models/registry.ts';
import { patchMoments, whitenFirstLayers, whiteningFilters } from './whitening.ts';

const { train: images, shape } = generateSynthetic({ trainCount: 20, testCount: 10 });
const preprocessing = {
  inputSize: 32,
  standardization: { type: 'channel', mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] },
} as const;

test('moments of patches, by hand', () => {
  // Two images of 1 x 2 x 2 pixels, standardized to 0, 1, 2, 3 and -1, -1, 1, 1: patches of 1 x 2 are (0, 1), (2, 3), (-1, -1), (1, 1).
  const tiny = { count: 2, images: Uint8Array.of(127, 128, 129, 130, 126, 126, 128, 128), labels: new Uint8Array(2) };
  const plain = { inputSize: 2, standardization: { type: 'channel', mean: [127 / 255], deviation: [1 / 255] } } as const;
  const moments = patchMoments(tiny, [1, 2, 2], plain, [1, 2], 5000);
  expect([...moments]).toEqual([6 / 4, 8 / 4, 8 / 4, 12 / 4].map((value) => expect.closeTo(value, 5) as number));
  expect([...patchMoments(tiny, [1, 2, 2], plain, [1, 2], 1)]).toEqual([2, 3, 3, 5].map((v) => expect.closeTo(v, 5) as number));
});

test('whitened patches have the identity as their second moments, each axis has both signs', async () => {
  const arena = createPlainArena(buildModel('air94').parameters, { gradients: false });
  await whitenFirstLayers(arena, images, shape, preprocessing);
  const entry = arena.entries.find(({ spec }) => spec.name === 'whitening.weight')!;
  const weights = await arena.read(entry, arena.values);
  const moments = patchMoments(images, shape, preprocessing, [2, 2], 5000);
  // F moments F' is what the moments of the filters' outputs are.
  const row = (i: number) => weights.subarray(12 * i, 12 * (i + 1));
  const outputMoment = (i: number, j: number) => {
    let sum = 0;
    row(i).forEach((a, k) => row(j).forEach((b, l) => (sum += a * moments[12 * k + l]! * b)));
    return sum;
  };
  for (let i = 0; i < 12; i++) {
    for (let j = 0; j < i; j++) expect(Math.abs(outputMoment(i, j))).toBeLessThan(1e-3);
    // lambda / (lambda + epsilon): below one only where the images hardly vary.
    expect(outputMoment(i, i)).toBeLessThan(1 + 1e-3);
    expect([...row(i + 12)]).toEqual([...row(i)].map((value) => -value));
  }
  expect(outputMoment(0, 0)).toBeGreaterThan(0.999);
  expect(outputMoment(5, 5)).toBeGreaterThan(0.9);
  // The other parameters are as they were.
  expect((await arena.values.read()).filter((value) => value !== 0)).toHaveLength(24 * 12);
});

test('epsilon keeps an axis without variance finite', () => {
  const filters = whiteningFilters(Float64Array.of(4, 0, 0, 0), 2, 4, 0.01);
  expect([...filters]).toEqual([1 / Math.sqrt(4.01), 0, 0, 10, -1 / Math.sqrt(4.01), -0, -0, -10].map(Math.fround));
  expect(() => whiteningFilters(new Float64Array(4), 2, 5, 0.01)).toThrow(
    /the filters \(=5\) of a whitening layer on patches of 2 elements must be an even number up to 4/,
  );
});
