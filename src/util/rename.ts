import { readdirSync, renameSync } from 'node:fs';

/** How Windows says that it cannot rename: the target is a folder, or somebody has one of the two open. */
const refusals = ['EPERM', 'EACCES', 'EBUSY'];

/** Readers, and programs that look for viruses, have a file open for moments. */
const longestWaitMs = 2000;

interface Here {
  readonly platform: NodeJS.Platform;
  readonly rename: (from: string, to: string) => void;
}

/**
 * Renames a file or a folder as POSIX does, on Windows too: over a file that others read (there it waits for them a little), and not over a folder that has
 * something in it.
 *
 * @throws the system's error; where the target is a folder with something in it, its code is ENOTEMPTY or EEXIST
 */
export function renameFile(
  from: string,
  to: string,
  { platform, rename }: Here = { platform: process.platform, rename: renameSync },
): void {
  for (let waitMs = 5; ; waitMs *= 2) {
    try {
      rename(from, to);
      return;
    } catch (error) {
      const failure = error as NodeJS.ErrnoException;
      if (platform !== 'win32' || !refusals.includes(failure.code ?? '')) throw error;
      if (hasEntries(to)) throw Object.assign(failure, { code: 'ENOTEMPTY' });
      if (waitMs > longestWaitMs / 2) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
  }
}

function hasEntries(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch {
    return false; // It is no folder, or is not there.
  }
}
