import { expect, test } from 'vitest';
import { NetworkBuilder } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import { foldBatchNorms } from './fold.ts';

test('normalizations go into the convolution or dense layer that they alone read, the others stay', () => {
  const b = new NetworkBuilder('folding', [2, 4, 4]);
  const conv = b.batchNorm('conv/norm', b.conv('conv', b.input, { kernel: 1, filters: 3, bias: false }));
  const pooled = b.batchNorm('pool/norm', b.maxPool('pool', conv, { kernel: 2 }));
  const dense = b.activation('relu', b.batchNorm('dense/norm', b.dense('dense', pooled, { features: 2 })), 'relu');
  const rectified = b.batchNorm('rectified/norm', b.dense('rectified', dense, { features: 2, activation: 'relu' }));
  const twice = b.dense('twice', rectified, { features: 2 });
  const network = b.build(b.add('sum', twice, b.batchNorm('twice/norm', twice)));
  const weights = new Map<string, Tensor>(
    network.parameters.map(({ name, shape }, p) => [
      name,
      { shape, data: Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, i) => 0.5 + ((p + 3 * i) % 7)) },
    ]),
  );
  const folded = foldBatchNorms(network, weights);
  expect(folded.layers.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    'conv/norm conv',
    'pool maxPool',
    'pool/norm batchNorm',
    'dense/norm dense',
    'relu activation',
    'rectified dense',
    'rectified/norm batchNorm',
    'twice dense',
    'twice/norm batchNorm',
    'sum add',
  ]);
  expect(folded.weights.has('dense/norm.scale')).toBe(false);
  const value = (name: string, i: number): number => weights.get(name)!.data[i]!;
  for (const feature of [0, 1]) {
    const factor = value('dense/norm.scale', feature) / Math.sqrt(value('dense/norm.variance', feature) + 1e-5);
    const bias = (value('dense.bias', feature) - value('dense/norm.mean', feature)) * factor + value('dense/norm.shift', feature);
    expect(folded.weights.get('dense.bias')!.data[feature]).toBeCloseTo(bias, 5);
    // 12 inputs to each feature.
    const last = 12 * feature + 11;
    expect(folded.weights.get('dense.weight')!.data[last]).toBeCloseTo(factor * value('dense.weight', last), 5);
  }
});
