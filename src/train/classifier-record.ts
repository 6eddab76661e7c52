/** What a run keeps of its classifier: the record in its folder, and a name for its network. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Network } from '../nn/network.ts';
import type { Run } from '../runs/run-folder.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { readTextFile } from '../util/regular-file.ts';
import { decodeClassifier, encodeClassifier, type Classifier } from './classifier.ts';

/** A name for what a network computes: the same for networks of the same layers, however they were made. */
export function networkChecksum({ layers, output }: Network): string {
  const facts = layers.map(({ kind, name, inputs, attributes, parameters }) => [kind, name, inputs, attributes, parameters]);
  return createHash('sha256')
    .update(JSON.stringify([facts, output]))
    .digest('hex')
    .slice(0, 32);
}

/** In the folder of a run from its beginning: what it trains, whatever becomes of the model's code. */
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
  return decodeClassifier(parseJson(readTextFile(path), path), path);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DataError(`${path} is damaged: ${messageOf(error)}`, { cause: error });
  }
}
