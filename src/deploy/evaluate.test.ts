import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freezeUntrained } from '../../test/freeze-untrained.ts';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { told } from '../../test/told.ts';
import type { Dataset } from '../data/dataset.ts';
import { allocateImages } from '../data/new-image-set.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import type { Run } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import { writeEvaluation } from '../train/recorded-evaluation.ts';
import type { SavedModel } from '../train/saved-model.ts';
import type { WeightsKind } from '../train/weights.ts';
import { evaluateFile, evaluateFrozen, recordedAccuracy, requireFitting } from './evaluate.ts';
import type { FrozenMetadata } from './metadata.ts';
import { openSession, type ImageBatch, type RuntimeSession } from './onnx-runtime.ts';

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

test('what is said of each image, by its number', async () => {
  const { session } = scripted();
  const seen: unknown[] = [];
  const onImage = (image: number, label: number, logits: Float32Array) => seen.push([image, label, [...logits]]);
  await evaluateFrozen({ session, metadata, dataset, split: 'test', batchSize: 2, limit: 3, onImage });
  expect(seen).toEqual([
    [0, 0, [2, 0, 0]],
    [1, 2, [0, 2, 0]],
    [2, 2, [0, 0, 2]],
  ]);
});

test('the bytes of a file are loaded, evaluated, and let go', async () => {
  const images = noiseDataset(8, { train: 20, test: 6 });
  const { encode, metadata: own } = await freezeUntrained(referenceEngine, { model: 'cs231n', inputSize: 8 }, images.classes);
  const options = { metadata: own, dataset: images, split: 'test' } as const;
  const session = await openSession(encode(null), 'a file');
  const imagesPerSecond = expect.any(Number) as number;
  const expected = { ...(await evaluateFrozen({ ...options, session })), imagesPerSecond };
  await session.dispose();
  expect(expected).toMatchObject({ images: 6 });
  expect(await evaluateFile(encode(null), { ...options, threads: 1 })).toEqual(expected);
  expect(await evaluateFile(encode(null), options)).toEqual(expected);
  expect(await evaluateFile(encode(null), options, AbortSignal.abort())).toBeUndefined();
});

test('the accuracy of a run is that of these very weights, and of each image seen once', () => {
  const path = mkdtempSync(join(tmpdir(), 'ablate-evaluate-'));
  try {
    const config = resolveConfig({ model: 'squeeze0' });
    const file = { tensors: new Map(), metadata: { dataset: 'drawn', datasetFingerprint: 'f' } };
    const saved = { path, file, config, step: 90 } as unknown as SavedModel;
    const accuracyOf = (changes: object = {}, weights: WeightsKind = 'raw') =>
      recordedAccuracy({ path } as Run, { ...saved, ...changes }, weights);
    expect(accuracyOf()).toBeNull();
    writeEvaluation({ path }, recordedEvaluation({ step: 90, weights: 'raw' }));
    const found = { value: 1, split: 'test', images: 1, dataset: 'drawn', fingerprint: 'f' };
    expect(accuracyOf()).toEqual(found);
    expect(accuracyOf({ step: 89 })).toBeNull();
    expect(accuracyOf({}, 'ema')).toBeNull();
    expect(accuracyOf({ config: resolveConfig({ model: 'squeeze0', tta: 'mirror' }) })).toBeNull();
    expect(accuracyOf({ file: { ...file, metadata: {} } })).toEqual({ ...found, dataset: '', fingerprint: '' });
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('other classes, other colours, or images that are too small, are refused', () => {
  const refused = (changes: Partial<FrozenMetadata>, shape: Dataset['shape'] = [3, 8, 8]) =>
    told(() => requireFitting({ ...metadata, ...changes }, { ...dataset, shape }));
  const expected = (message: string) => ({ kind: 'DataError', message, fix: 'give the data it was trained on with --data' });
  expect(() => requireFitting(metadata, dataset)).not.toThrow();
  const small = (sides: string) => expected(`images of drawn are ${sides} pixels, and the network sees 9x9`);
  expect(refused({ inputSize: 9 })).toEqual(small('8x8'));
  expect(refused({ inputSize: 9 }, [3, 8, 12])).toEqual(small('8x12'));
  expect(refused({ inputSize: 9 }, [3, 12, 8])).toEqual(small('12x8'));
  expect(refused({ classes: ['a', 'c', 'b'] })).toEqual(
    expected('the frozen squeeze0 tells a, c, b apart; drawn has the classes a, b, c'),
  );
  const trainedOn = (colours: string) => `and the network was trained on images ${colours}`;
  expect(refused({}, [1, 8, 8])).toEqual(
    expected(`images of drawn are grey (1 channel), ${trainedOn('in colour (3 channels)')}`),
  );
  expect(refused({ network: { inputShape: [1, 8, 8] } })).toEqual(
    expected(`images of drawn are in colour (3 channels), ${trainedOn('grey (1 channel)')}`),
  );
});
