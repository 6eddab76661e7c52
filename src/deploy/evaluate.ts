/** Evaluation of a frozen file itself: stored images go in as they are, everything else is inside. */
import type { Dataset, SplitName } from '../data/dataset.ts';
import { splitOf } from '../data/image-set.ts';
import type { Run } from '../runs/run-folder.ts';
import type { OnImage } from '../train/evaluate.ts';
import { letEventsIn } from '../train/events.ts';
import { readEvaluation } from '../train/recorded-evaluation.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { createTally, type Evaluation } from '../train/tally.ts';
import type { WeightsKind } from '../train/weights.ts';
import { DataError } from '../util/errors.ts';
import { formatSize, sidesOf } from '../util/image-size.ts';
import { imageShapeOf, type FrozenAccuracy, type FrozenMetadata } from './metadata.ts';
import { openSession, type RuntimeOptions, type RuntimeSession } from './onnx-runtime.ts';
import { imageBatches } from './pixels.ts';

export interface FrozenEvaluationOptions {
  readonly session: RuntimeSession;
  readonly metadata: FrozenMetadata;
  readonly dataset: Dataset;
  readonly split: SplitName;
  /** Images at a time, no more than 1,000; does not change the result. Default 100. */
  readonly batchSize?: number;
  /** Only so many images, from the first on. Default: all. */
  readonly limit?: number;
  /** Is given the logits of each batch, `[count, classes]`. */
  readonly onLogits?: (logits: Float32Array) => void;
  /** Is given what the file says of each image. */
  readonly onImage?: OnImage | undefined;
}

/** More are no faster, and only take memory. */
const mostAtATime = 1000;

/**
 * Runs a frozen file over the images of a split.
 *
 * @param signal stops the pass; it then returns undefined
 * @throws DataError if the data set has other classes than the file, or smaller images than its network sees
 */
export async function evaluateFrozen(options: FrozenEvaluationOptions, signal?: AbortSignal): Promise<Evaluation | undefined> {
  const { session, metadata, dataset, split, batchSize = 100, limit = Infinity, onLogits, onImage } = options;
  requireFitting(metadata, dataset);
  const set = splitOf(dataset, split, metadata.config.val);
  const classes = dataset.classes.length;
  const tally = createTally(dataset.classes);
  let image = 0;
  for (const { batch, labels } of imageBatches(set, dataset.shape, Math.min(batchSize, mostAtATime), limit)) {
    const { logits } = await session.run(batch);
    onLogits?.(logits);
    for (let n = 0; n < batch.count; n++) {
      const own = logits.subarray(n * classes, (n + 1) * classes);
      tally.add(labels[n]!, own);
      onImage?.(image++, labels[n]!, own);
    }
    await letEventsIn();
    if (signal?.aborted === true) return undefined;
  }
  return tally.evaluation(split);
}

/** The same of a file that is not loaded yet, with so many threads. */
export async function evaluateFile(
  bytes: Uint8Array,
  { threads, ...options }: Omit<FrozenEvaluationOptions, 'session'> & RuntimeOptions,
  signal?: AbortSignal,
): Promise<Evaluation | undefined> {
  const session = await openSession(bytes, 'the file to evaluate', threads === undefined ? {} : { threads });
  try {
    return await evaluateFrozen({ ...options, session }, signal);
  } finally {
    await session.dispose();
  }
}

/** An evaluation as the metadata of a frozen file record it. */
export function accuracyRecord(
  { accuracy: value, split, images }: Pick<Evaluation, 'accuracy' | 'split' | 'images'>,
  { name: dataset, fingerprint }: Pick<Dataset, 'name' | 'fingerprint'>,
): FrozenAccuracy {
  return { value, split, images, dataset, fingerprint };
}

/** What a run's last evaluation says, if it is of these very weights, and of each image seen once as a frozen file sees it. */
export function recordedAccuracy(run: Run, { step, config, file }: SavedModel, weights: WeightsKind): FrozenAccuracy | null {
  const evaluation = readEvaluation(run);
  if (config.tta !== 'none' || evaluation?.step !== step || evaluation?.weights !== weights) return null;
  const { dataset: name = '', datasetFingerprint: fingerprint = '' } = file.metadata;
  return accuracyRecord(evaluation, { name, fingerprint });
}

/** @throws DataError if the data set has other classes than the file, smaller images than its network sees, or grey ones for colour */
export function requireFitting(
  { model, classes, inputSize, network }: Pick<FrozenMetadata, 'model' | 'classes' | 'inputSize' | 'network'>,
  dataset: Dataset,
): void {
  const fix = 'give the data it was trained on with --data';
  const [given, height, width] = dataset.shape;
  const [inputHeight, inputWidth] = sidesOf(inputSize);
  const [channels] = imageShapeOf({ network, imageSize: inputSize });
  if (height < inputHeight || width < inputWidth) {
    throw new DataError(
      `images of ${dataset.name} are ${height}x${width} pixels, and the network sees ${formatSize(inputSize)}`,
      { fix },
    );
  }
  if (given !== channels) {
    const colours = (count: number): string => (count === 1 ? 'grey (1 channel)' : `in colour (${count} channels)`);
    throw new DataError(
      `images of ${dataset.name} are ${colours(given)}, and the network was trained on images ${colours(channels)}`,
      { fix },
    );
  }
  if (JSON.stringify(classes) === JSON.stringify(dataset.classes)) return;
  throw new DataError(
    `the frozen ${model} tells ${classes.join(', ')} apart; ${dataset.name} has the classes ${dataset.classes.join(', ')}`,
    { fix },
  );
}
