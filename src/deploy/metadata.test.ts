import { describe, expect, test } from 'vitest';
import { resolveConfig } from '../train/config.ts';
import { DataError } from '../util/errors.ts';
import { encodeFrozenMetadata, readFrozenMetadata, requireClassNames, type FrozenMetadata } from './metadata.ts';
import { buildGraph } from './onnx/graph.ts';
import { encodeModel, type GraphProto } from './onnx/schema.ts';

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
  network: { name: 'tuto' },
  ablateVersion: '1.2.3',
  config: resolveConfig({ model: 'tuto', threads: 2 }),
};

/** A graph of three classes that runs, or nearly. */
const graph: GraphProto = buildGraph(
  {
    name: 'g',
    input: { name: 'image', type: 'uint8', shape: ['N', 'H', 'W', 3] },
    outputs: ['logits', 'probabilities'].map((name) => ({ name, type: 'float', shape: ['N', 3] })),
  },
  (g) => [g.node('Add', 'sum', ['image', g.floats('weights', [1, -2, 3.5, 0], [4])]), g.node('Softmax', 'p', ['image'])],
);

function encode(properties: Readonly<Record<string, string>>, changed: Partial<GraphProto> = {}): Uint8Array {
  return encodeModel({
    producerName: 'p',
    producerVersion: '1',
    docString: '',
    graph: { ...graph, ...changed },
    metadata: properties,
  });
}

const properties = encodeFrozenMetadata(metadata);

test('metadata is read as it was written, with and without what may be unknown', () => {
  expect(readFrozenMetadata(encode(encodeFrozenMetadata(metadata)), 'f')).toEqual(metadata);
  const unknown = { ...metadata, run: null, step: null, accuracy: null, quantization: null };
  expect(encodeFrozenMetadata(unknown)).not.toHaveProperty('run');
  expect(readFrozenMetadata(encode(encodeFrozenMetadata(unknown)), 'f')).toEqual(unknown);
});

test('what other programs add is passed over', () => {
  const touched = { ...properties, 'onnx.infer': 'onnxruntime.quant', author: 'somebody' };
  expect(readFrozenMetadata(encode(touched), 'f')).toEqual(metadata);
});

test('paths of this machine are not written; names of runs and data sets are', () => {
  const path = '/home/jane/secret';
  const config = resolveConfig({
    model: 'tuto',
    threads: 2,
    dataset: `images:${path}`,
    init: `${path}/a.safetensors`,
    teacher: `${path}/runs/tuto/4`,
    pruning: { type: 'magnitude', sparsity: 0.5, rewind: 'b.safetensors' },
  });
  const { accuracy, quantization } = metadata;
  const calibration = { ...quantization!.calibration!, dataset: `images:${path}` };
  const written = encodeFrozenMetadata({
    ...metadata,
    config,
    run: `${path}/my run`,
    accuracy: { ...accuracy!, dataset: `images:${path}` },
    quantization: { ...quantization!, calibration },
  });
  expect(JSON.stringify(written)).not.toMatch(/jane|secret|safetensors/);
  const read = readFrozenMetadata(encode(written), 'f');
  expect(read.config).toEqual({
    ...config,
    dataset: 'images',
    init: 'file',
    teacher: 'file',
    pruning: { ...config.pruning, rewind: 'file' },
  });
  expect(read.run).toBe('my run');
  expect(read.accuracy).toEqual({ ...accuracy, dataset: 'images' });
  expect(read.quantization!.calibration).toEqual({ ...calibration, dataset: 'images' });

  const harmless = resolveConfig({ model: 'tuto', threads: 2, init: 'tuto/12', teacher: 'alex4/1' });
  expect(readFrozenMetadata(encode(encodeFrozenMetadata({ ...metadata, config: harmless })), 'f').config).toEqual(harmless);
});

const names = (count: number) => JSON.stringify(Array.from({ length: count }, (_, i) => `c${i}`));

const different = 'a list of 2 to 4096 different names';
const side = 'an integer from 1 to 8192';

