/**
 * What tells images apart, as one plain value: the network with how images become its input and what its outputs are called. It is made
 * once, from a configuration and the shape of the images, and saved with every checkpoint. Whatever trains, evaluates, freezes, prunes or
 * teaches takes it from there: neither the code of a model nor its settings are needed again.
 */
import * as z from 'zod';
import { mostClasses, type Dataset } from '../data/dataset.ts';
import { checkPreprocessing, type Preprocessing, type Standardization } from '../data/preprocessing.ts';
import type { ModelDefinition } from '../models/model.ts';
import { buildModel, modelDefinition } from '../models/registry.ts';
import { buildNetwork, describeNetwork } from '../nn/description.ts';
import type { Network } from '../nn/network.ts';
import { formatShape, sameShape } from '../nn/shape.ts';
import { ConfigurationError } from '../util/errors.ts';
import { formatSize, inputSizeFor, sidesOf } from '../util/image-size.ts';
import { check, damaged } from '../util/schema.ts';
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
  /** What a run keeps of where the images came from. */
  readonly records?: Dataset['records'];
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

/**
 * Checks that a classifier is consistent, and for the images of a data set.
 *
 * @param what to call it in errors: a path, or `the teacher <path>`
 * @throws ConfigurationError if the classes or the shape of the images differ, or the network is for others than the classifier says
 */
export function requireFits(classifier: Classifier, dataset: Dataset, what: string): void {
  const { classes, imageShape } = classifier;
  const fix = 'give the data it was trained on with --data';
  if (JSON.stringify(classes) !== JSON.stringify(dataset.classes)) {
    throw new ConfigurationError(
      `${what} tells ${classes.join(', ')} apart; ${dataset.name} has the classes ${dataset.classes.join(', ')}`,
      { fix },
    );
  }
  if (!sameShape(imageShape, dataset.shape)) {
    throw new ConfigurationError(
      `${what} is for images of ${formatShape(imageShape)}; those of ${dataset.name} are ${formatShape(dataset.shape)}`,
      { fix },
    );
  }
  requireConsistent(classifier, what);
}

/** Checks that the network takes what the preprocessing makes of the images, and has an output for each class. */
function requireConsistent({ network, preprocessing, classes, imageShape }: Classifier, what: string): void {
  const { inputSize } = preprocessing;
  const input = [imageShape[0], ...sidesOf(inputSize)];
  if (!sameShape(network.inputShape, input)) {
    throw new ConfigurationError(
      `${what} takes images of ${formatShape(network.inputShape)}, and inputSize (=${formatSize(inputSize)}) makes them ${formatShape(input)}`,
    );
  }
  if (!sameShape(network.outputShape, [classes.length])) {
    throw new ConfigurationError(
      `${what} has an output of ${formatShape(network.outputShape)}, and must have ${formatShape([classes.length])}: one for each class`,
    );
  }
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

export function encodeClassifier(classifier: Classifier): object {
  return { ...classifier, network: describeNetwork(classifier.network) };
}

/**
 * @param value what was read, of any type
 * @param source what to call the file in errors
 * @throws DataError naming what is damaged
 */
export function decodeClassifier(value: unknown, source: string): Classifier {
  const refuse = damaged(`what ${source} says of its network is damaged`, 'use another file, or an earlier checkpoint');
  const checked = check(classifierSchema, value, refuse);
  try {
    const classifier = { ...checked, network: buildNetwork(checked.network) };
    checkPreprocessing(classifier.imageShape, classifier.preprocessing);
    requireConsistent(classifier, 'it');
    return classifier;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw refuse([{ path: ['network'], message: `network must be one that can be built: ${error.message}` }]);
  }
}
