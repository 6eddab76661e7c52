/** The integers of a plan on labelled images, beside the network in float32 that they were made of. */
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { letEventsIn } from '../../train/events.ts';
import { encodeModel } from '../onnx/schema.ts';
import { openSession } from '../onnx-runtime.ts';
import { centralParts, imageBatches } from '../pixels.ts';
import { logitsOutput } from '../tensor-names.ts';
import type { FloatModel } from './float-model.ts';
import type { Plan } from './plan.ts';
import { createTwin } from './twin.ts';

export interface IntegerEvaluation {
  readonly images: number;
  /** Fractions of the images that are labelled correctly: by the integers, and in float32. */
  readonly accuracy: number;
  readonly floatAccuracy: number;
  /** Fraction of the images to which both give the same label. */
  readonly agreement: number;
}

export interface IntegerEvaluationOptions {
  readonly plan: Plan;
  readonly float: FloatModel;
  readonly images: ImageSet;
  /** `[C, H, W]` of them. */
  readonly shape: Dataset['shape'];
  /** Of ONNX Runtime, for the network in float32. */
  readonly threads: number;
  /** Only so many images, from the first on. Default: all. */
  readonly limit?: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const batchSize = 100;

/** @returns undefined if the signal stopped it */
export async function evaluateIntegers(options: IntegerEvaluationOptions): Promise<IntegerEvaluation | undefined> {
  const { plan, float, images, shape, threads, limit = images.count, onProgress, signal } = options;
  const twin = createTwin(plan);
  const classes = plan.output.extent.channels;
  const logits = new Int8Array(classes);
  const session = await openSession(encodeModel(float.model), 'the network in float32', { threads });
  const total = Math.min(limit, images.count);
  let [done, right, floatRight, same] = [0, 0, 0, 0];
  try {
    for (const { batch, labels } of imageBatches(images, shape, batchSize, total)) {
      const floats = (await session.read(batch, [logitsOutput])).get(logitsOutput)!;
      const parts = centralParts(batch, plan.input.extent);
      const length = parts.length / batch.count;
      for (let i = 0; i < batch.count; i++) {
        twin.run(parts.subarray(i * length, (i + 1) * length), logits);
        const label = indexOfLargest(logits);
        const floatLabel = indexOfLargest(floats.subarray(i * classes, (i + 1) * classes));
        if (label === labels[i]) right++;
        if (floatLabel === labels[i]) floatRight++;
        if (label === floatLabel) same++;
      }
      done += batch.count;
      onProgress?.(done, total);
      await letEventsIn();
      if (signal?.aborted === true) return undefined;
    }
  } finally {
    await session.dispose();
  }
  return { images: done, accuracy: right / done, floatAccuracy: floatRight / done, agreement: same / done };
}

/** The first of equals, as the C code has it. */
export function indexOfLargest(values: Int8Array | Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
