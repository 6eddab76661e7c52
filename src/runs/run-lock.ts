/**
 * One process trains into a run at a time. A lock is a file that names its process; the lock of a process that is gone is taken
 * over. No lock is ever replaced in place (of two processes that find the same stale lock, the slower would replace the
 * faster's): the next generation is made beside it, `lock-1`, `lock-2`, ..., which the file system lets only one process do. The
 * highest generation holds.
 */
import { linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeTemporary, removeTemporaryFiles, temporaryPath } from '../util/atomic-file.ts';
import { AblateError } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { processState, thisProcess, type ProcessIdentity } from '../util/process-identity.ts';
import { checkpointsFolder, runName, type Run } from './run-folder.ts';

export interface RunLock {
  /** Gives the run free. Safe to call twice. */
  release(): void;
}

/**
 * Reserves a run for this process, and clears away what a killed process left half written in its checkpoints.
 *
 * @throws AblateError if another process that is alive holds it, or one on another host, of which that cannot be known.
 */
export function lockRun(run: Run): RunLock {
  const generation = acquire(run);
  removeTemporaryFiles(checkpointsFolder(run));
  let held = true;
  return {
    release: () => {
      if (held) removeUpTo(run, generation);
      held = false;
    },
  };
}

/** The generation now held by this process. */
function acquire(run: Run): number {
  for (;;) {
    const highest = generations(run).at(-1) ?? 0;
    const holder = highest > 0 ? readLock(run, highest) : undefined;
    if (holder === 'released') continue;
    if (holder !== undefined && processState(holder) !== 'dead') throw inUse(run, highest, holder);
    const mine = highest + 1;
    if (!tryCreate(run, mine)) continue;
    // Between the look and the creation, others may have taken over and given back: the highest generation decides.
    if (generations(run).at(-1) === mine) return mine;
    rmSync(lockPath(run, mine), { force: true });
  }
}

function lockPath(run: Run, generation: number): string {
  return join(run.path, `lock-${generation}`);
}

/** The generations of locks in a run's folder, ascending. */
function generations(run: Run): number[] {
  let names: string[];
  try {
    names = readdirSync(run.path);
  } catch (error) {
    throw fileError('read', run.path, error);
  }
  return names.flatMap((name) => (/^lock-\d+$/.test(name) ? Number(name.slice('lock-'.length)) : [])).sort((a, b) => a - b);
}

function readLock(run: Run, generation: number): ProcessIdentity | 'released' {
  const path = lockPath(run, generation);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'released';
    const problem = `${runName(run)} is locked, and its lock ${path} cannot be read`;
    throw new AblateError(problem, { fix: `rm ${path}    (if no process trains this run)`, cause: error });
  }
}

/** Makes a lock with its content at once: a hard link, unlike a rename, never replaces a file. */
function tryCreate(run: Run, generation: number): boolean {
  const path = lockPath(run, generation);
  const temporary = temporaryPath(path);
  try {
    writeFileSync(temporary, JSON.stringify(thisProcess()));
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw fileError('create', path, error);
  } finally {
    removeTemporary(temporary);
  }
}

/** Own lock last, so that no stale one beneath it is ever the highest. */
function removeUpTo(run: Run, own: number): void {
  for (const generation of generations(run)) {
    if (generation <= own) rmSync(lockPath(run, generation), { force: true });
  }
}

function inUse(run: Run, generation: number, holder: ProcessIdentity): AblateError {
  const path = lockPath(run, generation);
  const state = processState(holder);
  return new AblateError(`${runName(run)} is in use by process ${holder.pid} on ${holder.host}`, {
    fix: state === 'unknown' ? `rm ${path}    (if that process is gone)` : `wait until it ends, or stop it: kill -INT ${holder.pid}`,
  });
}
