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
import { quoted } from '../util/shell.ts';
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
  const lock = lockFolder(run.path, runName(run));
  removeTemporaryFiles(checkpointsFolder(run));
  return lock;
}

/**
 * Reserves any folder in the same way.
 *
 * @param name What it is called in errors.
 */
export function lockFolder(path: string, name: string): RunLock {
  const folder = { path, name };
  const generation = acquire(folder);
  let held = true;
  return {
    release: () => {
      if (held) removeUpTo(folder, generation);
      held = false;
    },
  };
}

/** The process that holds a run now; undefined if none does. One on another host counts, as nothing else can be known of it. */
export function runHolder(run: Run): ProcessIdentity | undefined {
  const folder = { path: run.path, name: runName(run) };
  const highest = generations(folder).at(-1);
  const holder = highest === undefined ? 'released' : readLock(folder, highest);
  return holder === 'released' || processState(holder) === 'dead' ? undefined : holder;
}

/** Gives a run free whose process is known to be gone, though it was on another machine: a scheduler may say so of its job. */
export function breakLock(run: Run): void {
  const folder = { path: run.path, name: runName(run) };
  removeUpTo(folder, generations(folder).at(-1) ?? 0);
}

interface LockedFolder {
  readonly path: string;
  readonly name: string;
}

/** The generation now held by this process. */
function acquire(folder: LockedFolder): number {
  for (;;) {
    const highest = generations(folder).at(-1) ?? 0;
    const holder = highest > 0 ? readLock(folder, highest) : undefined;
    if (holder === 'released') continue;
    if (holder !== undefined && processState(holder) !== 'dead') throw inUse(folder, highest, holder);
    const mine = highest + 1;
    if (!tryCreate(folder, mine)) continue;
    // Between the look and the creation, others may have taken over and given back: the highest generation decides.
    if (generations(folder).at(-1) === mine) return mine;
    rmSync(lockPath(folder, mine), { force: true });
  }
}

function lockPath(folder: LockedFolder, generation: number): string {
  return join(folder.path, `lock-${generation}`);
}

/** The generations of locks in a folder, ascending. */
function generations(folder: LockedFolder): number[] {
  let names: string[];
  try {
    names = readdirSync(folder.path);
  } catch (error) {
    throw fileError('read', folder.path, error);
  }
  return names.flatMap((name) => (/^lock-\d+$/.test(name) ? Number(name.slice('lock-'.length)) : [])).sort((a, b) => a - b);
}

function readLock(folder: LockedFolder, generation: number): ProcessIdentity | 'released' {
  const path = lockPath(folder, generation);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'released';
    const problem = `${folder.name} is locked, and its lock ${path} cannot be read`;
    throw new AblateError(problem, { fix: `rm ${quoted(path)}    (if no process uses it)`, cause: error });
  }
}

/** Makes a lock with its content at once: a hard link, unlike a rename, never replaces a file. */
function tryCreate(folder: LockedFolder, generation: number): boolean {
  const path = lockPath(folder, generation);
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
function removeUpTo(folder: LockedFolder, own: number): void {
  for (const generation of generations(folder)) {
    if (generation <= own) rmSync(lockPath(folder, generation), { force: true });
  }
}

function inUse(folder: LockedFolder, generation: number, holder: ProcessIdentity): AblateError {
  const path = lockPath(folder, generation);
  const state = processState(holder);
  return new AblateError(`${folder.name} is in use by process ${holder.pid} on ${holder.host}`, {
    fix:
      state === 'unknown'
        ? `rm ${quoted(path)}    (if that process is gone)`
        : `wait until it ends, or stop it: kill -INT ${holder.pid}`,
  });
}
