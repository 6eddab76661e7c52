/** Labels images with a frozen file, and says how long the network took. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { imageFileName } from '../data/decode-image.ts';
import { DataError } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { percentile } from '../util/percentile.ts';
import type { FrozenModel } from './frozen-model.ts';
import type { ImageBatch } from './onnx-runtime.ts';
import { readImage } from './read-image.ts';

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
  /** Classes listed. */
  readonly top: number;
  /** Timed runs of the network for each image, after the warm-up. */
  readonly runs: number;
}

/** Runs before the first that is timed: the first ones allocate memory and fill the caches. */
const warmUpRuns = 5;

/**
 * Classifies one image file.
 *
 * @throws AblateError if it cannot be read; DataError if it is no image that the model can take (see `readImage`)
 */
export async function labelImage(model: FrozenModel, path: string, { top, runs }: LabelOptions): Promise<Labelled> {
  const { metadata, session } = model;
  const side = metadata.imageSize;
  const batch: ImageBatch = { pixels: await readImage(path, metadata), count: 1, height: side, width: side };
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
 * @throws AblateError for a path that does not exist; DataError for a folder without images
 */
export function imageFiles(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    try {
      if (!statSync(path).isDirectory()) return [path];
      const names = readdirSync(path).filter((name) => imageFileName.test(name) && !name.startsWith('.'));
      if (names.length > 0) return names.sort().map((name) => join(path, name));
    } catch (error) {
      throw fileError('read', path, error);
    }
    throw new DataError(`${path} holds no image (.png, .jpg, .jpeg or .webp)`, { fix: 'check the folder' });
  });
}
