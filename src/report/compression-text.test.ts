import { expect, test } from 'vitest';
import { layersTable } from './compression-text.ts';

test('each layer of the result has its filters, weights, zeros, and what quantizing it alone costs', () => {
  const costs = { dropPoints: -0.001, divergence: 0.00012 };
  const { header, rows, alignments } = layersTable({
    layers: [
      { name: 'conv1', before: 64, after: 41, weights: 3075, sparsity: 0.8125, quantized: true, ...costs },
      { name: 'logits', before: 10, after: 10, weights: 410, sparsity: 0, quantized: false, ...costs },
    ],
  });
  expect(rows).toEqual([
    ['conv1', '64', '41', '3,075', '81.25', '0.00', '1.2e-4', 'int8'],
    ['logits', '10', '10', '410', '0.00', '0.00', '1.2e-4', 'float32'],
  ]);
  expect(header[4]).toBe('zero %');
  for (const row of [header, alignments]) expect(row).toHaveLength(rows[0]!.length);
});
