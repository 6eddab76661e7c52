import { expect, test } from 'vitest';
import { NetworkBuilder } from './network.ts';
import { networkTable } from './table.ts';

test('a network as a table', () => {
  const b = new NetworkBuilder('tiny', [3, 8, 8]);
  const x = b.batchNorm('norm1', b.conv('conv1', b.input, { kernel: 3, filters: 16, activation: 'relu' }));
  const network = b.build(
    b.dense('logits', b.maxPool('pool1', b.activation('silu1', x, 'silu'), { kernel: 2 }), { features: 10 }),
  );
  expect(networkTable(network)).toBe(
    [
      'tiny',
      '',
      'layer   kind       output  parameters  operations  multiply-adds',
      'input              3x8x8',
      'conv1   conv       16x8x8         448      58,368         27,648',
      'norm1   batchNorm  16x8x8          32       2,048',
      'silu1   silu       16x8x8                   5,120',
      'pool1   maxPool    16x4x4',
      'logits  dense      10           2,570       5,130          2,560',
      'total                           3,050      70,666         30,208',
      '',
      '12,200 bytes of parameters',
    ].join('\n'),
  );
});
