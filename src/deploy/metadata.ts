/** What a frozen file says of itself, in the metadata properties of the ONNX format: strings by name, JSON where they are more than one word. */
import * as z from 'zod';
import { splitNames } from '../data/dataset.ts';
import { decodeMetadata } from '../runs/weights-metadata.ts';
import {
  classNames,
  decodeClassifier,
  imageSizeSchema,
  standardizationOf,
  type Classifier,
  type ImageShape,
} from '../train/classifier.ts';
import { checkRecordedConfig } from '../train/complete-config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { weightsKinds } from '../train/weights.ts';
import { DataError } from '../util/errors.ts';
import { recognizeFile } from '../util/file-kind.ts';
import { sharedRunName } from '../util/file-names.ts';
import { sidesOf, type ImageSize } from '../util/image-size.ts';
import { check, damaged } from '../util/schema.ts';
import { quantizationRecord } from './quantization.ts';
import { requireRunnable } from './runnable.ts';
import { decodeChecked, type CheckedModel } from './onnx/schema.ts';
import { configWithoutPaths, withoutFolder } from './without-paths.ts';

const format = 'ablate-frozen-1';

const accuracySchema = z.strictObject({
  /** Fraction of images classified correctly. */
  value: z.number().min(0).max(1),
  split: z.enum(splitNames),
  images: z.int().positive(),
  /** Name of the data set and its fingerprint. */
  dataset: z.string(),
  fingerprint: z.string(),
});

const count = z.int().min(0);

/** @throws ConfigurationError for names that classes cannot have */
export function requireClassNames(names: readonly string[]): void {
  check(z.object({ classes: classNames }), { classes: names });
}

const metadataFields = z.object({
  model: z.string(),
  /** Names of the classes, in the order of the outputs. */
  classes: classNames,
  /** Of the images that the network was trained and evaluated on, in pixels: pictures are scaled to it. One number for a square. */
  imageSize: imageSizeSchema,
  /** Of their central part, which the network sees: the smallest image allowed. */
  inputSize: imageSizeSchema,
  /** `<model>/<number>`, or null for weights that are of no run. */
  run: z.string().nullable().default(null),
  /** Steps trained, where that is known. */
  step: count.nullable().default(null),
  weights: z.enum(weightsKinds),
  /** Where it was measured. */
  accuracy: accuracySchema.nullable().default(null),
  /** Without running statistics. */
  parameters: count,
  /** Arithmetic operations for one image by tensorsandbox's counting rule. */
  operations: count,
  multiplyAdds: count,
  /** How it was quantized; null for a file in float32. */
  quantization: quantizationRecord.nullable().default(null),
  /** What its layers were added with: nn/description.ts. */
  network: z.record(z.string(), z.unknown(), 'the description of a network'),
  ablateVersion: z.string(),
  /** The training configuration, complete but for paths of the machine that it was trained on. */
  config: z.record(z.string(), z.unknown(), 'a configuration, an object of keys'),
});

/** Keys that other programs have added are passed over. */
const metadataSchema = metadataFields
  .refine(({ inputSize, imageSize }) => isWithin(inputSize, imageSize), { path: ['inputSize'], error: 'at most imageSize' })
  .refine(({ model, config }) => model === config['model'], { path: ['model'], error: 'the same as in config' });

export type FrozenMetadata = Readonly<Omit<z.output<typeof metadataSchema>, 'config'>> & { readonly config: TrainingConfig };
export type FrozenAccuracy = Readonly<z.output<typeof accuracySchema>>;

/**
 * As the properties of an ONNX file. Strings are written as they are, everything else as JSON; null is left out. So are the paths of
 * this machine, which are nobody else's business.
 *
 * @throws DataError for what `readFrozenMetadata` would refuse
 */
export function encodeFrozenMetadata(metadata: FrozenMetadata): Record<string, string> {
  const properties: Record<string, string> = { format };
  for (const [key, value] of Object.entries(checkMetadata(withoutPaths(metadata), 'a frozen file'))) {
    if (value !== null) properties[key] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  return properties;
}

/**
 * Reads the metadata of a file that `ablate freeze` wrote, and checks that the file is one that can be run: its outputs, and that its
 * weights are in it and finite.
 *
 * @param source what to call the file in errors
 * @throws DataError if the bytes are no ONNX model, one from elsewhere, of which neither classes nor preprocessing are known, or damaged
 */
export function readFrozenMetadata(bytes: Uint8Array, source: string): FrozenMetadata {
  const model = decodeChecked(bytes);
  if (model === undefined) throw noModel(bytes, source);
  const metadata = readProperties(model, source);
  requireRunnable(model, metadata.classes.length, source);
  return metadata;
}

/**
 * What a frozen file classifies with, for an engine. Its weights are not in the metadata.
 *
 * @throws DataError if the description of the network is damaged
 */
export function frozenClassifier(metadata: FrozenMetadata, source: string): Classifier {
  const { network, classes, inputSize, config } = metadata;
  const imageShape = imageShapeOf(metadata);
  const preprocessing = { inputSize, standardization: standardizationOf(config, imageShape[0]) };
  return decodeClassifier({ network, preprocessing, classes, imageShape }, source);
}

/** `[C, H, W]` of the images that a frozen file was trained on: grey if its network takes one channel. */
export function imageShapeOf({ network, imageSize }: Pick<FrozenMetadata, 'network' | 'imageSize'>): ImageShape {
  const [channels] = (network['inputShape'] ?? []) as readonly unknown[];
  return [channels === 1 ? 1 : 3, ...sidesOf(imageSize)];
}

function isWithin(inner: ImageSize, outer: ImageSize): boolean {
  return sidesOf(inner).every((side, axis) => side <= sidesOf(outer)[axis]!);
}

const howToMake = 'make one with: ablate freeze <run> -o model.onnx';

function noModel(bytes: Uint8Array, source: string): DataError {
  const kind = recognizeFile(bytes);
  if (kind === undefined) return new DataError(`${source} is not an ONNX file, or is damaged`, { fix: howToMake });
  return new DataError(`${source} is ${kind.name}, not an ONNX file`, { fix: kind.fix ?? howToMake });
}

function readProperties({ metadata: { format: found, ...properties } }: CheckedModel, source: string): FrozenMetadata {
  if (found !== format) {
    const what = found === undefined ? 'was not written by ablate' : `has the format ${JSON.stringify(found)}, not ${format}`;
    throw new DataError(`${source} ${what}: its classes and its preprocessing are not known`, { fix: howToMake });
  }
  return checkMetadata(decodeMetadata(metadataFields, properties), source);
}

function checkMetadata(values: unknown, source: string): FrozenMetadata {
  const { config, ...rest } = check(metadataSchema, values, damaged(`the metadata of ${source} is damaged`, 'freeze it again'));
  return { ...rest, config: checkRecordedConfig(config, source) };
}

/** Names and what can be told of them without a path: a folder of images is `images`, a file of weights `file`; runs keep their names. */
function withoutPaths({ config, run, accuracy, quantization, ...rest }: FrozenMetadata): FrozenMetadata {
  const calibration = quantization?.calibration ?? null;
  return {
    ...rest,
    run: run === null ? null : sharedRunName(run),
    accuracy: accuracy && withoutFolder(accuracy),
    quantization: quantization && { ...quantization, calibration: calibration && withoutFolder(calibration) },
    config: configWithoutPaths(config),
  };
}
