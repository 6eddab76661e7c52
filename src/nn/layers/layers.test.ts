/** What each layer infers from its options, whole: every attribute, parameter and count. The figures are worked out by hand. */
import { expect, test } from 'vitest';
import { NetworkBuilder, type Tensor } from '../network.ts';
import { initialValues, type ParameterSpec } from '../parameter.ts';
import { inferAdd, inferMultiply } from './elementwise.ts';
import { inferFlatten } from './structure.ts';

type Add = (b: NetworkBuilder, x: Tensor) => Tensor;

/** The one layer that `add` puts on an input of `shape`. */
function layerOn(shape: readonly number[], add: Add) {
  const b = new NetworkBuilder('net', shape);
  const layer = b.build(add(b, b.input)).layers.at(-1)!;
  return Object.fromEntries(Object.entries(layer).filter(([key]) => key !== 'options'));
}

/** A parameter of the layer `x`; `role` completes its name. */
function parameter(role: ParameterSpec['role'], others: Omit<ParameterSpec, 'name' | 'layer' | 'role'>): ParameterSpec {
  return { name: `x.${role}`, layer: 'x', role, ...others };
}

const zero = { type: 'constant', value: 0 } as const;
const xavier = { type: 'xavierTruncatedNormal' } as const;

test('a convolution with the usual options', () => {
  // 5 x 5 x 3 = 75 inputs of a filter; the fan out counts the kernel's area too: 10 x 25.
  const fans = { fanIn: 75, fanOut: 250 };
  expect(layerOn([3, 7, 6], (b, x) => b.conv('x', x, { kernel: 5, filters: 10 }))).toEqual({
    kind: 'conv',
    name: 'x',
    inputs: ['input'],
    inputShapes: [[3, 7, 6]],
    attributes: {
      ...{ input: [7, 6], kernel: [5, 5], stride: [1, 1], padding: [2, 2, 2, 2], output: [7, 6] },
      ...{ filters: 10, groups: 1, bias: true, activation: null },
    },
    outputShape: [10, 7, 6],
    parameters: [
      parameter('weight', { kind: 'trainable', shape: [10, 3, 5, 5], ...fans, initializer: xavier, regularized: false }),
      parameter('bias', { kind: 'trainable', shape: [10], ...fans, initializer: zero, regularized: false }),
    ],
    operations: 151 * 420,
    multiplyAdds: 75 * 420,
  });
});

test('a frozen, regularized convolution in groups, of an oblong kernel, with a ReLU and no bias', () => {
  const add: Add = (b, x) =>
    b.conv('x', x, {
      ...{ kernel: [3, 2], stride: [2, 1], padding: 'valid', filters: 8, groups: 2, bias: false, activation: 'relu' },
      ...{ frozen: true, regularized: true, initializer: { type: 'heNormal' } },
    });
  // Each filter sees two of four channels: 2 x 6 = 12 inputs, and each input feeds four filters: 4 x 6 = 24.
  expect(layerOn([4, 7, 6], add)).toEqual({
    kind: 'conv',
    name: 'x',
    inputs: ['input'],
    inputShapes: [[4, 7, 6]],
    attributes: {
      ...{ input: [7, 6], kernel: [3, 2], stride: [2, 1], padding: [0, 0, 0, 0], output: [3, 5] },
      ...{ filters: 8, groups: 2, bias: false, activation: { type: 'relu' } },
    },
    outputShape: [8, 3, 5],
    parameters: [
      parameter('weight', {
        ...{ kind: 'frozen', shape: [8, 2, 3, 2], fanIn: 12, fanOut: 24, initializer: { type: 'heNormal' }, regularized: true },
      }),
    ],
    operations: (24 + 2) * 120,
    multiplyAdds: 12 * 120,
  });
});

test("first values of a layer's bias", () => {
  const biasInitializer = { type: 'uniformFanIn' } as const;
  const conv = layerOn([3, 4, 4], (b, x) => b.conv('x', x, { kernel: 2, filters: 5, biasInitializer }));
  const dense = layerOn([6], (b, x) => b.dense('x', x, { features: 5, biasInitializer }));
  for (const { parameters } of [conv, dense]) {
    expect(parameters).toMatchObject([{ initializer: xavier }, { role: 'bias', initializer: biasInitializer }]);
  }
  // Within 1 / sqrt(3 * 2 * 2), on both sides of zero.
  const values = initialValues((conv['parameters'] as ParameterSpec[])[1]!, 1);
  expect(Math.max(...values.map(Math.abs))).toBeLessThan(1 / Math.sqrt(12));
  expect(Math.min(...values) * Math.max(...values)).toBeLessThan(0);
  // Neither passes channels through nor whitens anything.
  expect(() => layerOn([6], (b, x) => b.dense('x', x, { features: 5, biasInitializer: { type: 'dirac' } }))).toThrow(
    'biasInitializer (={"type":"dirac"}) must be one of { type: \'constant\', value }',
  );
});

