import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { latencyBySize } from '../../test/latency-by-size.ts';
import { cifar10Classes } from '../data/cifar10.ts';
import type { Dataset } from '../data/dataset.ts';
import { generateSynthetic } from '../data/synthetic.ts';
import type { BenchOptions } from '../deploy/bench/bench-inference.ts';
import { imageBatches } from '../deploy/pixels.ts';
import { openSession } from '../deploy/onnx-runtime.ts';
import { freezeUntrained } from '../../test/freeze-untrained.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import {
  decisive,
  dropOf,
  layerSensitivities,
  measureNetwork,
  measureSize,
  validationImages,
  withinDrop,
  type MeasuredNetwork,
  type Measuring,
} from './network.ts';

const dataset: Dataset = { ...generateSynthetic({ trainCount: 1500, testCount: 10 }), classes: cifar10Classes };
const measuring: Measuring = { dataset, threads: 1, source: 'model', bench: latencyBySize() };
const keys = { 'model.conv1.filters': 8, 'model.conv2.filters': 8, 'model.dense1.features': 24, 'model.dense2.features': 16 };

/** Points: labels are what the float network says, so that all is lost by quantization. */
async function measured(): Promise<{ readonly original: MeasuredNetwork; readonly drop: number }> {
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
  const original = await measureNetwork(frozen, measuring);
  return { original, drop: dropOf(original.int8, original) };
}
/** Once for all tests, in the first that needs it. */
let once: ReturnType<typeof measured> | undefined;
const original = async () => (once ??= measured());

test('both files of a network are measured, on images that nothing was trained or calibrated on', async () => {
  const { original: network, drop } = await original();
  const { float32, int8, frozen, quantized } = network;
  expect(float32.validationAccuracy).toBe(1);
  expect(drop).toBeGreaterThan(0.5);
  expect(int8.bytes).toBeLessThan(0.6 * float32.bytes);
  expect(quantized.quantization).toMatchObject({ scheme: 'int8', weightBits: 7, floatLayers: [] });
  expect(quantized.quantization.calibration).toMatchObject({ method: 'mse', images: 1024, seed: 1 });
  // The median, in milliseconds, of the file without an accuracy; its size is that with one of as many digits as any.
  expect([float32.latencyMs, int8.latencyMs]).toEqual([frozen, quantized].map(({ encode }) => encode(null).length / 1000));
  const accuracy = { split: 'test', images: 10, dataset: dataset.name, fingerprint: dataset.fingerprint } as const;
  for (const [file, { encode }] of [
    [float32, frozen],
    [int8, quantized],
  ] as const) {
    expect(file.bytes).toBe(encode({ ...accuracy, value: 0.12345678901234568 }).length);
    expect(file.bytes).toBeGreaterThanOrEqual(encode({ ...accuracy, value: 0.9 }).length);
  }
  expect(decisive(network, network)).toEqual({
    parameters: frozen.metadata.parameters,
    operations: frozen.metadata.operations,
    bytes: int8.bytes,
    latencyMs: int8.latencyMs,
    dropPoints: drop,
  });
});

test('what is limited of a size is known whatever the weights: bytes, and the latency if that is limited', async () => {
  const { original: network } = await original();
  const timed: BenchOptions[] = [];
  const watched = { ...measuring, bench: latencyBySize(timed) };
  // 32 images calibrate in place of 1024, which the file says in two digits less.
  expect(await measureSize(network.frozen, { bytes: 1 }, watched)).toEqual({ bytes: network.int8.bytes - 2, latencyMs: 0 });
  expect(timed).toEqual([]);
  const { bytes, latencyMs } = await measureSize(network.frozen, { latencyMs: 1 }, watched);
  expect(timed.map(({ files, ...how }) => [files.length, how])).toEqual([
    [1, { threads: [1], runtimes: ['onnxruntime'], batchSizes: [], rounds: 3, roundMs: 100 }],
  ]);
  expect(bytes).toBe(network.int8.bytes - 2);
  expect(latencyMs).toBeCloseTo(network.int8.latencyMs - 0.002, 9);
  expect(timed[0]!.files.some(({ path }) => existsSync(path))).toBe(false);
});

test('a stopwatch gives a latency, too', async () => {
  const { original: network } = await original();
  const { latencyMs } = await measureSize(network.frozen, { latencyMs: 1 }, { ...measuring, bench: undefined });
  expect(latencyMs).toBeGreaterThan(0);
});

test('what each layer costs is measured on the validation images, once', async () => {
  const { original: network } = await original();
  const told: string[] = [];
  const sensitivities = await layerSensitivities(network, measuring, (_done, _total, layer) => told.push(layer));
  expect(sensitivities.map(({ layer }) => layer)).toEqual(['conv1', 'conv2', 'dense1', 'dense2', 'logits']);
  expect(told).toEqual([...sensitivities.map(({ layer }) => layer), '']);
  for (const { divergence } of sensitivities) expect(divergence).toBeGreaterThan(0);
  const check = { images: 150, floatAccuracy: 1, cost: { dropPoints: 0, divergence: 0 }, sensitivities: [] };
  const known = { ...network, quantized: { ...network.quantized, check } };
  expect(await layerSensitivities(known, measuring, undefined)).toBe(check.sensitivities);
});

test('layers return to float32 until the drop is kept', async () => {
  const { original: network, drop } = await original();
  const maxDrop = 0.9 * drop;
  const mixed = await withinDrop(network, network, { maxDrop }, measuring);
  expect(mixed.quantized.quantization.floatLayers.length).toBeGreaterThan(0);
  expect(dropOf(mixed.int8, network)).toBeLessThanOrEqual(maxDrop);
  expect(mixed.int8.bytes).toBeGreaterThan(network.int8.bytes);
});

test('what the smaller network itself has cost is not left for quantization', async () => {
  const { original: network, drop } = await original();
  // One image of 150, which half a point does not allow, and a whole one does.
  expect(drop).toBeCloseTo(100 / 150, 5);
  const float32 = { ...network.float32, validationAccuracy: 0.995 };
  const int8 = { ...network.int8, validationAccuracy: 0.988 };
  const mixed = await withinDrop({ ...network, float32, int8 }, network, { maxDrop: 1 }, measuring);
  expect(mixed.quantized.quantization.floatLayers.length).toBeGreaterThan(0);
  expect(dropOf(mixed.int8, network)).toBe(0);
});

test('but not if the drop is kept, if the smaller network itself exceeds it, or if a limit would be broken', async () => {
  const { original: network, drop } = await original();
  expect(await withinDrop(network, network, { maxDrop: drop }, measuring)).toBe(network);
  const float32 = { ...network.float32, validationAccuracy: 1 - drop / 100 };
  const worse = { ...network, float32 };
  expect(await withinDrop(worse, network, { maxDrop: 0.9 * drop }, measuring)).toBe(worse);
  const limits = { maxDrop: 0.9 * drop, bytes: network.int8.bytes };
  expect(await withinDrop(network, network, limits, measuring)).toBe(network);
  // Missed already: there will be another round.
  expect(await withinDrop(network, network, { ...limits, operations: 0.5 }, measuring)).toBe(network);
});
