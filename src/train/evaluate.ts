/** Evaluation over exactly all images of a split, whatever the batch size. */
import type { Dataset, SplitName } from '../data/dataset.ts';
import { splitOf } from '../data/image-set.ts';
import { createEvaluationLoader } from '../data/loader.ts';
import type { Preprocessing } from '../data/preprocessing.ts';
import type { Engine, ParameterArena } from '../engine/engine.ts';
import type { Network } from '../nn/network.ts';
import { letEventsIn } from './events.ts';

export interface Evaluation {
  readonly split: SplitName;
  /** Fraction of images whose largest logit is that of their label. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats, without label smoothing or weight decay. */
  readonly loss: number;
  readonly images: number;
  /** Over the whole pass, reading and preprocessing the images included. */
  readonly imagesPerSecond: number;
  /** Accuracy over the images of each class, in class order; NaN-free: 0 for a class without images. */
  readonly perClass: readonly { readonly label: string; readonly images: number; readonly accuracy: number }[];
  /** `[label][prediction]`: numbers of images. */
  readonly confusion: readonly (readonly number[])[];
}

export interface EvaluatorOptions {
  readonly engine: Engine;
  readonly network: Network;
  readonly dataset: Dataset;
  readonly split: SplitName;
  /** Whether the run kept validation images out of training. */
  readonly useVal: boolean;
  readonly preprocessing: Preprocessing;
  readonly batchSize: number;
}

/** Owns a compiled network and the threads that prepare its images, so that a run compiles and starts them once. */
export interface Evaluator {
  /** To be filled with the weights to evaluate: `loadWeights` or `copyParameters`. */
  readonly parameters: ParameterArena;
  /**
   * One pass with the weights now in `parameters`. Calls must not overlap.
   *
   * @param signal stops the pass; it then returns undefined, and the evaluator is of no further use
   */
  run(signal?: AbortSignal): Promise<Evaluation | undefined>;
  dispose(): Promise<void>;
}

export function createEvaluator({
  engine,
  network,
  dataset,
  split,
  useVal,
  preprocessing,
  batchSize,
}: EvaluatorOptions): Evaluator {
  const images = splitOf(dataset, split, useVal);
  const loader = createEvaluationLoader({ images, shape: dataset.shape, preprocessing, batchSize, ahead: 2 });
  const plan = engine.compileInference(network, { batchSize });
  const classes = dataset.classes.length;

  return {
    parameters: plan.parameters,

    async run(signal) {
      const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
      let loss = 0;
      let count = 0;
      const start = performance.now();
      for (let batch = await loader.next(); batch !== undefined; batch = await loader.next()) {
        plan.bindInput(batch.inputs);
        plan.forward();
        for (let n = 0; n < batch.count; n++) {
          const label = batch.labels[n]!;
          const logits = plan.output.subarray(n * classes, (n + 1) * classes);
          loss += crossEntropy(logits, label);
          confusion[label]![largest(logits)]!++;
        }
        count += batch.count;
        await letEventsIn();
        if (signal?.aborted === true) return undefined;
      }
      const seconds = (performance.now() - start) / 1000;
      return summarize(split, dataset.classes, confusion, loss / count, count / seconds);
    },

    async dispose() {
      await loader.dispose();
      plan.dispose();
    },
  };
}

function summarize(
  split: SplitName,
  classes: readonly string[],
  confusion: readonly (readonly number[])[],
  loss: number,
  imagesPerSecond: number,
): Evaluation {
  const perClass = classes.map((label, k) => {
    const images = confusion[k]!.reduce((sum, n) => sum + n, 0);
    return { label, images, accuracy: images === 0 ? 0 : confusion[k]![k]! / images };
  });
  const images = perClass.reduce((sum, row) => sum + row.images, 0);
  const correct = confusion.reduce((sum, row, k) => sum + row[k]!, 0);
  return { split, accuracy: correct / images, loss, images, imagesPerSecond, perClass, confusion };
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
