/**
 * The list of runs. What their status files said is kept in `<root>/.index.json`, with the stamp of the file it was read from, so that
 * the next list reads only the files that changed since. The index is a cache: without it, or with a damaged one, the list is the same.
 */
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { AblateError } from '../util/errors.ts';
import { readTextFile, statIfReachable } from '../util/regular-file.ts';
import { allRuns, runName, type Run } from './run-folder.ts';
import { currentStatus, recordedStatus, statusPath, type RunState, type RunStatus } from './run-status.ts';

export interface RunFilter {
  /** Only runs of this model. */
  readonly model?: string;
  /** Only runs in this state now. */
  readonly status?: RunState;
}

/** A row of the list of runs. */
export interface RunSummary extends RunStatus, Run {
  /** `tuto/3`. */
  readonly run: string;
}

/** The runs under `root`, by model and number; none if the folder is missing. */
export function listRuns(root: string, filter: RunFilter = {}): RunSummary[] {
  const runs = filter.model === undefined ? allRuns(root) : allRuns(root, [filter.model]);
  const index = readIndex(root);
  const changed: Record<string, IndexEntry> = {};
  const summaries = runs.map((run) => {
    const name = runName(run);
    const stamp = stampOf(run);
    const known = index[name];
    let status: RunStatus;
    if (known !== undefined && stamp !== undefined && known.stamp === stamp) status = known.status;
    else {
      status = recordedStatus(run);
      if (stamp !== undefined) changed[name] = { stamp, status };
    }
    return { run: name, ...run, ...currentStatus(status) };
  });
  if (Object.keys(changed).length > 0) writeIndex(root, { ...index, ...changed });
  return filter.status === undefined ? summaries : summaries.filter(({ status }) => status === filter.status);
}

interface IndexEntry {
  readonly stamp: string;
  readonly status: RunStatus;
}

type RunIndex = Readonly<Record<string, IndexEntry>>;

const format = 'ablate-index-1';

/** A status file is replaced whole each time it changes, by a new file: another inode, or the same at another time. */
function stampOf(run: Run): string | undefined {
  const found = statIfReachable(statusPath(run));
  return found === undefined ? undefined : `${found.ino}-${found.mtimeMs}-${found.size}`;
}

function readIndex(root: string): RunIndex {
  try {
    const index = JSON.parse(readTextFile(join(root, '.index.json'))) as {
      readonly format?: string;
      readonly runs: RunIndex;
    };
    return index.format === format ? index.runs : {};
  } catch {
    return {}; // Missing or damaged: the runs themselves say all of it.
  }
}

function writeIndex(root: string, runs: RunIndex): void {
  try {
    writeFileAtomic(join(root, '.index.json'), JSON.stringify({ format, runs }), { durable: false });
  } catch (error) {
    // Someone else's folder, or a full disk: listing goes on without the cache.
    if (!(error instanceof AblateError)) throw error;
  }
}
