import { beforeAll, expect, test } from 'vitest';
import { cifar10Classes } from '../data/cifar10.ts';
import type { Dataset } from '../data/dataset.ts';
import { generateSynthetic } from '../data/synthetic.ts';
import { imageBatches } from '../deploy/pixels.ts';
import { openSession } from '../deploy/onnx-runtime.ts';
import { freezeUntrained } from '../deploy/untrained.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { dropOf, measureNetwork, validationImages, withinDrop, type MeasuredNetwork, type Measuring } from './network.ts';

const dataset: Dataset = { ...generateSynthetic({ trainCount: 1500, testCount: 10 }), classes: cifar10Classes };
const measuring: Measuring = { dataset, threads: 1, source: 'model' };
let original: MeasuredNetwork;
/** Points: labels are what the float network says, so that all is lost by quantization. */
let drop: number;

beforeAll(async () => {
  const keys = { 'model.conv1.filters': 8, 'model.conv2.filters': 8, 'model.dense1.features': 24, 'model.dense2.features': 16 };
  const frozen = await freezeUntrained(referenceEngine, { model: 'tuto', ...keys });
  const session = await openSession(frozen.encode(null), 'the network');
  const { labels, ...images } = validationImages(dataset);
  let image = 0;
  for (const { batch } of imageBatches({ labels, ...images }, dataset.shape, 50)) {
    const { logits } = await session.run(batch);
    for (let n = 0; n < batch.count; n++) {
      const own = logits.subarray(10 * n, 10 * (n + 1));
      labels[image++] = own.indexOf(Math.max(...own));
    }
  }
  await session.dispose();
  original = await measureNetwork(frozen, measuring);
  drop = dropOf(original.int8, original);
}, 60_000);

test('both files of a network are measured, on images that nothing was trained or calibrated on', () => {
  const { float32, int8 } = original;
  expect(float32.validationAccuracy).toBe(1);
  expect(drop).toBeGreaterThan(0.5);
  expect(int8.bytes).toBeLessThan(0.6 * float32.bytes);
  expect(original.quantized.quantization.calibration?.images).toBe(1024);
  expect([float32.latencyMs > 0, int8.latencyMs > 0]).toEqual([true, true]);
});

test('layers return to float32 until the drop is kept', async () => {
  const maxDrop = 0.9 * drop;
  const mixed = await withinDrop(original, original, { maxDrop }, measuring);
  expect(mixed.quantized.quantization.floatLayers.length).toBeGreaterThan(0);
  expect(dropOf(mixed.int8, original)).toBeLessThanOrEqual(maxDrop);
  expect(mixed.int8.bytes).toBeGreaterThan(original.int8.bytes);
});

test('but not if the drop is kept, if the smaller network itself exceeds it, or if a limit would be broken', async () => {
  expect(await withinDrop(original, original, { maxDrop: drop }, measuring)).toBe(original);
  const float32 = { ...original.float32, validationAccuracy: 1 - drop / 100 };
  const worse = { ...original, float32 };
  expect(await withinDrop(worse, original, { maxDrop: 0.9 * drop }, measuring)).toBe(worse);
  const limits = { maxDrop: 0.9 * drop, bytes: original.int8.bytes };
  expect(await withinDrop(original, original, limits, measuring)).toBe(original);
  // Missed already: there will be another round.
  expect(await withinDrop(original, original, { ...limits, operations: 0.5 }, measuring)).toBe(original);
});
