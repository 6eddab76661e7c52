import { expect, test } from 'vitest';
import { told } from '../../../test/told.ts';
import { selectImages } from '../../data/image-set.ts';
import { allocateImages } from '../../data/new-image-set.ts';
import { permutation, streamKey } from '../../util/random.ts';
import { calibrationOrder, drawCalibrationImages, requireImageCount } from './drawn-images.ts';

/** Image i has i in its pixel and label i % 7. */
function numbered(count: number) {
  const set = allocateImages(count, [1, 1, 1]);
  for (let i = 0; i < count; i++) [set.images[i], set.labels[i]] = [i, i % 7];
  return set;
}

test('the first images of an order that the seed draws: 1,024, or all of fewer, or as many as are asked for', () => {
  const order = permutation(streamKey(3, 'calibration'), 1500);
  expect(calibrationOrder(3, 1500)).toEqual(order);
  const train = numbered(1500);
  expect(drawCalibrationImages(train, 'd', 3)).toEqual(selectImages(train, order.subarray(0, 1024)));
  expect(drawCalibrationImages(train, 'd', 3, 40)).toEqual(selectImages(train, order.subarray(0, 40)));
  expect(drawCalibrationImages(numbered(50), 'd', 3).count).toBe(50);
});

test('at least 32, and no more than there are', () => {
  const refused = (message: string) => ({ kind: 'ConfigurationError', message, fix: undefined });
  expect(told(() => drawCalibrationImages(numbered(50), 'drawn', 1, 51))).toEqual(
    refused('images (=51) must be at most 50: so many drawn has as training images'),
  );
  expect(told(() => drawCalibrationImages(numbered(50), 'drawn', 1, 31))).toEqual(
    refused('images (=31) must be at least 32: fewer do not show what the network computes'),
  );
  for (const count of [32, 50]) expect(() => requireImageCount('n', count, 50, 'x')).not.toThrow();
});
