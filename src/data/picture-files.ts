/** Which files of a folder are read as pictures, and what of it is passed over. */
import { readdirSync, type Dirent } from 'node:fs';
import { extname, join } from 'node:path';
import { fileError } from '../util/file-error.ts';
import { statIfReachable } from '../util/regular-file.ts';

/** The name of a file that is read as a picture. */
const pictureFileName = /\.(png|jpe?g|webp)$/i;
/** The same in words. */
export const pictureEndings = '.png, .jpg, .jpeg or .webp';

/** What was not read, by kind (`.gif`, `folder`, the first word in the singular), and how often. */
export type PassedOver = Map<string, number>;

/**
 * The pictures of a folder, sorted by name. Hidden entries count as nothing at all.
 *
 * @param passedOver is told everything else that the folder holds
 * @returns paths
 * @throws AblateError if the folder cannot be read
 */
export function picturesIn(folder: string, passedOver: PassedOver): string[] {
  const pictures: string[] = [];
  for (const entry of visibleEntries(folder)) {
    if (pictureFileName.test(entry.name) && !entry.isDirectory()) pictures.push(join(folder, entry.name));
    else countPassedOver(passedOver, isFolder(folder, entry) ? 'folder' : extname(entry.name).toLowerCase());
  }
  return pictures;
}

/** The entries of a folder that are not hidden, sorted by name (by code unit, so alike on every machine). */
export function visibleEntries(folder: string): Dirent[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw fileError('read', folder, error);
  }
}

/** Whether an entry is a folder or a link to one. A link to nothing is neither. */
function isFolder(parent: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return statIfReachable(join(parent, entry.name))?.isDirectory() === true;
}

export function countPassedOver(passedOver: PassedOver, kind: string): void {
  passedOver.set(kind, (passedOver.get(kind) ?? 0) + 1);
}

/** `2 folders, 3 .gif, 1 without an ending`; empty if nothing was passed over. */
export function describePassedOver(passedOver: PassedOver): string {
  const describe = ([kind, count]: [string, number]): string => {
    if (kind === '') return `${count} without an ending`;
    return `${count} ${count === 1 ? kind : kind.replace(/^\w+/, '$&s')}`;
  };
  return [...passedOver].sort().map(describe).join(', ');
}
