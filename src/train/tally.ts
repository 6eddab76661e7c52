/** Counts what a classifier got right. */
import * as z from 'zod';
import { splitNames, type SplitName } from '../data/dataset.ts';
import { ttaLevels, type TtaLevel } from './test-time-augmentation.ts';

export const evaluationSchema = z.object({
  split: z.enum(splitNames),
  /** The views of each image whose logits were averaged. */
  tta: z.enum(ttaLevels),
  /** Fraction of images whose largest logit is that of their label. */
  accuracy: z.number(),
  /** Mean cross-entropy in nats, without label smoothing or weight decay; of the averaged logits, where there are several views. JSON has no NaN. */
  loss: z
    .number()
    .nullable()
    .transform((loss) => loss ?? NaN),
  images: z.int(),
  /** Over the whole pass, reading and preprocessing the images included. */
  imagesPerSecond: z.number(),
  /** Accuracy over the images of each class, in class order; NaN-free: 0 for a class without images. */
  perClass: z.array(z.object({ label: z.string(), images: z.int(), accuracy: z.number() }).readonly()).readonly(),
  /** `[label][prediction]`: numbers of images. */
  confusion: z.array(z.array(z.int()).readonly()).readonly(),
});

export type Evaluation = Readonly<z.output<typeof evaluationSchema>>;

export interface Tally {
  /** All that is counted: images by `[label][prediction]`, then the sum of the losses. Tallies of parts of the images add up. */
  readonly counts: Float64Array;
  /** Counts one image with its logits `[classes]`. */
  add(label: number, logits: Float32Array): void;
  /** What was counted, in the time since the tally was made. `tta` says of which views the logits were; default `none`. */
  evaluation(split: SplitName, tta?: TtaLevel): Evaluation;
}

export function createTally(classes: readonly string[]): Tally {
  const lossAt = classes.length ** 2;
  const counts = new Float64Array(lossAt + 1);
  const start = performance.now();
  return {
    counts,
    add(label, logits) {
      counts[lossAt]! += crossEntropy(logits, label);
      counts[label * classes.length + largest(logits)]!++;
    },
    evaluation(split, tta = 'none') {
      const seconds = (performance.now() - start) / 1000;
      const confusion = classes.map((_, label) => [...counts.subarray(label * classes.length, (label + 1) * classes.length)]);
      const perClass = classes.map((label, k) => {
        const images = confusion[k]!.reduce((sum, n) => sum + n, 0);
        return { label, images, accuracy: images === 0 ? 0 : confusion[k]![k]! / images };
      });
      const images = perClass.reduce((sum, row) => sum + row.images, 0);
      const correct = confusion.reduce((sum, row, k) => sum + row[k]!, 0);
      const means = { accuracy: correct / images, loss: counts[lossAt]! / images };
      return { split, tta, ...means, images, imagesPerSecond: images / seconds, perClass, confusion };
    },
  };
}

/** log(sum_k exp(z_k)) - z_label, in nats. */
function crossEntropy(logits: Float32Array, label: number): number {
  let maximum = -Infinity;
  for (const logit of logits) maximum = Math.max(maximum, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - maximum);
  return Math.log(sum) + maximum - logits[label]!;
}

/** Index of the largest element, the first of equals. */
function largest(logits: Float32Array): number {
  let best = 0;
  for (let k = 1; k < logits.length; k++) if (logits[k]! > logits[best]!) best = k;
  return best;
}
