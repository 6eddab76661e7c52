import { expect, test } from 'vitest';
import type { Dataset } from '../data/dataset.ts';
import { allocateImages } from '../data/new-image-set.ts';
import { resolveConfig } from '../train/config.ts';
import { evaluateFrozen, requireFitting } from './evaluate.ts';
import type { FrozenMetadata } from './metadata.ts';
import type { ImageBatch, RuntimeSession } from './onnx-runtime.ts';

/** Images of one pixel of 8x8 whose red value says what is predicted, and labels of which every other one is that. */
function imageSet(count: number, first = 0) {
  const set = allocateImages(count, [3, 8, 8]);
  for (let i = 0; i < count; i++) {
    set.images.fill((first + i) % 3, i * 192, i * 192 + 64);
    set.labels[i] = i % 2 === 0 ? (first + i) % 3 : (first + i + 1) % 3;
  }
  return set;
}

const dataset: Dataset = {
  name: 'drawn',
  classes: ['a', 'b', 'c'],
  shape: [3, 8, 8],
  synthetic: true,
  fingerprint: 'f',
  train: imageSet(300),
  test: imageSet(7),
};

const metadata: FrozenMetadata = {
  ...{ model: 'squeeze0', classes: ['a', 'b', 'c'], imageSize: 8, inputSize: 8, run: null, step: null, weights: 'raw' },
  ...{ accuracy: null, parameters: 1, operations: 1, multiplyAdds: 1, quantization: null, network: {}, ablateVersion: '1' },
  config: resolveConfig({ model: 'squeeze0' }),
};

/** Predicts what the first byte of each image says, with logits of 2 and 0. */
function scripted() {
  const batches: ImageBatch[] = [];
  const run = (batch: ImageBatch) => {
    batches.push(batch);
    const logits = new Float32Array(batch.count * 3);
    for (let n = 0; n < batch.count; n++) logits[3 * n + batch.pixels[n * 192]!] = 2;
    return Promise.resolve({ logits, probabilities: logits });
  };
  const session: RuntimeSession = { run, read: () => Promise.reject(new Error('not read')), dispose: () => Promise.resolve() };
  return { session, batches };
}

test('every image once, the last batch partial: accuracy, loss, classes', async () => {
  const { session, batches } = scripted();
  const seen: number[] = [];
  const options = { session, metadata, dataset, split: 'test', batchSize: 3 } as const;
  const evaluation = await evaluateFrozen({ ...options, onLogits: (logits) => seen.push(logits.length) });
  expect(batches.map(({ count, height, width }) => [count, height, width])).toEqual([
    [3, 8, 8],
    [3, 8, 8],
    [1, 8, 8],
  ]);
  expect(seen).toEqual([9, 9, 3]);
  // Images 0, 2, 4 and 6 of 7 are right. The loss of a right one is log(e^2 + 2) - 2, of a wrong one 2 more.
  const loss = Math.log(Math.exp(2) + 2) - 2;
  expect(evaluation).toMatchObject({ split: 'test', images: 7, accuracy: 4 / 7 });
  expect(evaluation!.loss).toBeCloseTo(loss + (2 * 3) / 7, 5);
  expect(evaluation!.perClass.map(({ label }) => label)).toEqual(['a', 'b', 'c']);
  // Rows are labels: 0 2 2 1 1 0 0 for predictions 0 1 2 0 1 2 0.
  expect(evaluation!.confusion).toEqual([
    [2, 0, 1],
    [1, 1, 0],
    [0, 1, 1],
  ]);
});

test('a limit, the usual batch, and a signal that stops it', async () => {
  const limited = scripted();
  expect(await evaluateFrozen({ session: limited.session, metadata, dataset, split: 'test', limit: 2 })).toMatchObject({
    images: 2,
    accuracy: 0.5,
  });
  const whole = scripted();
  await evaluateFrozen({ session: whole.session, metadata, dataset, split: 'train', limit: 250 });
  expect(whole.batches.map(({ count }) => count)).toEqual([100, 100, 50]);
  const stopped = scripted();
  const controller = new AbortController();
  const options = { session: stopped.session, metadata, dataset, split: 'test', batchSize: 2 } as const;
  const onLogits = () => {
    controller.abort();
  };
  expect(await evaluateFrozen({ ...options, onLogits }, controller.signal)).toBeUndefined();
  expect(stopped.batches).toHaveLength(1);
});

test('the validation images are those that the training kept out', async () => {
  const { session, batches } = scripted();
  const config = resolveConfig({ model: 'squeeze0', val: true });
  const options = { session, dataset, split: 'train' } as const;
  await evaluateFrozen({ ...options, metadata: { ...metadata, config } });
  // A tenth of 300.
  expect(batches.map(({ count }) => count)).toEqual([100, 100, 70]);
});

test('other classes, or images that are too small, are refused', () => {
  expect(() => requireFitting(metadata, dataset)).not.toThrow();
  expect(() => requireFitting({ ...metadata, inputSize: 9 }, dataset)).toThrow(
    'images of drawn are 8x8 pixels, and the network sees 9x9',
  );
  const wide: Dataset = { ...dataset, shape: [3, 8, 12] };
  expect(() => requireFitting({ ...metadata, inputSize: 9 }, wide)).toThrow(
    'images of drawn are 8x12 pixels, and the network sees 9x9',
  );
  const other = () => requireFitting({ ...metadata, classes: ['a', 'c', 'b'] }, dataset);
  expect(other).toThrow('the frozen squeeze0 tells a, c, b apart; drawn has the classes a, b, c');
});
