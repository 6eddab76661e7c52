import { expect, test } from 'vitest';
import { buildModel, modelNames } from '../models/registry.ts';
import { ConfigurationError } from '../util/errors.ts';
import { buildNetwork, describeForInference, describeNetwork, withWidths } from './description.ts';
import { defineLayer } from './custom.ts';
import { NetworkBuilder, withCustomLayers, type Network } from './network.ts';

function written(network: Network): unknown {
  return JSON.parse(JSON.stringify(describeNetwork(network)));
}

test.each(modelNames())('%s is the same network after it was written as JSON and read', (model) => {
  const network = buildModel(model, { input: 32 });
  const read = buildNetwork(written(network));
  expect(read).toEqual(network);
  expect(written(read)).toEqual(written(network));
});

test.each(modelNames())('%s infers the same from a description for inference', (model) => {
  const network = buildModel(model, { input: 32 });
  const { layers } = buildNetwork(describeForInference(network));
  const inferred = (each: Network['layers']) =>
    each.map(({ kind, name, inputs, attributes, outputShape }) => ({ kind, name, inputs, attributes, outputShape }));
  expect(inferred(layers)).toEqual(inferred(network.layers));
  expect(JSON.stringify(describeForInference(network))).not.toContain('initializer');
});

test('a description is what the layers were added with', () => {
  const b = new NetworkBuilder('tiny', [3, 8, 8]);
  const x = b.conv('conv1', b.input, { kernel: 3, filters: 4, activation: 'relu' });
  const network = b.build(b.dense('logits', b.globalAvgPool('pool', b.dropout('drop', x, 0.5)), { features: 2 }));
  expect(written(network)).toEqual({
    name: 'tiny',
    inputShape: [3, 8, 8],
    layers: [
      { kind: 'conv', name: 'conv1', inputs: ['input'], options: { kernel: 3, filters: 4, activation: 'relu' } },
      { kind: 'dropout', name: 'drop', inputs: ['conv1'], options: { rate: 0.5 } },
      { kind: 'globalAvgPool', name: 'pool', inputs: ['drop'] },
      { kind: 'dense', name: 'logits', inputs: ['pool'], options: { features: 2 } },
    ],
    output: 'logits',
  });
});

test('a custom layer is described by what its functions say; they are left out, and are not needed to read it', () => {
  const halves = defineLayer({
    name: 'halves',
    outputShape: ({ inputShapes: [shape] }) => [shape![0]! / 2, ...shape!.slice(1)],
    parameters: ({ options: { initial } }) => [{ name: 'gain', shape: [2], initial: Number(initial), decay: true }],
    operations: () => 7,
    forward: () => undefined,
    backward: () => undefined,
  });
  const b = new NetworkBuilder('net', [3, 6, 6]);
  const wide = b.conv('wide', b.input, { kernel: 1, filters: 8 });
  const network = b.build(b.dense('logits', b.custom('own', wide, halves, { initial: 0.5 }), { features: 2 }));
  expect(written(network)).toMatchObject({
    layers: [
      {},
      {
        ...{ kind: 'custom', name: 'own', inputs: ['wide'] },
        options: {
          ...{ type: 'halves', options: { initial: 0.5 }, outputShape: [4, 6, 6], operations: 7 },
          parameters: [{ name: 'gain', shape: [2], initial: 0.5, decay: true }],
        },
      },
      {},
    ],
  });
  const { customLayers, ...plain } = network;
  const read = buildNetwork(written(network));
  expect(read).toEqual(plain);
  expect(withCustomLayers(read, customLayers)).toEqual(network);
  expect(withCustomLayers(read, undefined)).toBe(read);
  expect(withWidths(network, new Map([['logits', 3]])).customLayers).toEqual(customLayers);
});

const dense = { kind: 'dense', name: 'd', inputs: ['input'], options: { features: 2 } };
const whole = { name: 'net', inputShape: [3], layers: [dense], output: 'd' };

/** A convolution with an option that is wrong. */
function ofConv(option: string, value: unknown, message: string): [string, unknown, string] {
  const layer = { ...dense, kind: 'conv', options: { kernel: 3, filters: 4, [option]: value } };
  return [`${option} ${JSON.stringify(value)}`, { ...whole, inputShape: [3, 4, 4], layers: [layer] }, message];
}

