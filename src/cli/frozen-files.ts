/** What the commands that write or read frozen files have in common. */
import { existsSync, statSync } from 'node:fs';
import type { FrozenMetadata } from '../deploy/metadata.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { SavedModel } from '../train/saved-model.ts';
import type { WeightsKind } from '../train/weights.ts';
import { AblateError, ConfigurationError, DataError } from '../util/errors.ts';
import { frozenFileName } from '../util/file-names.ts';
import { quoted } from '../util/shell.ts';
import type { ExistingFile } from './output-file.ts';

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
  if (frozenFileName.test(path) || statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) return;
  throw new DataError(`${path} is no frozen file (.onnx)`, {
    fix: `ablate freeze ${quoted(path)} -o model.onnx    (if it is a run; then give model.onnx)`,
  });
}

/**
 * What the frozen file at a path was made of; undefined if there is none.
 *
 * @param isOwn whether it was made by the same command of the same source
 */
export async function existingFrozenFile(
  path: string,
  isOwn: (metadata: FrozenMetadata) => boolean,
): Promise<ExistingFile | undefined> {
  if (!existsSync(path)) return undefined;
  const { readFrozenFile } = await import('../deploy/frozen-model.ts');
  try {
    const { metadata } = readFrozenFile(path);
    const { run, model, step, quantization } = metadata;
    const of = run ?? `weights of ${model}`;
    const steps = step === null ? '' : `, step ${step}`;
    return { isOwn: isOwn(metadata), description: `a ${quantization === null ? 'frozen' : 'quantized'} file of ${of}${steps}` };
  } catch (error) {
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

/** Whether a frozen file is of a run, whatever its steps: there may be one of the same name, and another network, in another folder. */
export function isOfRun({ run, config }: FrozenMetadata, name: string | undefined, trained: TrainingConfig): boolean {
  const identity = ({ model, modelSettings, recipe, seed }: TrainingConfig) =>
    JSON.stringify([model, modelSettings, recipe, seed]);
  return run !== null && run === name && identity(config) === identity(trained);
}
