/** Files that hold a network's weights alone, to be evaluated, frozen or trained on: no optimizer state, no averages, no masks. */
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import { encodeClassifier, type Classifier } from '../train/classifier.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { preferredWeights } from '../train/weights.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import { weightsFileName } from '../util/file-names.ts';
import { bytesFor } from '../util/gzip.ts';

export const compressedSuffix = '.safetensors.gz';

/** Throws ConfigurationError for a name that does not say how the file is to be written. */
export function requireWeightsFileName(path: string): void {
  if (weightsFileName.test(path)) return;
  throw new ConfigurationError(`output (=${path}) must end in .safetensors, or in ${compressedSuffix} to be compressed`);
}

/** What a file of weights says of itself, so that evaluating and freezing need nothing else. */
export function weightsMetadata(
  { file: { metadata } }: SavedModel,
  config: TrainingConfig,
  classifier: Classifier | undefined,
): Readonly<Record<string, string>> {
  const kept = Object.entries(metadata).filter(([key]) => !['format', 'final', 'config', 'model', 'classifier'].includes(key));
  const own = classifier && { classifier: JSON.stringify(encodeClassifier(classifier)) };
  return { ...Object.fromEntries(kept), model: config.model, config: JSON.stringify(config), ...own };
}

/**
 * A checkpoint as a file of weights: its moving averages, or the weights themselves where it has none. It no longer says that it is a
 * checkpoint, so that of a pruned network the zeros count as pruned in place of the masks.
 */
export function encodeSavedWeights(path: string, saved: SavedModel): Uint8Array {
  const { file, config } = saved;
  const tensors = checkpointWeights(file, preferredWeights(file), saved.path);
  return encodeWeightsFile(path, tensors, weightsMetadata(saved, config, saved.classifier));
}

/**
 * Writes what was trained or pruned as a file of weights that says what it is of; a file that is there is replaced.
 *
 * @param path ends in .safetensors, or in .safetensors.gz to be compressed
 * @throws ConfigurationError for another name; AblateError if it cannot be written
 */
export function writeSavedWeights(path: string, saved: SavedModel): void {
  requireWeightsFileName(path);
  writeFileAtomic(path, encodeSavedWeights(path, saved));
}

/** The bytes of a file of weights; compressed with gzip, which mostly pays for sparse weights, if its name says so. */
export function encodeWeightsFile(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  return bytesFor(path, encodeSafetensors(tensors, metadata));
}
