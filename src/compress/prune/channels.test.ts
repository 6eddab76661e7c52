/** Channels, and weights without some of them, of networks small enough to be written out. */
import { expect, test } from 'vitest';
import { defineLayer } from '../../nn/custom.ts';
import { inputName, NetworkBuilder } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { channelsOf, spread } from './channels.ts';
import { makesChannels } from './filter-order.ts';
import { measureSize, sparsityOf } from './measure.ts';
import { shrinkWeights, widthsWithout } from './shrink-weights.ts';
import { encodeSafetensors } from '../../runs/safetensors.ts';
import { gunzipSync, gzipSync } from 'node:zlib';

/** Images `[2, 2, 1]`; `a` has 3 filters, and a dense layer reads them element by element. */
function flat() {
  const b = new NetworkBuilder('net', [2, 2, 1]);
  const a = b.conv('a', b.input, { kernel: 1, filters: 3 });
  return b.build(b.dense('logits', b.flatten('flat', a), { features: 2 }));
}

const range = (length: number, from = 0) => Float32Array.from({ length }, (_, i) => from + i);

const weights = new Map<string, Tensor>([
  ['a.weight', { shape: [3, 2, 1, 1], data: range(6) }],
  ['a.bias', { shape: [3], data: range(3, 10) }],
  ['logits.weight', { shape: [2, 6], data: range(12, 20) }],
  ['logits.bias', { shape: [2], data: range(2, 40) }],
]);

test('channels are numbered from the image on; what reads a tensor element by element has each as often as it has elements', () => {
  const { channels, outputs } = channelsOf(flat());
  expect(Object.fromEntries([...outputs].map(([name, numbers]) => [name, [...numbers]]))).toEqual({
    [inputName]: [0, 1],
    a: [2, 3, 4],
    flat: [2, 2, 3, 3, 4, 4],
    logits: [5, 6],
  });
  expect(channels).toEqual([
    { filters: [], fixed: 'it is a channel of the images' },
    { filters: [], fixed: 'it is a channel of the images' },
    ...[0, 1, 2].map((index) => ({ filters: [{ layer: 'a', index }], fixed: undefined })),
    ...[0, 1].map((index) => ({ filters: [{ layer: 'logits', index }], fixed: 'it makes the logits' })),
  ]);
  expect([...spread(Int32Array.of(7, 9), 6)]).toEqual([7, 7, 7, 9, 9, 9]);
});

test('concats put channels side by side, depthwise filters belong to what they read, sums join', () => {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const a = b.conv('a', b.input, { kernel: 1, filters: 2 });
  const c = b.conv('c', a, { kernel: 1, filters: 2 });
  const deep = b.conv('deep', a, { kernel: 3, filters: 2, groups: 2 });
  const twice = b.conv('twice', a, { kernel: 3, filters: 4, groups: 2 });
  const sum = b.add('sum', c, deep);
  const joined = b.concat(
    'joined',
    twice,
    sum,
    b.maxPool('pool', b.activation('relu', c, 'relu'), { kernel: 2, stride: 1, padding: 'same' }),
  );
  const network = b.build(b.dense('logits', b.globalAvgPool('average', joined), { features: 2 }));
  const { channels, outputs } = channelsOf(network);
  const numbers = (name: string) => [...outputs.get(name)!];
  // The sum joins a (which the depthwise filters pass on) with c.
  expect(numbers('a')).toEqual([2, 3]);
  expect(numbers('c')).toEqual([2, 3]);
  expect(numbers('twice')).toEqual([2, 2, 3, 3]);
  expect(numbers('joined')).toEqual([2, 2, 3, 3, 2, 3, 2, 3]);
  expect(channels[2]!.filters).toEqual([
    { layer: 'a', index: 0 },
    { layer: 'c', index: 0 },
  ]);
  expect(network.layers.filter(makesChannels).map(({ name }) => name)).toEqual(['a', 'c', 'logits']);
});

test('a factor goes with the channel that it multiplies', () => {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const a = b.conv('a', b.input, { kernel: 1, filters: 2 });
  const squeezed = b.dense('squeeze', b.globalAvgPool('average', a), { features: 3, activation: 'relu' });
  const excited = b.multiply('scaled', a, b.dense('excite', squeezed, { features: 2, activation: 'hardSigmoid' }));
  const network = b.build(b.dense('logits', b.globalAvgPool('last', excited), { features: 2 }));
  const { channels, outputs } = channelsOf(network);
  for (const name of ['a', 'scaled', 'last']) expect([...outputs.get(name)!]).toEqual([2, 3]);
  expect(channels[3]).toEqual({
    filters: [
      { layer: 'a', index: 1 },
      { layer: 'excite', index: 1 },
    ],
    fixed: undefined,
  });
});

