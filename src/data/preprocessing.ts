/**
 * How stored images become network inputs, as data: what a recipe states, a run records and a frozen file repeats.
 * The work itself is in transform.ts.
 */

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
  /** Each channel is scaled about its own mean by one factor, uniform in [low, high]; [1, 1] is off. */
  readonly contrast: readonly [low: number, high: number];
  /** Side of a square set to the mean (zero after standardization), its centre uniform over the image (DeVries and Taylor, 2017). */
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
