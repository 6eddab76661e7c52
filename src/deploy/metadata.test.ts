import { expect, test } from 'vitest';
import { DataError } from '../util/errors.ts';
import { encodeFrozenMetadata, readFrozenMetadata, type FrozenMetadata } from './metadata.ts';
import { buildGraph } from './onnx/graph.ts';
import { encodeModel } from './onnx/schema.ts';

const metadata: FrozenMetadata = {
  model: 'tuto',
  classes: ['null', 'a, "b"', 'ü'],
  imageSize: 32,
  inputSize: 24,
  run: 'tuto/3',
  step: 10_000,
  weights: 'ema',
  accuracy: { value: 0.8204, split: 'test', images: 10_000, dataset: 'cifar10', fingerprint: 'abc' },
  parameters: 5,
  operations: 6,
  multiplyAdds: 7,
  quantization: {
    scheme: 'int8',
    weightBits: 7,
    calibration: { method: 'mse', percentile: null, images: 1024, seed: 1, dataset: 'cifar10', fingerprint: 'abc' },
    fineTuningSteps: 0,
    floatLayers: ['conv1'],
    source: { bytes: 4_000_000, sha256: '0f' },
  },
  ablateVersion: '1.2.3',
  config: { model: 'tuto', val: false },
};

function encode(properties: Readonly<Record<string, string>>): Uint8Array {
  const value = { name: 'x', type: 'float', shape: ['N'] } as const;
  const graph = buildGraph({ name: 'g', input: value, outputs: [{ ...value, name: 'y' }] }, (g) => [g.node('Relu', 'r', ['x'])]);
  return encodeModel({ producerName: 'p', producerVersion: '1', docString: '', graph, metadata: properties });
}

test('metadata is read as it was written, with and without what may be unknown', () => {
  expect(readFrozenMetadata(encode(encodeFrozenMetadata(metadata)), 'f')).toEqual(metadata);
  const unknown = { ...metadata, run: null, step: null, accuracy: null, quantization: null };
  expect(encodeFrozenMetadata(unknown)).not.toHaveProperty('run');
  expect(readFrozenMetadata(encode(encodeFrozenMetadata(unknown)), 'f')).toEqual(unknown);
});

test.each([
  ['an empty file', new Uint8Array(), 'f is not an ONNX file'],
  ['another file', new TextEncoder().encode('a text that is no model'), 'f is not an ONNX file'],
  ['a model from elsewhere', encode({ author: 'somebody' }), 'f was not written by ablate: its classes and its preprocessing'],
  ['a later format', encode({ format: 'ablate-frozen-2' }), 'f has the format "ablate-frozen-2", not ablate-frozen-1'],
  ['damaged metadata', encode({ ...encodeFrozenMetadata(metadata), classes: '[' }), 'the metadata of f is damaged: classes'],
])('%s is refused', (_, bytes, message) => {
  const read = () => readFrozenMetadata(bytes, 'f');
  expect(read).toThrow(DataError);
  expect(read).toThrow(message);
});
