/**
 * What the last evaluation of a run said of each image: `predictions.safetensors` in its folder, so that mistakes can be looked at without
 * computing anything again. Tensors of one number for each image of the split: `label`, `prediction`, `probability` (of the
 * prediction) and `labelProbability`.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { splitNames } from '../data/dataset.ts';
import { encodeSafetensors, readSafetensors, type Tensor } from '../runs/safetensors.ts';
import { AblateError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { ttaLevels } from './test-time-augmentation.ts';
import { weightsKinds } from './weights.ts';

/** What a network says of one image. */
export interface Prediction {
  /** Position in the split. */
  readonly image: number;
  readonly label: number;
  readonly prediction: number;
  /** Of the prediction, by softmax. */
  readonly probability: number;
  readonly labelProbability: number;
}

const recordSchema = z.object({
  split: z.enum(splitNames),
  tta: z.enum(ttaLevels),
  /** Steps taken. */
  step: z.int(),
  weights: z.enum(weightsKinds),
  datasetFingerprint: z.string(),
});

export type PredictionsRecord = Readonly<z.output<typeof recordSchema>>;

export interface RecordedPredictions extends PredictionsRecord {
  /** Images. */
  readonly count: number;
  at(image: number): Prediction;
}

/** Collects what a network says of the images of a split. */
export interface PredictionCollector {
  /** A row for each image; those of images that were not added are zero, so that the rows of processes that share the images add up. */
  readonly rows: Float64Array;
  /** Takes one image, with its logits `[classes]`. */
  add(image: number, label: number, logits: Float32Array): void;
  at(image: number): Prediction;
}

const columns = ['label', 'prediction', 'probability', 'labelProbability'] as const;

const fileName = 'predictions.safetensors';

const format = 'ablate-predictions-1';

export function collectPredictions(images: number): PredictionCollector {
  const rows = new Float64Array(images * columns.length);
  return {
    rows,
    add(image, label, logits) {
      let prediction = 0;
      for (let k = 1; k < logits.length; k++) if (logits[k]! > logits[prediction]!) prediction = k;
      const largest = logits[prediction]!;
      let sum = 0;
      for (const logit of logits) sum += Math.exp(logit - largest);
      rows.set([label, prediction, 1 / sum, Math.exp(logits[label]! - largest) / sum], image * columns.length);
    },
    at(image) {
      const [label, prediction, probability, labelProbability] = rows.subarray(
        image * columns.length,
        (image + 1) * columns.length,
      );
      return { image, label: label!, prediction: prediction!, probability: probability!, labelProbability: labelProbability! };
    },
  };
}

/** Replaces those of a run. @throws AblateError if they cannot be written */
export function writePredictions(run: { readonly path: string }, { rows }: PredictionCollector, record: PredictionsRecord): void {
  const count = rows.length / columns.length;
  const tensors = columns.map((name, column): [string, Tensor] => [
    name,
    { shape: [count], data: Float32Array.from({ length: count }, (_, i) => rows[i * columns.length + column]!) },
  ]);
  const metadata = { format, record: JSON.stringify(record) };
  writeFileAtomic(join(run.path, fileName), encodeSafetensors(new Map(tensors), metadata), { durable: false });
}

/** The predictions of a run's last evaluation; undefined if there are none, or they are damaged. */
export function readPredictions(run: { readonly path: string }): RecordedPredictions | undefined {
  try {
    const { tensors, metadata } = readSafetensors(join(run.path, fileName));
    if (metadata['format'] !== format) return undefined;
    const { data: record } = recordSchema.safeParse(JSON.parse(metadata['record'] ?? ''));
    const [label, prediction, probability, labelProbability] = columns.map((name) => tensors.get(name)?.data);
    const all = [label, prediction, probability, labelProbability];
    if (record === undefined || label === undefined || all.some((column) => column?.length !== label.length)) return undefined;
    return {
      ...record,
      count: label.length,
      at: (image) => ({
        image,
        label: label[image]!,
        prediction: prediction![image]!,
        probability: probability![image]!,
        labelProbability: labelProbability![image]!,
      }),
    };
  } catch (error) {
    // Not there, or damaged: the evaluation itself is of use without them.
    if (error instanceof AblateError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Which images are wanted: all where nothing is said. */
export interface PredictionFilter {
  readonly label?: number | undefined;
  readonly prediction?: number | undefined;
}

/**
 * Images that were told wrongly, the surest mistakes first; with a filter that names the same class twice, those that were told rightly, the
 * least sure first.
 */
export function worstFirst(
  { count, at }: Pick<RecordedPredictions, 'count' | 'at'>,
  filter: PredictionFilter = {},
): Prediction[] {
  const isRight = filter.label !== undefined && filter.label === filter.prediction;
  const found: Prediction[] = [];
  for (let image = 0; image < count; image++) {
    const each = at(image);
    if ((each.label === each.prediction) !== isRight) continue;
    if (filter.label !== undefined && each.label !== filter.label) continue;
    if (filter.prediction !== undefined && each.prediction !== filter.prediction) continue;
    found.push(each);
  }
  return found.sort((a, b) => (isRight ? a.probability - b.probability : b.probability - a.probability) || a.image - b.image);
}