test.each([
  ['null', null, 'a network must be an object with name, inputShape, layers and output'],
  ['a list', [], 'a network must be an object with name, inputShape, layers and output'],
  ['a name that is no text', { ...whole, name: 5 }, 'name and output of a network must be text'],
  ['no output', { ...whole, output: undefined }, 'name and output of a network must be text'],
  ['a shape that is none', { ...whole, inputShape: 3 }, 'inputShape of a network must be a list of numbers'],
  ['a shape of text', { ...whole, inputShape: ['3'] }, 'input shape (=3) must be positive integers for network "net"'],
  ['layers that are no list', { ...whole, layers: {} }, 'layers of a network must be a list of at most 10000'],
  ['too many layers', { ...whole, layers: new Array(10_001).fill(dense) }, 'layers of a network must be a list of at most 10000'],
  [
    'a kind that is inherited',
    { ...whole, layers: [{ ...dense, kind: 'toString' }] },
    'layer 0 of network "net" must have a kind that there is, a name and its inputs',
  ],
  [
    'an input that is no text',
    { ...whole, layers: [{ ...dense, inputs: [1] }] },
    'layer 0 of network "net" must have a kind that there is, a name and its inputs',
  ],
  [
    'options that are none',
    { ...whole, layers: [dense, { ...dense, options: 5 }] },
    'layer 1 of network "net" must have a kind that there is, a name and its inputs',
  ],
  ['an output that is no layer', { ...whole, output: 'e' }, 'output (=e) must be a layer of network "net"'],
  ['the input as output', { ...whole, output: 'input' }, 'output (=input) must be a layer of network "net"'],
  [
    'a layer that comes later',
    {
      ...whole,
      layers: [
        { ...dense, inputs: ['e'] },
        { ...dense, name: 'e' },
      ],
    },
    'layer "d" takes "e", which is not a layer of network "net"',
  ],
  [
    'an option that there is not',
    { ...whole, layers: [{ ...dense, options: { feature: 2 } }] },
    'layer "d" (dense) has no option "feature". Did you mean "features"?',
  ],
  [
    'an option of another type',
    { ...whole, layers: [{ ...dense, options: { features: 2, bias: 'no' } }] },
    'bias (=no) must be true or false for layer "d"',
  ],
  [
    'a pool without a kernel',
    { ...whole, inputShape: [3, 4, 4], layers: [{ kind: 'maxPool', name: 'd', inputs: ['input'] }] },
    'kernel (=missing) must be a number or two, [height, width] for layer "d"',
  ],
  [
    'a dense layer without features',
    { ...whole, layers: [{ kind: 'dense', name: 'd', inputs: ['input'] }] },
    'features (=undefined) must be a positive integer for layer "d"',
  ],
  [
    'an option of a kind that has none',
    { ...whole, inputShape: [3, 4, 4], layers: [{ ...dense, kind: 'globalAvgPool', options: { kernel: 2 } }] },
    'layer "d" (globalAvgPool) has no option "kernel".',
  ],
  ofConv('kernel', [1, 2, 3], 'kernel (=[1,2,3]) must be a number or two, [height, width]'),
  ofConv('kernel', '3', 'kernel (=3) must be a number or two, [height, width]'),
  ofConv('padding', 1, 'padding (=1) must be "same", "valid" or [top, left, bottom, right]'),
  ofConv('filters', '4', 'filters (=4) must be a number'),
  ofConv('groups', [1], 'groups (=[1]) must be a number'),
  ofConv('activation', { type: 'relu', gain: 2 }, 'activation (={"type":"relu","gain":2}) must be one of '),
  ofConv('activation', 5, 'activation (=5) must be one of '),
  ofConv('activation', { type: 'leakyRelu', slope: 1 }, 'slope (=1) must be in (0, 1)'),
  ofConv('activation', { type: 'leakyRelu', slope: 0 }, 'slope (=0) must be in (0, 1)'),
  ofConv('biasInitializer', { type: 'dirac' }, 'biasInitializer (={"type":"dirac"}) must be one of '),
  ofConv('biasInitializer', { type: 'whitening', examples: 2, epsilon: 1 }, 'biasInitializer (='),
  [
    'a function of a layer that is no text',
    { ...whole, layers: [{ ...dense, kind: 'activation', options: { type: ['relu'] } }] },
    'type (=["relu"]) must be one of ',
  ],
  [
    'a custom layer whose options are a list',
    { ...whole, layers: [{ ...dense, kind: 'custom', options: { type: 'own', outputShape: [3], options: [1] } }] },
    'options (=[1]) must be an object for layer "d"',
  ],
  [
    'a custom layer whose options are text',
    { ...whole, layers: [{ ...dense, kind: 'custom', options: { type: 'own', outputShape: [3], options: 'a' } }] },
    'options (=a) must be an object for layer "d"',
  ],
  [
    'one input of two that is no text',
    { ...whole, layers: [{ ...dense, inputs: ['input', 1] }] },
    'layer 0 of network "net" must have a kind that there is, a name and its inputs',
  ],
  [
    'an initializer that there is not',
    { ...whole, layers: [{ ...dense, options: { features: 2, initializer: { type: 'ones' } } }] },
    'initializer (={"type":"ones"}) must be one of ',
  ],
  [
    'an initializer with a key too many',
    { ...whole, layers: [{ ...dense, options: { features: 2, initializer: { type: 'heNormal', value: 1 } } }] },
    'initializer (={"type":"heNormal","value":1}) must be one of ',
  ],
])('%s is refused', (_, description, message) => {
  expect(() => buildNetwork(description)).toThrow(ConfigurationError);
  expect(() => buildNetwork(description)).toThrow(message);
});

