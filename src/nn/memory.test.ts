import { expect, test } from 'vitest';
import { leastBytes } from './memory.ts';
import { NetworkBuilder } from './network.ts';

/** 3x4x4 pixels, 5 filters of 3x3 with bias, a pool to 5x2x2, and 7 features. */
function network() {
  const b = new NetworkBuilder('small', [3, 4, 4]);
  const conv = b.conv('conv', b.input, { filters: 5, kernel: 3, padding: 'same' });
  return b.build(b.dense('logits', b.maxPool('pool', conv, { kernel: 2, stride: 2 }), { features: 7 }));
}

const parameters = 5 * (3 * 3 * 3 + 1) + 7 * (5 * 2 * 2 + 1);

test('inference needs the parameters and the inputs', () => {
  expect(leastBytes(network(), { batchSize: 10, training: false })).toBe(4 * parameters + 10 * 4 * 48);
});

test('training needs gradients too, and keeps what pools and dense layers put out', () => {
  expect(leastBytes(network(), { batchSize: 10, training: true })).toBe(8 * parameters + 10 * (4 * 48 + 2 * (20 + 7)));
});
