import { expect, test } from 'vitest';
import { published } from '../../test/tensorsandbox-figures.ts';
import { countMultiplyAdds, countOperations, countParameters, type Network } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import { buildModel, modelDefinition, modelNames } from './registry.ts';

/** The models that came after tensorsandbox: parameters, operations and multiply-adds at 32x32, and for air94 how they add up. */
const later: Record<string, { parameters: number; operations: number; multiplyAdds: number }> = {
  inception: { parameters: 535_818, operations: 122_670_602, multiplyAdds: 60_837_632 },
  xception: { parameters: 366_154, operations: 76_944_394, multiplyAdds: 37_775_872 },
  // Weights 24*12, 64*24*9, 64*64*9, 256*64*9, 3 * 256*256*9, 10*256; biases 24; shifts 2 * (64 + 256 + 256).
  // Multiply-adds: the weights of each convolution at 31*31 (twice), 15*15 (twice), 7*7 (twice) and 3*3 pixels, and 2,560.
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

test('weight decay is for the starred weights of tensorsandbox', () => {
  const starred = (model: string) =>
    buildModel(model)
      .parameters.filter((spec) => spec.starred)
      .map((spec) => spec.name);
  expect(starred('tuto')).toEqual(['dense1.weight', 'dense2.weight']);
  expect(starred('cs231n')).toEqual(['conv1.weight', 'dense1.weight']);
  expect(starred('nin2')).toEqual([]);
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
  [() => buildModel('resnet50'), 'there is no model "resnet50".'],
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
