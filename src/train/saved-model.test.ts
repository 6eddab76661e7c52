import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeSafetensors } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';
import { createClassifier, encodeClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import { findWeights, readSavedModel, fixedReference } from './saved-model.ts';

test('a frozen file has no weights to train on, whether it is there or not', () => {
  for (const name of ['small.onnx', 'nowhere/small.onnx.gz']) {
    for (const find of [findWeights, fixedReference]) {
      expect(() => find(name, 'runs')).toThrow(DataError);
      expect(() => find(name, 'runs')).toThrow(`${name} is a frozen file, which cannot be trained on`);
    }
  }
});

test('a file of weights that is not there is named', () => {
  expect(() => findWeights('nowhere/w.safetensors.gz', 'runs')).toThrow('there is no file nowhere/w.safetensors.gz');
});

describe('what a file says of its network is checked when it is read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-saved-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const config = resolveConfig({ model: 'tuto', threads: 1 });
  const classifier = createClassifier(config, { shape: [3, 24, 24], classes: ['a', 'b'] });
  const written = JSON.stringify(encodeClassifier(classifier));
  const metadata = { model: 'tuto', config: JSON.stringify(config), step: '7', classifier: written };
  const tensors = new Map([['logits.bias', { shape: [2], data: Float32Array.of(1, 2) }]]);
  const write = (changes: object, values = tensors): string => {
    const path = join(folder, 'w.safetensors');
    writeFileSync(path, encodeSafetensors(values, { ...metadata, ...changes }));
    return path;
  };

  test('what is right is known', () => {
    const path = write({});
    const file = { tensors, metadata };
    expect(readSavedModel(path, {})).toEqual({ path, file, config, step: 7, classifier });
  });

  test.each([
    [
      { classifier: 'junk' },
      'the metadata of PATH is damaged: classifier (=junk) must be a group of keys: network, preprocessing, classes, imageShape',
    ],
    [
      { classifier: written.replace('["a","b"]', '["a"]') },
      'what PATH says of its network is damaged: classes (=["a"]) must be a list of 2',
    ],
    [{ config: 'null' }, 'the metadata of PATH is damaged: config (=null) must be a group of keys'],
    [{ config: '{"model":"tuto"}' }, 'the configuration recorded in PATH cannot be used: modelSettings (=missing) must be'],
    [
      { config: JSON.stringify({ ...config, threads: 100_000 }) },
      'the configuration recorded in PATH cannot be used: threads (=100000) must be',
    ],
  ])('%j is refused', (changes, problem) => {
    const path = write(changes);
    const read = () => readSavedModel(path, {});
    expect(read).toThrow(DataError);
    expect(read).toThrow(problem.replace('PATH', path));
  });

  test('values that are not finite are refused', () => {
    const path = write({}, new Map([['logits.bias', { shape: [2], data: Float32Array.of(1, NaN) }]]));
    expect(() => readSavedModel(path, {})).toThrow(`${path} has values in logits.bias that are not finite`);
  });

  test.each([0.5, -1, 2])('a mask of %s is refused', (value) => {
    const mask = { shape: [3], data: Float32Array.of(0, 1, value) };
    const path = write({}, new Map([...tensors, ['mask.logits.weight', mask]]));
    const read = () => readSavedModel(path, {});
    expect(read).toThrow(DataError);
    expect(read).toThrow(
      `${path} is damaged: mask.logits.weight has the value ${value}, and masks have 0 for pruned weights and 1`,
    );
    mask.data[2] = 0;
    expect(readSavedModel(write({}, new Map([['mask.logits.weight', mask]])), {}).step).toBe(7);
  });
});