test.each([
  ['classes', 'null', `classes (=null) must be ${different}`],
  ['classes', '["a"]', `classes (=["a"]) must be ${different}`],
  ['classes', '["a","b","a"]', `classes (=["a","b","a"]) must be ${different}`],
  ['classes', '["a","b",""]', 'classes[2] (="") must be a name'],
  ['classes', '["a","b",3]', 'classes[2] (=3) must be a name'],
  ['classes', names(4097), 'classes (=["c0","c1",'],
  ['classes', '[', `classes (="[") must be ${different}`],
  ['imageSize', '1e9', `imageSize (=1000000000) must be ${side}`],
  ['imageSize', '8193', `imageSize (=8193) must be ${side}`],
  ['imageSize', '32.5', `imageSize (=32.5) must be ${side}`],
  ['inputSize', '0', `inputSize (=0) must be ${side}`],
  ['inputSize', '33', 'inputSize (=33) must be at most imageSize'],
  ['config', 'junk', 'config (=junk) must be a configuration, an object of keys'],
  ['config', '[]', 'config (=[]) must be a configuration, an object of keys'],
  ['model', 'alex4', 'model (=alex4) must be the same as in config'],
  ['weights', 'best', 'weights (=best) must be one of ema, raw'],
  ['step', '-1', 'step (=-1) must be an integer of at least 0'],
  ['accuracy', '{"value":1.5}', 'accuracy.value (=1.5) must be a number in [0, 1]'],
  ['parameters', '1e400', 'parameters (=Infinity) must be an integer of at least 0'],
])('damaged metadata are refused: %s is %s', (key, value, message) => {
  const read = () => readFrozenMetadata(encode({ ...properties, [key]: value }), 'f');
  expect(read).toThrow(DataError);
  expect(read).toThrow(`the metadata of f is damaged: ${message}`);
});

test('so is a configuration that cannot be used', () => {
  const read = () => readFrozenMetadata(encode({ ...properties, config: '{"model":"tuto"}' }), 'f');
  expect(read).toThrow(DataError);
  expect(read).toThrow('the configuration recorded in f cannot be used: modelSettings (=missing) must be a group of keys');
});

test('what would be refused is not written', () => {
  const classes = Array.from({ length: 4096 }, (_, i) => `class ${i}`);
  expect(encodeFrozenMetadata({ ...metadata, classes, imageSize: 8192 })).toMatchObject({ imageSize: '8192' });
  expect(() => encodeFrozenMetadata({ ...metadata, classes: [...classes, 'one more'] })).toThrow(DataError);
  expect(() => encodeFrozenMetadata({ ...metadata, imageSize: 8193 })).toThrow('imageSize (=8193) must be an integer');
  expect(() => requireClassNames(['cat', 'dog'])).not.toThrow();
  expect(() => requireClassNames(['cat', 'cat'])).toThrow('classes (=["cat","cat"]) must be a list of 2 to 4096 different names');
});

const text = (content: string) => new TextEncoder().encode(content);

test.each([
  ['an empty file', new Uint8Array(), 'f is not an ONNX file'],
  ['another file', text('a text that is no model'), 'f is not an ONNX file'],
  ['a model from elsewhere', encode({ author: 'somebody' }), 'f was not written by ablate: its classes and its preprocessing'],
  ['a later format', encode({ format: 'ablate-frozen-2' }), 'f has the format "ablate-frozen-2", not ablate-frozen-1'],
  [
    'a Git LFS pointer',
    text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
    'f is a Git LFS pointer, not',
  ],
  ['a page', text('<!DOCTYPE html><html></html>'), 'f is an HTML page, not an ONNX file'],
  ['a PyTorch file', text('PK\x03\x04....model/data.pkl'), 'f is a PyTorch file, not an ONNX file'],
])('%s is refused', (_, bytes, message) => {
  const read = () => readFrozenMetadata(bytes, 'f');
  expect(read).toThrow(DataError);
  expect(read).toThrow(message);
});

