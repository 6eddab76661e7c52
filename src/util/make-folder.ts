import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errorCode, fileError } from './file-error.ts';

/**
 * Makes a folder and those above it that are missing; nothing if it is there. Node's own `recursive` never returns where a folder says that it is
 * missing but takes no entries, as /proc does.
 *
 * @throws AblateError if it cannot be made
 */
export function makeFolder(path: string): void {
  try {
    make(path);
  } catch (error) {
    throw fileError('create', path, error);
  }
}

function make(path: string, fresh = true): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = errorCode(error);
    // It may also be another process that has just made it.
    if (code === 'EEXIST' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const above = dirname(resolve(path));
    // A drive that is missing has nothing above it.
    if (code !== 'ENOENT' || !fresh || above === resolve(path)) throw error;
    make(above);
    make(path, false);
  }
}
