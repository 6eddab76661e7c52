/**
 * Turns one stored image (0-255 bytes) into one network input (float32): geometry, augmentation and standardization.
 *
 * Brightness, contrast and standardization are affine in every channel, and the statistics they need follow from each channel's sum
 * and sum of squares. So the pixels are gathered (crop, mirror, reflection) and summed, then scaled and shifted. The sums are of
 * integers, hence exact.
 */
import { sidesOf } from '../util/image-size.ts';
import { integer, streamKey, uint32, uniform } from '../util/random.ts';
import { createPixelStep, type ApplyAugmentation } from './own-augmentation.ts';
import type { PixelPlanes } from './pixel-planes.ts';
import { createPixelPlanes } from './pixels.ts';
import type { Preprocessing } from './preprocessing.ts';

/** The random streams of one epoch's augmentation; the draw of an image is the one at its position in the data set. */
export interface AugmentationKeys {
  readonly epoch: number;
  readonly translateY: number;
  readonly translateX: number;
  readonly cropY: number;
  readonly cropX: number;
  readonly flip: number;
  /** The flips of the first epoch, from which the alternating flips follow. */
  readonly firstFlip: number;
  readonly brightness: number;
  readonly contrast: number;
  readonly cutoutY: number;
  readonly cutoutX: number;
  /** Of the user's own augmentation: its draw of an image is the key of that image's stream. */
  readonly own: number;
}

/** The streams of `epoch` for a run with `seed`. */
export function augmentationKeys(seed: number, epoch: number): AugmentationKeys {
  const key = (what: string, ofEpoch = epoch): number => streamKey(seed, `augment:${what}`, ofEpoch);
  return {
    epoch,
    translateY: key('translate-y'),
    translateX: key('translate-x'),
    cropY: key('crop-y'),
    cropX: key('crop-x'),
    flip: key('flip'),
    firstFlip: key('flip', 0),
    brightness: key('brightness'),
    contrast: key('contrast'),
    cutoutY: key('cutout-y'),
    cutoutX: key('cutout-x'),
    own: key('own'),
  };
}

/** What an evaluation sees of each image. The plain view is the centre crop. */
export interface EvaluationView {
  /** Left and right exchanged. */
  readonly mirror: boolean;
  /** Pixels by which the image's content moves down and to the right before the crop, the border filled by reflection. */
  readonly shift: readonly [down: number, right: number];
}

export const plainView: EvaluationView = { mirror: false, shift: [0, 0] };

export interface Transform {
  /** Length of one input: `C * height * width`. */
  readonly inputLength: number;
  /**
   * Writes the augmented image at `position` of `images` (`[count, C, H, W]`) to `output[offset ...]` as `[C, height, width]` of the input.
   * Depends on nothing but the image, its position and the keys.
   */
  training(images: Uint8Array, position: number, keys: AugmentationKeys, output: Float32Array, offset: number): void;
  /** Writes the image at `position` as an evaluation sees it. */
  evaluation(images: Uint8Array, position: number, view: EvaluationView, output: Float32Array, offset: number): void;
}

/**
 * @param shape `[C, H, W]` of the stored images
 * @param preprocessing one that fits them (`checkPreprocessing`, which threads that prepare batches need not load)
 * @param own what else is done to the pixels of training images, between their flip and their brightness
 */
