/**
 * How stored images become network inputs, as data: what a recipe states, a run records and a frozen file repeats.
 * The work itself is in transform.ts.
 */
import { ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';

/** Random changes of training images. A field that is zero (or `none`) is off. Fields are applied in the order given here. */
export interface Augmentation {
  /** Pixels of translation in each direction, uniform in [-translate, translate], the border filled by reflection. */
  readonly translate: number;
  /** Take the `inputSize` crop at a uniformly random place (else the centre). */
  readonly randomCrop: boolean;
  /** `random`: mirrored with probability one half. `alternating`: random in the first epoch, then every image flips every other epoch. */
  readonly flip: 'none' | 'random' | 'alternating';
  /** A value added to all pixels, uniform in [-brightness, brightness], on the 0-255 scale, unclipped. */
  readonly brightness: number;
  /** Each channel is scaled about its own mean (of the crop) by one factor, uniform in [low, high]; [1, 1] is off. */
  readonly contrast: readonly [low: number, high: number];
  /**
   * Side of a square set to zero after standardization, its centre uniform over the input, cut off at the border (DeVries and
   * Taylor, 2017). Per-image statistics are those of the image before the cut.
   */
  readonly cutout: number;
}

/** `image`: (x - mean) / max(deviation, 1/sqrt(n)) over all pixels and channels of the image. `channel`: (x/255 - mean) / deviation per channel, with constants. */
export type Standardization =
  | { readonly type: 'image' }
  | { readonly type: 'channel'; readonly mean: readonly number[]; readonly deviation: readonly number[] };

export interface Preprocessing {
  /** Height and width of the network's input; images are cropped to it. */
  readonly inputSize: number;
  readonly standardization: Standardization;
  /** Undefined: training images are treated like evaluation images (centre crop). */
  readonly augmentation?: Augmentation;
}

export const noAugmentation: Augmentation = {
  translate: 0,
  randomCrop: false,
  flip: 'none',
  brightness: 0,
  contrast: [1, 1],
  cutout: 0,
};

/** The augmentation of tensorsandbox, used there with a 24 x 24 input and per-image standardization (which cancels the brightness). */
export const augmentation2017: Augmentation = {
  ...noAugmentation,
  randomCrop: true,
  flip: 'random',
  brightness: 63,
  contrast: [0.2, 1.8],
};

/**
 * Throws a ConfigurationError, naming the field and what is allowed, unless images of `shape` can be preprocessed so.
 *
 * @param shape `[C, H, W]` of the stored images
 */
export function checkPreprocessing(shape: readonly [number, number, number], preprocessing: Preprocessing): void {
  const [channels, height, width] = shape;
  const side = Math.min(height, width);
  const { inputSize, standardization, augmentation } = preprocessing;
  requireValid('inputSize', inputSize, isInteger(inputSize, 1, side), `an integer from 1 to ${side}, the size of the images`);
  if (standardization.type === 'channel') {
    const { mean, deviation } = standardization;
    requireValid(
      'mean',
      mean,
      mean.length === channels && mean.every(Number.isFinite),
      `${channels} numbers, one for each channel`,
    );
    const deviationsValid = deviation.length === channels && deviation.every((value) => Number.isFinite(value) && value > 0);
    requireValid('deviation', deviation, deviationsValid, `${channels} numbers above 0, one for each channel`);
  }
  if (augmentation === undefined) return;
  const { translate, brightness, contrast, cutout } = augmentation;
  const [low, high] = contrast;
  requireValid('translate', translate, isInteger(translate, 0, side - 1), `an integer from 0 to ${side - 1}`);
  requireValid('brightness', brightness, Number.isFinite(brightness) && brightness >= 0, 'a number of at least 0');
  requireValid(
    'contrast',
    contrast,
    Number.isFinite(high) && low >= 0 && low <= high,
    'two numbers [low, high] with 0 <= low <= high',
  );
  requireValid('cutout', cutout, isInteger(cutout, 0, 2 * inputSize), `an integer from 0 to ${2 * inputSize}`);
}

function isInteger(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high;
}

function requireValid(name: string, value: unknown, valid: boolean, allowed: string): void {
  if (!valid) throw new ConfigurationError(`${name} (=${showValue(value)}) must be ${allowed}`);
}
