/**
 * How stored images become network inputs, as data: what a recipe states, a run records and a frozen file repeats.
 * The work itself is in transform.ts.
 */
import * as z from 'zod';
import { ConfigurationError } from '../util/errors.ts';
import { formatSize, sidesOf, sizeAsGiven, type ImageSize } from '../util/image-size.ts';
import { check } from '../util/schema.ts';

const atLeast0 = z.number().min(0);
/** A parameter of a beta distribution; beyond these bounds its draws are ends or halves alone. */
const strength = z.number('0, or a number from 0.01 to 100').refine((value) => value === 0 || (value >= 0.01 && value <= 100));

/** Random changes of training images. A field that is zero (or `none`) is off. Fields are applied in the order given here. */
export const augmentationSchema = z.strictObject({
  /** Pixels of translation in each direction, uniform in [-translate, translate], the border filled by reflection. */
  translate: z.int().min(0).default(0),
  /** Take the crop of `inputSize` at a uniformly random place (else the centre). */
  randomCrop: z.boolean().default(false),
  /** `random`: mirrored with probability one half. `alternating`: random in the first epoch, then every image flips every other epoch. */
  flip: z.enum(['none', 'random', 'alternating']).default('none'),
  /** A value added to all pixels, uniform in [-brightness, brightness], on the 0-255 scale, unclipped. */
  brightness: atLeast0.default(0),
  /** Each channel is scaled about its own mean (of the crop) by one factor, uniform in [low, high]; [1, 1] is off. */
  contrast: z
    .tuple([atLeast0, atLeast0], 'two numbers [low, high] with 0 <= low <= high')
    .refine(([low, high]) => low <= high)
    .readonly()
    .default([1, 1]),
  /**
   * Side of a square set to zero after standardization, its centre uniform over the input, cut off at the border (DeVries and
   * Taylor, 2017). Per-image statistics are those of the image before the cut.
   */
  cutout: z.int().min(0).default(0),
  /**
   * Above 0, the examples of a batch are mixed in pairs, pixels and labels, the share of each drawn from Beta(mixup, mixup) once for a batch (Zhang et
   * al., 2018): mixing.ts.
   */
  mixup: strength.default(0),
  /**
   * Above 0, a box of each picture is that of another of the batch, and the labels have their parts of the area, before the border cuts the box off drawn from
   * Beta(cutmix, cutmix) once for a batch (Yun et al., 2019). With mixup too, each batch has one of the two, by the toss of a coin.
   */
  cutmix: strength.default(0),
});

export type Augmentation = Readonly<z.output<typeof augmentationSchema>>;

/** `image`: (x - mean) / max(deviation, 1/sqrt(n)) over all pixels and channels of the image. `channel`: (x/255 - mean) / deviation per channel, with constants. */
export type Standardization =
  | { readonly type: 'image' }
  | { readonly type: 'channel'; readonly mean: readonly number[]; readonly deviation: readonly number[] };

export interface Preprocessing {
  /** Of the network's input: images are cropped to it. */
  readonly inputSize: ImageSize;
  readonly standardization: Standardization;
  /** Undefined: training images are treated like evaluation images (centre crop). */
  readonly augmentation?: Augmentation;
}

export const noAugmentation: Augmentation = augmentationSchema.parse({});

/** The augmentation of tensorsandbox, used there with a 24 x 24 input and per-image standardization (which cancels the brightness). */
export const augmentation2017: Augmentation = {
  ...noAugmentation,
  randomCrop: true,
  flip: 'random',
  brightness: 63,
  contrast: [0.2, 1.8],
};

/**
 * Checks that images can be preprocessed so.
 *
 * @param shape `[C, H, W]` of the stored images
 * @throws ConfigurationError naming the field and what is allowed
 */
export function checkPreprocessing(shape: readonly [number, number, number], preprocessing: Preprocessing): void {
  const [channels, height, width] = shape;
  const side = Math.min(height, width);
  const { inputSize, standardization, augmentation } = preprocessing;
  const [inputHeight, inputWidth] = sidesOf(inputSize);
  const fits = (pixels: number, most: number): boolean => Number.isInteger(pixels) && pixels >= 1 && pixels <= most;
  if (!fits(inputHeight, height) || !fits(inputWidth, width)) {
    const most = formatSize([height, width]);
    throw new ConfigurationError(`inputSize (=${sizeAsGiven(inputSize)}) must be from 1x1 to ${most}, the size of the images`, {
      key: 'inputSize',
      fix: '"full" is the whole image; the size that images of a folder are scaled to is in the name of the data: images:<folder>?size=96',
    });
  }
  if (standardization.type === 'channel') {
    const oneEach = `a list of ${channels} numbers, one for each channel`;
    const mean = z.array(z.number()).length(channels, oneEach);
    const deviation = z.array(z.number().positive()).length(channels, oneEach);
    check(z.object({ standardization: z.object({ mean, deviation }) }), { standardization });
  }
  const inside = {
    translate: z
      .int()
      .min(0)
      .max(side - 1),
    cutout: z
      .int()
      .min(0)
      .max(2 * Math.max(inputHeight, inputWidth)),
  };
  if (augmentation !== undefined) check(z.object({ augmentation: augmentationSchema.extend(inside) }), { augmentation });
}
