/**
 * What tells images apart, as one plain value: the network with how images become its input and what its outputs are called. It is made
 * once, from a configuration and the shape of the images, and saved with every checkpoint. Whatever trains, evaluates, freezes, prunes or
 * teaches takes it from there: neither the code of a model nor its settings are needed again.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { mostClasses, type Dataset } from '../data/dataset.ts';
import { checkPreprocessing, type Preprocessing, type Standardization } from '../data/preprocessing.ts';
import type { ModelDefinition } from '../models/model.ts';
import { buildModel, modelDefinition } from '../models/registry.ts';
import { buildNetwork, describeNetwork } from '../nn/description.ts';
import type { Network } from '../nn/network.ts';
import { formatShape, sameShape } from '../nn/shape.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { formatSize, inputSizeFor, sidesOf } from '../util/image-size.ts';
import { check } from '../util/schema.ts';
import type { TrainingConfig } from './config-schema.ts';

/** `[C, H, W]` */
export type ImageShape = readonly [channels: number, height: number, width: number];

export interface Classifier {
  readonly network: Network;
  /** From images as they are stored to the network's input, without augmentation. */
  readonly preprocessing: Preprocessing;
  /** Names, in the order of the logits. */
  readonly classes: readonly string[];
  /** `[C, H, W]` of the images as they are stored. */
  readonly imageShape: ImageShape;
}

/** What must be known of images to build a network for them. */
export type DatasetFacts = Pick<Dataset, 'shape' | 'classes'>;

/** What must be known of them besides for the length of a training that depends on them. */
export interface TrainingFacts extends DatasetFacts {
  readonly train: { readonly count: number };
}

/**
 * The classifier that a configuration describes, for images of a data set.
 *
 * @param definition of the configuration's model; default the lab's own of that name
 * @throws ConfigurationError if the images are too small, or the settings do not fit together
 */
export function createClassifier(
  config: TrainingConfig,
  { shape, classes }: DatasetFacts,
  definition: ModelDefinition = modelDefinition(config.model),
): Classifier {
  const { modelSettings: settings } = config;
  const inputSize = inputSizeFor(config.inputSize, [shape[1], shape[2]]);
  const preprocessing = { inputSize, standardization: standardizationOf(config, shape[0]) };
  checkPreprocessing(shape, withAugmentation(preprocessing, config));
  const input = [shape[0], ...sidesOf(inputSize)] as const;
  const network = buildModel(definition, { settings, input, classes: classes.length });
  return { network, preprocessing, classes, imageShape: shape };
}

/** A configuration's standardization with constants for each of the channels, where one number may stand for all. */
export function standardizationOf({ standardization }: TrainingConfig, channels: number): Standardization {
  if (standardization.type === 'image') return standardization;
  const constants = (given: number | readonly number[]) =>
    typeof given === 'number' ? Array.from({ length: channels }, () => given) : given;
  return { type: 'channel', mean: constants(standardization.mean), deviation: constants(standardization.deviation) };
}

/** How a training prepares images: as the classifier does, with the configuration's augmentation. */
export function trainingPreprocessing({ preprocessing }: Classifier, config: TrainingConfig): Preprocessing {
  return withAugmentation(preprocessing, config);
}

function withAugmentation(preprocessing: Preprocessing, { augment, augmentation }: TrainingConfig): Preprocessing {
  return { ...preprocessing, ...(augment && { augmentation }) };
}

/** A name for what a network computes: the same for networks of the same layers, however they were made. */
export function networkChecksum({ layers, output }: Network): string {
  const facts = layers.map(({ kind, name, inputs, attributes, parameters }) => [kind, name, inputs, attributes, parameters]);
  return createHash('sha256')
    .update(JSON.stringify([facts, output]))
    .digest('hex')
    .slice(0, 32);
}

/**
 * Checks that a classifier is for the images of a data set.
 *
 * @param what to call it in errors: a path, or `the teacher <path>`
 * @throws ConfigurationError if the classes or the shape of the images differ
 */
export function requireFits({ classes, imageShape }: Classifier, dataset: Dataset, what: string): void {
  const fix = 'give the data it was trained on with --data';
  if (JSON.stringify(classes) !== JSON.stringify(dataset.classes)) {
    throw new ConfigurationError(
      `${what} tells ${classes.join(', ')} apart; ${dataset.name} has the classes ${dataset.classes.join(', ')}`,
      { fix },
    );
  }
  if (sameShape(imageShape, dataset.shape)) return;
  throw new ConfigurationError(
    `${what} is for images of ${formatShape(imageShape)}; those of ${dataset.name} are ${formatShape(dataset.shape)}`,
    { fix },
  );
}

/** Longest side of images, in pixels, that a file is believed to be for. */
export const largestImageSide = 8192;

export const imageSide = z.int().min(1).max(largestImageSide);

/** As `ImageSize`: one number for a square, otherwise height and width. */
export const imageSizeSchema = z.union(
  [imageSide, z.tuple([imageSide, imageSide]).readonly()],
  `an integer from 1 to ${largestImageSide}, or two of them: height and width`,
);

/** 1: grey, 3: red, green and blue. */
export const channelCount = z.union([z.literal(1), z.literal(3)], '1 or 3');

/** In the order of the logits: different ones, as many as a label can tell apart. */
export const classNames = z
  .array(z.string('a name').min(1), `a list of 2 to ${mostClasses} different names`)
  .min(2)
  .max(mostClasses)
  .refine((names) => new Set(names).size === names.length)
  .readonly();

const perChannel = z.array(z.number()).readonly();

/** As JSON: the network by what its layers were added with. */
const classifierSchema = z.strictObject({
  network: z.unknown(),
  preprocessing: z.strictObject({
    inputSize: imageSizeSchema,
    standardization: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('image') }),
      z.strictObject({ type: z.literal('channel'), mean: perChannel, deviation: perChannel }),
    ]),
  }),
  classes: classNames,
  imageShape: z.tuple([channelCount, imageSide, imageSide], 'a list [channels, height, width], with 1 or 3 channels').readonly(),
});

function requireConsistent({ inputShape, outputShape }: Network, { inputSize }: Preprocessing, classes: number): void {
  if (!sameShape(inputShape.slice(1), sidesOf(inputSize))) {
    throw new ConfigurationError(`its input is ${formatShape(inputShape)}, and inputSize is ${formatSize(inputSize)}`);
  }
  if (!sameShape(outputShape, [classes])) {
    throw new ConfigurationError(`its output is ${formatShape(outputShape)}, and there are ${classes} classes`);
  }
}

export function encodeClassifier(classifier: Classifier): object {
  return { ...classifier, network: describeNetwork(classifier.network) };
}

/**
 * @param value what was read, of any type
 * @param source what to call the file in errors
 * @throws DataError naming what is damaged
 */
export function decodeClassifier(value: unknown, source: string): Classifier {
  const damaged = (what: string) =>
    new DataError(`what ${source} says of its network is damaged: ${what}`, {
      fix: 'use another file, or an earlier checkpoint',
    });
  const checked = check(classifierSchema, value, (problems) => damaged(problems.map(({ message }) => message).join('; ')));
  try {
    const network = buildNetwork(checked.network);
    checkPreprocessing(checked.imageShape, checked.preprocessing);
    requireConsistent(network, checked.preprocessing, checked.classes.length);
    return { ...checked, network };
  } catch (error) {
    if (error instanceof ConfigurationError) throw damaged(`network must be one that can be built: ${error.message}`);
    throw error;
  }
}
