import { expect, test } from 'vitest';
import { published } from '../../test/tensorsandbox-figures.ts';
import { countMultiplyAdds, countOperations, countParameters, type Network } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import { sizeOf } from '../nn/shape.ts';
import { scaled } from './mobilenet.ts';
import { buildModel, modelDefinition, modelNames } from './registry.ts';

/** The models that came after tensorsandbox: parameters, operations and multiply-adds at 32x32, and for air94 how they add up. */
const later: Record<string, { parameters: number; operations: number; multiplyAdds: number }> = {
  inception: { parameters: 535_818, operations: 122_670_602, multiplyAdds: 60_837_632 },
  xception: { parameters: 366_154, operations: 76_944_394, multiplyAdds: 37_775_872 },
  // Weights 24*12, 64*24*9, 64*64*9, 256*64*9, 3 * 256*256*9, 10*256; biases 24; shifts 2 * (64 + 256 + 256).
  // Multiply-adds: the weights of each convolution at 31*31 (twice), 15*15 (twice), 7*7 (twice) and 3*3 pixels, and 2,560.
  // What these four add up to, and who says so, is below.
  resnet8: { parameters: 78_186, operations: 25_412_874, multiplyAdds: 12_501_632 },
  resnet20: { parameters: 272_474, operations: 82_490_634, multiplyAdds: 40_813_184 },
  mobilenetv2: { parameters: 2_236_682, operations: 185_312_266, multiplyAdds: 87_976_448 },
  mobilenetv3: { parameters: 1_528_106, operations: 37_779_394, multiplyAdds: 17_507_328 },
  air94: { parameters: 1_971_640, operations: 237_087_266, multiplyAdds: 118_147_360 },
};

test('every model has its figures in a table, and the other way round', () => {
  expect([...modelNames()].sort()).toEqual([...Object.keys(published), ...Object.keys(later)].sort());
});

test.each(Object.entries(later))('%s has its parameters and operations', (name, { parameters, operations, multiplyAdds }) => {
  const network = buildModel(name);
  expect(network.inputShape).toEqual([3, 32, 32]);
  expect(countParameters(network.parameters)).toBe(parameters);
  expect(countOperations(network)).toBe(operations);
  expect(countMultiplyAdds(network)).toBe(multiplyAdds);
  expect([network.output, network.outputShape]).toEqual(['logits', [10]]);
  expect(buildModel(name, { input: [1, 24, 20], classes: 4 })).toMatchObject({ outputShape: [4] });
});

test.each(modelNames())('%s builds for images of other sizes, grey or in colour', (name) => {
  for (const input of [
    [1, 21, 21],
    [1, 28, 28],
    [3, 72, 96],
    [3, 224, 224],
  ] as const) {
    expect(buildModel(name, { input, classes: 300 })).toMatchObject({ inputShape: [...input], outputShape: [300] });
  }
});

test('air94 is the network of airbench94', () => {
  const weights = 24 * 12 + 9 * (64 * 24 + 64 * 64 + 256 * 64 + 3 * 256 * 256) + 256 * 10;
  const network = buildModel('air94');
  expect(countParameters(network.parameters)).toBe(weights + 24 + 2 * (64 + 256 + 256));
  expect(layerOf(network, 'whitening')).toMatchObject({
    outputShape: [24, 31, 31],
    attributes: { bias: true, activation: null },
  });
  expect(layerOf(network, 'whitening').parameters).toMatchObject([
    { kind: 'frozen', initializer: { type: 'whitening', examples: 5000, epsilon: 5e-4 } },
    { kind: 'trainable' },
  ]);
  const pools = network.layers.filter(({ kind }) => kind === 'maxPool').map(({ outputShape }) => outputShape);
  expect(pools).toEqual([
    [64, 15, 15],
    [256, 7, 7],
    [256, 3, 3],
    [256, 1, 1],
  ]);
  expect(layerOf(network, 'group2/conv1/norm').attributes).toEqual({ epsilon: 1e-12, momentum: 0.6, scale: false, shift: true });
  expect(layerOf(network, 'group2/conv1').parameters).toMatchObject([{ initializer: { type: 'dirac' } }]);
  expect(layerOf(network, 'dense').parameters).toMatchObject([{ initializer: { type: 'uniformFanIn' } }]);
  expect(layerOf(network, 'logits').attributes).toEqual({ factor: 1 / 9 });
});

