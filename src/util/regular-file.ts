/**
 * Reading files that a person names. A path may lead to anything: a pipe on which reading waits for ever, a device without an end, a
 * file of many gigabytes. So what it is, and how large, is checked before anything is read.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { DataError } from './errors.ts';
import { fileError } from './file-error.ts';
import { formatBytes } from './format.ts';

/** As much as Node can read at once. Nothing that this program writes as one file comes near it. */
export const largestFileBytes = 2 ** 31 - 1;

/**
 * Reads a file of at most `maximumBytes`. Use it (or `openRegularFile`, for a part of a file) wherever the path comes from outside; pass
 * the size that makes sense for what the file should be. What is packed inside has its own bound: see `decompress` in gzip.ts.
 *
 * @throws AblateError if the file cannot be read; DataError if it is a folder, a pipe, a socket or a device, or larger
 */
export function readRegularFile(path: string, maximumBytes = largestFileBytes): Buffer {
  const { descriptor, sizeBytes } = openRegularFile(path, maximumBytes);
  try {
    return readStart(descriptor, sizeBytes);
  } catch (error) {
    throw fileError('read', path, error);
  } finally {
    closeSync(descriptor);
  }
}

/** What no record of a run or a study comes near. */
const largestTextBytes = 256 * 2 ** 20;

/**
 * Reads a text in UTF-8, as `readRegularFile` does.
 *
 * @throws as `readRegularFile`
 */
export function readTextFile(path: string, maximumBytes = largestTextBytes): string {
  return readRegularFile(path, maximumBytes).toString('utf8');
}

/**
 * What is at a path, whatever leads there; undefined if nothing is, or if it cannot be reached: no permission, links that lead in a
 * circle, a file where a folder should be.
 */
export function statIfReachable(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Differs for a file that was changed or replaced: its inode, time and size. Undefined for none. */
export function stampOf(path: string): string | undefined {
  const found = statIfReachable(path);
  return found === undefined ? undefined : `${found.ino}-${found.mtimeMs}-${found.size}`;
}

/** @throws AblateError for what is not there, or cannot be looked at, as a link to nothing */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fileError('read', path, error);
  }
}

/**
 * Opens a file for reading as `readRegularFile` does. The caller closes the descriptor.
 *
 * @throws as `readRegularFile`
 */
export function openRegularFile(
  path: string,
  maximumBytes = Infinity,
): { readonly descriptor: number; readonly sizeBytes: number } {
  let descriptor: number | undefined;
  try {
    // First by name, since opening a device may already do something; then what was opened, since the name may have a new file by then.
    requireRegular(path, statSync(path), maximumBytes);
    // Without O_NONBLOCK, a pipe would wait here for its writer.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const opened = fstatSync(descriptor);
    requireRegular(path, opened, maximumBytes);
    return { descriptor, sizeBytes: opened.size };
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw fileError('read', path, error);
  }
}

/** The first `count` bytes of an open file, or all if it has fewer. */
export function readStart(descriptor: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  let filled = 0;
  while (filled < count) {
    const read = readSync(descriptor, bytes, filled, count - filled, filled);
    if (read === 0) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}

/** What something is that is no regular file, in words; undefined for a regular file. */
export function specialKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function requireRegular(path: string, stats: Stats, maximumBytes: number): void {
  const kind = specialKind(stats);
  if (kind !== undefined) throw new DataError(`cannot read ${path}: it is ${kind}, not a file`, { fix: 'check the path' });
  if (stats.size > maximumBytes) {
    const sizes = `it has ${formatBytes(stats.size)}, and at most ${formatBytes(maximumBytes)} are read`;
    throw new DataError(`cannot read ${path}: ${sizes}`, { fix: 'check the path: is this the file that you mean?' });
  }
}
