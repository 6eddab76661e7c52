/** `classifier.json` in the folder of a run, there from its beginning: what it trains, whatever becomes of the model's code. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../runs/run-folder.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { readTextFile } from '../util/regular-file.ts';
import { decodeClassifier, encodeClassifier, type Classifier } from './classifier.ts';

const recordName = 'classifier.json';

/** For the records that a new run has from its beginning. */
export function recordOfClassifier(classifier: Classifier): Readonly<Record<string, unknown>> {
  return { [recordName]: encodeClassifier(classifier) };
}

/**
 * What a run trains; undefined if it has no record of it.
 *
 * @throws DataError if the record is damaged
 */
export function recordedClassifier(run: Run): Classifier | undefined {
  const path = join(run.path, recordName);
  if (!existsSync(path)) return undefined;
  return decodeClassifier(parse(readTextFile(path), path), path);
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DataError(`${path} is damaged: ${messageOf(error)}`, { cause: error });
  }
}
