/** Which training images show what values a network takes. */
import type { ImageSet } from '../../data/dataset.ts';
import { selectImages } from '../../data/image-set.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { permutation, streamKey } from '../../util/random.ts';

/** Fewer images do not show which values a network's tensors take. */
export const fewestImages = 32;
export const usualCalibrationImages = 1024;

/** The training images in an order drawn from the seed: the first ones calibrate. */
export function calibrationOrder(seed: number, count: number): Uint32Array {
  return permutation(streamKey(seed, 'calibration'), count);
}

/**
 * The images that calibrate.
 *
 * @param train training images of the data set called `dataset`
 * @param count how many; default 1024, or all
 * @throws ConfigurationError for fewer than 32, and for more than there are
 */
export function drawCalibrationImages(train: ImageSet, dataset: string, seed: number, count?: number): ImageSet {
  const wanted = count ?? Math.min(usualCalibrationImages, train.count);
  requireImageCount('images', wanted, train.count, `${dataset} has as training images`);
  return selectImages(train, calibrationOrder(seed, train.count).subarray(0, wanted));
}

/** @throws ConfigurationError for fewer images than show anything, or more than there are */
export function requireImageCount(name: string, count: number, available: number, whose: string): void {
  if (count < fewestImages) {
    throw new ConfigurationError(
      `${name} (=${count}) must be at least ${fewestImages}: fewer do not show what the network computes`,
    );
  }
  if (count > available) throw new ConfigurationError(`${name} (=${count}) must be at most ${available}: so many ${whose}`);
}
