import { afterEach, expect, test } from 'vitest';
import type { BatchLoader } from './batch.ts';
import { createTrainingLoader, type TrainingLoaderOptions } from './loader.ts';
import { allocateImages } from './new-image-set.ts';
import { shareLoaders } from './shared-loaders.ts';

const images = allocateImages(50, [1, 4, 4]);
images.images.forEach((_, i) => (images.images[i] = (i * 31) % 256));
images.labels.forEach((_, i) => (images.labels[i] = i));

const options: TrainingLoaderOptions = {
  ...{ images, shape: [1, 4, 4], batchSize: 8, seed: 3, firstStep: 0 },
  preprocessing: { inputSize: 4, standardization: { type: 'channel', mean: [0], deviation: [1 / 255] } },
};

const open = new Set<BatchLoader>();
afterEach(async () => {
  await Promise.all([...open].map((loader) => loader.dispose()));
  open.clear();
});

function opened(loader: BatchLoader): BatchLoader {
  open.add(loader);
  return loader;
}

test('trainings that see the same have the same batches, in one place, each as long as it needs them', async () => {
  const openLoader = shareLoaders();
  const [first, second] = [opened(openLoader(options)), opened(openLoader({ ...options }))];
  const alone = opened(createTrainingLoader(options));
  const expected: number[][] = [];
  for (let i = 0; i < 12; i++) expected.push([...(await alone.next())!.inputs]);
  const begun = (await first.next())!;
  // Asked for together, and one before the other.
  for (let i = 0; i < 12; i++) {
    const [ahead, behind] = [i < 11 ? first.next() : undefined, (await second.next())!];
    expect([...behind.inputs], `batch ${i}`).toEqual(expected[i]);
    if (i === 0) expect(behind.inputs).toBe(begun.inputs);
    if (ahead !== undefined) expect([...(await ahead)!.inputs]).toEqual(expected[i + 1]);
    expect([...behind.inputs], `batch ${i}, once the other has gone on`).toEqual(expected[i]);
  }
});

test('one that is far ahead waits for the others, until they go on or leave', async () => {
  const openLoader = shareLoaders();
  const [fast, slow, idle] = [0, 1, 2].map(() => opened(openLoader(options))) as [BatchLoader, BatchLoader, BatchLoader];
  const kept = (await slow.next())!;
  const labels = [...kept.labels];
  let taken = 0;
  const all = (async () => {
    for (; taken < 12; taken++) await fast.next();
  })();
  await expect.poll(() => taken).toBe(5);
  expect([...kept.labels]).toEqual(labels);
  await idle.dispose();
  await slow.next();
  await expect.poll(() => taken).toBe(6);
  await slow.dispose();
  await all;
});

test.each<[name: string, change: Partial<TrainingLoaderOptions>]>([
  ['another seed', { seed: 4 }],
  ['another first step', { firstStep: 2 }],
  ['other images', { images: { ...images, images: images.images.slice() } }],
  ['another crop', { preprocessing: { ...options.preprocessing, inputSize: 3 } }],
  ['an augmentation of its own', { augmentation: { apply: () => undefined } }],
])('%s is another loader', async (_, change) => {
  const openLoader = shareLoaders();
  const [first, other] = [opened(openLoader(options)), opened(openLoader({ ...options, ...change }))];
  const [a, b] = [(await first.next())!, (await other.next())!];
  expect(b.inputs.buffer).not.toBe(a.inputs.buffer);
});

test('who comes late, or when all have left, has a loader of its own, from the first batch on', async () => {
  const openLoader = shareLoaders();
  const early = opened(openLoader(options));
  const first = [...(await early.next())!.labels];
  await early.next();
  const late = opened(openLoader(options));
  expect([...(await late.next())!.labels]).toEqual(first);
  await early.dispose();
  await late.dispose();
  expect([...(await opened(openLoader(options)).next())!.labels]).toEqual(first);
});
