/** Making and identifying sets of images. */
import { createHash } from 'node:crypto';
import { requireMemory } from '../util/limits.ts';
import type { ImageSet } from './dataset.ts';
import { allocateLabels } from './image-set.ts';

/**
 * Room for `count` images of `shape` and their labels in shared memory.
 *
 * @param classes how many there are; up to 256, a label is a byte
 * @throws ConfigurationError if this machine has not so much memory
 */
export function allocateImages(count: number, shape: readonly [number, number, number], classes = 256): ImageSet {
  const bytes = count * shape[0] * shape[1] * shape[2];
  requireMemory(bytes, `a set of ${count} images of ${shape.join('x')}`, 'use smaller images, or fewer');
  return { count, images: new Uint8Array(new SharedArrayBuffer(bytes)), labels: allocateLabels(count, classes) };
}

/**
 * sha256 over the class names, all images and all labels, in hexadecimal.
 *
 * @param facts what else tells one set of such images from another: their shape, how they were split
 */
export function fingerprintOf(
  classes: readonly string[],
  train: ImageSet,
  test: ImageSet,
  facts: readonly unknown[] = [],
): string {
  const hash = createHash('sha256').update(JSON.stringify(classes));
  for (const set of [train, test]) hash.update(set.images).update(set.labels);
  if (facts.length > 0) hash.update(JSON.stringify(facts));
  return hash.digest('hex');
}
