/**
 * The list of runs. What their status files said is kept in `<root>/.index.json`, with the stamp of the file it was read from, so that
 * the next list reads only the files that changed since. The index is a cache: without it, or with a damaged one, the list is the same.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { AblateError } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { allRuns, modelFolders, runName, type Run } from './run-folder.ts';
import { currentStatus, statusPath, statusSchema, tryStatus, unknownStatus, type RunStatus } from './run-status.ts';
import { recordAt } from '../util/json-file.ts';
import { stampOf } from '../util/regular-file.ts';

/** `unreadable`: of a run, or of a folder of runs, that is damaged or another user's. */
export const listedStates = [...statusSchema.shape.status.options, 'unreadable'] as const;
export type ListedState = (typeof listedStates)[number];

export interface RunFilter {
  /** Only runs of this model. */
  readonly model?: string;
  /** Only runs in this state now. */
  readonly status?: ListedState;
}

/** A row of the list of runs. One that is `unreadable` says why as its `reason`, and is at step 0. */
export interface RunSummary extends Omit<RunStatus, 'status'>, Run {
  readonly status: ListedState;
  /** `tuto/3`; `tuto` where not even the runs of a model can be listed. */
  readonly run: string;
}

/** The runs under `root`, by model and number; none if the folder is missing. What cannot be read is a row like any other. */
export function listRuns(root: string, filter: RunFilter = {}): RunSummary[] {
  const index = readIndex(root);
  const changed: Record<string, IndexEntry> = {};
  const summaryOf = (run: Run): RunSummary => {
    const name = runName(run);
    const stamp = stampOf(statusPath(run));
    const known = index[name];
    if (known !== undefined && known.stamp === stamp) return { run: name, ...run, ...currentStatus(known.status) };
    const { status, problem } = tryStatus(run);
    if (status === undefined) return { run: name, ...run, ...unknownStatus(problem), status: 'unreadable' };
    if (stamp !== undefined) changed[name] = { stamp, status };
    return { run: name, ...run, ...currentStatus(status) };
  };
  const models = filter.model === undefined ? modelFolders(root) : [filter.model];
  const summaries = models.flatMap((model): RunSummary[] => {
    const path = join(resolve(root), model);
    const problem = whyUnreadable(path);
    if (problem === undefined) return allRuns(root, [model]).map(summaryOf);
    return [{ run: model, path, model, number: undefined, ...unknownStatus(problem), status: 'unreadable' }];
  });
  if (Object.keys(changed).length > 0) writeIndex(root, { ...index, ...changed });
  return filter.status === undefined ? summaries : summaries.filter(({ status }) => status === filter.status);
}

/** Undefined for a folder that can be read, and for a file beside the runs, or nothing. */
export function whyUnreadable(folder: string): string | undefined {
  try {
    if (statSync(folder).isDirectory()) readdirSync(folder);
    return undefined;
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? undefined : fileError('read', folder, error).message;
  }
}

const format = 'ablate-index-1';

const indexSchema = z.object({
  format: z.literal(format),
  runs: z.record(z.string(), z.object({ stamp: z.string(), status: statusSchema })),
});

type RunIndex = z.output<typeof indexSchema>['runs'];

type IndexEntry = RunIndex[string];

function readIndex(root: string): RunIndex {
  // Missing or damaged, the runs themselves say all of it.
  return recordAt(join(root, '.index.json'), indexSchema)?.runs ?? {};
}

function writeIndex(root: string, runs: RunIndex): void {
  try {
    writeFileAtomic(join(root, '.index.json'), JSON.stringify({ format, runs }), { durable: false });
  } catch (error) {
    // Someone else's folder, or a full disk: listing goes on without the cache.
    if (!(error instanceof AblateError)) throw error;
  }
}
