/** Weights named on the command line: those of a run, or of a file. */
import { existsSync, statSync } from 'node:fs';
import type { Run } from '../runs/run-folder.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { DataError } from '../util/errors.ts';
import type { Assignments } from './options.ts';

export interface ReferenceOptions {
  readonly runsDir: string;
  /** Model of a file that does not say. */
  readonly model?: string | undefined;
  /** Settings of the model of a file that does not say. */
  readonly set?: Assignments | undefined;
}

/**
 * Reads the newest checkpoint of a run (its folder, `<model>/<number>`, or `<model>` for the newest), or a safetensors file.
 *
 * @throws DataError if there is none, or it is damaged
 */
export async function readReference(
  reference: string,
  { runsDir, model, set = {} }: ReferenceOptions,
): Promise<{ readonly saved: SavedModel; readonly run: Run | undefined }> {
  const { readSavedModel } = await import('../train/saved-model.ts');
  const { setKey } = await import('../train/config.ts');
  const isFile = existsSync(reference) && statSync(reference).isFile();
  if (!isFile && reference.endsWith('.safetensors'))
    throw new DataError(`there is no file ${reference}`, { fix: 'check the path' });
  const run = isFile ? undefined : await findRunWithCheckpoint(reference, runsDir);
  const given = Object.entries(set).reduce(
    (keys, [key, value]) => setKey(keys, key, value),
    model === undefined ? {} : { model },
  );
  return { saved: readSavedModel(run?.checkpoint ?? reference, given), run: run?.run };
}

async function findRunWithCheckpoint(reference: string, runsDir: string) {
  const { findRun, runName } = await import('../runs/run-folder.ts');
  const { latestCheckpoint } = await import('../runs/checkpoint.ts');
  const run = findRun(runsDir, reference);
  const latest = latestCheckpoint(run);
  if (latest === undefined) throw new DataError(`${runName(run)} has no checkpoint yet`, { fix: 'wait for the first' });
  return { run, checkpoint: latest.path };
}
