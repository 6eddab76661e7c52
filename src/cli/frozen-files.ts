/** What the commands that write or read frozen files have in common. */
import type { SavedModel } from '../train/saved-model.ts';
import type { WeightsKind } from '../train/weights.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { frozenFileName } from '../util/file-names.ts';
import { statIfReachable } from '../util/regular-file.ts';
import { quoted } from '../util/shell.ts';

/**
 * Reads the option `--weights`; without it, what the file has.
 *
 * @throws ConfigurationError if it is neither `ema` nor `raw`
 */
export async function weightsKind(saved: SavedModel, given: string | undefined): Promise<WeightsKind> {
  const { preferredWeights, weightsKinds } = await import('../train/weights.ts');
  if (given === undefined) return preferredWeights(saved.file);
  const kind = weightsKinds.find((each) => each === given);
  if (kind === undefined) throw new ConfigurationError(`weights (=${given}) must be one of ${weightsKinds.join(', ')}`);
  return kind;
}

/**
 * A run, or the name of a model, where a frozen file is wanted: what to do is said.
 *
 * @throws DataError if `path` is no file, nor has the name of a frozen one
 */
export function requireFrozenFile(path: string): void {
  if (frozenFileName.test(path) || statIfReachable(path)?.isDirectory() === false) return;
  throw new DataError(`${path} is no frozen file (.onnx)`, {
    fix: `ablate freeze ${quoted(path)} -o model.onnx    (if it is a run; then give model.onnx)`,
  });
}