test('other widths: what reads a layer follows, a depthwise convolution too', () => {
  const b = new NetworkBuilder('net', [3, 6, 6]);
  const initializer = { type: 'heNormal' } as const;
  const first = b.conv('first', b.input, { kernel: 3, filters: 8, initializer });
  const depthwise = b.conv('depthwise', first, { kernel: 3, filters: 16, groups: 8, stride: 2 });
  const pointwise = b.conv('pointwise', depthwise, { kernel: 1, filters: 4, activation: 'relu' });
  const network = b.build(b.dense('logits', b.flatten('flat', pointwise), { features: 10 }));
  const changed = withWidths(network, new Map([...Object.entries({ first: 5, pointwise: 3 })]));
  expect(changed.layers.map(({ outputShape }) => outputShape)).toEqual([[5, 6, 6], [10, 3, 3], [3, 3, 3], [27], [10]]);
  expect(changed.layers[1]!.attributes).toMatchObject({ groups: 5, filters: 10, stride: [2, 2] });
  expect(changed.parameters[0]).toMatchObject({ shape: [5, 3, 3, 3], initializer });
  expect(changed.layers[2]!.attributes).toMatchObject({ activation: { type: 'relu' } });
  expect(withWidths(network, new Map())).toEqual(network);
});

test('widths with which the layers no longer fit together are refused', () => {
  const b = new NetworkBuilder('net', [3, 6, 6]);
  const both = b.add('sum', b.conv('a', b.input, { kernel: 1, filters: 4 }), b.conv('b', b.input, { kernel: 1, filters: 4 }));
  const network = b.build(b.globalAvgPool('pool', both));
  expect(() => withWidths(network, new Map([['a', 3]]))).toThrow(
    'input shape (=4x6x6) must be 3x6x6, as its first input for layer "sum"',
  );
});

test('what an option that a kind does not have could be', () => {
  const error = (layer: object) => {
    try {
      buildNetwork({ ...whole, inputShape: [3, 4, 4], layers: [layer] });
    } catch (caught) {
      return (caught as ConfigurationError).fix;
    }
    throw new Error('nothing was thrown');
  };
  expect(error({ kind: 'maxPool', name: 'd', inputs: ['input'], options: { size: 2 } })).toBe(
    'its options are: kernel, stride, padding',
  );
  expect(error({ kind: 'flatten', name: 'd', inputs: ['input'], options: { size: 2 } })).toBeUndefined();
});

test('null is no activation, as none is; a layer without options is described without', () => {
  const b = new NetworkBuilder('net', [3, 6, 6]);
  const conv = b.conv('conv', b.input, { kernel: 1, filters: 2, activation: null });
  const network = b.build(b.dense('logits', b.flatten('flat', conv), { features: 2 }));
  expect(network.layers[0]!.attributes).toMatchObject({ activation: null });
  const [, flat] = describeNetwork(network).layers;
  expect(Object.keys(flat!)).toEqual(['kind', 'name', 'inputs']);
  const [, inferred] = describeForInference(network).layers;
  expect(Object.keys(inferred!)).not.toContain('options');
});

test('a network of as many layers as there may be', () => {
  const flatten = (i: number) => ({ kind: 'flatten', name: `f${i}`, inputs: [i === 0 ? 'input' : `f${i - 1}`] });
  const layers = Array.from({ length: 10_000 }, (_, i) => flatten(i));
  expect(buildNetwork({ ...whole, layers, output: 'f9999' }).layers).toHaveLength(10_000);
});

test('widths of dense layers and of convolutions in groups that are not depthwise', () => {
  const b = new NetworkBuilder('net', [4, 6, 6]);
  const grouped = b.conv('grouped', b.input, { kernel: 1, filters: 8, groups: 2 });
  const network = b.build(
    b.dense('logits', b.flatten('flat', b.conv('one', grouped, { kernel: 1, filters: 4 })), { features: 5 }),
  );
  const changed = withWidths(network, new Map(Object.entries({ grouped: 6, one: 3, logits: 2 })));
  expect(changed.layers.map(({ outputShape }) => outputShape[0])).toEqual([6, 3, 108, 2]);
  expect(changed.layers[0]!.attributes).toMatchObject({ groups: 2, filters: 6 });
});
