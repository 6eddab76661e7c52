import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { withOutput } from '../../test/arrays.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { buildModel } from '../models/registry.ts';
import { initialValues } from '../nn/parameter.ts';
import { createClassifier } from '../train/classifier.ts';
import { resolveConfig } from '../train/config.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { packageVersion } from '../util/package.ts';
import { freeze } from './freeze.ts';
import { openFrozenModel, readFrozenFile } from './frozen-model.ts';
import { readFrozenMetadata } from './metadata.ts';
import { decodeModel } from './onnx/schema.ts';
import { freezeUntrained } from '../../test/freeze-untrained.ts';
import { smallFires } from '../../test/untrained-squeeze0.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-freeze-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const small = { model: 'squeeze0', 'conv1.filters': 4, ...smallFires, threads: 1 };
const config = resolveConfig(small, { inputSize: 8 });
const network = buildModel('squeeze0', { settings: config.modelSettings, input: [3, 8, 8], classes: 10 });
const tensors = new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }]));
const averages = new Map([...tensors].map(([name, { shape, data }]) => [`ema.${name}`, { shape, data: data.map((x) => x / 2) }]));
const saved: SavedModel = {
  path: 'weights',
  file: { tensors: new Map([...tensors, ...averages]), metadata: { model: 'squeeze0' } },
  config,
  step: undefined,
  classifier: undefined,
};
const engine = referenceEngine;
const cifar = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

test('what is known of the weights is in the file', async () => {
  const accuracy = { value: 0.5, split: 'test', images: 10, dataset: 'cifar10', fingerprint: 'f' } as const;
  const frozen = await freeze({ saved: { ...saved, step: 30 }, weights: 'ema', engine, run: 'squeeze0/2', accuracy });
  expect(frozen.metadata).toMatchObject({
    ...{ model: 'squeeze0', classes: cifar, imageSize: 32, inputSize: 8, run: 'squeeze0/2', step: 30, weights: 'ema', accuracy },
    ...{ quantization: null, ablateVersion: packageVersion(), config },
    parameters: network.parameters
      .filter(({ role }) => role === 'weight' || role === 'bias')
      .reduce((n, { shape }) => n + shape.reduce((a, b) => a * b, 1), 0),
  });
  expect(frozen.metadata.operations).toBeGreaterThan(2 * frozen.metadata.multiplyAdds);
  expect(readFrozenMetadata(frozen.encode(null), 'f')).toEqual({ ...frozen.metadata, accuracy: null });
  expect(readFrozenMetadata(frozen.encode(accuracy), 'f')).toEqual(frozen.metadata);
  // The averages, which are half of the others.
  const bias = [...frozen.weights.keys()].find((name) => name.endsWith('.weight'))!;
  expect(frozen.weights.get(bias)!.data).toEqual(averages.get(`ema.${bias}`)!.data);
  const inFile = decodeModel(frozen.encode(null))!.graph.initializer.find(({ name }) => name === bias)!;
  expect([...new Float32Array(Uint8Array.from(inFile.rawData).buffer)]).toEqual([...averages.get(`ema.${bias}`)!.data]);
});

test('what is not known is null', async () => {
  const { metadata } = await freeze({ saved, weights: 'raw', engine });
  expect(metadata).toMatchObject({ run: null, step: null, accuracy: null, weights: 'raw', quantization: null });
});

test('an engine that computes something else is noticed before anything is written', async () => {
  const wrong: Engine = {
    ...engine,
    async compileInference(...args) {
      const plan = await engine.compileInference(...args);
      // By 1/1000 of the largest of one image: 1/10,000 is allowed.
      return withOutput(plan, (values) =>
        values.map((value, i) => value + (i === 0 ? 1e-3 * Math.max(...values.map(Math.abs)) : 0)),
      );
    },
  };
  await expect(freeze({ saved, weights: 'raw', engine: wrong })).rejects.toThrow(
    /the frozen squeeze0 computes other logits in ONNX Runtime than in the engine: they differ by 1\.0e-3 of the largest, and may by 1e-4/,
  );
});

