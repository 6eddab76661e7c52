import { describe, expect, test } from 'vitest';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { buildModel } from '../../models/registry.ts';
import { withWidths } from '../../nn/description.ts';
import { countOperations, countParameters, NetworkBuilder, type Network } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { sizeOf } from '../../nn/shape.ts';
import { normal, streamKey, uniform } from '../../util/random.ts';
import { channelsOf } from './channels.ts';
import { removalOrder } from './filter-order.ts';
import { shrinkNetwork, type ShrinkTarget } from './shrink.ts';
import { channelsRead, shrinkWeights, widthsWithout } from './shrink-weights.ts';

/** Weights as after training: biases, scales, shifts and statistics far from their first values. */
function trainedWeights(network: Network): Map<string, Tensor> {
  return new Map(
    network.parameters.map(({ name, role, shape, fanIn }) => {
      const key = streamKey(1, name);
      const draw = (i: number): number => {
        if (role === 'weight') return normal(key, i) * Math.sqrt(2 / fanIn);
        return role === 'variance' || role === 'scale' ? 0.5 + uniform(key, i) : 0.3 * normal(key, i);
      };
      return [name, { shape, data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => draw(i)) }];
    }),
  );
}

async function logitsOf(network: Network, weights: ReadonlyMap<string, Tensor>): Promise<Float32Array> {
  const plan = await referenceEngine.compileInference(network, { batchSize: 2 });
  const key = streamKey(2, 'images');
  plan.input.forEach((_, i) => (plan.input[i] = normal(key, i)));
  for (const entry of plan.parameters.entries)
    await plan.parameters.write(entry, weights.get(entry.spec.name)!.data, plan.parameters.values);
  plan.forward();
  return await plan.output.read();
}

/** The whole network, in which nothing reads the removed channels. */
function withMaskedReaders(
  network: Network,
  weights: ReadonlyMap<string, Tensor>,
  removed: ReadonlySet<number>,
): Map<string, Tensor> {
  const channels = channelsOf(network);
  const masked = new Map(weights);
  for (const layer of network.layers) {
    for (const spec of layer.parameters) {
      const inputs = channelsRead(layer, spec, channels);
      if (inputs === undefined) continue;
      const { shape, data } = weights.get(spec.name)!;
      const [, columns, ...kernel] = shape as readonly [number, number, ...number[]];
      const values = data.map((value, i) => (removed.has(inputs[Math.floor(i / sizeOf(kernel)) % columns]!) ? 0 : value));
      masked.set(spec.name, { shape, data: values });
    }
  }
  return masked;
}

const cases: [name: string, model: string, settings: Record<string, boolean | number>][] = [
  ['convolutions and dense layers', 'tuto', { 'conv1.filters': 8, 'conv2.filters': 12, 'dense1.features': 20, lrn: false }],
  [
    'the same with batch normalization',
    'alex1',
    {
      'conv1.filters': 8,
      'conv2.filters': 12,
      'conv3.filters': 6,
      'dense1.features': 20,
      lrn: false,
      batchNorm: true,
      'dense.batchNorm': true,
    },
  ],
  ['concats', 'squeeze1', { 'conv1.filters': 16, batchNorm: true }],
  ['concats that are added', 'squeeze0', { 'conv1.filters': 16, bypass: true }],
  ['concats of four, pools between', 'inception', { 'conv1.filters': 16 }],
  [
    'depthwise convolutions and sums',
    'xception',
    { 'conv1.filters': 8, 'stage1.filters': 12, 'stage2.filters': 16, 'stage3.filters': 20 },
  ],
  [
    'normalization without scale, GELU, a frozen first layer',
    'air94',
    { 'group1.filters': 10, 'group2.filters': 12, 'group3.filters': 16 },
  ],
  [
    'one setting for two layers',
    'convone',
    {
      'conv1.filters': 8,
      'bottleneck.filters': 6,
      'expand.filters': 8,
      'dense1.features': 16,
      'dense2.features': 12,
      lrn: false,
    },
  ],
];

describe('the shrunk network computes what the whole one does without the removed channels', () => {
  for (const scope of ['layer', 'global'] as const) {
    test.each(cases)(`${scope}: %s`, async (_, model, given) => {
      // As small as it can be for the model's pools.
      const side = model === 'air94' ? 16 : 8;
      const network = buildModel(model, { input: side, settings: given });
      const weights = trainedWeights(network);
      const channels = channelsOf(network);
      const order = removalOrder(network, channels, weights, scope);
      const removed = new Set(order.slice(0, Math.floor(order.length * 0.4)));
      const shrunk = withWidths(network, widthsWithout(channels, removed));
      const shrunkWeights = shrinkWeights(network, channels, weights, removed);
      for (const { name, shape } of shrunk.parameters) expect([name, shrunkWeights.get(name)!.shape]).toEqual([name, shape]);
      expect(countParameters(shrunk.parameters)).toBeLessThan(0.9 * countParameters(network.parameters));
      const expected = await logitsOf(network, withMaskedReaders(network, weights, removed));
      const whole = await logitsOf(network, weights);
      const largest = Math.max(...expected.map(Math.abs));
      const logits = await logitsOf(shrunk, shrunkWeights);
      logits.forEach((logit, i) => expect(Math.abs(logit - expected[i]!) / largest).toBeLessThan(1e-5));
      // What was removed counted for something.
      expect(Math.max(...whole.map((logit, i) => Math.abs(logit - expected[i]!))) / largest).toBeGreaterThan(0.01);
    });
  }
});

