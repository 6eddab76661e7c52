/**
 * First values of whitening layers, taken from the training images (Page, 2018, "How to train your ResNet", part 8): with C the matrix of
 * second moments of image patches and C e_i = lambda_i e_i, filter i is e_i / sqrt(lambda_i + epsilon). What such filters give has about the
 * identity as its second moments. Each axis comes once with either sign, because the activation that follows is not linear.
 */
import type { ImageSet } from '../data/dataset.ts';
import type { Preprocessing } from '../data/preprocessing.ts';
import { createTransform, plainView } from '../data/transform.ts';
import type { ParameterArena } from '../engine/engine.ts';
import { ConfigurationError } from '../util/errors.ts';
import { sidesOf } from '../util/image-size.ts';
import { symmetricEigen } from '../util/symmetric-eigen.ts';

/**
 * Sets the weights of the layers that ask for whitening, which must be the first of their network. A function of the images: no draw.
 *
 * @param images the training images, of `shape` `[C, H, W]`
 * @param preprocessing as the network sees them; augmentation is left out
 */
export async function whitenFirstLayers(
  arena: ParameterArena,
  images: ImageSet,
  shape: readonly [number, number, number],
  preprocessing: Preprocessing,
): Promise<void> {
  for (const entry of arena.entries) {
    const { initializer, shape: weightShape } = entry.spec;
    if (initializer.type !== 'whitening') continue;
    const [filters, channels, height, width] = weightShape as readonly [number, number, number, number];
    const moments = patchMoments(images, shape, preprocessing, [height, width], initializer.examples);
    await arena.write(entry, whiteningFilters(moments, channels * height * width, filters, initializer.epsilon), arena.values);
  }
}

/**
 * The filters in order of descending eigenvalue, then their negatives: the first `filters / 2` axes.
 *
 * @param moments second moments of the patches, `[size, size]`
 * @param size elements of a patch
 * @param filters an even number, at most `2 * size`
 * @returns `[filters, size]`
 * @throws ConfigurationError for another number of filters
 */
export function whiteningFilters(moments: Float64Array, size: number, filters: number, epsilon: number): Float32Array {
  const axes = filters / 2;
  if (!Number.isInteger(axes) || axes > size) {
    throw new ConfigurationError(
      `the filters (=${filters}) of a whitening layer on patches of ${size} elements must be an even number up to ${2 * size}`,
    );
  }
  const { values, vectors } = symmetricEigen(moments, size);
  const weights = new Float32Array(filters * size);
  for (let axis = 0; axis < axes; axis++) {
    const scaled = vectors[axis]!.map((element) => element / Math.sqrt(Math.max(values[axis]!, 0) + epsilon));
    weights.set(scaled, axis * size);
    weights.set(
      scaled.map((element) => -element),
      (axes + axis) * size,
    );
  }
  return weights;
}

/**
 * mean of p p' over all patches p of the first `examples` images (of all, where there are fewer), pixel by pixel, without subtracting the mean.
 *
 * @returns `[size, size]` with size = C * kernel height * kernel width, in that order
 */
export function patchMoments(
  images: ImageSet,
  shape: readonly [number, number, number],
  preprocessing: Preprocessing,
  kernel: readonly [height: number, width: number],
  examples: number,
): Float64Array {
  const transform = createTransform(shape, preprocessing);
  const [inputHeight, inputWidth] = sidesOf(preprocessing.inputSize);
  const input = new Float32Array(transform.inputLength);
  const offsets = patchOffsets(shape[0], [inputHeight, inputWidth], kernel);
  const size = offsets.length;
  const patch = new Float64Array(size);
  const sums = new Float64Array(size * size);
  const count = Math.min(examples, images.count);
  for (let position = 0; position < count; position++) {
    transform.evaluation(images.images, position, plainView, input, 0);
    for (let y = 0; y + kernel[0] <= inputHeight; y++) {
      for (let x = 0; x + kernel[1] <= inputWidth; x++) {
        for (let i = 0; i < size; i++) patch[i] = input[y * inputWidth + x + offsets[i]!]!;
        addOuterProduct(sums, patch);
      }
    }
  }
  const patches = count * (inputHeight - kernel[0] + 1) * (inputWidth - kernel[1] + 1);
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) sums[i * size + j] = sums[j * size + i] = sums[i * size + j]! / patches;
  }
  return sums;
}

/** Where the elements of a patch lie in an image `[C, H, W]`, relative to the patch's first. */
function patchOffsets(
  channels: number,
  [inputHeight, inputWidth]: readonly [number, number],
  [height, width]: readonly [number, number],
): Int32Array {
  const offsets: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) offsets.push((channel * inputHeight + y) * inputWidth + x);
  }
  return Int32Array.from(offsets);
}

/** The upper triangle of sums += p p' */
function addOuterProduct(sums: Float64Array, patch: Float64Array): void {
  const size = patch.length;
  for (let i = 0; i < size; i++) {
    const value = patch[i]!;
    for (let j = i; j < size; j++) sums[i * size + j]! += value * patch[j]!;
  }
}
