/**
 * One process trains into a run at a time. `lock/` in the run's folder always has exactly one file, and its name says who holds the
 * run: `free`, or `held.<pid>.<start>.<token>.<host>`. Taking, taking over from a process that is gone, and giving back all rename
 * this file. The file system lets only one process rename a name away: one that was delayed after looking finds the name gone and
 * looks again, however much happened in between.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeTemporary, removeTemporaryFiles, temporaryPath } from '../util/atomic-file.ts';
import { AblateError } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { isSameProcess, processState, thisProcess, type ProcessIdentity } from '../util/process-identity.ts';
import { renameFile } from '../util/rename.ts';
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
  try {
    removeTemporaryFiles(checkpointsFolder(run));
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

/**
 * Reserves any folder in the same way.
 *
 * @param name What it is called in errors.
 */
export function lockFolder(path: string, name: string): RunLock {
  const folder = lockFolderOf(path);
  const mine = acquire(folder, name);
  return { release: () => void changeState(folder, mine, free) };
}

/** The process that holds a run now; undefined if none does. One on another host counts, as nothing else can be known of it. */
export function runHolder(run: Run): ProcessIdentity | undefined {
  const holder = holderOf(stateOf(lockFolderOf(run.path), runName(run)));
  return holder === undefined || processState(holder) === 'dead' ? undefined : holder;
}

/** Gives a run free whose holder is known to be gone, though it was on another machine: a scheduler may say so of its job. */
export function breakLock(run: Run, holder: ProcessIdentity): void {
  const folder = lockFolderOf(run.path);
  const state = stateOf(folder, runName(run));
  const found = holderOf(state);
  if (found !== undefined && isSameProcess(found, holder)) changeState(folder, state!, free);
}

const free = 'free';

/** More often than others can change the state while it is read. */
const attempts = 100;

function lockFolderOf(path: string): string {
  return join(path, 'lock');
}

/** @returns the state in which this process holds the folder: no other call makes the same */
function acquire(folder: string, name: string): string {
  const mine = heldState(thisProcess());
  for (;;) {
    const state = stateOf(folder, name);
    if (state === undefined) prepare(folder);
    else {
      const holder = holderOf(state);
      if (holder !== undefined && processState(holder) !== 'dead') throw inUse(folder, name, holder);
      if (changeState(folder, state, mine)) return mine;
    }
  }
}

/** The state; undefined if the folder is missing or empty. */
function stateOf(folder: string, name: string): string | undefined {
  // A look during a change may find both names, or none.
  for (let attempt = 1; ; attempt++) {
    const names = namesIn(folder);
    if (names === undefined) return undefined;
    const [state, ...more] = names;
    if (more.length === 0 && (state === free || holderOf(state) !== undefined)) return state;
    if (attempt < attempts) continue;
    if (names.length === 0) return undefined;
    throw new AblateError(`${name} is locked, and what its lock says cannot be read: ${folder} has ${names.join(', ')}`, {
      fix: `rm -r ${quoted(folder)}    (if no process uses it)`,
    });
  }
}

/** Undefined if the folder is missing. */
function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw fileError('read', folder, error);
  }
}

/** @returns whether it was this call that changed the state: false if it is another by now */
function changeState(folder: string, from: string, to: string): boolean {
  try {
    renameFile(join(folder, from), join(folder, to));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw fileError('change', folder, error);
  }
}

/** Makes the folder with its first state at once: a folder that has a state is never replaced. */
function prepare(folder: string): void {
  const prepared = temporaryPath(folder);
  try {
    mkdirSync(prepared);
    writeFileSync(join(prepared, free), '');
    renameFile(prepared, folder);
  } catch (error) {
    removeTemporary(prepared);
    const code = errorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw fileError('create', folder, error);
  }
}

function heldState({ pid, startTicks = '', host }: ProcessIdentity): string {
  const token = process.hrtime.bigint().toString(36);
  return `held.${pid}.${startTicks}.${token}.${host.replaceAll('/', '_')}`;
}

/** Undefined for `free`, for what is no state, and for none. */
function holderOf(state: string = free): ProcessIdentity | undefined {
  const match = /^held\.(\d+)\.(\d*)\.\w+\.(.+)/.exec(state);
  if (match === null) return undefined;
  const [, pid, startTicks, host] = match as unknown as [string, string, string, string];
  return { pid: Number(pid), host, ...(startTicks !== '' && { startTicks }) };
}

function inUse(folder: string, name: string, holder: ProcessIdentity): AblateError {
  const { pid, host } = holder;
  return new AblateError(`${name} is in use by process ${pid} on ${host}`, {
    fix:
      processState(holder) === 'unknown'
        ? `rm -r ${quoted(folder)}    (if that process is gone)`
        : `wait until it ends, or stop it: kill -INT ${pid}`,
  });
}
