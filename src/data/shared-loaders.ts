/** Which trainings see the same batches, and one loader for all that do. */
import type { BatchLoader } from './batch.ts';
import {
  createSharedTrainingLoader,
  createTrainingLoader,
  type SharedTrainingLoader,
  type TrainingLoaderOptions,
} from './loader.ts';

/** Where a training gets its batches. */
export type OpenTrainingLoader = (options: TrainingLoaderOptions) => BatchLoader;

/**
 * Opens a loader for each training that asks; those whose batches are the same have one together. They must be trained step by step together: one that is
 * further than the batches that are prepared ahead waits for the others.
 */
export function shareLoaders(): OpenTrainingLoader {
  const known: { readonly options: TrainingLoaderOptions; readonly loader: SharedTrainingLoader }[] = [];
  return (options) => {
    // The user's own augmentation may be a function that counts its calls.
    if (options.augmentation !== undefined) return createTrainingLoader(options);
    for (const each of known) {
      const joined = isSame(each.options, options) ? each.loader.join() : undefined;
      if (joined !== undefined) return joined;
    }
    const loader = createSharedTrainingLoader(options);
    known.push({ options, loader });
    return loader.join()!;
  };
}

function isSame(a: TrainingLoaderOptions, b: TrainingLoaderOptions): boolean {
  const settings = ({ images, ...rest }: TrainingLoaderOptions) => JSON.stringify({ ...rest, count: images.count });
  const places = ({ images: { images, labels } }: TrainingLoaderOptions) => [images, labels];
  return (
    settings(a) === settings(b) &&
    places(a).every(({ buffer, byteOffset }, i) => {
      const other = places(b)[i]!;
      return buffer === other.buffer && byteOffset === other.byteOffset;
    })
  );
}
