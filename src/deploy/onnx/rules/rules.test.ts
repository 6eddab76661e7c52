/** What each layer is written as, to the letter. That ONNX Runtime computes the same from it is the business of test/onnx-layers.test.ts. */
import { expect, test } from 'vitest';
import type { ActivationOption } from '../../../nn/activation.ts';
import { defineLayer } from '../../../nn/custom.ts';
import { NetworkBuilder, type Tensor as NetworkTensor } from '../../../nn/network.ts';
import type { Tensor } from '../../../runs/safetensors.ts';
import { addLayers } from '../export.ts';
import { buildGraph } from '../graph.ts';
import type { AttributeProto } from '../schema.ts';

/** Each node as `output = Operator(inputs) {attributes}`; constants with their shapes. */
function written(inputShape: readonly number[], build: (b: NetworkBuilder, x: NetworkTensor) => NetworkTensor): string[] {
  const b = new NetworkBuilder('n', inputShape);
  const network = b.build(build(b, b.input));
  const weights = new Map<string, Tensor>(
    network.parameters.map(({ name, shape }, p) => [
      name,
      { shape, data: Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, i) => p + 0.25 * i) },
    ]),
  );
  const face = { name: 'g', input: { name: 'x', type: 'float' }, outputs: [{ name: 'y', type: 'float' }] } as const;
  const { node, initializer } = buildGraph(face, (graph) => [addLayers(graph, network, weights, 'x')]);
  const floats = ({ rawData }: { rawData: Uint8Array }) => [...new Float32Array(rawData.slice().buffer)];
  return [
    ...node.map(({ opType, input, output, attribute }) =>
      `${output.join()} = ${opType}(${input.join(', ')}) ${attribute.map(attributeText).join(' ')}`.trim(),
    ),
    ...initializer.map((tensor) => `${tensor.name} [${tensor.dims.join()}] ${floats(tensor).slice(0, 3).join()}`),
  ];
}

function attributeText({ name, type, f, i, ints }: AttributeProto): string {
  // 1 is a float, 2 an integer, 7 a list of integers (AttributeProto.AttributeType).
  return `${name}=${type === 1 ? `f${f}` : type === 2 ? i : `[${ints!.join()}]`}`;
}

test('a convolution: its window, its groups, its bias if it has one, its ReLU behind it', () => {
  const options = { kernel: [3, 1], stride: [2, 1], padding: [1, 0, 0, 0], filters: 4, groups: 2, activation: 'relu' } as const;
  expect(written([4, 5, 6], (b, x) => b.conv('c', x, options))).toEqual([
    'c = Conv(x, c.weight, c.bias) kernel_shape=[3,1] strides=[2,1] pads=[1,0,0,0] group=2',
    'y = Relu(c)',
    'c.weight [4,2,3,1] 0,0.25,0.5',
    'c.bias [4] 1,1.25,1.5',
  ]);
  expect(written([2, 4, 4], (b, x) => b.conv('c', x, { kernel: 1, filters: 3, bias: false }))).toEqual([
    'y = Conv(x, c.weight) kernel_shape=[1,1] strides=[1,1] pads=[0,0,0,0] group=1',
    'c.weight [3,2,1,1] 0,0.25,0.5',
  ]);
});

test('a dense layer: weights transposed, an image flattened first', () => {
  expect(written([2, 3, 1], (b, x) => b.dense('d', x, { features: 2, activation: 'relu' }))).toEqual([
    'd/flatten = Flatten(x) axis=1',
    'd = Gemm(d/flatten, d.weight, d.bias) transB=1',
    'y = Relu(d)',
    'd.weight [2,6] 0,0.25,0.5',
    'd.bias [2] 1,1.25',
  ]);
  expect(written([6], (b, x) => b.dense('d', x, { features: 2, bias: false }))).toEqual([
    'y = Gemm(x, d.weight) transB=1',
    'd.weight [2,6] 0,0.25,0.5',
  ]);
});

test('pools', () => {
  expect(written([2, 5, 5], (b, x) => b.maxPool('p', x, { kernel: 3, stride: 2, padding: [0, 0, 1, 1] }))).toEqual([
    'y = MaxPool(x) kernel_shape=[3,3] strides=[2,2] pads=[0,0,1,1]',
  ]);
  expect(written([2, 5, 5], (b, x) => b.avgPool('p', x, { kernel: 2, stride: 1, padding: 'valid' }))).toEqual([
    'y = AveragePool(x) kernel_shape=[2,2] strides=[1,1] pads=[0,0,0,0]',
  ]);
  expect(written([2, 5, 5], (b, x) => b.globalAvgPool('p', x))).toEqual(['p = GlobalAveragePool(x)', 'y = Flatten(p) axis=1']);
});

test('local response normalization: alpha is of the whole window', () => {
  const options = { depthRadius: 2, bias: 0.5, alpha: 0.25, beta: 0.75 };
  // 5 = 2 * 2 + 1 channels; ONNX divides alpha by that number.
  expect(written([8, 2, 2], (b, x) => b.lrn('l', x, options))).toEqual(['y = LRN(x) size=5 alpha=f1.25 beta=f0.75 bias=f0.5']);
});

