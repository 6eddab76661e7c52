/** The integers of devices: the twin against plain loops, to the bit, and against the network in real numbers. */
import { describe, expect, test } from 'vitest';
import { createTransform, plainView } from '../src/data/transform.ts';
import { buildPlan } from '../src/deploy/mcu/build.ts';
import { createPlainKernels } from '../src/deploy/mcu/kernels.ts';
import type { Plan } from '../src/deploy/mcu/plan.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { toInterleaved } from '../src/deploy/pixels.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { loadInto } from '../src/train/weights.ts';
import { deviceCases, deviceImages, type DeviceCase } from './device-networks.ts';
import { plainLogits } from './plain-integers.ts';

const range = { method: 'min-max', percentile: 100 } as const;

async function planOf({ trained, side }: DeviceCase): Promise<Plan> {
  const { plan } = await buildPlan(trained, { images: deviceImages(side, 64), shape: [3, side, side], range });
  return plan;
}

/** `[count, side, side, 3]` bytes of images that did not calibrate. */
function pixels(side: number, count: number): Uint8Array[] {
  const { images } = deviceImages(side, count, 2);
  const all = toInterleaved(images, count, side, side);
  return Array.from({ length: count }, (_, i) => all.subarray((i * all.length) / count, ((i + 1) * all.length) / count));
}

describe.each(deviceCases)('$name', (each) => {
  test('the twin computes what the plain loops do', async () => {
    const plan = await planOf(each);
    const [twin, plain] = [createTwin(plan), createTwin(plan, createPlainKernels)];
    const [logits, plainTwin] = [new Int8Array(each.classes), new Int8Array(each.classes)];
    const seen = new Set<number>();
    for (const image of pixels(each.side, 12)) {
      twin.run(image, logits);
      expect([...logits]).toEqual(plainLogits(plan, image));
      plain.run(image, plainTwin);
      expect(plainTwin).toEqual(logits);
      for (const logit of logits) seen.add(logit);
    }
    // Not always the same few.
    expect(seen.size).toBeGreaterThan(8);
  });

  test('the integers stand for what the network computes', async () => {
    const plan = await planOf(each);
    const { network, preprocessing } = each.trained.classifier;
    const { side, classes, weights } = each;
    const count = 32;
    const float = await referenceEngine.compileInference(network, { batchSize: count });
    await loadInto(float.parameters, float.parameters.values, weights, '', 'weights');
    const { images } = deviceImages(side, count, 2);
    const transform = createTransform([3, side, side], preprocessing);
    for (let i = 0; i < count; i++) transform.evaluation(images, i, plainView, float.input, i * transform.inputLength);
    float.forward();
    const output = await float.output.read();
    const twin = createTwin(plan);
    const { scale, zeroPoint } = plan.output;
    const logits = new Int8Array(classes);
    let squares = 0;
    let errors = 0;
    const mean = output.reduce((sum, value) => sum + value, 0) / output.length;
    pixels(side, count).forEach((image, i) => {
      twin.run(image, logits);
      logits.forEach((logit, k) => {
        const exact = output[i * classes + k]!;
        errors += ((logit - zeroPoint) * scale - exact) ** 2;
        squares += (exact - mean) ** 2;
      });
    });
    // Of the variance of the logits over images and classes.
    expect(errors / squares).toBeLessThan(0.01);
  });
});