/** A field of a message in protocol buffers' wire format: so many bytes. Written by hand, as other programs may write it. */
function field(number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = content;
  return Uint8Array.from([8 * number + 2, (length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14, ...content]);
}

/** A model with outputs of three classes and what else is in its graph. */
function handWritten(...inGraph: readonly Uint8Array[]): Uint8Array {
  const number = (tag: number, value: number) => Uint8Array.from([8 * tag, value]);
  const shape = field(2, field(1, field(2, 'N')), field(1, number(1, 3)));
  const type = field(2, field(1, number(1, 1), shape));
  const outputs = ['logits', 'probabilities'].map((name) => field(12, field(1, name), type));
  const entries = Object.entries(properties).map(([key, value]) => field(14, field(1, key), field(2, value)));
  const graphField = field(7, ...inGraph, field(11, field(1, 'image')), ...outputs);
  return Buffer.concat([number(1, 8), graphField, field(8, number(2, 17)), ...entries]);
}

test('weights are looked for wherever other programs put them', () => {
  const read = (...inGraph: readonly Uint8Array[]) => readFrozenMetadata(handWritten(...inGraph), 'f');
  const infinity = Uint8Array.from([0, 0, 0x80, 0x7f]);
  const one = Uint8Array.from([0, 0, 0x80, 0x3f]);
  const type = (value: number) => Uint8Array.from([16, value]);
  const tensor = (value: Uint8Array) => [type(1), field(8, 'w'), field(4, one, value)];
  expect(read()).toEqual(metadata);
  expect(read(field(5, ...tensor(one)))).toEqual(metadata);
  // In a list, in a node's attribute, of 64 bits.
  expect(() => read(field(5, ...tensor(infinity)))).toThrow('f has values in w that are not finite');
  expect(read(field(1, field(3, 'node'), field(5, field(5, type(1), field(9, one)))))).toEqual(metadata);
  expect(() => read(field(1, field(3, 'node'), field(5, field(5, type(1), field(9, infinity)))))).toThrow(
    'f has values in node that',
  );
  expect(() => read(field(1, field(5, field(5, type(1), field(9, infinity)))))).toThrow('f has values in a tensor that');
  expect(() => read(field(5, type(11), field(10, Uint8Array.from([0, 0, 0, 0, 0, 0, 0xf0, 0x7f]))))).toThrow('are not finite');
  const elsewhere = field(5, type(1), field(8, 'w'), field(13, field(1, 'location'), field(2, '../weights.bin')));
  expect(() => read(elsewhere)).toThrow('f keeps its weights (w) in another file, and a frozen file holds them itself');
});

describe('a file that cannot be run is refused', () => {
  const { input, output, initializer } = graph;
  const renamed = (name: string) => [{ ...output[0]!, name }, output[1]!];
  const shaped = (shape: readonly (number | string)[]) => [output[0]!, { ...output[1]!, shape }];
  const weights = (dataType: number, ...rawData: readonly number[]) => [
    initializer[0]!,
    { name: 'w', dims: [1], dataType, rawData: Uint8Array.from(rawData) },
  ];
  test.each<[string, Partial<GraphProto>, string]>([
    ['no input', { input: [{ ...input[0]!, name: 'pixels' }] }, 'f has no input image'],
    ['no logits', { output: renamed('scores') }, 'f has no output logits'],
    ['no probabilities', { output: output.slice(0, 1) }, 'f has no output probabilities'],
    [
      '2 outputs',
      { output: shaped(['N', 2]) },
      'f has the names of 3 classes, and probabilities of shape [N, 2], which must be [N, 3]',
    ],
    ['a free shape', { output: shaped(['N', 'C']) }, 'probabilities of shape [N, C], which must be [N, 3]'],
    ['three dimensions', { output: shaped(['N', 3, 1]) }, 'probabilities of shape [N, 3, 1]'],
    ['no shape', { output: [output[0]!, { name: 'probabilities', type: 'float' }] }, 'probabilities of shape []'],
    // Infinity and NaN, little-endian, of each type that has them.
    [
      'float32 infinity',
      { initializer: weights(1, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x7f) },
      'f has values in w that are not finite',
    ],
    ['float32 -infinity', { initializer: weights(1, 0, 0, 0x80, 0xff) }, 'f has values in w that are not finite'],
    ['float32 NaN', { initializer: weights(1, 1, 0, 0xc0, 0x7f) }, 'f has values in w that are not finite'],
    ['float16 NaN', { initializer: weights(10, 0x01, 0x7c) }, 'f has values in w that are not finite'],
    ['float64 infinity', { initializer: weights(11, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f) }, 'f has values in w that are not finite'],
    ['bfloat16 infinity', { initializer: weights(16, 0x80, 0x7f) }, 'f has values in w that are not finite'],
  ])('%s', (_, changed, message) => {
    const read = () => readFrozenMetadata(encode(properties, changed), 'f');
    expect(read).toThrow(DataError);
    expect(read).toThrow(message);
  });

  test('but not one whose numbers are only large, or no floats', () => {
    const largest = [
      ...[weights(1, 0xff, 0xff, 0x7f, 0x7f), weights(10, 0xff, 0x7b), weights(16, 0x7f, 0x7f)],
      ...[
        weights(11, 255, 255, 255, 255, 255, 255, 0xef, 0x7f),
        weights(7, 255, 255, 255, 255, 255, 255, 255, 0x7f),
        weights(3, 0x7f, 0xff),
      ],
    ];
    for (const tensors of largest) {
      expect(readFrozenMetadata(encode(properties, { initializer: tensors }), 'f')).toEqual(metadata);
    }
  });
});
