/** Files that hold a network's weights alone, to be evaluated, frozen or trained on: no optimizer state, no averages, no masks. */
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { SavedModel } from '../train/saved-model.ts';
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
export function weightsMetadata({ file: { metadata } }: SavedModel, config: TrainingConfig): Readonly<Record<string, string>> {
  const kept = Object.entries(metadata).filter(([key]) => !['format', 'final', 'config', 'model'].includes(key));
  return { ...Object.fromEntries(kept), model: config.model, config: JSON.stringify(config) };
}

/** The bytes of a file of weights; compressed with gzip, which mostly pays for sparse weights, if its name says so. */
export function encodeWeightsFile(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  return bytesFor(path, encodeSafetensors(tensors, metadata));
}
