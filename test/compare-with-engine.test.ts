import { expect, test } from 'vitest';
import { noiseDataset } from './noise-dataset.ts';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { compareWithEngine } from './compare-with-engine.ts';
import { freezeUntrained } from './freeze-untrained.ts';

const small = { model: 'squeeze0', inputSize: 8, 'conv1.filters': 4 } as const;
const dataset = { ...noiseDataset(10, { train: 10, test: 12 }), classes: cifar10Classes };
const options = { engine: referenceEngine, dataset, limit: 8, batchSize: 4 };

test('the same weights give the same labels, and both accuracies', async () => {
  const frozen = await freezeUntrained(referenceEngine, small);
  const comparison = await compareWithEngine({ ...options, frozen });
  expect(comparison).toMatchObject({ images: 8, differentLabels: 0 });
  expect(comparison.relativeDifference).toBeGreaterThan(0);
  expect(comparison.relativeDifference).toBeLessThan(1e-5);
  expect(comparison.frozenAccuracy).toBe(comparison.engineAccuracy);
  // Labelled as the network predicts, and one image otherwise: 7 of 8.
  const labels = await predictions(frozen);
  dataset.test.labels.set(labels);
  dataset.test.labels[5] = (labels[5]! + 1) % 10;
  const right = await compareWithEngine({ ...options, frozen });
  expect([right.engineAccuracy, right.frozenAccuracy]).toEqual([7 / 8, 7 / 8]);
});

test('other weights in the file give other logits and labels', async () => {
  const frozen = await freezeUntrained(referenceEngine, small);
  const other = await freezeUntrained(referenceEngine, { ...small, seed: 9 });
  const labels = await predictions(frozen);
  const otherLabels = await predictions(other);
  const mixed = { ...frozen, encode: other.encode };
  const comparison = await compareWithEngine({ ...options, frozen: mixed });
  expect(comparison.relativeDifference).toBeGreaterThan(0.1);
  const different = labels.slice(0, 8).filter((label, i) => label !== otherLabels[i]).length;
  expect(different).toBeGreaterThan(0);
  expect(comparison.differentLabels).toBe(different);
});

/** Of all test images, by the engine alone. */
async function predictions(frozen: Awaited<ReturnType<typeof freezeUntrained>>): Promise<number[]> {
  const { openSession } = await import('../src/deploy/onnx-runtime.ts');
  const { toInterleaved } = await import('../src/deploy/pixels.ts');
  const session = await openSession(frozen.encode(null), 'f');
  const { logits } = await session.run({
    pixels: toInterleaved(dataset.test.images, 12, 10, 10),
    count: 12,
    height: 10,
    width: 10,
  });
  await session.dispose();
  return Array.from({ length: 12 }, (_, n) => {
    const own = [...logits.subarray(10 * n, 10 * n + 10)];
    return own.indexOf(Math.max(...own));
  });
}
