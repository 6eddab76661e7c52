import { expect, test } from 'vitest';
import { DataError } from '../util/errors.ts';
import { findWeights, settledReference } from './saved-model.ts';

test('a frozen file has no weights to train on, whether it is there or not', () => {
  for (const name of ['small.onnx', 'nowhere/small.onnx.gz']) {
    for (const find of [findWeights, settledReference]) {
      expect(() => find(name, 'runs')).toThrow(DataError);
      expect(() => find(name, 'runs')).toThrow(`${name} is a frozen file, which cannot be trained on`);
    }
  }
});

test('a file of weights that is not there is named', () => {
  expect(() => findWeights('nowhere/w.safetensors.gz', 'runs')).toThrow('there is no file nowhere/w.safetensors.gz');
});
