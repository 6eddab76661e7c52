import { expect, test } from 'vitest';
import { leastScaleFor, quantizeBias, quantizeWeights } from './weights.ts';

const weights = Float32Array.of(1, -2, 0.5, 0.03125, 0.25, -0.1, 0, 0, 0);

test('each channel is rounded to multiples of its own scale', () => {
  const { values, scales } = quantizeWeights(weights, 3, 7);
  // 2 / 64; 0.25 / 64; nothing but zeros.
  expect([...scales]).toEqual([0.03125, 0.00390625, 1]);
  expect([...values]).toEqual([32, -64, 16, 8, 64, -26, 0, 0, 0]);
});

test('eight bits reach 127', () => {
  const { values, scales } = quantizeWeights(weights, 3, 8);
  expect(scales[0]).toBe(Math.fround(2 / 127));
  expect([...values.subarray(0, 3)]).toEqual([64, -127, 32]);
});

test('two products with 7-bit weights fit into 16 bits', () => {
  const { values } = quantizeWeights(Float32Array.of(-3, 3), 1, 7);
  for (const value of values) expect(Math.abs(2 * 255 * value)).toBeLessThan(2 ** 15);
  expect(2 * 255 * 127).toBeGreaterThan(2 ** 15);
});

test('biases are in units of input times weight, and fit into 32 bits whatever the weights', () => {
  const inputScale = 0.5;
  const bias = Float32Array.of(1, -4, 1e6);
  const { scales } = quantizeWeights(weights, 3, 7, (channel) => leastScaleFor(bias[channel]!, inputScale));
  expect([...scales.subarray(0, 2)]).toEqual([0.03125, 0.00390625]);
  const { values, scales: units } = quantizeBias(bias, inputScale, scales);
  expect([...values.subarray(0, 2)]).toEqual([64, -2048]);
  // The channel of zeros has a scale only for its bias.
  expect(values[2]! * units[2]!).toBeCloseTo(1e6, 0);
  expect(values[2]!).toBeLessThanOrEqual(2 ** 30);
});

test('weights are rounded to the nearest, and none beyond the largest where a bias asks for a larger scale', () => {
  const rounded = quantizeWeights(Float32Array.of(64, 10.4, 10.6, -10.4, -10.6), 1, 7);
  expect([[...rounded.values], [...rounded.scales]]).toEqual([[64, 10, 11, -10, -11], [1]]);
  const { values, scales } = quantizeWeights(Float32Array.of(64, 64, -64, 32), 2, 7, (channel) => 2 * channel);
  expect([[...values], [...scales]]).toEqual([
    [64, 64, -32, 16],
    [1, 2],
  ]);
});

test('the least scale of a bias lets it take half of 32 bits, whatever its sign', () => {
  expect(leastScaleFor(2 ** 30, 1)).toBe(1);
  expect(leastScaleFor(-(2 ** 30), 0.25)).toBe(4);
  expect(leastScaleFor(0, 0.25)).toBe(0);
  const { values, scales } = quantizeBias(Float32Array.of(3, -3, 7), 0.5, Float32Array.of(2 ** -32, 2 ** -32, 2));
  expect([[...values], [...scales]]).toEqual([
    [2 ** 30, -(2 ** 30), 7],
    [2 ** -33, 2 ** -33, 1],
  ]);
});
