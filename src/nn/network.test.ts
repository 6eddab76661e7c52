import { expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { sizeOf } from './shape.ts';
import type { ActivationType } from './activation.ts';
import { defineLayer } from './custom.ts';
import { kindOf } from './layer.ts';
import { countMultiplyAdds, countOperations, countParameters, NetworkBuilder, type Tensor } from './network.ts';

/** The one layer that `add` puts on an input of `shape`. */
function layerOn(shape: readonly number[], add: (b: NetworkBuilder, x: Tensor) => Tensor) {
  const b = new NetworkBuilder('net', shape);
  const network = b.build(add(b, b.input));
  return network.layers[network.layers.length - 1]!;
}

function activationOn24(type: ActivationType) {
  return layerOn([4, 3, 2], (b, x) => b.activation('a', x, type));
}

// Tensorsandbox's counting rule. Convolutions: (1 + k * k * C) * F parameters, (1 + 2 * C * k * k) * F * w * h + 2 * F * w * h (ReLU) operations.
// Dense: (in + 1) * out parameters, (2 * in + 1) * out + 2 * out (ReLU) operations. LRN: 36 per element. Pools, concat: 0.
test.each([
  [
    'conv',
    () => layerOn([3, 7, 5], (b, x) => b.conv('c', x, { kernel: 5, filters: 10 })),
    (1 + 75) * 10,
    (1 + 2 * 75) * 10 * 35,
    75 * 10 * 35,
  ],
  [
    'conv with ReLU',
    () => layerOn([3, 7, 5], (b, x) => b.conv('c', x, { kernel: 5, filters: 10, activation: 'relu' })),
    (1 + 75) * 10,
    (1 + 2 * 75) * 10 * 35 + 2 * 10 * 35,
    75 * 10 * 35,
  ],
  [
    'conv without bias, stride 2',
    () => layerOn([3, 7, 5], (b, x) => b.conv('c', x, { kernel: 3, filters: 10, bias: false, stride: 2 })),
    270,
    2 * 27 * 10 * 12,
    27 * 10 * 12,
  ],
  [
    'conv in groups',
    () => layerOn([10, 4, 4], (b, x) => b.conv('c', x, { kernel: 3, filters: 20, groups: 5 })),
    (1 + 18) * 20,
    (1 + 2 * 18) * 20 * 16,
    18 * 20 * 16,
  ],
  ['dense', () => layerOn([3, 2, 2], (b, x) => b.dense('d', x, { features: 5 })), 13 * 5, 25 * 5, 60],
  ['dense with ReLU', () => layerOn([12], (b, x) => b.dense('d', x, { features: 5, activation: 'relu' })), 13 * 5, 27 * 5, 60],
  ['dense without bias', () => layerOn([12], (b, x) => b.dense('d', x, { features: 5, bias: false })), 60, 120, 60],
  ['lrn', () => layerOn([4, 3, 2], (b, x) => b.lrn('n', x)), 0, 36 * 24, 0],
  ['batchNorm', () => layerOn([4, 3, 2], (b, x) => b.batchNorm('n', x)), 8, 48, 0],
  ['batchNorm without scale', () => layerOn([4, 3, 2], (b, x) => b.batchNorm('n', x, { scale: false })), 4, 48, 0],
  ['maxPool', () => layerOn([4, 6, 6], (b, x) => b.maxPool('p', x, { kernel: 3, stride: 2 })), 0, 0, 0],
  ['avgPool', () => layerOn([4, 6, 6], (b, x) => b.avgPool('p', x, { kernel: 3, stride: 2 })), 0, 0, 0],
  ['globalAvgPool', () => layerOn([4, 6, 6], (b, x) => b.globalAvgPool('p', x)), 0, 0, 0],
  // For one element: 2 for each end at which a function is cut (tensorsandbox's ReLU has one), 1 for each other step.
  ['relu', () => activationOn24('relu'), 0, 24 * 2, 0],
  ['relu6', () => activationOn24('relu6'), 0, 24 * (2 + 2), 0],
  ['leakyRelu', () => activationOn24('leakyRelu'), 0, 24 * (2 + 1), 0],
  ['gelu', () => activationOn24('gelu'), 0, 24 * 8, 0],
  ['sigmoid', () => activationOn24('sigmoid'), 0, 24 * 4, 0],
  ['silu', () => activationOn24('silu'), 0, 24 * (4 + 1), 0],
  ['hardSigmoid', () => activationOn24('hardSigmoid'), 0, 24 * (2 + 2 + 2), 0],
  ['hardSwish', () => activationOn24('hardSwish'), 0, 24 * (6 + 1), 0],
  [
    'conv with hard swish',
    () => layerOn([3, 7, 5], (b, x) => b.conv('c', x, { kernel: 5, filters: 10, activation: 'hardSwish' })),
    (1 + 75) * 10,
    (1 + 2 * 75) * 10 * 35 + 7 * 10 * 35,
    75 * 10 * 35,
  ],
  [
    'dense with a sigmoid',
    () => layerOn([12], (b, x) => b.dense('d', x, { features: 5, activation: { type: 'sigmoid' } })),
    13 * 5,
    (25 + 4) * 5,
    60,
  ],
  ['dropout', () => layerOn([4, 3, 2], (b, x) => b.dropout('d', x, 0.5)), 0, 0, 0],
  ['concat', () => layerOn([4, 3, 2], (b, x) => b.concat('j', x, x)), 0, 0, 0],
  ['add', () => layerOn([4, 3, 2], (b, x) => b.add('s', x, x, x)), 0, 48, 0],
  ['multiply', () => layerOn([4, 3, 2], (b, x) => b.multiply('m', x, x)), 0, 24, 0],
  ['multiply by channel', () => layerOn([4, 3, 2], (b, x) => b.multiply('m', x, b.globalAvgPool('p', x))), 0, 24, 0],
  ['scale', () => layerOn([4, 3, 2], (b, x) => b.scale('s', x, 2)), 0, 24, 0],
  ['flatten', () => layerOn([4, 3, 2], (b, x) => b.flatten('f', x)), 0, 0, 0],
])('%s is counted by the rule', (_, makeLayer, parameters, operations, multiplyAdds) => {
  const layer = makeLayer();
  expect(countParameters(layer.parameters)).toBe(parameters);
  expect(layer.operations).toBe(operations);
  expect(layer.multiplyAdds).toBe(multiplyAdds);
});

test.each([
  ['conv', () => layerOn([3, 7, 5], (b, x) => b.conv('c', x, { kernel: 3, stride: 2, filters: 10 })), [10, 4, 3]],
  ['dense', () => layerOn([3, 7, 5], (b, x) => b.dense('d', x, { features: 10 })), [10]],
  ['maxPool with its kernel as stride', () => layerOn([3, 7, 5], (b, x) => b.maxPool('p', x, { kernel: 2 })), [3, 4, 3]],
  ['avgPool VALID', () => layerOn([3, 7, 5], (b, x) => b.avgPool('p', x, { kernel: 3, stride: 2, padding: 'valid' })), [3, 3, 2]],
  ['globalAvgPool', () => layerOn([3, 7, 5], (b, x) => b.globalAvgPool('p', x)), [3]],
  ['concat', () => layerOn([3, 7, 5], (b, x) => b.concat('j', x, x)), [6, 7, 5]],
  ['flatten', () => layerOn([3, 7, 5], (b, x) => b.flatten('f', x)), [105]],
])('%s makes its shape', (_, makeLayer, shape) => {
  expect(makeLayer().outputShape).toEqual(shape);
});

test('a network has its layers in order, its parameters, and the sums of its layers', () => {
  const b = new NetworkBuilder('tiny', [3, 8, 8]);
  const x = b.conv('conv1', b.input, { kernel: 3, filters: 16, activation: 'relu', frozen: true });
  const y = b.batchNorm('norm1', x, { shift: false });
  const network = b.build(b.dense('logits', b.globalAvgPool('pool', b.add('sum', x, y)), { features: 10, regularized: true }));
  expect(network).toMatchObject({ name: 'tiny', inputShape: [3, 8, 8], output: 'logits', outputShape: [10] });
  expect(network.layers.map(({ name, inputs }) => [name, ...inputs])).toEqual([
    ['conv1', 'input'],
    ['norm1', 'conv1'],
    ['sum', 'conv1', 'norm1'],
    ['pool', 'sum'],
    ['logits', 'pool'],
  ]);
  expect(network.parameters.map(({ name, kind, regularized }) => [name, kind, regularized])).toEqual([
    ['conv1.weight', 'frozen', false],
    ['conv1.bias', 'trainable', false],
    ['norm1.scale', 'trainable', false],
    ['norm1.mean', 'statistic', false],
    ['norm1.variance', 'statistic', false],
    ['logits.weight', 'trainable', true],
    ['logits.bias', 'trainable', false],
  ]);
  expect(countParameters(network.parameters)).toBe(448 + 16 + 170);
  expect(countOperations(network)).toBe(network.layers.reduce((sum, layer) => sum + layer.operations, 0));
  expect(countMultiplyAdds(network)).toBe(27 * 16 * 64 + 160);
});

/** The first two channels, times a number for each pixel that is drawn at first. */
const ownLayer = defineLayer({
  name: 'weighted',
  outputShape: ({ inputShapes: [shape] }) => [2, ...shape!.slice(1)],
  parameters: ({ inputShapes: [shape], options: { decay = false } }) => [
    { name: 'map', shape: [1, ...shape!.slice(1)], initial: { type: 'heNormal' }, decay: decay === true },
    { name: 'gain', shape: [1], initial: 2 },
  ],
  operations: ({ inputShapes: [shape] }) => 2 * sizeOf(shape!.slice(1)),
  forward: () => undefined,
  backward: () => undefined,
});

test('a custom layer is what its functions say; the network has them beside its layers', () => {
  const b = new NetworkBuilder('net', [3, 7, 5]);
  const network = b.build(b.flatten('f', b.custom('own', b.input, ownLayer, { decay: true })));
  expect(network.layers[0]).toMatchObject({
    ...{ kind: 'custom', inputs: ['input'], outputShape: [2, 7, 5], operations: 70, multiplyAdds: 0 },
    attributes: { type: 'weighted', options: { decay: true } },
    parameters: [
      // Fans as of any weights: [out, in, height...].
      {
        name: 'own.map',
        role: 'weight',
        kind: 'trainable',
        shape: [1, 7, 5],
        fanIn: 7 * 5,
        fanOut: 5,
        initializer: { type: 'heNormal' },
      },
      { name: 'own.gain', role: 'scale', shape: [1], initializer: { type: 'constant', value: 2 } },
    ],
  });
  expect(kindOf(network.layers[0]!)).toBe('weighted');
  expect(network.customLayers).toEqual(new Map([['weighted', ownLayer]]));
  expect(countParameters(network.parameters)).toBe(36);
  expect('customLayers' in new NetworkBuilder('none', [2]).build({ name: 'input', shape: [2] })).toBe(false);
});

/** Puts a layer on an input `[3, 7, 5]`. */
type Wrong = (b: NetworkBuilder, x: Tensor) => unknown;

test.each<[string, Wrong]>([
  ['filters (=0) must be a positive integer for layer "c"', (b, x) => b.conv('c', x, { kernel: 3, filters: 0 })],
  ['kernel (=1.5) must be a positive integer for layer "c"', (b, x) => b.conv('c', x, { kernel: 1.5, filters: 4 })],
  ['stride (=0) must be a positive integer for layer "c"', (b, x) => b.conv('c', x, { kernel: 3, stride: 0, filters: 4 })],
  [
    'groups (=2) must be a divisor of its 3 input channels for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, groups: 2 }),
  ],
  [
    'groups (=3) must be a divisor of its 4 filters for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, groups: 3 }),
  ],
  [
    'kernel (=9x9) must be no larger than the padded input 7x5 for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 9, filters: 4, padding: 'valid' }),
  ],
  [
    'padding (=[0,-1,0,0]) must be "same", "valid" or four non-negative integers [top, left, bottom, right] for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, padding: [0, -1, 0, 0] }),
  ],
  [
    'padding (=full) must be "same", "valid" or [top, left, bottom, right] for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, padding: 'full' as 'same' }),
  ],
  [
    'padding (=[2,0,0,0]) must be smaller than the kernel 2x2 for layer "p"',
    (b, x) => b.maxPool('p', x, { kernel: 2, padding: [2, 0, 0, 0] }),
  ],
  [
    'input shape (=105) must be channels x height x width for layer "c"',
    (b, x) => b.conv('c', b.flatten('f', x), { kernel: 1, filters: 2 }),
  ],
  ['features (=-1) must be a positive integer for layer "d"', (b, x) => b.dense('d', x, { features: -1 })],
  ['depthRadius (=0) must be a positive integer for layer "n"', (b, x) => b.lrn('n', x, { depthRadius: 0 })],
  ['bias (=0) must be greater than 0 for layer "n"', (b, x) => b.lrn('n', x, { bias: 0 })],
  ['bias (=-1) must be greater than 0 for layer "n"', (b, x) => b.lrn('n', x, { bias: -1 })],
  ['alpha (=-1) must be at least 0 for layer "n"', (b, x) => b.lrn('n', x, { alpha: -1 })],
  ['beta (=0) must be greater than 0 for layer "n"', (b, x) => b.lrn('n', x, { beta: 0 })],
  ['momentum (=-0.1) must be in [0, 1) for layer "n"', (b, x) => b.batchNorm('n', x, { momentum: -0.1 })],
  ['rate (=-0.1) must be in [0, 1) for layer "d"', (b, x) => b.dropout('d', x, -0.1)],
  ['rate (=NaN) must be in [0, 1) for layer "d"', (b, x) => b.dropout('d', x, NaN)],
  ['groups (=0) must be a positive integer for layer "c"', (b, x) => b.conv('c', x, { kernel: 3, filters: 4, groups: 0 })],
  [
    'padding (=[0,1,0]) must be "same", "valid" or four non-negative integers [top, left, bottom, right] for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, padding: [0, 1, 0] as unknown as [number, number, number, number] }),
  ],
  [
    'padding (=[0,0,0,2]) must be smaller than the kernel 2x2 for layer "p"',
    (b, x) => b.maxPool('p', x, { kernel: 2, padding: [0, 0, 0, 2] }),
  ],
  [
    'padding (=[0,3,0,0]) must be smaller than the kernel 2x2 for layer "p"',
    (b, x) => b.maxPool('p', x, { kernel: 2, padding: [0, 3, 0, 0] }),
  ],
  [
    'activation (=swish) must be one of relu, relu6, leakyRelu, gelu, sigmoid, silu, hardSigmoid, hardSwish for layer "a"',
    (b, x) => b.activation('a', x, 'swish' as 'silu'),
  ],
  [
    'activation (=ReLU) must be one of relu, relu6, leakyRelu, gelu, sigmoid, silu, hardSigmoid, hardSwish for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, activation: { type: 'ReLU' as 'relu' } }),
  ],
  [
    'slope (=1) must be in (0, 1) for layer "d"',
    (b, x) => b.dense('d', x, { features: 4, activation: { type: 'leakyRelu', slope: 1 } }),
  ],
  [
    'slope (=0.5) must be left out of relu6: leakyRelu has one for layer "c"',
    (b, x) => b.conv('c', x, { kernel: 3, filters: 4, activation: { type: 'relu6', slope: 0.5 } }),
  ],
  [
    'activation (={"type":"relu","alpha":1}) must be one of relu, relu6, leakyRelu, gelu, sigmoid, silu, hardSigmoid, hardSwish for layer "d"',
    (b, x) => b.dense('d', x, { features: 4, activation: { type: 'relu', alpha: 1 } as { type: 'relu' } }),
  ],
  ['slope (=0) must be in (0, 1) for layer "a"', (b, x) => b.activation('a', x, { type: 'leakyRelu', slope: 0 })],
  [
    'outputShape (=0) must be a positive integer for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, outputShape: () => [2, 0] }),
  ],
  [
    'outputShape (=[]) must be a list of positive integers for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, outputShape: () => [] }),
  ],
  [
    'operations (=-1) must be a number of operations for one example for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, operations: () => -1 }),
  ],
  [
    'name of a parameter (=a.b) must be letters, digits and "_" for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, parameters: () => [{ name: 'a.b', shape: [1], initial: 1 }] }),
  ],
  [
    'parameters (=["o.a","o.a"]) must be of different names for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, parameters: () => ['a', 'a'].map((name) => ({ name, shape: [1], initial: 1 })) }),
  ],
  [
    'shape of a (=1x1x1x1x1x1) must be of at most five dimensions for layer "o"',
    (b, x) => b.custom('o', x, { ...ownLayer, parameters: () => [{ name: 'a', shape: [1, 1, 1, 1, 1, 1], initial: 1 }] }),
  ],
  [
    'options (={"f":null}) must be plain data: text, finite numbers, true, false, null, lists and objects of these for layer "o"',
    (b, x) => b.custom('o', x, ownLayer, { f: NaN }),
  ],
  [
    'layer "o": outputShape of the custom layer "weighted" threw no shape',
    (b, x) =>
      b.custom('o', x, {
        ...ownLayer,
        outputShape: () => {
          throw new Error('no shape');
        },
      }),
  ],
  [
    'layer "p" must be of another custom layer: network "net" has two called "weighted"',
    (b, x) => b.custom('p', b.custom('o', x, ownLayer), { ...ownLayer }),
  ],
  [
    'number of inputs (=0) must be at least 1 for layer "o"',
    (b) => b.custom('o', [], { ...ownLayer, outputShape: () => [1], parameters: () => [], operations: () => 0 }),
  ],
  ['number of inputs (=1) must be at least 2 for layer "j"', (b, x) => b.concat('j', x)],
  [
    'input shape (=3x6x5) must be ?x7x5, as its first input for layer "j"',
    (b, x) => b.concat('j', x, b.maxPool('p', x, { kernel: [2, 1], stride: 1, padding: 'valid' })),
  ],
  [
    'input shape (=3x7x4) must be ?x7x5, as its first input for layer "j"',
    (b, x) => b.concat('j', x, b.maxPool('p', x, { kernel: [1, 2], stride: 1, padding: 'valid' })),
  ],
  ['momentum (=1) must be in [0, 1) for layer "n"', (b, x) => b.batchNorm('n', x, { momentum: 1 })],
  ['epsilon (=0) must be greater than 0 for layer "n"', (b, x) => b.batchNorm('n', x, { epsilon: 0 })],
  ['rate (=1) must be in [0, 1) for layer "d"', (b, x) => b.dropout('d', x, 1)],
  ['factor (=NaN) must be a finite number for layer "s"', (b, x) => b.scale('s', x, NaN)],
  ['number of inputs (=1) must be at least 2 for layer "s"', (b, x) => b.add('s', x)],
  [
    'input shape (=4x7x5) must be 3x7x5, as its first input for layer "s"',
    (b, x) => b.add('s', x, b.conv('c', x, { kernel: 1, filters: 4 })),
  ],
  [
    'shape of the second input (=4x7x5) must be 3x7x5 or 3 or 3x1x1, to multiply 3x7x5, for layer "m"',
    (b, x) => b.multiply('m', x, b.conv('c', x, { kernel: 1, filters: 4 })),
  ],
  [
    'shape of the second input (=3x7x5) must be 3, to multiply 3, for layer "m"',
    (b, x) => b.multiply('m', b.globalAvgPool('p', x), x),
  ],
  [
    'shape of the second input (=3x7x5) must be 3x1x1 or 3, to multiply 3x1x1, for layer "m"',
    (b, x) => b.multiply('m', b.avgPool('p', x, { kernel: [7, 5] }), x),
  ],
  [
    'input shape (=3x4x3) must be ?x7x5, as its first input for layer "j"',
    (b, x) => b.concat('j', x, b.maxPool('p', x, { kernel: 2 })),
  ],
  [
    'layer name (="r") must be new in network "net", start with a letter, and have only letters, digits, "_", "-" and "/"',
    (b, x) => b.activation('r', b.activation('r', x, 'relu'), 'relu'),
  ],
  [
    'layer "r" takes "elsewhere", which is not a layer of network "net"',
    (b) => b.activation('r', { name: 'elsewhere', shape: [3, 7, 5] }, 'relu'),
  ],
  [
    'layer "r" takes "input" of shape 3x9x9, which in network "net" has the shape 3x7x5: it is of another network',
    (b) => b.activation('r', { name: 'input', shape: [3, 9, 9] }, 'relu'),
  ],
  [
    'the output of network "net" takes "elsewhere", which is not a layer of network "net"',
    (b) => b.build({ name: 'elsewhere', shape: [3] }),
  ],
  [
    'layer "left" of network "net" is not used by any other layer',
    (b, x) => {
      b.activation('left', x, 'relu');
      return b.build(b.activation('right', x, 'relu'));
    },
  ],
])('%s', (message, add) => {
  const b = new NetworkBuilder('net', [3, 7, 5]);
  expect(() => add(b, b.input)).toThrow(new ConfigurationError(message));
});

test.each(['', '1conv', 'a.b', 'input', 'a b'])('%j is no name for a layer', (name) => {
  const b = new NetworkBuilder('net', [3]);
  expect(() => b.activation(name, b.input, 'relu')).toThrow(`layer name (="${name}") must be new in network "net"`);
});

test('a network has 10,000 layers at most', () => {
  const b = new NetworkBuilder('net', [3]);
  let x = b.input;
  for (let i = 0; i < 10_000; i++) x = b.activation(`r${i}`, x, 'relu');
  expect(b.build(x).layers).toHaveLength(10_000);
  expect(() => b.activation('last', x, 'relu')).toThrow('layer "last" is one too many: network "net" may have 10000 layers');
});

test('an input shape must be positive integers', () => {
  expect(() => new NetworkBuilder('net', [3, 0, 5])).toThrow('input shape (=3x0x5) must be positive integers for network "net"');
  expect(() => new NetworkBuilder('net', [])).toThrow(ConfigurationError);
});

test('a layer whose sizes are no exact numbers is refused', () => {
  const build = (side: number, features: number) => {
    const b = new NetworkBuilder('net', [1, side, side]);
    return b.build(b.dense('wide', b.flatten('flat', b.input), { features }));
  };
  expect(build(2 ** 10, 2 ** 29).parameters[0]!.shape).toEqual([2 ** 29, 2 ** 20]);
  const refused = 'layer "wide" of network "net" is too large to be counted (1.8e+16)';
  expect(() => build(2 ** 12, 2 ** 29)).toThrow(refused);
  expect(() => build(2 ** 12, 2 ** 29)).toThrow(
    expect.objectContaining({ fix: 'give it fewer filters or features, or smaller images' }) as Error,
  );
});