test('what a custom layer reads and makes stays, and so do its parameters', () => {
  const halves = defineLayer({
    name: 'halves',
    outputShape: ({ inputShapes: [shape] }) => [shape![0]! / 2, ...shape!.slice(1)],
    parameters: () => [{ name: 'gain', shape: [3], initial: 1 }],
    forward: () => undefined,
    backward: () => undefined,
  });
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const free = b.conv('free', b.input, { kernel: 1, filters: 3 });
  const own = b.custom('own', b.conv('read', free, { kernel: 1, filters: 4 }), halves);
  const network = b.build(b.dense('logits', b.conv('after', own, { kernel: 1, filters: 2 }), { features: 2 }));
  const traced = channelsOf(network);
  const reasons = (layer: string) => [...traced.outputs.get(layer)!].map((channel) => traced.channels[channel]!.fixed);
  expect(reasons('read')).toEqual(new Array(4).fill('the custom layer "own" reads it'));
  expect(reasons('own')).toEqual(new Array(2).fill('the custom layer "own" makes it'));
  expect([...reasons('free'), ...reasons('after')]).toEqual(new Array(5).fill(undefined));
  const gain = { shape: [3], data: range(3) };
  const removed = new Set([traced.outputs.get('after')![0]!]);
  expect(shrinkWeights(network, traced, new Map([['own.gain', gain]]), removed)).toEqual(new Map([['own.gain', gain]]));
});

test('a sum with the image keeps the filters that it adds', () => {
  const b = new NetworkBuilder('net', [2, 4, 4]);
  const sum = b.add('sum', b.conv('a', b.input, { kernel: 1, filters: 2 }), b.input);
  const { channels, outputs } = channelsOf(b.build(b.dense('logits', b.globalAvgPool('average', sum), { features: 2 })));
  for (const number of outputs.get('a')!) expect(channels[number]!.fixed).toBe('it is a channel of the images');
});

test('without a channel: its filter, its bias, and the columns by which it is read', () => {
  const network = flat();
  const channels = channelsOf(network);
  const shrunk = shrinkWeights(network, channels, weights, new Set([3]));
  expect([...shrunk]).toEqual([
    ['a.weight', { shape: [2, 2, 1, 1], data: Float32Array.of(0, 1, 4, 5) }],
    ['a.bias', { shape: [2], data: Float32Array.of(10, 12) }],
    ['logits.weight', { shape: [2, 4], data: Float32Array.of(20, 21, 24, 25, 26, 27, 30, 31) }],
    ['logits.bias', { shape: [2], data: Float32Array.of(40, 41) }],
  ]);
  expect([...widthsWithout(channels, new Set([3]))]).toEqual([
    ['a', 2],
    ['logits', 2],
  ]);
  // Only what is given: masks are of weights alone.
  const mask = new Map([['logits.weight', weights.get('logits.weight')!]]);
  expect([...shrinkWeights(network, channels, mask, new Set([2, 4])).entries()]).toEqual([
    ['logits.weight', { shape: [2, 2], data: Float32Array.of(22, 23, 28, 29) }],
  ]);
});

test('a network is as large as its weights, biases and zeros say', () => {
  const sparse = new Map(weights).set('logits.weight', { shape: [2, 6], data: range(12).map((i) => (i < 9 ? 0 : i)) });
  const metadata = { model: 'net' };
  const size = measureSize(flat(), sparse, metadata);
  const file = encodeSafetensors(sparse, metadata);
  expect(size).toEqual({
    // (1 + 2) * 3 + (6 + 1) * 2
    parameters: 23,
    // (1 + 2 * 2) * 3 filters * 2 pixels + (2 * 6 + 1) * 2
    operations: 56,
    // 2 * 3 * 2 + 6 * 2
    multiplyAdds: 24,
    weights: 18,
    // One of the first filter's weights is zero, too.
    nonZeroWeights: 8,
    sparsity: 1 - 8 / 18,
    bytes: file.length,
    compressedBytes: gzipSync(file, { level: 9 }).length,
    layers: [
      { name: 'a.weight', weights: 6, nonZero: 5, sparsity: 1 - 5 / 6 },
      { name: 'logits.weight', weights: 12, nonZero: 3, sparsity: 0.75 },
    ],
  });
  expect(size.bytes).toBeGreaterThan(4 * 23);
  expect(gunzipSync(gzipSync(file)).length).toBe(size.bytes);
  expect(sparsityOf(Float32Array.of(0, -0, 1, -1))).toBe(0.5);
});