describe('targets', () => {
  const options = (model: string, given: Record<string, boolean | number> = {}) => {
    const network = buildModel(model, { input: 16, settings: given });
    return { network, weights: trainedWeights(network) };
  };

  test.each(['layer', 'global'] as const)('half of the operations is what is left, and hardly less (%s)', (scope) => {
    for (const model of ['tuto', 'xception']) {
      const rest = options(model);
      const shrunk = shrinkNetwork({ ...rest, scope, target: { operations: 0.5 } });
      const part = countOperations(shrunk.network) / countOperations(rest.network);
      expect(part).toBeLessThanOrEqual(0.5);
      expect(part).toBeGreaterThan(0.47);
      expect(shrunk.layers.every(({ before, after }) => after < before)).toBe(true);
    }
  });

  test('a part of the filters is left, in each layer or over all of them', () => {
    const rest = options('tuto');
    const even = shrinkNetwork({ ...rest, scope: 'layer', target: { filters: 0.75 } });
    expect(even.layers).toEqual([
      { name: 'conv1', before: 64, after: 48 },
      { name: 'conv2', before: 64, after: 48 },
      { name: 'dense1', before: 384, after: 288 },
      { name: 'dense2', before: 192, after: 144 },
    ]);
    const uneven = shrinkNetwork({ ...rest, scope: 'global', target: { filters: 0.75 } });
    expect(uneven.layers.reduce((sum, { after }) => sum + after, 0)).toBe(0.75 * (64 + 64 + 384 + 192));
    expect(countParameters(rest.network.parameters)).toBeGreaterThan(countParameters(uneven.network.parameters));
  });

  test('of several targets all are met', () => {
    const rest = options('tuto');
    const parameters = Math.floor(0.3 * countParameters(rest.network.parameters));
    const few = shrinkNetwork({ ...rest, scope: 'layer', target: { operations: 0.9, parameters } });
    expect(countParameters(few.network.parameters)).toBeLessThanOrEqual(parameters);
    expect(countParameters(few.network.parameters)).toBeGreaterThan(0.95 * parameters);
    const both = shrinkNetwork({ ...rest, scope: 'layer', target: { operations: 0.1, parameters } });
    expect(countOperations(both.network)).toBeLessThanOrEqual(0.1 * countOperations(rest.network));
  });

  test('the filters of least norm go, or of least scale where they are normalized', () => {
    const rest = options('tuto', { lrn: false });
    const conv1 = rest.weights.get('conv1.weight')!;
    conv1.data.fill(1e-3, 75 * 10, 75 * 11);
    const { weights } = shrinkNetwork({ ...rest, scope: 'layer', target: { filters: 0.985 } });
    expect(weights.get('conv1.weight')!.data.subarray(75 * 10, 75 * 11)).toEqual(conv1.data.subarray(75 * 11, 75 * 12));
    const normalized = options('tuto', { batchNorm: true });
    const scales = normalized.weights.get('conv1/norm.scale')!.data;
    scales[3] = -0.01;
    const kept = shrinkNetwork({ ...normalized, scope: 'layer', target: { filters: 0.985 } }).weights.get(
      'conv1/norm.scale',
    )!.data;
    expect([...kept]).toEqual([...scales].filter((_, i) => i !== 3));
  });

  test('out of range, out of reach, or for a network without filters to remove they are refused', () => {
    const rest = options('tuto');
    const shrink = (target: ShrinkTarget) => () => shrinkNetwork({ ...rest, scope: 'layer', target });
    expect(shrink({ operations: 1 })).toThrow('operations (=1) must be a number in (0, 1): the part that is left');
    expect(shrink({ filters: NaN })).toThrow('filters (=NaN) must be a number in (0, 1)');
    expect(shrink({ operations: 1e-4 })).toThrow(
      /operations \(=0\.0001\) must be at least 0\.0\d+ for model "tuto": that is with one filter in every/,
    );
    expect(shrink({ filters: 1e-4 })).toThrow(/filters \(=0\.0001\) must be at least 0\.00\d+: every layer keeps one filter/);
    const bare = options('cs231n', { 'conv1.filters': 1, dense1: false });
    expect(() => shrinkNetwork({ ...bare, scope: 'layer', target: { filters: 0.5 } })).toThrow(
      'model "cs231n" has no filters that can be removed (conv1: it has one filter; logits: it makes the logits)',
    );
  });
});

test('channels of convolutions in groups, of the input and of frozen filters stay', () => {
  const b = new NetworkBuilder('grouped', [4, 8, 8]);
  const frozen = b.conv('frozen', b.input, { kernel: 1, filters: 6, frozen: true });
  const free = b.conv('free', frozen, { kernel: 1, filters: 6 });
  const grouped = b.conv('grouped', b.conv('before', free, { kernel: 1, filters: 6 }), { kernel: 3, filters: 4, groups: 2 });
  const network = b.build(b.dense('logits', b.globalAvgPool('average', grouped), { features: 10 }));
  const { channels, outputs } = channelsOf(network);
  const reasons = (layer: string) => channels[outputs.get(layer)![0]!]!.fixed;
  expect(reasons('frozen')).toBe('its filters are frozen');
  expect(reasons('free')).toBeUndefined();
  expect([reasons('before'), reasons('grouped')]).toEqual(new Array(2).fill('it belongs to a convolution in groups'));
  expect(reasons('logits')).toBe('it makes the logits');
});

test('sums join the channels that they add: all blocks of a stage lose the same ones', () => {
  const network = buildModel('xception', { input: [3, 16, 16] });
  const { channels, outputs } = channelsOf(network);
  const [first] = outputs.get('stage1/same1')!;
  expect(channels[first!]!.filters.map(({ layer, index }) => `${layer} ${index}`).sort()).toEqual([
    'stage1/same1/separable2/pointwise 0',
    'stage1/widen/separable2/pointwise 0',
    'stage1/widen/shortcut 0',
  ]);
});
