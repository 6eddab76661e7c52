/** What a worker writes into each batch: which examples, and how they are transformed. Pure functions of the batch's number. */
import { permutation, streamKey } from '../util/random.ts';
import type { Slot } from './batch-ring.ts';
import type { ImageSet } from './dataset.ts';
import type { Preprocessing } from './preprocessing.ts';
import { augmentationKeys, createTransform, type AugmentationKeys, type EvaluationView } from './transform.ts';

export interface TrainingTask {
  readonly type: 'training';
  readonly seed: number;
  /** The step of batch 0. */
  readonly firstStep: number;
  readonly rank: number;
  readonly worldSize: number;
}

export interface EvaluationTask {
  readonly type: 'evaluation';
  readonly view: EvaluationView;
}

export interface FillSettings {
  readonly images: ImageSet;
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly preprocessing: Preprocessing;
  readonly batchSize: number;
  readonly task: TrainingTask | EvaluationTask;
}

/** A function that writes batch `n` (0, 1, 2 ...) into a slot. */
export function createFill(settings: FillSettings): (n: number, slot: Slot) => void {
  return settings.task.type === 'training' ? trainingFill(settings, settings.task) : evaluationFill(settings, settings.task);
}

/** Number of batches in one pass over `count` images, the last perhaps partial. */
export function batchesPerPass(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/** Number of images in batch `n` of an evaluation that passes over `count` images again and again. */
export function evaluationCount(n: number, count: number, batchSize: number): number {
  const first = (n % batchesPerPass(count, batchSize)) * batchSize;
  return Math.min(batchSize, count - first);
}

/**
 * The endless stream of training examples: every epoch is a permutation of all images of its own, and examples follow across the
 * border of epochs, so that every batch is full. Batches of several ranks lie side by side in the stream.
 */
function trainingFill(settings: FillSettings, task: TrainingTask): (n: number, slot: Slot) => void {
  const { images, batchSize } = settings;
  const transform = createTransform(settings.shape, settings.preprocessing);
  const beginEpoch = (epoch: number): { order: Uint32Array; keys: AugmentationKeys } => ({
    order: permutation(streamKey(task.seed, 'shuffle', epoch), images.count),
    keys: augmentationKeys(task.seed, epoch),
  });
  let current: ReturnType<typeof beginEpoch> | undefined;
  return (n, slot) => {
    const first = ((task.firstStep + n) * task.worldSize + task.rank) * batchSize;
    for (let row = 0; row < batchSize; row++) {
      const example = first + row;
      const epoch = Math.floor(example / images.count);
      if (current?.keys.epoch !== epoch) current = beginEpoch(epoch);
      const position = current.order[example - epoch * images.count]!;
      transform.training(images.images, position, current.keys, slot.inputs, row * transform.inputLength);
      slot.labels[row] = images.labels[position]!;
    }
  };
}

/** Every image once in the order stored, pass after pass. */
function evaluationFill(settings: FillSettings, task: EvaluationTask): (n: number, slot: Slot) => void {
  const { images, batchSize } = settings;
  const transform = createTransform(settings.shape, settings.preprocessing);
  return (n, slot) => {
    const first = (n % batchesPerPass(images.count, batchSize)) * batchSize;
    const count = evaluationCount(n, images.count, batchSize);
    for (let row = 0; row < count; row++) {
      transform.evaluation(images.images, first + row, task.view, slot.inputs, row * transform.inputLength);
      slot.labels[row] = images.labels[first + row]!;
    }
  };
}
