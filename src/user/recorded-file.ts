/** What a run keeps of the files of code that its model, its data and its augmentation were written in: a copy of all that ran, and a checksum. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ConfigurationError } from '../util/errors.ts';
import { requiredRecordAt } from '../util/json-file.ts';
import { checksumOfFile, type UserFile } from './load-file.ts';

const names = {
  model: { record: 'model-file.json', copy: 'model.mjs' },
  data: { record: 'data-file.json', copy: 'data.mjs' },
  augmentation: { record: 'augmentation-file.json', copy: 'augmentation.mjs' },
} as const;

export type RecordedKind = keyof typeof names;

const schema = z.object({ path: z.string(), sha256: z.string() });

/** For the records that a new run has from its beginning; none for a run without such a file. */
export function recordOfFile(kind: RecordedKind, file: UserFile | undefined): Readonly<Record<string, unknown>> {
  if (file === undefined) return {};
  const { path, sha256, code } = file;
  return { [names[kind].record]: { path, sha256 }, [names[kind].copy]: code };
}

/**
 * Checks that the files of a run's model and data are as they were when the run was started. A model's that is gone is no matter: the run has its network.
 *
 * @param run where it is
 * @throws ConfigurationError if a file has changed; DataError if a record is damaged
 */
export function requireSameFiles(run: { readonly path: string }): void {
  for (const [kind, another] of [
    ['model', 'another network'],
    ['data', 'other data'],
  ] as const) {
    const recorded = readRecord(kind, run);
    if (recorded !== undefined) requireSame(recorded, run, `a run is not continued with ${another}`, checksumOfFile);
  }
}

/**
 * Where the code of a run's augmentation is: the file that it was started with, or where that is gone the run's own copy.
 *
 * @returns undefined if the run has no such file
 * @throws ConfigurationError if the file has changed; DataError if the record is damaged
 */
export function recordedAugmentationFile(run: { readonly path: string }, library: string): string | undefined {
  const recorded = readRecord('augmentation', run);
  if (recorded === undefined) return undefined;
  const reason = 'a run is not continued with another augmentation; --init starts a new one from its weights';
  requireSame(recorded, run, reason, (path) => checksumOfFile(path, library));
  return existsSync(recorded.path) ? recorded.path : recorded.copy;
}

/** Where the file of a run's model was; undefined for one of the lab's own. Throws DataError if the record is damaged. */
export function recordedModelFile(run: { readonly path: string }): string | undefined {
  return readRecord('model', run)?.path;
}

interface RecordedFile extends z.output<typeof schema> {
  readonly copy: string;
}

function requireSame(
  { path, sha256, copy }: RecordedFile,
  run: { readonly path: string },
  reason: string,
  checksum: (path: string) => string,
): void {
  if (!existsSync(path) || checksum(path) === sha256) return;
  throw new ConfigurationError(`${path} has changed since the run ${run.path} was started with it`, {
    fix: `restore it, or start a new run: ${reason} (its own copy is ${copy})`,
  });
}

function readRecord(kind: RecordedKind, run: { readonly path: string }): RecordedFile | undefined {
  const path = join(run.path, names[kind].record);
  if (!existsSync(path)) return undefined;
  const record = requiredRecordAt(path, schema, 'is damaged', 'restore the file, or start a new run');
  return { ...record, copy: join(run.path, names[kind].copy) };
}
