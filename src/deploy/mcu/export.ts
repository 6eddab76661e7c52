/** A trained network for a microcontroller: its integers, what they reach on test images, and the files that hold them. */
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { splitOf } from '../../data/image-set.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatCount } from '../../util/format.ts';
import { packageVersion } from '../../util/package.ts';
import { printableLine } from '../../util/printable.ts';
import { drawCalibrationImages } from '../integers/drawn-images.ts';
import type { RangeMethod } from '../integers/ranges.ts';
import { centralParts, imageBatches, type LabelledBatch } from '../pixels.ts';
import { requireFitting } from '../evaluate.ts';
import { buildPlan, type TrainedClassifier } from './build.ts';
import type { TestVectors } from './c/example.ts';
import { evaluateIntegers, type IntegerEvaluation } from './evaluate.ts';
import { planMemory, type Memory } from './memory.ts';
import type { Plan } from './plan.ts';
import { createTwin } from './twin.ts';

export interface DeviceOptions {
  readonly trained: TrainedClassifier;
  /** Training images calibrate, test images measure. */
  readonly dataset: Dataset;
  /** Whether the last training images were kept out of training, for validation. */
  readonly val: boolean;
  readonly range: RangeMethod;
  /** Training images that calibrate; default 1024. */
  readonly images?: number | undefined;
  /** Which ones. */
  readonly seed: number;
  /** Whether the accuracy on all test images is measured. */
  readonly evaluate: boolean;
  /** Of ONNX Runtime. */
  readonly threads: number;
  /** Images that calibrated; each counts once for each time that it is looked at. */
  readonly onCalibration?: ((done: number, total: number) => void) | undefined;
  /** Test images. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DeviceNetwork {
  readonly plan: Plan;
  readonly memory: Memory;
  readonly calibrationImages: number;
  /** On all test images; undefined if that was not asked for, or was stopped. */
  readonly evaluation: IntegerEvaluation | undefined;
}

/**
 * @throws DataError for a network that integers on a device cannot compute, and for images of other classes, or smaller ones, than it was trained
 *   on; ConfigurationError for too few; the reason of the signal, if that stopped the calibration
 */
export async function deviceNetwork(options: DeviceOptions): Promise<DeviceNetwork> {
  const { trained, dataset, range, evaluate, threads, onCalibration, onProgress, signal } = options;
  const images = calibrationImages(options);
  const built = await buildPlan(trained, { images, shape: dataset.shape, range, onProgress: onCalibration, signal });
  const { plan } = built;
  const measured = { ...built, images: dataset.test, shape: dataset.shape, threads, onProgress, signal };
  return {
    plan,
    memory: planMemory(plan),
    calibrationImages: images.count,
    evaluation: evaluate ? await evaluateIntegers(measured) : undefined,
  };
}

function calibrationImages({ trained, dataset, val, images, seed }: DeviceOptions): ImageSet {
  const { network, classes, preprocessing } = trained.classifier;
  const { inputShape } = network;
  requireFitting({ model: network.name, classes, inputSize: preprocessing.inputSize, network: { inputShape } }, dataset);
  return drawCalibrationImages(splitOf(dataset, 'train', val), dataset.name, seed, images);
}

/** Test images that go with the code, unless the user says how many. */
export const usualVectors = 8;

/** @throws ConfigurationError for more test images than there are */
export function vectorCount({ name, test }: Dataset, asked: number | undefined): number {
  if (asked === undefined) return Math.min(usualVectors, test.count);
  if (asked <= test.count) return asked;
  throw new ConfigurationError(`vectors (=${asked}) must be at most ${test.count}: so many test images ${name} has`);
}

/** The first `count` test images, with the logits that the integers give for them. */
export function testVectors(plan: Plan, dataset: Dataset, count: number): TestVectors {
  const { test, shape } = dataset;
  const { batch } = imageBatches(test, shape, count, count).next().value as LabelledBatch;
  const images = centralParts(batch, plan.input.extent);
  const classes = plan.output.extent.channels;
  const logits = new Int8Array(count * classes);
  const twin = createTwin(plan);
  const length = images.length / count;
  for (let i = 0; i < count; i++) {
    twin.run(images.subarray(i * length, (i + 1) * length), logits.subarray(i * classes, (i + 1) * classes));
  }
  return { images, logits, count };
}

/** What is told of a network in the head of every file that is written. */
export interface Origin {
  readonly model: string;
  /** A run, or the name of a file. */
  readonly from: string;
  /** Of its training (training-identity.ts): a name may be that of another run elsewhere. */
  readonly training: string;
  readonly dataset: string;
}

/** The line by which an earlier export of the same source is recognized. */
export function originLine({ model, from, training }: Omit<Origin, 'dataset'>): string {
  return `Made of ${printableLine(from)} (${model}) by ablate's export. Training ${training}.`;
}

export function originLines(
  origin: Origin,
  { evaluation, calibrationImages: count }: DeviceNetwork,
  { method }: RangeMethod,
): readonly string[] {
  const measured =
    evaluation === undefined
      ? 'Its accuracy was not measured.'
      : `Accuracy of these integers: ${formatAccuracy(evaluation.accuracy)} of ${formatCount(evaluation.images)} test images of ${printableLine(origin.dataset)} ` +
        `(float32: ${formatAccuracy(evaluation.floatAccuracy)}).`;
  return [
    originLine(origin),
    `8-bit integers, calibrated on ${formatCount(count)} training images (${method}); ablate ${packageVersion()}.`,
    measured,
  ];
}
