/** Checkpoints: all that is needed to go on training, and the weights for everything else, in one safetensors file. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { makeFolder } from '../util/make-folder.ts';
import { checkpointFormat } from './checkpoint-weights.ts';
import { checkpointsFolder, type Run } from './run-folder.ts';
import { encodeSafetensors, readSafetensors, readSafetensorsMetadata, type Tensor } from './safetensors.ts';

export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /**
   * Parameters and statistics by name (`conv1.weight`), their moving averages (`ema.conv1.weight`), the optimizer's state
   * (`opt.<slot>.conv1.weight`) and, of a pruned network, the masks of its weights (`mask.conv1.weight`: 0 or 1), in plain layout.
   */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** At least `model` and `config` (JSON); `step`, `format` and `final` are written by `saveCheckpoint`. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SaveOptions {
  /** Keep this many of the newest checkpoints, and final ones; all if undefined. At least 1. */
  readonly keep?: number;
  /** Whether training ends here: such a checkpoint is never pruned. */
  readonly final?: boolean;
}

/** A checkpoint in a run's folder. */
export interface CheckpointFile {
  readonly step: number;
  readonly path: string;
}

export function checkpointPath(run: Run, step: number): string {
  return join(checkpointsFolder(run), `step-${String(step).padStart(9, '0')}.safetensors`);
}

/** The checkpoints of a run by step, ascending. What interrupted saves left behind is not among them. */
export function listCheckpoints(run: Run): CheckpointFile[] {
  const folder = checkpointsFolder(run);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw fileError('read', folder, error);
  }
  return names
    .flatMap((name) => {
      const step = /^step-(\d{9,})\.safetensors$/.exec(name)?.[1];
      return step === undefined ? [] : { step: Number(step), path: join(folder, name) };
    })
    .sort((a, b) => a.step - b.step);
}

/** The checkpoint of the highest step, or undefined if none was saved yet. */
export function latestCheckpoint(run: Run): CheckpointFile | undefined {
  return listCheckpoints(run).at(-1);
}

/**
 * Saves a checkpoint whole or not at all, then prunes older ones.
 *
 * @returns Its path.
 * @throws ConfigurationError if `keep` is not a positive integer; AblateError if the file cannot be written.
 */
export function saveCheckpoint(run: Run, checkpoint: Checkpoint, options: SaveOptions = {}): string {
  const { keep, final = false } = options;
  if (keep !== undefined && !(Number.isInteger(keep) && keep >= 1)) {
    throw new ConfigurationError(`keep (=${keep}) must be a positive integer`, { fix: 'leave it out to keep all checkpoints' });
  }
  const path = checkpointPath(run, checkpoint.step);
  const metadata = {
    ...checkpoint.metadata,
    format: checkpointFormat,
    step: String(checkpoint.step),
    final: String(final),
  };
  makeFolder(checkpointsFolder(run));
  writeFileAtomic(path, encodeSafetensors(checkpoint.tensors, metadata));
  // Stryker disable next-line ConditionalExpression: to keep undefined is to keep all
  if (keep !== undefined) prune(run, keep);
  return path;
}

/** The name of the best checkpoint, beside those named by their steps; also in references: `tuto/1@best`. */
export const bestName = 'best';

export interface BestCheckpoint extends CheckpointFile {
  /** On the validation images, in [0, 1]. */
  readonly accuracy: number;
}

function bestPath(run: Run): string {
  return join(checkpointsFolder(run), `${bestName}.safetensors`);
}

/** Saves a checkpoint as the best on validation images, in place of the one before; whole or not at all. */
export function saveBestCheckpoint(run: Run, { step, tensors, metadata }: Checkpoint, accuracy: number): void {
  const said = { ...metadata, format: checkpointFormat, step: String(step), validationAccuracy: String(accuracy) };
  makeFolder(checkpointsFolder(run));
  writeFileAtomic(bestPath(run), encodeSafetensors(tensors, said));
}

/**
 * The checkpoint that was the best on validation images; undefined where a run has none.
 *
 * @throws DataError if it is damaged
 */
export function bestCheckpoint(run: Run): BestCheckpoint | undefined {
  const path = bestPath(run);
  if (!existsSync(path)) return undefined;
  const { step, validationAccuracy } = readSafetensorsMetadata(path);
  return { path, step: Number(step), accuracy: Number(validationAccuracy) };
}

/**
 * Reads a checkpoint.
 *
 * @throws DataError if the file is damaged, or a safetensors file that is not a checkpoint; AblateError if it cannot be read.
 */
export function loadCheckpoint(path: string): Checkpoint {
  const { tensors, metadata } = readSafetensors(path);
  const step = Number(metadata['step']);
  if (metadata['format'] !== checkpointFormat || !Number.isSafeInteger(step) || step < 0) {
    const found = `its format is ${JSON.stringify(metadata['format'])}, its step ${JSON.stringify(metadata['step'])}`;
    throw new DataError(`${path} is not a checkpoint of the format "${checkpointFormat}": ${found}`, {
      fix: 'to start from the weights of another program, use --init',
    });
  }
  return { step, tensors, metadata };
}

export interface WholeCheckpoint extends Checkpoint {
  readonly path: string;
}

/**
 * The newest checkpoint of a run that is whole, and the paths of damaged ones that are newer.
 *
 * @throws AblateError if a file cannot be read, though it may be whole
 */
export function loadNewestCheckpoint(run: Run): {
  readonly checkpoint: WholeCheckpoint | undefined;
  readonly damaged: readonly string[];
} {
  const damaged: string[] = [];
  for (const { path } of listCheckpoints(run).reverse()) {
    try {
      return { checkpoint: { ...loadCheckpoint(path), path }, damaged };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      damaged.push(path);
    }
  }
  return { checkpoint: undefined, damaged };
}

/** Removes all but the newest `keep` checkpoints, and final ones. */
function prune(run: Run, keep: number): void {
  for (const { path } of listCheckpoints(run).slice(0, -keep)) {
    if (isFinal(path)) continue;
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw fileError('remove', path, error);
    }
  }
}

/** Also true of a damaged file: it is for the user to look at, and no reason to stop a training. */
function isFinal(path: string): boolean {
  try {
    return readSafetensorsMetadata(path)['final'] === 'true';
  } catch (error) {
    if (error instanceof DataError) return true;
    throw error;
  }
}
