import { expect, test } from 'vitest';
import { buildModel } from '../../models/registry.ts';
import { countMultiplyAdds, NetworkBuilder, type Network } from '../../nn/network.ts';
import { parseDevice } from './cores.ts';
import { networkFigures, usualStandardization } from './figures.ts';

const devices = [parseDevice('m4@100')];

function figures(network: Network, standardization = usualStandardization(3)) {
  return networkFigures({ network, preprocessing: { standardization } }, devices);
}

test("MLPerf Tiny's ResNet-8: a byte for each weight, nine for each filter, and memory for two tensors of its first blocks", () => {
  const network = buildModel('resnet8', { input: 32 });
  const { flashBytes, ramBytes, multiplyAdds, cores } = figures(network);
  const weights = network.parameters.filter(({ role }) => role === 'weight');
  const count = weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const filters = weights.reduce((sum, { shape }) => sum + shape[0]!, 0);
  expect(flashBytes).toMatchObject({ weights: count + 9 * filters, compiler: null });
  // 32x32x16 twice, and a row and a few pixels by which an output goes before its input.
  expect(ramBytes.activations).toBeGreaterThan(2 * 32 * 32 * 16);
  expect(ramBytes.activations).toBeLessThan(2 * 32 * 32 * 16 + 4000);
  expect(multiplyAdds).toBe(countMultiplyAdds(network));
  // 22 million instructions, some more than one cycle for each.
  expect(cores).toEqual([{ core: 'm4', clockMHz: 100, ms: expect.any(Number) as unknown }]);
  expect(cores[0]!.ms).toBeGreaterThan(230);
  expect(cores[0]!.ms).toBeLessThan(330);
});

test.each(['mobilenetv2', 'mobilenetv3', 'xception', 'air94', 'inception'])('%s fits', (model) => {
  const { flashBytes, ramBytes } = figures(buildModel(model, { input: 32 }));
  expect(flashBytes.weights).toBeGreaterThan(10_000);
  expect(ramBytes.activations).toBeGreaterThan(10_000);
});

test('constants that differ between channels take a layer of their own, where the first convolution pads', () => {
  const b = new NetworkBuilder('own', [3, 32, 32]);
  const y = b.conv('conv1', b.input, { kernel: 3, filters: 8, stride: 2, activation: 'relu' });
  const network = b.build(b.dense('logits', b.globalAvgPool('average', y), { features: 4 }));
  const usual = figures(network);
  const other = figures(network, { type: 'channel', mean: [0.49, 0.48, 0.44], deviation: [0.25, 0.25, 0.25] });
  expect(other.multiplyAdds).toBe(usual.multiplyAdds + 32 * 32 * 3);
  expect(other.flashBytes.weights).toBe(usual.flashBytes.weights + 3 * (1 + 9));
  expect(usual.ramBytes.activations).toBeLessThan(32 * 32 * 3);
  expect(other.ramBytes.activations).toBeGreaterThan(32 * 32 * 3);
  expect(other.cores[0]!.ms).toBeGreaterThan(usual.cores[0]!.ms);
  expect(() => figures(network, { type: 'image' })).toThrow('the network standardizes every image by');
});

test('what cannot be computed is refused, with what to use instead', () => {
  const b = new NetworkBuilder('own', [3, 8, 8]);
  const own = b.custom('mine', b.conv('conv1', b.input, { kernel: 3, filters: 4 }), {
    name: 'twice',
    forward: () => undefined,
    backward: () => undefined,
  });
  const network = b.build(b.dense('logits', own, { features: 2 }));
  expect(() => figures(network)).toThrow('layer "mine" is the custom layer "twice", which cannot be written as C');
  expect(() => figures(buildModel('tuto'))).toThrow('layer "lrn1" is a local response normalization');
});
