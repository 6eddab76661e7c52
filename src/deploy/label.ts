/** Labels images with a frozen file, and says how long the network took. */
import { describePassedOver, pictureEndings, picturesIn, type PassedOver } from '../data/picture-files.ts';
import { DataError } from '../util/errors.ts';
import { sidesOf } from '../util/image-size.ts';
import { percentile } from '../util/percentile.ts';
import type { FrozenModel } from './frozen-model.ts';
import type { ImageBatch } from './onnx-runtime.ts';
import { readImage } from './read-image.ts';
import { isFolder } from '../util/regular-file.ts';

export interface Labelled {
  /** The file's path. */
  readonly image: string;
  /** The most probable classes, the most probable first. */
  readonly top: readonly { readonly label: string; readonly probability: number }[];
  /** Median over the timed runs: the pixels in, the probabilities out. Reading and decoding the file is not in it. */
  readonly inferenceMs: number;
  readonly inferenceP95Ms: number;
}

export interface LabelOptions {
  /** Classes listed; default 5. */
  readonly top?: number;
  /** Timed runs of the network for each image, after the warm-up; default 20. */
  readonly runs?: number;
}

/** Runs before the first that is timed: the first ones allocate memory and fill the caches. */
const warmUpRuns = 5;

/**
 * Classifies one image file.
 *
 * @throws AblateError if it cannot be read; DataError if it is no image that the model can take (see `readImage`)
 */
export async function labelImage(model: FrozenModel, path: string, { top = 5, runs = 20 }: LabelOptions = {}): Promise<Labelled> {
  const { metadata, session } = model;
  const [height, width] = sidesOf(metadata.imageSize);
  const batch: ImageBatch = { pixels: await readImage(path, metadata), count: 1, height, width };
  for (let run = 0; run < warmUpRuns; run++) await session.run(batch);
  const timesMs: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await session.run(batch);
    timesMs.push(performance.now() - start);
  }
  const { probabilities } = await session.run(batch);
  const ranked = metadata.classes
    .map((label, i) => ({ label, probability: probabilities[i]! }))
    .sort((a, b) => b.probability - a.probability);
  return {
    image: path,
    top: ranked.slice(0, top),
    inferenceMs: percentile(timesMs, 0.5),
    inferenceP95Ms: percentile(timesMs, 0.95),
  };
}

/**
 * The image files that paths stand for: a file for itself, a folder for the images in it, by name.
 *
 * @param onNote is told in a line what of a folder was passed over
 * @throws AblateError for a path that does not exist; DataError for a folder without images
 */
export function imageFiles(paths: readonly string[], onNote?: (text: string) => void): string[] {
  return paths.flatMap((path) => {
    if (!isFolder(path)) return [path];
    const passedOver: PassedOver = new Map();
    const pictures = picturesIn(path, passedOver);
    const others = describePassedOver(passedOver);
    if (pictures.length === 0) {
      const instead = others === '' ? '' : `, only ${others}`;
      throw new DataError(`${path} holds no image (${pictureEndings})${instead}`, { fix: 'check the folder' });
    }
    if (others !== '') onNote?.(`Passed over in ${path}: ${others} (images are ${pictureEndings} files directly in the folder)`);
    return pictures;
  });
}
