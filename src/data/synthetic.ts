/** The generated images as a data set. What they show is in synthetic-images.ts. */
import type { Dataset, ImageSet } from './dataset.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';
import { drawSyntheticImages, syntheticClasses, syntheticShape } from './synthetic-images.ts';

export interface SyntheticOptions {
  /** Default 10,000. */
  readonly trainCount?: number;
  /** Default 2,000. */
  readonly testCount?: number;
  readonly seed?: number;
}

/** Generates the data set: the same images for the same seed on every machine. */
export function generateSynthetic(options: SyntheticOptions = {}): Dataset {
  const { trainCount = 10_000, testCount = 2_000, seed = 0 } = options;
  const generate = (count: number, split: 'train' | 'test'): ImageSet => {
    const set = allocateImages(count, syntheticShape);
    drawSyntheticImages(set, seed, split);
    return set;
  };
  const train = generate(trainCount, 'train');
  const test = generate(testCount, 'test');
  const classes = syntheticClasses;
  const fingerprint = fingerprintOf(classes, train, test);
  return { name: 'synthetic', classes, shape: syntheticShape, synthetic: true, fingerprint, train, test };
}
