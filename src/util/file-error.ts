import { AblateError, messageOf } from './errors.ts';

/** What went wrong, in words, and what the user can do about it, by the operating system's error code. */
const known: Readonly<Record<string, readonly [reason: string, fix: string]>> = {
  EACCES: ['permission denied', 'change the permissions of the folder, or choose another folder'],
  EPERM: ['operation not permitted', 'change the permissions of the folder, or choose another folder'],
  EROFS: ['the file system is read-only', 'choose a folder on a file system that can be written'],
  ENOSPC: ['no space left on the device', 'free some space, or choose a folder on another disk'],
  EDQUOT: ['the disk quota is used up', 'free some space, or choose a folder on another disk'],
  EFBIG: ['the file would be larger than the system allows', 'raise the limit (ulimit -f), or choose another file system'],
  ENOENT: ['no such file or folder', 'check the path'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'check the path'],
  EISDIR: ['it is a folder, not a file', 'check the path'],
  ENAMETOOLONG: ['the name is too long', 'choose a shorter path'],
  EMFILE: ['too many files are open', 'raise the limit (ulimit -n)'],
  ELOOP: ['its links lead in a circle', 'check the links: ls -l'],
  EIO: ['the device failed', 'check the disk'],
};

/**
 * The error to throw when a file operation failed: `cannot <action> <path>: <reason> (<code>)` with a fix. Errors that are meant
 * for the user already, and those that do not come from the operating system, are returned as they are.
 *
 * @param action What was tried: `write`, `read`, `create`.
 */
export function fileError(action: string, path: string, error: unknown): Error {
  const code = error instanceof AblateError ? undefined : errorCode(error);
  if (code === undefined) return error instanceof Error ? error : new Error(messageOf(error));
  const [reason, fix] = known[code] ?? [messageOf(error), 'check the path and the disk'];
  return new AblateError(`cannot ${action} ${path}: ${reason} (${code})`, { fix, cause: error });
}

/** The operating system's code of an error (`ENOENT`), also of one that `fileError` put into words; undefined if it has none. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof AblateError) return errorCode(error.cause);
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined;
}
