import { expect, test } from 'vitest';
import { buildModel } from '../../models/registry.ts';
import { countMultiplyAdds, NetworkBuilder } from '../../nn/network.ts';
import { parseDevice } from './cores.ts';
import { networkFigures } from './figures.ts';

const devices = [parseDevice('m4@100')];

test("MLPerf Tiny's ResNet-8: a byte for each weight, nine for each filter, and memory for two tensors of its first blocks", () => {
  const network = buildModel('resnet8', { input: 32 });
  const { flashBytes, ramBytes, multiplyAdds, cores } = networkFigures(network, devices);
  const weights = network.parameters.filter(({ role }) => role === 'weight');
  const count = weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const filters = weights.reduce((sum, { shape }) => sum + shape[0]!, 0);
  expect(flashBytes).toMatchObject({ weights: count + 9 * filters, compiler: null });
  // 32x32x16 twice, and a row and a few pixels by which an output goes before its input.
  expect(ramBytes.activations).toBeGreaterThan(2 * 32 * 32 * 16);
  expect(ramBytes.activations).toBeLessThan(2 * 32 * 32 * 16 + 4000);
  expect(multiplyAdds).toBe(countMultiplyAdds(network));
  expect(cores).toEqual([{ core: 'm4', clockMHz: 100, ms: (multiplyAdds * 1.6) / 100_000 }]);
});

test.each(['mobilenetv2', 'mobilenetv3', 'xception', 'air94', 'inception'])('%s fits', (model) => {
  const { flashBytes, ramBytes } = networkFigures(buildModel(model, { input: 32 }), devices);
  expect(flashBytes.weights).toBeGreaterThan(10_000);
  expect(ramBytes.activations).toBeGreaterThan(10_000);
});

test('what cannot be computed is refused, with what to use instead', () => {
  const b = new NetworkBuilder('own', [3, 8, 8]);
  const own = b.custom('mine', b.conv('conv1', b.input, { kernel: 3, filters: 4 }), {
    name: 'twice',
    forward: () => undefined,
    backward: () => undefined,
  });
  const network = b.build(b.dense('logits', own, { features: 2 }));
  expect(() => networkFigures(network, devices)).toThrow(
    'layer "mine" is the custom layer "twice", which cannot be written as C',
  );
  expect(() => networkFigures(buildModel('tuto'), devices)).toThrow('layer "lrn1" is a local response normalization');
});
