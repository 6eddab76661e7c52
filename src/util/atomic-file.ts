/** Files that appear whole or not at all, whenever the process or the machine stops. */
import { closeSync, fsyncSync, openSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AblateError } from './errors.ts';
import { errorCode, fileError } from './file-error.ts';
import { specialKind } from './regular-file.ts';
import { renameFile } from './rename.ts';

export interface AtomicWriteOptions {
  /**
   * Whether the file survives a power cut once this returns (default true). Without it the disk is not waited for: the file is
   * still whole for every reader and after the death of the process.
   */
  readonly durable?: boolean;
}

/**
 * Writes a file whole or not at all: into a temporary file of the same folder, fsync, rename over `path`, fsync of the folder.
 * Readers see the old file or the new one. The temporary file is removed on failure; one that a killed process left behind is
 * removed by `removeTemporaryFiles`. Of a link, the file that it leads to is written.
 *
 * @throws AblateError with the path and a fix, if the folder is missing, cannot be written, or is full, or `path` is there and no file.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, options: AtomicWriteOptions = {}): void {
  writeFilesAtomic(new Map([[path, data]]), options);
}

/**
 * Writes files that belong together, each as `writeFileAtomic` does: all temporary files first, then all renames. A full disk, or a path that
 * cannot be written, leaves what was there.
 *
 * @throws AblateError as `writeFileAtomic`
 */
export function writeFilesAtomic(files: ReadonlyMap<string, string | Uint8Array>, options: AtomicWriteOptions = {}): void {
  const durable = options.durable ?? true;
  const targets = [...files].map(([path, data]) => ({ path, data, target: requireReplaceable(path) }));
  const staged = targets.map((each) => ({ ...each, temporary: temporaryPath(each.target) }));
  let current = '';
  try {
    for (const { path, temporary, data } of staged) {
      current = path;
      writeNewFile(temporary, data, durable);
    }
    for (const { path, temporary, target } of staged) {
      current = path;
      renameFile(temporary, target);
    }
    if (durable) for (const folder of new Set(staged.map(({ target }) => dirname(target)))) syncFolder(folder);
  } catch (error) {
    for (const { temporary } of staged) removeTemporary(temporary);
    throw fileError('write', current, error);
  }
}

/**
 * That a path is free, or leads to a file. A folder, a pipe or a device (`/dev/null`, which root could rename a file over) is never replaced.
 *
 * @returns the file itself, behind links
 * @throws AblateError if it is there and no file, or cannot be looked at
 */
export function requireReplaceable(path: string): string {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return path;
    const kind = specialKind(stats);
    if (kind !== undefined) throw new AblateError(`cannot write ${path}: it is ${kind}, not a file`, { fix: 'name a file' });
    return realpathSync(path);
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** Removes the temporary files of interrupted writes. Only for a folder that no other process writes to at the moment. */
export function removeTemporaryFiles(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      if (isTemporary(name)) rmSync(join(folder, name), { force: true });
    }
  } catch (error) {
    throw fileError('clean up', folder, error);
  }
}

/** Makes the names in a folder (files created, renamed, removed) survive a power cut. */
export function syncFolder(folder: string): void {
  // Windows has no such call, and writes down names before it returns from making them.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Some network file systems cannot synchronize a folder. The file itself is written and synchronized.
    if (errorCode(error) !== 'EINVAL') throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** A name for a temporary file beside `path` that no other process or call uses. Hidden, and known to `removeTemporaryFiles`. */
export function temporaryPath(path: string): string {
  const unique = `${process.pid}-${process.hrtime.bigint().toString(36)}`;
  return join(dirname(path), `.${basename(path)}.${unique}.tmp`);
}

/** Removes a temporary file or folder after a failure. That this fails too says nothing new, and must not hide the failure. */
export function removeTemporary(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // See above.
  }
}

function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.tmp');
}

/** Writes a file that is not there yet. `durable`: as in AtomicWriteOptions. */
export function writeNewFile(path: string, data: string | Uint8Array, durable = true): void {
  const descriptor = openSync(path, 'wx');
  try {
    writeFileSync(descriptor, data);
    if (durable) fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
