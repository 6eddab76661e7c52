/** What a run keeps of the file of code that its model was written in: a copy of all that ran, and a checksum. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { readTextFile } from '../util/regular-file.ts';
import { checksumOfFile, type UserFile } from './load-file.ts';

const recordName = 'model-file.json';
const copyName = 'model.mjs';

const schema = z.object({ path: z.string(), sha256: z.string() });

/** For the records that a new run has from its beginning; none for one of the lab's own models. */
export function recordOfModelFile(file: UserFile | undefined): Readonly<Record<string, unknown>> {
  if (file === undefined) return {};
  const { path, sha256, code } = file;
  return { [recordName]: { path, sha256 }, [copyName]: code };
}

/**
 * Checks that the file of a run's model is as it was when the run was started. A file that is gone is no matter: the run has its network.
 *
 * @param run where it is
 * @throws ConfigurationError if the file has changed; DataError if the record is damaged
 */
export function requireSameModelFile(run: { readonly path: string }): void {
  const record = join(run.path, recordName);
  if (!existsSync(record)) return;
  const { path, sha256 } = readRecord(record);
  if (!existsSync(path) || checksumOfFile(path) === sha256) return;
  throw new ConfigurationError(`${path} has changed since the run ${run.path} was started with it`, {
    fix: `restore it, or start a new run: a run is not continued with another network (its own copy is ${join(run.path, copyName)})`,
  });
}

function readRecord(path: string): z.output<typeof schema> {
  try {
    return schema.parse(JSON.parse(readTextFile(path)));
  } catch (error) {
    throw new DataError(`${path} is damaged: ${messageOf(error)}`, { cause: error });
  }
}
