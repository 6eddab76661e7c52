/** The generated images in a page: the same as in Node, in the page's own memory (a page has shared memory only where it is isolated). */
import type { Dataset, ImageSet } from './dataset.ts';
import { drawSyntheticImages, syntheticClasses, syntheticShape } from './synthetic-images.ts';

export interface PageImagesOptions {
  readonly trainCount: number;
  readonly testCount: number;
  readonly seed?: number;
}

/** Ten classes of drawn shapes and textures: what `--data synthetic` is. */
export function generatePageImages({
  trainCount,
  testCount,
  seed = 0,
}: PageImagesOptions): Pick<Dataset, 'name' | 'classes' | 'shape' | 'train' | 'test'> {
  const generate = (count: number, split: 'train' | 'test'): ImageSet => {
    const length = syntheticShape[0] * syntheticShape[1] * syntheticShape[2];
    const set = { count, images: new Uint8Array(count * length), labels: new Uint8Array(count) };
    drawSyntheticImages(set, seed, split);
    return set;
  };
  const images = { train: generate(trainCount, 'train'), test: generate(testCount, 'test') };
  return { name: 'synthetic', classes: syntheticClasses, shape: syntheticShape, ...images };
}