/** Parameters as others count them who count the running statistics too. */
function withStatistics({ parameters }: Network): number {
  return parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

test("resnet8 has MLPerf Tiny's layers, parameters and multiply-adds", () => {
  const network = buildModel('resnet8');
  // Keras's summary in mlcommons/tiny, benchmark/training/image_classification/Logs/training_log.txt: "Total params: 78,666",
  // "Trainable params: 78,186". MLPerf Tiny's 12.5M multiply-adds.
  expect(countParameters(network.parameters)).toBe(78_186);
  expect(withStatistics(network)).toBe(78_666);
  expect((countMultiplyAdds(network) / 1e6).toFixed(1)).toBe('12.5');
  // The parameters of its lines, in its order; a normalization has four for each channel.
  const lines = network.layers.map(({ parameters }) => parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  expect(lines.filter((count) => count > 0)).toEqual([
    ...[448, 64, 2320, 64, 2320, 64],
    ...[4640, 128, 9248, 128, 544],
    ...[18_496, 256, 36_928, 256, 2112],
    650,
  ]);
  // Keras's defaults: epsilon 0.001, momentum 0.99.
  expect(layerOf(network, 'conv1/norm').attributes).toEqual({ epsilon: 1e-3, momentum: 0.99, scale: true, shift: true });
  expect(layerOf(network, 'stage3/block1').inputs).toEqual(['stage3/block1/shortcut', 'stage3/block1/conv2/norm']);
  expect(layerOf(network, 'stage1/block1').inputs).toEqual(['conv1/activation', 'stage1/block1/conv2/norm']);
  expect(layerOf(network, 'logits').inputShapes).toEqual([[64]]);
});

// chenyaofo/pytorch-cifar-models, README: millions of parameters and of multiply-adds. He et al. (2016), table 6: 0.27M, 0.46M, 0.66M and 0.85M parameters
// without the 1x1 convolutions and their normalizations, of 2,752 parameters.
test.each([
  [3, '0.27', '40.81', '0.27'],
  [5, '0.47', '69.12', '0.46'],
  [7, '0.66', '97.44', '0.66'],
  [9, '0.86', '125.75', '0.85'],
])(
  'resnet20 with %i blocks in each stage has %sM parameters and %sM multiply-adds',
  (blocks, parameters, multiplyAdds, paper) => {
    const network = buildModel('resnet20', {
      settings: { 'stage1.blocks': blocks, 'stage2.blocks': blocks, 'stage3.blocks': blocks },
    });
    const count = countParameters(network.parameters);
    expect((count / 1e6).toFixed(2)).toBe(parameters);
    expect((countMultiplyAdds(network) / 1e6).toFixed(2)).toBe(multiplyAdds);
    expect(((count - 2752) / 1e6).toFixed(2)).toBe(paper);
    const beside = network.layers.filter(({ name }) => name.includes('shortcut'));
    expect(countParameters(beside.flatMap((layer) => layer.parameters))).toBe(2752);
  },
);

// The same README.
test.each([
  [0.5, '0.70', '27.97'],
  [0.75, '1.37', '59.31'],
  [1, '2.24', '87.98'],
  [1.4, '4.33', '170.07'],
])('mobilenetv2 with the multiplier %d has %sM parameters and %sM multiply-adds', (widthMultiplier, parameters, multiplyAdds) => {
  const network = buildModel('mobilenetv2', { settings: { widthMultiplier } });
  expect((countParameters(network.parameters) / 1e6).toFixed(2)).toBe(parameters);
  expect((countMultiplyAdds(network) / 1e6).toFixed(2)).toBe(multiplyAdds);
});

// The documentation of torchvision 0.2x: num_params of MobileNet_V2_Weights and MobileNet_V3_Small_Weights. Multiply-adds: 300M in table 4 of
// arXiv:1801.04381, 56M in table 3 of arXiv:1905.02244.
test.each([
  ['mobilenetv2', 'stage2.stride', 3_504_872, 300],
  ['mobilenetv3', 'block1.stride', 2_542_856, 56],
])('%s for large images is the published network', (model, stride, parameters, megaMultiplyAdds) => {
  const settings = { 'conv1.stride': 2, [stride]: 2 };
  const network = buildModel(model, { settings, input: 224, classes: 1000 });
  expect(countParameters(network.parameters)).toBe(parameters);
  expect(Math.floor(countMultiplyAdds(network) / 1e6)).toBe(megaMultiplyAdds);
  expect(layerOf(network, 'average').inputShapes[0]!.slice(1)).toEqual([7, 7]);
  expect(layerOf(buildModel(model), 'average').inputShapes[0]!.slice(1)).toEqual([4, 4]);
});

test('mobilenetv3: squeeze and excitation where the paper has it, hard swish from the fourth block on', () => {
  const { layers } = buildModel('mobilenetv3');
  const named = (part: string) => layers.filter(({ name }) => name.endsWith(part));
  expect(named('/se').map(({ name }) => name)).toEqual([1, 4, 5, 6, 7, 8, 9, 10, 11].map((block) => `block${block}/se`));
  // A quarter of the channels, as a multiple of 8.
  expect(named('/se/squeeze').map(({ outputShape }) => outputShape[0])).toEqual([8, 24, 64, 64, 32, 40, 72, 144, 144]);
  expect(named('/depthwise/activation').map(({ attributes }) => attributes)).toEqual(
    Array.from({ length: 11 }, (_, i) => ({ type: i < 3 ? 'relu' : 'hardSwish' })),
  );
  expect(named('/se/excite')[0]!.attributes).toMatchObject({ activation: { type: 'hardSigmoid' } });
  const without = buildModel('mobilenetv3', { settings: { squeezeExcitation: false } });
  expect(without.layers.filter(({ kind }) => kind === 'multiply')).toEqual([]);
});

test('channels times a multiplier are multiples of 8, and not much fewer', () => {
  // At least 8; 12 rounds up, and 11.2 too: 8 would be less than nine tenths of it; 17.6 rounds down; without a multiplier nothing is rounded.
  expect([8, 24, 56, 88].map((channels) => scaled(channels, 0.2))).toEqual([8, 8, 16, 16]);
  expect([scaled(24, 0.5), scaled(100, 1)]).toEqual([16, 100]);
});

test('xception: separable convolutions whose widths are multiples of 16, two operations halve the image', () => {
  const { layers } = buildModel('xception');
  const depthwise = layers.filter(({ name }) => name.endsWith('/depthwise'));
  expect(depthwise).toHaveLength(12);
  for (const { inputShapes, attributes, inputs } of depthwise) {
    expect(attributes).toMatchObject({ groups: inputShapes[0]![0], filters: inputShapes[0]![0], kernel: [3, 3], bias: false });
    expect(inputShapes[0]![0]! % 16).toBe(0);
    // Nothing between the two halves, a ReLU before the first.
    expect(inputs[0]).toMatch(/relu/);
  }
  expect(layers.find(({ name }) => name === 'average')!.inputShapes).toEqual([[256, 8, 8]]);
});

function layerOf(network: Network, name: string): Network['layers'][number] {
  return network.layers.find((layer) => layer.name === name)!;
}

test.each(Object.entries(published))('%s has the parameters and operations that tensorsandbox published', (name, figures) => {
  [24, 32].forEach((input, i) => {
    const network = buildModel(name, { input });
    expect(countParameters(network.parameters)).toBe(figures.parameters[i]);
    if (figures.megaOperations !== null) {
      expect((countOperations(network) / 1e6).toFixed(2)).toBe(figures.megaOperations[i]);
    }
    expect(network.outputShape).toEqual([10]);
    expect(network.output).toBe('logits');
  });
});

test('a model without an input size gets the crops of 2017', () => {
  expect(buildModel('tuto').inputShape).toEqual([3, 24, 24]);
  expect(buildModel('tuto', { input: [1, 28, 30], classes: 4 })).toMatchObject({ inputShape: [1, 28, 30], outputShape: [4] });
});

test('weight decay is for the regularized weights of tensorsandbox', () => {
  const regularized = (model: string) =>
    buildModel(model)
      .parameters.filter((spec) => spec.regularized)
      .map((spec) => spec.name);
  expect(regularized('tuto')).toEqual(['dense1.weight', 'dense2.weight']);
  expect(regularized('cs231n')).toEqual(['conv1.weight', 'dense1.weight']);
  expect(regularized('nin2')).toEqual([]);
  const decays = Object.fromEntries(modelNames().map((name) => [name, modelDefinition(name).weightDecay2017]));
  expect(decays).toMatchObject({ tuto: 500, squeeze1: 500, cs231n: 100, convone: 0.5 });
});

test('the models that differ from tuto in one thing are one setting away from it', () => {
  const shape = (name: string, settings = {}) => {
    const { layers } = buildModel(name, { settings });
    return layers.map(({ kind, name, inputs, attributes }) => ({ kind, name, inputs, attributes }));
  };
  expect(shape('tuto', { lrn: false })).toEqual(shape('alex2'));
  expect(shape('tuto', { dense2: false })).toEqual(shape('alex3'));
  expect(shape('tuto', { 'conv2.filters': 96, 'conv2.kernel': 3 })).toEqual(shape('alex0'));
  expect(shape('squeeze0', { 'fire1.squeeze': 32, 'fire2.squeeze': 32 })).toEqual(shape('squeeze1'));
  expect(shape('nin0', { 'conv2.filters': 96, 'conv3.filters': 96 })).toEqual(shape('nin1'));
});

test('settings reach the layers', () => {
  const layer = (model: string, settings: Record<string, unknown>, name: string) =>
    buildModel(model, { settings }).layers.find((candidate) => candidate.name === name);
  expect(layer('tuto', { 'lrn.depthRadius': 2, 'lrn.beta': 0.5 }, 'lrn1')).toMatchObject({
    attributes: { depthRadius: 2, beta: 0.5 },
  });
  expect(layer('nin2', {}, 'dropout1')).toMatchObject({ attributes: { rate: 0.5 } });
  expect(layer('nin2', { dropout: 0 }, 'dropout1')).toBeUndefined();
  expect(layer('nin2', {}, 'conv9')).toMatchObject({ attributes: { activation: { type: 'relu' }, filters: 10 } });
  expect(layer('nin2', { logitsRelu: false }, 'conv9')).toMatchObject({ attributes: { activation: null } });
  expect(layer('tuto', { initializer: 'heNormal' }, 'conv1')?.parameters[0]?.initializer).toEqual({ type: 'heNormal' });
  expect(layer('tuto', { 'dense.dropout': 0.25 }, 'dense2/dropout')).toMatchObject({ attributes: { rate: 0.25 } });
  expect(layer('squeeze1', { bypass: true }, 'fire4/bypass')).toMatchObject({ kind: 'add', inputs: ['fire3', 'fire4'] });
  expect(layer('alex4', { batchNorm: true }, 'conv1')).toMatchObject({ attributes: { bias: false, activation: null } });
  expect(layer('alex4', { batchNorm: true }, 'conv1/relu')).toMatchObject({ inputs: ['conv1/norm'] });
  expect(layer('inception', { batchNorm: false }, 'inception2/conv5x5')).toMatchObject({
    attributes: { bias: true, activation: { type: 'relu' } },
  });
  expect(layer('xception', { 'stage3.halve': true }, 'stage3/widen')).toMatchObject({ outputShape: [256, 4, 4] });
  expect(layer('xception', { 'stage2.repeats': 0 }, 'stage2/same1')).toBeUndefined();
  expect(layer('air94', { whitening: false }, 'whitening')?.parameters[0]).toMatchObject({ kind: 'trainable' });
  expect(layer('air94', { activation: 'relu' }, 'group1/conv2/activation')).toMatchObject({
    kind: 'activation',
    attributes: { type: 'relu' },
  });
});

test.each([
  [() => buildModel('tutto'), 'there is no model "tutto". Did you mean "tuto"?'],
  [() => buildModel('resnet50'), 'there is no model "resnet50". Did you mean "resnet20"?'],
  [() => buildModel('vgg'), 'there is no model "vgg".'],
  [
    () => buildModel('tuto', { settings: { 'conv1.filter': 3 } }),
    'model "tuto" has no setting "conv1.filter". Did you mean "conv1.filters"?',
  ],
  [() => buildModel('tuto', { settings: { toString: 3 } }), 'model "tuto" has no setting "toString".'],
  [() => buildModel('tuto', { settings: { lrn: 'no' } }), 'lrn (=no) must be true or false for model "tuto"'],
  [
    () => buildModel('tuto', { settings: { 'conv1.filters': 0 } }),
    'conv1.filters (=0) must be an integer of at least 1 for model "tuto"',
  ],
  [
    () => buildModel('tuto', { settings: { 'conv1.filters': 2.5 } }),
    'conv1.filters (=2.5) must be an integer of at least 1 for model "tuto"',
  ],
  [() => buildModel('nin2', { settings: { dropout: 1 } }), 'dropout (=1) must be a number in [0, 1) for model "nin2"'],
  [
    () => buildModel('tuto', { settings: { initializer: 'xavier' } }),
    'initializer (=xavier) must be one of xavierTruncatedNormal, heNormal, xavierUniform, uniformFanIn for model "tuto"',
  ],
  [() => buildModel('tuto', { classes: 1 }), 'classes (=1) must be an integer of at least 2 for model "tuto"'],
  [
    () => buildModel('tuto', { input: 0 }),
    'input (=0) must be a positive integer, or channels x height x width, for model "tuto"',
  ],
  [
    () => buildModel('tuto', { input: [3, 24, -1] }),
    'input (=3x24x-1) must be a positive integer, or channels x height x width, for model "tuto"',
  ],
])('wrong use %# is refused', (build, message) => {
  expect(errorOf(build).message).toBe(message);
});

test('what is allowed is the last line of the error', () => {
  expect(errorOf(() => buildModel('x')).fix).toBe(`The models are: ${modelNames().join(', ')}`);
  expect(errorOf(() => buildModel('nin0', { settings: { x: 1 } })).fix).toBe(
    'Its settings are: initializer, batchNorm, conv1.kernel, conv1.filters, conv2.filters, conv3.filters, conv4.kernel, conv4.filters, conv5.filters, dropout, logitsRelu',
  );
});

function errorOf(build: () => unknown): ConfigurationError {
  try {
    build();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
