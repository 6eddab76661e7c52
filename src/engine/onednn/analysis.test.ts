import { expect, test } from 'vitest';
import { buildModel } from '../../models/registry.ts';
import { NetworkBuilder, type Tensor } from '../../nn/network.ts';
import { analyse } from './analysis.ts';

test.each([
  ['tuto', 'logits'],
  ['nin0', 'conv6'],
  ['squeeze1', 'conv2'],
  ['air94', 'dense'],
])('the logits of %s are made by %s', (model, layer) => {
  expect(analyse(buildModel(model)).logits).toBe(layer);
});

function logitsOf(layers: (b: NetworkBuilder, features: Tensor) => Tensor): string | undefined {
  const b = new NetworkBuilder('small', [3, 8, 8]);
  return analyse(b.build(layers(b, b.conv('conv', b.input, { kernel: 1, filters: 4 })))).logits;
}

test('a layer that something else reads as well, or several that join, do not count as the one that makes the logits', () => {
  expect(logitsOf((b, x) => b.globalAvgPool('mean', x))).toBe('conv');
  expect(logitsOf((b, x) => b.add('sum', x, b.conv('other', x, { kernel: 1, filters: 4 })))).toBeUndefined();
  expect(logitsOf((b, x) => b.scale('scaled', b.concat('both', x, b.activation('relu', x, 'relu')), 2))).toBeUndefined();
});
