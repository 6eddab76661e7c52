/** Whether a frozen file computes what the engine computes. */
import type { Preprocessing } from '../data/preprocessing.ts';
import { createTransform, plainView } from '../data/transform.ts';
import type { InferencePlan } from '../engine/engine.ts';
import { sidesOf } from '../util/image-size.ts';
import { streamKey, uint32 } from '../util/random.ts';
import { openSession } from './onnx-runtime.ts';
import { toInterleaved } from './pixels.ts';

/** Largest difference between two logits, relative to the largest logit: float32 arithmetic in another order stays far below. */
export const agreementTolerance = 1e-4;

/** max |a - b| / max |a|; 0 if both are all zeros, NaN if either has a NaN. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(a[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

/**
 * Runs a frozen file and a plan that holds the same weights on the same generated images, a few pixels larger than the network's input,
 * so that the crop counts too.
 *
 * @returns their relative difference
 */
export async function differenceFromPlan(bytes: Uint8Array, plan: InferencePlan, preprocessing: Preprocessing): Promise<number> {
  const count = plan.batchSize;
  const [inputHeight, inputWidth] = sidesOf(preprocessing.inputSize);
  const shape = [plan.network.inputShape[0]!, inputHeight + 3, inputWidth + 6] as const;
  const [channels, height, width] = shape;
  const images = generateImages(count, shape);
  const transform = createTransform(shape, preprocessing);
  for (let i = 0; i < count; i++) transform.evaluation(images, i, plainView, plan.input, i * transform.inputLength);
  plan.forward();
  const session = await openSession(bytes, 'the frozen file');
  try {
    const pixels = toInterleaved(images, count, height, width, channels);
    const { logits } = await session.run({ pixels, count, height, width });
    return relativeDifference(await plan.output.read(), logits);
  } finally {
    await session.dispose();
  }
}

/** `[count, C, height, width]`: a colour that changes across the image, under noise. */
function generateImages(count: number, [channels, height, width]: readonly [number, number, number]): Uint8Array {
  const images = new Uint8Array(count * channels * height * width);
  const key = streamKey(1, 'frozen-agreement');
  for (let i = 0; i < images.length; i++) {
    const x = i % width;
    const slope = Math.floor(i / (height * width)) * 20;
    images[i] = 40 + ((x * 3 + slope) % 100) + (uint32(key, i) % 100);
  }
  return images;
}
