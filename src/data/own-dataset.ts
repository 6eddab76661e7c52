/** Data sets that a program or a file of the user's makes: what they give, checked strictly, as images in shared memory. */
import * as z from 'zod';
import { ConfigurationError } from '../util/errors.ts';
import { longestSide } from '../util/image-size.ts';
import { check } from '../util/schema.ts';
import { showValue } from '../util/show-value.ts';
import { mostClasses, type Dataset, type ImageSet } from './dataset.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';

/** Images with what they show. */
export interface OwnImages {
  /** `[count, height, width, channels]`, 0-255: each pixel's red, green and blue side by side, as decoders of pictures give them. */
  readonly images: Uint8Array | Uint8ClampedArray;
  /** `[count]`: the place of each image's class in `classes`, from 0. */
  readonly labels: ArrayLike<number>;
}

/** A data set as it is written. */
export interface DatasetSource {
  /** What it is called where it is shown. */
  readonly name: string;
  /** 2 to 4,096 different names. */
  readonly classes: readonly string[];
  /** Of every image, in pixels: each side from 1 to 512. */
  readonly height: number;
  readonly width: number;
  /** 1: grey, 3 (the default): red, green and blue. */
  readonly channels?: 1 | 3;
  /** Called once; may read files, and take its time. */
  train(): OwnImages | Promise<OwnImages>;
  test(): OwnImages | Promise<OwnImages>;
}

/** What `defineDataset` returns. */
export interface DatasetDefinition extends DatasetSource {
  readonly channels: 1 | 3;
}

const side = z.int().min(1).max(longestSide);
const classNames = z
  .array(z.string('a name').min(1), `a list of 2 to ${mostClasses} different names`)
  .min(2)
  .max(mostClasses)
  .refine((names) => new Set(names).size === names.length);
const makesImages = z.custom<() => OwnImages>(
  (value) => typeof value === 'function',
  'a function that returns { images, labels }',
);

const sourceSchema = z.strictObject({
  name: z.string('a name').min(1),
  classes: classNames,
  height: side,
  width: side,
  channels: z.union([z.literal(1), z.literal(3)], '1 (grey) or 3 (colour)').default(3),
  train: makesImages,
  test: makesImages,
});

/**
 * Defines a data set. Images and labels are checked when it is loaded.
 *
 * @throws ConfigurationError for a key that is wrong, unknown or missing
 *
 * @example
 * defineDataset({
 *   name: 'halves',
 *   classes: ['dark', 'bright'],
 *   height: 1,
 *   width: 2,
 *   channels: 1,
 *   train: () => ({ images: Uint8Array.of(0, 1, 254, 255), labels: [0, 1] }),
 *   test: () => ({ images: Uint8Array.of(2, 3), labels: [0] }),
 * });
 */
export function defineDataset(source: DatasetSource): DatasetDefinition {
  return check(sourceSchema, source);
}

/**
 * Loads what `defineDataset` returned.
 *
 * @param name what configurations call it; default its own name
 * @throws ConfigurationError for images and labels that do not fit together, with the place of the first that is wrong
 */
export async function loadOwnDataset(definition: DatasetDefinition, name = definition.name): Promise<Dataset> {
  const { classes, height, width, channels } = definition;
  const shape = [channels, height, width] as const;
  const train = imageSetOf('train', await definition.train(), shape, classes);
  const test = imageSetOf('test', await definition.test(), shape, classes);
  return { name, classes, shape, synthetic: false, fingerprint: fingerprintOf(classes, train, test, [shape]), train, test };
}

function imageSetOf(split: string, given: unknown, shape: Dataset['shape'], classes: readonly string[]): ImageSet {
  const { images, labels } = Object(given) as Partial<OwnImages>;
  const [channels, height, width] = shape;
  const size = channels * height * width;
  if (!(images instanceof Uint8Array || images instanceof Uint8ClampedArray)) {
    throw new ConfigurationError(`images of ${split} (=${kindOf(images)}) must be a Uint8Array: bytes from 0 to 255`, {
      fix: `return { images, labels }, images of ${height} x ${width} x ${channels} bytes one after the other`,
    });
  }
  if (typeof labels?.length !== 'number') {
    throw new ConfigurationError(`labels of ${split} (=${kindOf(labels)}) must be a list of numbers`, {
      fix: 'return { images, labels }',
    });
  }
  const count = labels.length;
  if (count === 0 || images.length !== count * size) {
    throw new ConfigurationError(
      `images of ${split} have ${images.length} bytes, and ${count} labels: an image has ${size} (${height} x ${width} x ${channels}), and a label`,
      { fix: 'return as many images as labels, at least one' },
    );
  }
  const set = allocateImages(count, shape, classes.length);
  for (let i = 0; i < count; i++) {
    const label = labels[i] as unknown;
    if (typeof label !== 'number' || !Number.isInteger(label) || label < 0 || label >= classes.length) {
      throw new ConfigurationError(
        `label ${i} of ${split} (=${showValue(label)}) must be an integer from 0 to ${classes.length - 1}, the place of its class`,
      );
    }
    set.labels[i] = label;
  }
  toPlanes(images, set.images, count, shape);
  return set;
}

/** What a value is, in a word. */
function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : showValue(value);
}

/** `[count, H, W, C]` to `[count, C, H, W]`. */
function toPlanes(
  source: Uint8Array | Uint8ClampedArray,
  target: Uint8Array,
  count: number,
  [channels, height, width]: Dataset['shape'],
): void {
  const plane = height * width;
  for (let image = 0; image < count; image++) {
    const start = image * channels * plane;
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < plane; i++) target[start + channel * plane + i] = source[start + i * channels + channel]!;
    }
  }
}
