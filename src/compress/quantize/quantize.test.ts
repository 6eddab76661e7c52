/** Which images calibrate and check, and what a quantized file says; what it computes is in test/quantize.test.ts. */
import { createHash } from 'node:crypto';
import { expect, test, describe } from 'vitest';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { sliceImages } from '../../data/image-set.ts';
import { readFrozenMetadata } from '../../deploy/metadata.ts';
import { decodeModel } from '../../deploy/onnx/schema.ts';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { cifar10Classes } from '../../data/cifar10.ts';
import { openSession } from '../../deploy/onnx-runtime.ts';
import { toInterleaved } from '../../deploy/pixels.ts';
import { integer, permutation, streamKey } from '../../util/random.ts';
import { quantize, type QuantizeOptions } from './quantize.ts';

const side = 8;
const shape = [3, side, side] as const;

function noise(count: number, seed: number): ImageSet {
  const key = streamKey(seed, 'noise');
  const images = Uint8Array.from({ length: count * 3 * side * side }, (_, i) => 60 + integer(key, i, 60));
  return { count, images, labels: Uint8Array.from({ length: count }, (_, i) => i % 10) };
}

function dataset(trainCount: number, train = noise(trainCount, 1)): Dataset {
  return { name: 'noise', classes: cifar10Classes, shape, synthetic: true, fingerprint: 'n', train, test: noise(40, 2) };
}

const keys = { model: 'cs231n', inputSize: side, 'model.conv1.filters': 2, 'model.dense1.features': 4 };
const frozen = async (changes: object = {}) => (await freezeUntrained(referenceEngine, { ...keys, ...changes })).encode(null);

function options(bytes: Uint8Array, changes: Partial<QuantizeOptions> = {}): QuantizeOptions {
  return {
    file: { bytes, source: 'model.onnx' },
    quantization: { scheme: 'int8', calibration: 'min-max' },
    dataset: dataset(200),
    ...changes,
  };
}

/** All of some images as bright as can be: a range that saw them is at least twice as wide. */
function poisoned({ count, images, labels }: ImageSet, from: number, to: number): ImageSet {
  const length = images.length / count;
  return { count, labels, images: images.map((value, i) => (i >= from * length && i < to * length ? 255 : value)) };
}

const encode = async (given: QuantizeOptions) => (await quantize(given)).encode(null);

