import { expect, test } from 'vitest';
import { referenceEngine } from '../engine/reference/engine.ts';
import { initializeParameters } from '../train/initialize.ts';
import { tensorsOf } from '../train/weights.ts';
import { differenceFromPlan, relativeDifference } from './agreement.ts';
import { freezeUntrained } from '../../test/freeze-untrained.ts';

const small = { model: 'squeeze0', inputSize: 9, 'conv1.filters': 4, seed: 5 } as const;

test('relative to the largest of the first', () => {
  expect(relativeDifference(Float32Array.of(4, -8, 1), Float32Array.of(4, -7, 3))).toBe(0.25);
  expect(relativeDifference(Float32Array.of(1, 0), Float32Array.of(-1, 8))).toBe(8);
  expect(relativeDifference(new Float32Array(3), new Float32Array(3))).toBe(0);
  expect(relativeDifference(new Float32Array(1), Float32Array.of(2))).toBe(Infinity);
  expect(relativeDifference(Float32Array.of(NaN), Float32Array.of(1))).toBeNaN();
  expect(relativeDifference(Float32Array.of(1), Float32Array.of(NaN))).toBeNaN();
});

test('a file of the same weights agrees with the plan, on images that are larger than its input and differ; of others it does not', async () => {
  const { metadata, classifier, encode, weights } = await freezeUntrained(referenceEngine, small);
  const { config } = metadata;
  const { network, preprocessing } = classifier;
  const plan = await referenceEngine.compileInference(network, { batchSize: 3 });
  try {
    await initializeParameters(plan.parameters, config.seed, config.initializer);
    expect(await tensorsOf(plan.parameters, plan.parameters.values, '')).toEqual(weights);
    expect(await differenceFromPlan(encode(null), plan, preprocessing)).toBeLessThan(1e-5);
    // Three images, none like another, none of one colour, each standardized over all its pixels.
    const length = 3 * 9 * 9;
    const images = [0, 1, 2].map((n) => plan.input.slice(n * length, (n + 1) * length));
    for (const image of images) {
      expect(image.reduce((sum, x) => sum + x, 0) / length).toBeCloseTo(0, 4);
      expect(image.reduce((sum, x) => sum + x * x, 0) / length).toBeCloseTo(1, 3);
      expect(new Set(image).size).toBeGreaterThan(60);
    }
    expect(images[0]).not.toEqual(images[1]);
    expect(images[1]).not.toEqual(images[2]);
    await initializeParameters(plan.parameters, config.seed + 1, config.initializer);
    expect(await differenceFromPlan(encode(null), plan, preprocessing)).toBeGreaterThan(0.01);
  } finally {
    plan.dispose();
  }
});
