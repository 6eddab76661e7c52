import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What there is at each path below a folder. */
export type Snapshot = ReadonlyMap<string, string>;

/** Larger files are told apart by size and time. */
const largestRead = 64e6;

export function snapshot(folder: string): Snapshot {
  const found = new Map<string, string>();
  const visit = (below: string) => {
    for (const name of readdirSync(join(folder, below)).sort()) {
      const path = join(below, name);
      found.set(path, describe(join(folder, path)));
      if (lstatSync(join(folder, path)).isDirectory()) visit(path);
    }
  };
  visit('');
  return found;
}

/** The paths of which something else is there now, or nothing. */
export function changed(before: Snapshot, after: Snapshot): string[] {
  return [...before].filter(([path, what]) => after.get(path) !== what).map(([path]) => path);
}

function describe(path: string): string {
  const stats = lstatSync(path);
  const { mode, size, mtimeMs, ino, rdev } = stats;
  if (stats.isSymbolicLink()) return `link to ${readlinkSync(path)}`;
  // A folder may get further entries.
  if (stats.isDirectory()) return `folder ${mode}`;
  if (!stats.isFile()) return `special ${mode} ${rdev} ${ino}`;
  const content = size > largestRead ? `${mtimeMs}` : createHash('sha1').update(readFileSync(path)).digest('hex');
  return `file ${mode} ${size} ${content}`;
}