describe('what calibrates', () => {
  const standardization = { standardization: { type: 'channel', mean: [0, 0, 0], deviation: [1, 1, 1] } };

  test('training images alone: with val, none of those kept out; and no test image', async () => {
    const bytes = await frozen({ ...standardization, val: true });
    const plain = dataset(200);
    const all = 180;
    const expected = await encode(options(bytes, { dataset: plain, calibrationImages: all }));
    const unseen = { ...plain, train: poisoned(plain.train, 180, 200), test: poisoned(plain.test, 0, 40) };
    expect(await encode(options(bytes, { dataset: unseen, calibrationImages: all }))).toEqual(expected);
    const seen = { ...plain, train: poisoned(plain.train, 179, 180) };
    expect(await encode(options(bytes, { dataset: seen, calibrationImages: all }))).not.toEqual(expected);
  });

  test('without val, all training images; or those that are given', async () => {
    const bytes = await frozen(standardization);
    const plain = dataset(200);
    const all = 200;
    const expected = await encode(options(bytes, { dataset: plain, calibrationImages: all }));
    const last = { ...plain, train: poisoned(plain.train, 199, 200) };
    expect(await encode(options(bytes, { dataset: last, calibrationImages: all }))).not.toEqual(expected);
    const given = { trainingImages: sliceImages(plain.train, 0, 100), calibrationImages: 100 };
    const first = await encode(options(bytes, { dataset: plain, ...given }));
    const elsewhere = { ...plain, train: poisoned(plain.train, 100, 200) };
    expect(await encode(options(bytes, { dataset: elsewhere, ...given }))).toEqual(first);
  });

  test.each([
    [200, undefined, 'no check', {}, 200],
    [1500, undefined, 'no check', {}, 1024],
    [200, 50, 'no check', {}, 50],
    [200, undefined, 'a check', { check: { threads: 1 } }, 100],
    [201, undefined, 'a check', { check: { threads: 1 } }, 100],
    [200, undefined, 'a check on other images', { check: { threads: 1, imageSet: noise(40, 3) } }, 200],
  ] as const)('of %i images, %s asked for, with %s', async (count, images, _, changes, calibrating) => {
    const { quantization } = await quantize(
      options(await frozen(), { dataset: dataset(count), calibrationImages: images, ...changes }),
    );
    expect(quantization.calibration!.images).toBe(calibrating);
  });

  test('images that check do not calibrate, and are all that is left, up to 2,000', async () => {
    const bytes = await frozen();
    const check = { threads: 1 };
    const counts = async (changes: Partial<QuantizeOptions>) =>
      (await quantize(options(bytes, { calibrationImages: 60, ...changes }))).check!.images;
    expect(await counts({ check })).toBe(140);
    expect(await counts({ check: { ...check, images: 33 } })).toBe(33);
    expect(await counts({ check: { ...check, imageSet: noise(40, 3) } })).toBe(40);
    expect(await counts({ check, dataset: dataset(2100) })).toBe(2000);
    // Another image checks: same file.
    const drawn = await quantize(options(bytes, { calibrationImages: 168, check }));
    expect(drawn.check!.images).toBe(32);
    expect(drawn.encode(null)).toEqual(await encode(options(bytes, { calibrationImages: 168 })));
  });

  test('what checks is what did not calibrate', async () => {
    const bytes = await frozen();
    const plain = dataset(200);
    const session = await openSession(bytes, 'the test');
    const { logits } = await session.run({
      pixels: toInterleaved(plain.train.images, 200, side, side),
      count: 200,
      height: side,
      width: side,
    });
    await session.dispose();
    // Right labels for the images of the last 60 places alone, of the order that the seed draws.
    const last = new Set(permutation(streamKey(1, 'calibration'), 200).subarray(140));
    const labels = Uint8Array.from({ length: 200 }, (_, n) => {
      const own = logits.subarray(10 * n, 10 * n + 10);
      const predicted = own.indexOf(Math.max(...own));
      return last.has(n) ? predicted : (predicted + 1) % 10;
    });
    const labelled = dataset(200, { ...plain.train, labels });
    const accuracy = async (calibrationImages: number) =>
      (await quantize(options(bytes, { dataset: labelled, calibrationImages, check: { threads: 1 } }))).check!;
    expect(await accuracy(140)).toMatchObject({ images: 60, floatAccuracy: 1 });
    expect(await accuracy(80)).toMatchObject({ images: 120, floatAccuracy: 0.5 });
  });

  test('another seed draws other images', async () => {
    const bytes = await frozen();
    // The file also records the seed: its graph alone says what calibrated.
    const graph = async (seed: number) => decodeModel(await encode(options(bytes, { calibrationImages: 40, seed })))!.graph;
    const first = await graph(1);
    expect(await graph(1)).toEqual(first);
    expect(await graph(2)).not.toEqual(first);
  });
});