describe('classes and the size of images', () => {
  const classes = cifar.map((name) => `${name}s`);
  const named = (side: number) => ({ ...saved, classifier: createClassifier(config, { shape: [3, side, side], classes }) });
  test('are those that the file says', async () => {
    const { metadata } = await freeze({ saved: named(20), weights: 'raw', engine });
    expect(metadata).toMatchObject({ classes, imageSize: 20 });
    await expect(freeze({ saved: named(32), weights: 'raw', engine, classes: cifar })).rejects.toThrow(
      'classes are fixed by weights, which records them: airplanes, automobiles',
    );
  });

  test('or are given, or those of CIFAR-10 if it was trained on that', async () => {
    const elsewhere = { ...saved, config: { ...config, dataset: 'images:a' } };
    const classes = Array.from('abcdefghij');
    expect((await freeze({ saved: elsewhere, weights: 'raw', engine, classes })).metadata.classes).toEqual(classes);
    await expect(freeze({ saved: elsewhere, weights: 'raw', engine })).rejects.toThrow(
      'weights does not say which classes its network tells apart',
    );
    await expect(freeze({ saved, weights: 'raw', engine, classes: ['a', 'a'] })).rejects.toThrow('classes (=["a","a"]) must be');
    await expect(freeze({ saved, weights: 'raw', engine, classes: ['a', 'b'] })).rejects.toThrow('does not fit the network');
  });

  test.each([
    ['full', 32, 32],
    [40, 40, 40],
    [24, 32, 24],
  ] as const)('an input of %s without a recorded size: images of %i', async (inputSize, imageSize, seen) => {
    const wide = { ...saved, config: { ...config, inputSize } };
    expect((await freeze({ saved: wide, weights: 'raw', engine })).metadata).toMatchObject({ imageSize, inputSize: seen });
  });
});

test('an untrained network has its first weights', async () => {
  const frozen = await freezeUntrained(engine, { ...small, inputSize: 8, seed: 7 });
  for (const spec of network.parameters) expect(frozen.weights.get(spec.name)!.data).toEqual(initialValues(spec, 7));
  expect(frozen.metadata).toMatchObject({ step: 0, weights: 'raw', classes: cifar, inputSize: 8 });
  expect((await freezeUntrained(engine, { ...small, inputSize: 'full' })).metadata.inputSize).toBe(32);
  // As published.
  expect((await freezeUntrained(engine, small)).metadata.inputSize).toBe(24);
});

test('a file is read packed or not, and run', async () => {
  const { encode, metadata } = await freeze({ saved, weights: 'raw', engine });
  const bytes = encode(null);
  writeFileSync(join(folder, 'm.onnx'), bytes);
  writeFileSync(join(folder, 'm.onnx.gz'), gzipSync(bytes));
  for (const name of ['m.onnx', 'm.onnx.gz']) {
    const path = join(folder, name);
    expect(readFrozenFile(path)).toEqual({ bytes: Buffer.from(bytes), metadata });
    const model = await openFrozenModel(path);
    expect(model).toMatchObject({ path, sizeBytes: bytes.length, metadata });
    const pixels = Uint8Array.from({ length: 2 * 9 * 8 * 3 }, (_, i) => i % 251);
    const { logits, probabilities } = await model.session.run({ pixels, count: 2, height: 9, width: 8 });
    expect([logits.length, probabilities.length]).toEqual([20, 20]);
    const exps = logits.subarray(10).map(Math.exp);
    const sum = exps.reduce((a, b) => a + b, 0);
    exps.forEach((value, i) => expect(probabilities[10 + i]).toBeCloseTo(value / sum, 5));
    await model.session.dispose();
  }
  expect(() => readFrozenFile(join(folder, 'none.onnx'))).toThrow('cannot read');
  expect(() => readFrozenFile('/dev/zero')).toThrow('cannot read /dev/zero: it is a device, not a file');
});
