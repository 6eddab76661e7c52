/** What a worker writes into each batch: which examples, and how they are transformed. Pure functions of the batch's number. */
import { sidesOf } from '../util/image-size.ts';
import { permutation, streamKey } from '../util/random.ts';
import type { Slot } from './batch-ring.ts';
import type { ImageSet } from './dataset.ts';
import type { ApplyAugmentation } from './own-augmentation.ts';
import type { Augmentation, Preprocessing } from './preprocessing.ts';
import { drawMix, isMixed, writeMixed } from './mixing.ts';
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
  /** What the user's own augmentation does to training images. */
  readonly own?: ApplyAugmentation | undefined;
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
  const { batchSize } = settings;
  const { augmentation } = settings.preprocessing;
  const writeExample = exampleWriter(settings, task);
  if (isMixed(augmentation)) return mixedFill(settings, task, augmentation, writeExample);
  return (n, slot) => {
    const first = ((task.firstStep + n) * task.worldSize + task.rank) * batchSize;
    for (let row = 0; row < batchSize; row++) slot.labels[row] = writeExample(first + row, slot.inputs, row);
  };
}

/** Writes an example of the stream as a row of inputs, and returns its label. */
type WriteExample = (example: number, inputs: Float32Array, row: number) => number;

function exampleWriter({ images, shape, preprocessing, own }: FillSettings, task: TrainingTask): WriteExample {
  const transform = createTransform(shape, preprocessing, own);
  const beginEpoch = (epoch: number): { order: Uint32Array; keys: AugmentationKeys } => ({
    order: permutation(streamKey(task.seed, 'shuffle', epoch), images.count),
    keys: augmentationKeys(task.seed, epoch),
  });
  let current: ReturnType<typeof beginEpoch> | undefined;
  let other: ReturnType<typeof beginEpoch> | undefined;
  return (example, inputs, row) => {
    const epoch = Math.floor(example / images.count);
    if (current?.keys.epoch !== epoch) {
      // Partners of a batch that lies across the border of epochs are in both.
      [current, other] = other?.keys.epoch === epoch ? [other, current] : [beginEpoch(epoch), current];
    }
    const position = current.order[example - epoch * images.count]!;
    transform.training(images.images, position, current.keys, inputs, row * transform.inputLength);
    return images.labels[position]!;
  };
}

/**
 * Mixes each example with its partner, which is one of the whole batch and may belong to another process: it is then prepared here too, exactly as there.
 *
 * @returns a function for slots with room for the partners' labels
 */
function mixedFill(
  { batchSize, shape, preprocessing }: FillSettings,
  { seed, firstStep, rank, worldSize }: TrainingTask,
  augmentation: Augmentation,
  writeExample: WriteExample,
): (n: number, slot: Slot) => void {
  const sides = sidesOf(preprocessing.inputSize);
  const inputShape = [shape[0], ...sides] as const;
  const inputLength = shape[0] * sides[0] * sides[1];
  const wholeBatch = batchSize * worldSize;
  const unmixed = new Float32Array(batchSize * inputLength);
  const elsewhere = new Float32Array(inputLength);
  return (n, { inputs, labels, mixed }) => {
    const step = firstStep + n;
    const mix = drawMix(augmentation, { seed, step, batchSize: wholeBatch }, sides);
    const firstOfAll = step * wholeBatch;
    const firstRow = rank * batchSize;
    for (let row = 0; row < batchSize; row++) labels[row] = writeExample(firstOfAll + firstRow + row, unmixed, row);
    mixed!.share[0] = mix.share;
    for (let row = 0; row < batchSize; row++) {
      const partner = mix.partners[firstRow + row]!;
      const partnerRow = partner - firstRow;
      const isHere = partnerRow >= 0 && partnerRow < batchSize;
      mixed!.labels[row] = isHere ? labels[partnerRow]! : writeExample(firstOfAll + partner, elsewhere, 0);
      const other = isHere ? ([unmixed, partnerRow * inputLength] as const) : ([elsewhere, 0] as const);
      writeMixed(mix, inputShape, [unmixed, row * inputLength], other, inputs, row * inputLength);
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