describe('what the file says of itself', () => {
  test.each([
    [{ scheme: 'int8', calibration: 'min-max' }, 7],
    [{ scheme: 'int8', calibration: 'min-max', weightBits: 8 }, 8],
    [{ scheme: 'int8-weights' }, 8],
    [{ scheme: 'float16-weights' }, 16],
  ] as const)('%j: weights of %i bits', async (settings, stored) => {
    const { scheme } = settings;
    const bytes = await frozen();
    const given = options(bytes, { quantization: settings, seed: 5, file: { bytes, source: 'm', fineTuningSteps: 3 } });
    const { quantization, metadata, layers, encode: write, check } = await quantize(given);
    expect(quantization).toEqual({
      scheme,
      weightBits: stored,
      calibration:
        scheme === 'int8'
          ? { method: 'min-max', percentile: null, images: 200, seed: 5, dataset: 'noise', fingerprint: 'n' }
          : null,
      fineTuningSteps: 3,
      floatLayers: [],
      source: { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
    });
    expect(metadata).toEqual({ ...readFrozenMetadata(bytes, 'm'), accuracy: null, quantization });
    expect(layers).toEqual(['conv1', 'dense1', 'logits']);
    expect(check).toBeUndefined();
    const accuracy = { value: 0.25, split: 'test', images: 40, dataset: 'noise', fingerprint: 'n' } as const;
    expect(readFrozenMetadata(write(accuracy), 'q')).toEqual({ ...metadata, accuracy });
    const what = {
      int8: 'integer arithmetic with 8-bit weights and activations',
      'int8-weights': '8-bit weights, float arithmetic',
      'float16-weights': '16-bit weights, float arithmetic',
    };
    expect(decodeModel(write(null))!.docString).toBe(`${decodeModel(bytes)!.docString} Quantized: ${what[scheme]}.`);
  });

  test('the percentile, where it is the method; layers that stay float, in the order of the network', async () => {
    const bytes = await frozen();
    const settings = { scheme: 'int8', calibration: 'percentile', percentile: 99 } as const;
    const { quantization, layers } = await quantize(options(bytes, { quantization: settings, keepFloat: ['logits', 'conv1'] }));
    expect(quantization.calibration).toMatchObject({ method: 'percentile', percentile: 99 });
    expect(quantization.floatLayers).toEqual(['conv1', 'logits']);
    expect(layers).toEqual(['dense1']);
  });
});

describe('what is measured', () => {
  test('all layers together without a limit; with one, only what keeps it stays', async () => {
    const bytes = await frozen();
    const told: [number, number, string][] = [];
    const onLayer = (done: number, total: number, layer: string) => void told.push([done, total, layer]);
    const { check, layers } = await quantize(options(bytes, { check: { threads: 1, images: 40, onLayer } }));
    expect(told).toEqual([
      [0, 3, 'conv1'],
      [1, 3, 'dense1'],
      [2, 3, 'logits'],
      [3, 3, ''],
    ]);
    expect(layers).toEqual(['conv1', 'dense1', 'logits']);
    expect(check!.sensitivities.map(({ layer }) => layer)).toEqual(layers);
    expect(check!.images).toBe(40);
    // A limit that all keep changes nothing.
    const limited = await quantize(options(bytes, { check: { threads: 1, images: 40, maxDrop: 100 } }));
    expect(limited.check!.cost).toEqual(check!.cost);
    expect(limited.encode(null)).toEqual((await quantize(options(bytes, { check: { threads: 1, images: 40 } }))).encode(null));
  });
});

describe('what is refused', () => {
  test('too few images, and more than there are', async () => {
    const bytes = await frozen();
    const measured = (images: number, check?: number) =>
      quantize(
        options(bytes, {
          calibrationImages: images,
          ...(check !== undefined && { check: { threads: 1, images: check } }),
        }),
      );
    await expect(measured(31)).rejects.toThrow('images (=31) must be at least 32: fewer do not show what the network computes');
    await expect(measured(201)).rejects.toThrow('images (=201) must be at most 200: so many noise has as training images');
    await expect(measured(100, 31)).rejects.toThrow('check-images (=31) must be at least 32');
    await expect(measured(100, 101)).rejects.toThrow(
      'check-images (=101) must be at most 100: so many calibration leaves of the training images',
    );
    await measured(200);
    await measured(32, 32);
  });

  test('integer arithmetic without images; a file that is quantized, or foreign, or damaged', async () => {
    const bytes = await frozen();
    await expect(quantize(options(bytes, { dataset: undefined }))).rejects.toThrow(
      'integer arithmetic, and measuring layers, need a data set',
    );
    const stored = options(bytes, { dataset: undefined, quantization: { scheme: 'int8-weights' } });
    const once = await encode(stored);
    await expect(quantize({ ...stored, file: { bytes: once, source: 'q.onnx' } })).rejects.toThrow(
      'q.onnx is quantized already (int8-weights)',
    );
    await expect(quantize({ ...stored, check: { threads: 1 } })).rejects.toThrow('need a data set');
  });

  test.each<[Partial<QuantizeOptions>, string]>([
    [
      { quantization: { scheme: 'int8', percentile: 99 } },
      'percentile (=99) must be left out: it is for the calibration percentile',
    ],
    [
      { quantization: { scheme: 'int8', calibration: 'percentile', percentile: 50 } },
      'percentile (=50) must be a number in (50, 100]',
    ],
    [{ seed: -1 }, 'seed (=-1) must be an integer of at least 0'],
    [{ check: { threads: 1, maxDrop: -1 } }, 'maxDrop (=-1) must be a number of at least 0'],
  ])('%j', async (changes, message) => {
    await expect(quantize(options(await frozen(), changes))).rejects.toThrow(message);
  });

  test('nothing that has a default must be given: integers, of 7 bits, calibrated by the mean squared error', async () => {
    const bytes = await frozen();
    const { quantization } = await quantize({ file: { bytes, source: 'model.onnx' }, dataset: dataset(64) });
    expect(quantization).toMatchObject({ scheme: 'int8', weightBits: 7, calibration: { method: 'mse', images: 64, seed: 1 } });
  });
});