test('dense layers', () => {
  const fans = { kind: 'trainable', fanIn: 24, fanOut: 5 } as const;
  const common = { kind: 'dense', name: 'x', inputs: ['input'], inputShapes: [[4, 3, 2]], outputShape: [5], multiplyAdds: 120 };
  expect(layerOn([4, 3, 2], (b, x) => b.dense('x', x, { features: 5 }))).toEqual({
    ...common,
    attributes: { features: 5, bias: true, activation: null },
    parameters: [
      parameter('weight', { ...fans, shape: [5, 24], initializer: xavier, regularized: false }),
      parameter('bias', { ...fans, shape: [5], initializer: zero, regularized: false }),
    ],
    operations: 49 * 5,
  });
  const initializer = { type: 'uniformFanIn' } as const;
  const options = { features: 5, bias: false, activation: 'relu', regularized: true, initializer } as const;
  expect(layerOn([4, 3, 2], (b, x) => b.dense('x', x, options))).toEqual({
    ...common,
    attributes: { features: 5, bias: false, activation: { type: 'relu' } },
    parameters: [parameter('weight', { ...fans, shape: [5, 24], initializer, regularized: true })],
    operations: 50 * 5,
  });
});

test('normalization', () => {
  const common = { name: 'x', inputs: ['input'], inputShapes: [[4, 3, 2]], outputShape: [4, 3, 2], multiplyAdds: 0 };
  // Tensorsandbox's: window 9, bias 1, alpha 0.001 / 9 for each of its elements.
  expect(layerOn([4, 3, 2], (b, x) => b.lrn('x', x))).toEqual({
    ...{ ...common, kind: 'lrn', parameters: [], operations: 36 * 24 },
    attributes: { depthRadius: 4, bias: 1, alpha: 0.001 / 9, beta: 0.75 },
  });
  const other = { depthRadius: 2, bias: 2, alpha: 0, beta: 0.5 };
  expect(layerOn([4, 3, 2], (b, x) => b.lrn('x', x, other)).attributes).toEqual(other);

  const ofChannels = (role: ParameterSpec['role'], kind: ParameterSpec['kind'], value: number) =>
    parameter(role, { kind, shape: [4], fanIn: 4, fanOut: 4, initializer: { type: 'constant', value }, regularized: false });
  const statistics = [ofChannels('mean', 'statistic', 0), ofChannels('variance', 'statistic', 1)];
  expect(layerOn([4, 3, 2], (b, x) => b.batchNorm('x', x))).toEqual({
    ...{ ...common, kind: 'batchNorm', operations: 48 },
    attributes: { epsilon: 1e-5, momentum: 0.9, scale: true, shift: true },
    parameters: [ofChannels('scale', 'trainable', 1), ofChannels('shift', 'trainable', 0), ...statistics],
  });
  const plain = { epsilon: 0.1, momentum: 0, scale: false, shift: false };
  expect(layerOn([4, 3, 2], (b, x) => b.batchNorm('x', x, plain))).toMatchObject({ attributes: plain, parameters: statistics });
});

/** 5x4 pixels in windows of 3x2 side by side: 2x2 of them, the last row of which hangs over by a pixel. */
const window = { input: [5, 4], kernel: [3, 2], stride: [3, 2], padding: [0, 0, 1, 0], output: [2, 2] };

test.each<[string, Add, object, readonly number[], number]>([
  ['maxPool', (b, x) => b.maxPool('x', x, { kernel: [3, 2] }), window, [4, 2, 2], 0],
  ['avgPool', (b, x) => b.avgPool('x', x, { kernel: [3, 2] }), window, [4, 2, 2], 0],
  ['globalAvgPool', (b, x) => b.globalAvgPool('x', x), {}, [4], 0],
  ['activation', (b, x) => b.activation('x', x, 'relu'), { type: 'relu' }, [4, 5, 4], 160],
  ['activation', (b, x) => b.activation('x', x, { type: 'gelu' }), { type: 'gelu' }, [4, 5, 4], 640],
  ['activation', (b, x) => b.activation('x', x, 'leakyRelu'), { type: 'leakyRelu', slope: 0.01 }, [4, 5, 4], 240],
  ['dropout', (b, x) => b.dropout('x', x, 0), { rate: 0 }, [4, 5, 4], 0],
  ['dropout', (b, x) => b.dropout('x', x, 0.25), { rate: 0.25 }, [4, 5, 4], 0],
  ['scale', (b, x) => b.scale('x', x, -2), { factor: -2 }, [4, 5, 4], 80],
  ['flatten', (b, x) => b.flatten('x', x), {}, [80], 0],
])('%s', (kind, add, attributes, outputShape, operations) => {
  expect(layerOn([4, 5, 4], add)).toEqual({
    ...{ kind, name: 'x', inputs: ['input'], inputShapes: [[4, 5, 4]], parameters: [], multiplyAdds: 0 },
    ...{ attributes, outputShape, operations },
  });
});

test.each<[string, Add, readonly number[], number]>([
  ['add', (b, x) => b.add('x', x, x, x), [4, 5, 4], 160],
  ['concat', (b, x) => b.concat('x', x, x, x), [12, 5, 4], 0],
])('%s', (kind, add, outputShape, operations) => {
  expect(layerOn([4, 5, 4], add)).toEqual({
    ...{ kind, name: 'x', inputs: ['input', 'input', 'input'], attributes: {}, parameters: [], multiplyAdds: 0 },
    inputShapes: Array.from({ length: 3 }, () => [4, 5, 4]),
    ...{ outputShape, operations },
  });
});

test('the number of inputs is checked where the builder does not fix it', () => {
  expect(() => inferFlatten('f', {}, [[2], [2]])).toThrow('number of inputs (=2) must be 1 for layer "f"');
  expect(() => inferMultiply('m', {}, [[2], [2], [2]])).toThrow('number of inputs (=3) must be 2 for layer "m"');
  expect(() => inferAdd('s', {}, [])).toThrow('number of inputs (=0) must be at least 2 for layer "s"');
});