export function createTransform(
  shape: readonly [number, number, number],
  preprocessing: Preprocessing,
  own?: ApplyAugmentation,
): Transform {
  const [channels, height, width] = shape;
  const { inputSize, standardization, augmentation } = preprocessing;
  const sides = sidesOf(inputSize);
  const [inputHeight, inputWidth] = sides;
  const planeLength = inputHeight * inputWidth;
  const inputLength = channels * planeLength;
  const minimumDeviation = 1 / Math.sqrt(inputLength);
  const centreY = (height - inputHeight) >> 1;
  const centreX = (width - inputWidth) >> 1;

  const planes = createPixelPlanes(shape, sides);
  const changed = own && createChangedPlanes(planes, [channels, inputHeight, inputWidth], own);

  // Scratch, refilled for every image: the image's row and column of each of the input's, and what becomes of each channel.
  const rows = new Int32Array(inputHeight);
  const columns = new Int32Array(inputWidth);
  const means = new Float64Array(channels);
  const variances = new Float64Array(channels);
  const scales = new Float64Array(channels);
  const shifts = new Float64Array(channels);

  /** The input's pixel (y, x) shows the image at (top + y, left + x), reflected into it where it falls outside. */
  function place(top: number, left: number, mirror: boolean): void {
    for (let i = 0; i < inputHeight; i++) rows[i] = reflect(top + i, height);
    for (let i = 0; i < inputWidth; i++) columns[mirror ? inputWidth - 1 - i : i] = reflect(left + i, width);
  }

  /** Takes the placed pixels of one image. */
  function gather(images: Uint8Array, position: number): void {
    planes.gather(images, position, rows, columns);
  }

  /** The mean and variance of each channel of what was taken. */
  function measure(pixels: AffinePlanes): void {
    for (let channel = 0; channel < channels; channel++) {
      const { sum, squares } = pixels.sums(channel);
      const mean = sum / planeLength;
      means[channel] = mean;
      variances[channel] = squares / planeLength - mean * mean;
    }
  }

  /** Contrast about each channel's mean, then `brightness` added, then standardization: one scale and shift for each channel. */
  function standardize(pixels: AffinePlanes, contrast: number, brightness: number, output: Float32Array, offset: number): void {
    measure(pixels);
    let imageMean = 0;
    let deviation = 1;
    if (standardization.type === 'image') {
      for (let channel = 0; channel < channels; channel++) imageMean += means[channel]! / channels;
      let variance = 0;
      for (let channel = 0; channel < channels; channel++) {
        const distance = means[channel]! - imageMean;
        variance += (contrast * contrast * variances[channel]! + distance * distance) / channels;
      }
      imageMean += brightness;
      deviation = Math.max(Math.sqrt(Math.max(variance, 0)), minimumDeviation);
    }
    for (let channel = 0; channel < channels; channel++) {
      let mean = imageMean;
      if (standardization.type === 'channel') {
        mean = 255 * standardization.mean[channel]!;
        deviation = 255 * standardization.deviation[channel]!;
      }
      scales[channel] = contrast / deviation;
      shifts[channel] = (means[channel]! * (1 - contrast) + brightness - mean) / deviation;
    }
    pixels.writeAffine(scales, shifts, output, offset);
  }

  /** Sets the square of `side` around (centreRow, centreColumn) to zero. */
  function cut(side: number, centreRow: number, centreColumn: number, output: Float32Array, offset: number): void {
    const top = centreRow - (side >> 1);
    const left = centreColumn - (side >> 1);
    const start = Math.max(left, 0);
    const end = Math.min(left + side, inputWidth);
    for (let channel = 0; channel < channels; channel++) {
      for (let y = Math.max(top, 0); y < Math.min(top + side, inputHeight); y++) {
        const row = offset + channel * planeLength + y * inputWidth;
        output.fill(0, row + start, row + end);
      }
    }
  }

  function evaluation(images: Uint8Array, position: number, view: EvaluationView, output: Float32Array, offset: number): void {
    place(centreY - view.shift[0], centreX - view.shift[1], view.mirror);
    gather(images, position);
    standardize(planes, 1, 0, output, offset);
  }

  function training(images: Uint8Array, position: number, keys: AugmentationKeys, output: Float32Array, offset: number): void {
    if (augmentation === undefined) {
      place(centreY, centreX, false);
      gather(images, position);
      standardize(changed?.change(uint32(keys.own, position)) ?? planes, 1, 0, output, offset);
      return;
    }
    const { translate, randomCrop, flip, brightness, contrast, cutout } = augmentation;
    let top = randomCrop ? integer(keys.cropY, position, height - inputHeight + 1) : centreY;
    let left = randomCrop ? integer(keys.cropX, position, width - inputWidth + 1) : centreX;
    if (translate > 0) {
      top -= integer(keys.translateY, position, 2 * translate + 1) - translate;
      left -= integer(keys.translateX, position, 2 * translate + 1) - translate;
    }
    let mirror = false;
    if (flip === 'random') mirror = coin(keys.flip, position);
    else if (flip === 'alternating') mirror = coin(keys.firstFlip, position) !== (keys.epoch % 2 === 1);
    const added = brightness === 0 ? 0 : (2 * uniform(keys.brightness, position) - 1) * brightness;
    const factor = contrast[0] + (contrast[1] - contrast[0]) * uniform(keys.contrast, position);

    place(top, left, mirror);
    gather(images, position);
    standardize(changed?.change(uint32(keys.own, position)) ?? planes, factor, added, output, offset);
    if (cutout > 0) {
      const centreRow = integer(keys.cutoutY, position, inputHeight);
      const centreColumn = integer(keys.cutoutX, position, inputWidth);
      cut(cutout, centreRow, centreColumn, output, offset);
    }
  }

  return { inputLength, training, evaluation };
}

type AffinePlanes = Pick<PixelPlanes, 'sums' | 'writeAffine'>;

/** The pixels that were gathered as numbers of any size, once a function of the user's has changed them. */
function createChangedPlanes(
  planes: PixelPlanes,
  [channels, height, width]: readonly [number, number, number],
  own: ApplyAugmentation,
): { change(key: number): AffinePlanes } {
  const length = height * width;
  const pixels = new Float32Array(channels * length);
  const ones = new Float64Array(channels).fill(1);
  const zeros = new Float64Array(channels);
  const step = createPixelStep(own, [channels, height, width]);
  const result: AffinePlanes = {
    sums(channel) {
      let sum = 0;
      let squares = 0;
      for (let i = channel * length; i < (channel + 1) * length; i++) {
        sum += pixels[i]!;
        squares += pixels[i]! * pixels[i]!;
      }
      return { sum, squares };
    },
    writeAffine(scales, shifts, output, offset) {
      for (let channel = 0; channel < channels; channel++) {
        const end = (channel + 1) * length;
        for (let i = channel * length; i < end; i++) output[offset + i] = pixels[i]! * scales[channel]! + shifts[channel]!;
      }
    },
  };
  return {
    change(key) {
      planes.writeAffine(ones, zeros, pixels, 0);
      step(pixels, key);
      return result;
    },
  };
}

/** Mirrors a coordinate at the first and last of `length` pixels, which are not repeated: -1 is 1, `length` is `length - 2`. */
function reflect(coordinate: number, length: number): number {
  if (coordinate < 0) return -coordinate;
  return coordinate < length ? coordinate : 2 * (length - 1) - coordinate;
}

/** True with probability one half. */
function coin(key: number, index: number): boolean {
  return uint32(key, index) >= 0x8000_0000;
}
