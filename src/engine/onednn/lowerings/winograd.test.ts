import { expect, test } from 'vitest';
import type { LayerOf } from '../../../nn/layer.ts';
import type { ConvOptions } from '../../../nn/layers/conv.ts';
import { NetworkBuilder } from '../../../nn/network.ts';
import { winogradSpeedup } from './winograd.ts';

function speedup(shape: readonly [number, number, number], options: ConvOptions, batchSize = 128): number {
  const b = new NetworkBuilder('one', shape);
  const { layers } = b.build(b.conv('c', b.input, options));
  return winogradSpeedup(layers[0] as LayerOf<'conv'>, batchSize);
}

test('Winograd is taken for many channels and images that fill its tiles', () => {
  expect(speedup([64, 12, 12], { kernel: 3, filters: 64 })).toBeGreaterThan(1.2);
  expect(speedup([256, 7, 7], { kernel: 3, filters: 256 })).toBeGreaterThan(1.2);
  expect(speedup([3, 24, 24], { kernel: 3, filters: 64 })).toBeLessThanOrEqual(1);
  expect(speedup([64, 5, 5], { kernel: 3, filters: 64 })).toBeLessThanOrEqual(1);
});

test('it is taken for batches over which transforming the filters pays', () => {
  expect(speedup([192, 6, 6], { kernel: 3, filters: 192 })).toBeGreaterThan(1.2);
  expect(speedup([192, 6, 6], { kernel: 3, filters: 192 }, 4)).toBeLessThanOrEqual(1);
});

test.each([
  ['5x5', { kernel: 5 }],
  ['1x1', { kernel: 1 }],
  ['stride 2', { kernel: 3, stride: 2 }],
  ['a stride of 2 one way', { kernel: 3, stride: [1, 2] }],
  ['groups', { kernel: 3, groups: 2 }],
] as const)('it has nothing for %s', (_name, options) => {
  expect(speedup([64, 24, 24], { ...options, filters: 64 })).toBeLessThanOrEqual(1);
});