test('a batch normalization that nothing takes in, with and without scale and shift', () => {
  expect(written([2, 3, 3], (b, x) => b.batchNorm('n', b.activation('r', x, 'relu'), { epsilon: 0.5 }))).toEqual([
    'r = Relu(x)',
    'y = BatchNormalization(r, n.scale, n.shift, n.mean, n.variance) epsilon=f0.5',
    'n.scale [2] 0,0.25',
    'n.shift [2] 1,1.25',
    'n.mean [2] 2,2.25',
    'n.variance [2] 3,3.25',
  ]);
  expect(
    written([2, 3, 3], (b, x) => b.batchNorm('n', b.activation('r', x, 'relu'), { epsilon: 0.5, scale: false, shift: false })),
  ).toEqual([
    'r = Relu(x)',
    'y = BatchNormalization(r, n.scale, n.shift, n.mean, n.variance) epsilon=f0.5',
    'n.scale [2] 1,1',
    'n.shift [2] 0,0',
    'n.mean [2] 0,0.25',
    'n.variance [2] 1,1.25',
  ]);
});

test('elementwise layers; dropout is nothing, and a sum of three is two additions', () => {
  const expected = [
    'g/scaled = Div(x, g/sqrt2)',
    'g/erf = Erf(g/scaled)',
    'g/shifted = Add(g/erf, g/one)',
    'g/product = Mul(x, g/shifted)',
    'y = Mul(g/product, g/half)',
    `g/sqrt2 [] ${Math.fround(Math.SQRT2)}`,
    'g/one [] 1',
    'g/half [] 0.5',
  ];
  expect(written([3, 2, 2], (b, x) => b.activation('g', x, 'gelu'))).toEqual(expected);
  expect(written([3, 2, 2], (b, x) => b.activation('r', b.dropout('d', x, 0.5), 'relu'))).toEqual(['y = Relu(x)']);
  expect(written([3, 2, 2], (b, x) => b.scale('s', x, 0.125))).toEqual(['y = Mul(x, s/factor)', 's/factor [] 0.125']);
  const sum = written([3, 2, 2], (b, x) => b.add('s', x, b.activation('r', x, 'relu'), b.activation('q', x, 'relu')));
  expect(sum).toEqual(['r = Relu(x)', 'q = Relu(x)', 's = Add(x, r)', 'y = Add(s, q)']);
});

test('activations, alone and behind the layer that has one inside', () => {
  const alone = (activation: ActivationOption) => written([3, 2, 2], (b, x) => b.activation('a', x, activation));
  expect(alone('relu6')).toEqual(['y = Clip(x, a/min, a/max)', 'a/min [] 0', 'a/max [] 6']);
  expect(alone({ type: 'leakyRelu', slope: 0.25 })).toEqual(['y = LeakyRelu(x) alpha=f0.25']);
  expect(alone('sigmoid')).toEqual(['y = Sigmoid(x)']);
  expect(alone('silu')).toEqual(['a/sigmoid = Sigmoid(x)', 'y = Mul(x, a/sigmoid)']);
  expect(alone('hardSigmoid')).toEqual([`y = HardSigmoid(x) alpha=f${1 / 6} beta=f0.5`]);
  expect(alone('hardSwish')).toEqual(['y = HardSwish(x)']);
  const dense = written([6], (b, x) =>
    b.activation('r', b.dense('d', x, { features: 2, bias: false, activation: 'hardSwish' }), 'relu'),
  );
  expect(dense.slice(0, 3)).toEqual(['d = Gemm(x, d.weight) transB=1', 'd/hardSwish = HardSwish(d)', 'y = Relu(d/hardSwish)']);
});

test('products, with a factor for each channel too', () => {
  expect(written([3, 2, 2], (b, x) => b.multiply('m', x, b.activation('r', x, 'relu')))).toEqual([
    'r = Relu(x)',
    'y = Mul(x, r)',
  ]);
  expect(written([3, 2, 2], (b, x) => b.multiply('m', x, b.avgPool('p', x, { kernel: 2 }))).at(-1)).toBe('y = Mul(x, p)');
  const written2 = written([3, 2, 2], (b, x) => b.multiply('m', x, b.globalAvgPool('p', x)));
  expect(written2.slice(2, 4)).toEqual(['m/factor = Unsqueeze(p/flatten, m/axes)', 'y = Mul(x, m/factor)']);
});

test('a custom layer is refused by its name', () => {
  const own = defineLayer({ name: 'swirl', forward: () => undefined, backward: () => undefined });
  expect(() => written([3, 2, 2], (b, x) => b.custom('own', x, own))).toThrow(
    'layer "own" is the custom layer "swirl", which cannot be written as ONNX',
  );
});

test('concat joins channels, flatten keeps examples', () => {
  expect(written([3, 2, 2], (b, x) => b.concat('c', x, b.activation('r', x, 'relu')))).toEqual([
    'r = Relu(x)',
    'y = Concat(x, r) axis=1',
  ]);
  expect(written([3, 2, 2], (b, x) => b.flatten('f', x))).toEqual(['y = Flatten(x) axis=1']);
});
