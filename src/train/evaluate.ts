/** Evaluation over exactly all images of a split, whatever the batch size. */
import { singleProcess, type Collective } from '../cluster/collective.ts';
import type { Batch, BatchLoader } from '../data/batch.ts';
import type { Dataset, ImageSet, SplitName } from '../data/dataset.ts';
import { sliceImages, splitOf } from '../data/image-set.ts';
import { createEvaluationLoader } from '../data/loader.ts';
import type { Engine, ParameterArena, Precision } from '../engine/engine.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { Classifier } from './classifier.ts';
import { letEventsIn } from './events.ts';
import { createTally, type Evaluation } from './tally.ts';
import { viewsOf, type TtaLevel } from './test-time-augmentation.ts';

export interface EvaluatorOptions {
  readonly engine: Engine;
  readonly classifier: Classifier;
  readonly dataset: Dataset;
  readonly split: SplitName;
  /** Whether the run kept validation images out of training. */
  readonly useVal: boolean;
  /** Images at a time, at most; does not change the result. */
  readonly batchSize: number;
  /** The views of each image whose logits are averaged; default `none`: each image as it is. */
  readonly tta?: TtaLevel;
  /** In which the network computes; default `f32`, whatever it was trained in. */
  readonly precision?: Precision;
  /** The processes that evaluate together, each its part of the images; default this one alone. */
  readonly collective?: Collective;
}

/** Owns a compiled network and the threads that prepare its images, so that a run compiles and starts them once. */
export interface Evaluator {
  /** To be filled with the weights to evaluate: `loadWeights` or `copyParameters`. */
  readonly parameters: ParameterArena;
  /**
   * One pass with the weights now in `parameters`. Calls must not overlap.
   *
   * @param signal stops the pass, on whichever process; it then returns undefined on all, and the evaluator is of no further use
   * @param onImage is given each image of this process's part: its position in the split, its label and its logits
   */
  run(signal?: AbortSignal, onImage?: OnImage): Promise<Evaluation | undefined>;
  dispose(): Promise<void>;
}

export type OnImage = (image: number, label: number, logits: Float32Array) => void;

export async function createEvaluator({
  engine,
  classifier: { network, preprocessing },
  dataset,
  split,
  useVal,
  batchSize: largestBatch,
  tta = 'none',
  precision = 'f32',
  collective = singleProcess,
}: EvaluatorOptions): Promise<Evaluator> {
  const { images, first } = partOf(splitOf(dataset, split, useVal), collective);
  const batchSize = Math.min(largestBatch, images.count);
  const views = viewsOf(tta);
  // Before the loaders: where it fails, no thread has been started.
  const plan = await engine.compileInference(network, { batchSize, precision });
  let loaders: readonly BatchLoader[];
  try {
    // One for each view, all at the same batch.
    // Stryker disable ConditionalExpression,EqualityOperator: how far ahead is a matter of speed alone
    loaders = views.map(({ view }) =>
      createEvaluationLoader({ images, shape: dataset.shape, preprocessing, batchSize, view, ahead: views.length === 1 ? 2 : 1 }),
    );
    // Stryker restore ConditionalExpression,EqualityOperator
  } catch (error) {
    plan.dispose();
    throw error;
  }
  const classes = dataset.classes.length;
  /** `[batchSize, classes]`: the weighted mean over the views. */
  const mean = new Float32Array(batchSize * classes);

  /** Fills `mean` for the next batch and returns the batch; undefined after the last. */
  async function nextBatch(): Promise<Batch | undefined> {
    mean.fill(0);
    let batch: Batch | undefined;
    for (const [i, { weight }] of views.entries()) {
      batch = await loaders[i]!.next();
      if (batch === undefined) continue;
      plan.bindInput(batch.inputs);
      plan.forward();
      const logits = await plan.output.read();
      mean.forEach((sum, k) => (mean[k] = sum + weight * logits[k]!));
    }
    return batch;
  }

  return {
    parameters: plan.parameters,

    async run(signal, onImage) {
      const tally = createTally(dataset.classes);
      const stopped = new Float64Array(1);
      let image = first;
      for (let batch = await nextBatch(); batch !== undefined; batch = await nextBatch()) {
        for (let n = 0; n < batch.count; n++) {
          const logits = mean.subarray(n * classes, (n + 1) * classes);
          tally.add(batch.labels[n]!, logits);
          onImage?.(image++, batch.labels[n]!, logits);
        }
        await letEventsIn();
        if (signal?.aborted === true) {
          stopped[0] = 1;
          break;
        }
      }
      collective.sum(stopped);
      if (stopped[0]! > 0) return undefined;
      collective.sum(tally.counts);
      return tally.evaluation(split, tta);
    },

    async dispose() {
      await Promise.all(loaders.map((loader) => loader.dispose()));
      plan.dispose();
    },
  };
}

/** This process's images, and the position of the first of them; all processes' together are every image once. */
function partOf(images: ImageSet, { rank, worldSize }: Collective): { readonly images: ImageSet; readonly first: number } {
  if (images.count < worldSize) {
    throw new ConfigurationError(`${images.count} images to evaluate are too few for ${worldSize} processes`);
  }
  const border = (process: number): number => Math.floor((process * images.count) / worldSize);
  const first = border(rank);
  return { images: sliceImages(images, first, border(rank + 1)), first };
}
