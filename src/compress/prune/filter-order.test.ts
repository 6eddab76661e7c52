import { expect, test } from 'vitest';
import { NetworkBuilder, type Network } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { channelsOf } from './channels.ts';
import { removalOrder, type FilterScope } from './filter-order.ts';

/** `[filters, rest, 1, 1]`: each filter as given. */
function filters(...rows: readonly (readonly number[])[]): Tensor {
  return { shape: [rows.length, rows[0]!.length, 1, 1], data: Float32Array.from(rows.flat()) };
}

/** Filters of two weights, with these norms. */
const withNorms = (...norms: readonly number[]) => filters(...norms.map((norm) => [0.6 * norm, -0.8 * norm]));

/** The filters to remove, as `<layer> <number>`; of channels that are joined, those of the first layer. */
function order(network: Network, weights: Readonly<Record<string, Tensor>>, scope: FilterScope): string[] {
  const channels = channelsOf(network);
  return removalOrder(network, channels, new Map(Object.entries(weights)), scope).map((channel) => {
    const { layer, index } = channels.channels[channel]!.filters[0]!;
    return `${layer} ${index}`;
  });
}

/** Convolutions of the image, side by side. */
function sideBySide(...layers: readonly [name: string, filters: number][]): Network {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const outputs = layers.map(([name, count]) => b.conv(name, b.input, { kernel: 1, filters: count }));
  const joined = outputs.length === 1 ? outputs[0]! : b.concat('joined', ...outputs);
  return b.build(b.dense('logits', b.globalAvgPool('average', joined), { features: 2 }));
}

test.each(['layer', 'global'] as const)('the L2 norm decides, not the L1 norm or the largest weight (%s)', (scope) => {
  // L2: 5, 6, 1, 5.5; L1: 7, 6, 1, 5.5.
  const weights = {
    'a.weight': filters([3, -4], [0, 6], [-1, 0], [5.5, 0]),
    'logits.weight': filters([1, 1, 1, 1], [1, 1, 1, 1]),
  };
  expect(order(sideBySide(['a', 4]), weights, scope)).toEqual(['a 2', 'a 0', 'a 3']);
});

test('globally, norms count relative to the mean of their layer; by layer, each loses the same part', () => {
  const network = sideBySide(['a', 2], ['b', 3]);
  // Of their layers' means: 0.9, 1.1; 1/3, 2/3, 2.
  const weights = { 'a.weight': withNorms(9, 11), 'b.weight': withNorms(200, 100, 600), 'logits.weight': withNorms(1, 1) };
  expect(order(network, weights, 'global')).toEqual(['b 1', 'b 0', 'a 0']);
  expect(order(network, weights, 'layer')).toEqual(['b 1', 'a 0', 'b 0']);
});

test('of equal ones the first goes first, also in a layer of zeros', () => {
  const network = sideBySide(['a', 2], ['b', 2]);
  const weights = { 'a.weight': withNorms(2, 2), 'b.weight': withNorms(0, 0), 'logits.weight': withNorms(1, 1) };
  for (const scope of ['global', 'layer'] as const) expect(order(network, weights, scope)).toEqual(['a 0', 'b 0']);
});

test('of filters that a sum joins, the mean counts', () => {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const [first, second, other] = [3, 3, 2].map((count, i) => b.conv('abc'[i]!, b.input, { kernel: 1, filters: count }));
  const sum = b.add('sum', first!, second!);
  const joined = b.concat('joined', sum, other!);
  const network = b.build(b.dense('logits', b.globalAvgPool('average', joined), { features: 2 }));
  const weights = {
    // 0.5, 1.5, 1 and 5/3, 1/3, 1: on average 1.083, 0.917, 1.
    'a.weight': withNorms(1, 3, 2),
    'b.weight': withNorms(5, 1, 3),
    'c.weight': withNorms(0.95, 1.05),
    'logits.weight': withNorms(1, 1),
  };
  expect(order(network, weights, 'global')).toEqual(['a 1', 'c 0', 'a 2']);
});

/** A convolution with batch normalization behind it, and perhaps something else that reads it. */
function normalized(scale: boolean, readTwice: boolean): Network {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const a = b.conv('a', b.input, { kernel: 1, filters: 3 });
  const norm = b.batchNorm('norm', a, { scale });
  const joined = readTwice ? b.concat('joined', norm, a) : norm;
  return b.build(b.dense('logits', b.globalAvgPool('average', joined), { features: 2 }));
}

test('the scale of a normalization that alone reads a layer counts in place of the norm, by its magnitude', () => {
  const weights = {
    'a.weight': withNorms(1, 2, 3),
    'norm.scale': { shape: [3], data: Float32Array.of(2, -3, 1) },
    'logits.weight': withNorms(1, 1),
  };
  expect(order(normalized(true, false), weights, 'layer')).toEqual(['a 2', 'a 0']);
  expect(order(normalized(false, false), weights, 'layer')).toEqual(['a 0', 'a 1']);
  expect(order(normalized(true, true), weights, 'layer')).toEqual(['a 0', 'a 1']);
});
