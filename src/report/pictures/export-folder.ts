/** A data set as a folder of picture files, as `images:<folder>` reads it: `<folder>/{train,test}/<class>/00000.png`. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { encodePng } from '../../runs/png.ts';
import { AblateError, DataError } from '../../util/errors.ts';
import { fileError } from '../../util/file-error.ts';
import { makeFolder } from '../../util/make-folder.ts';
import { renameFile } from '../../util/rename.ts';
import { quoted } from '../../util/shell.ts';
import { imageRaster } from './rasters.ts';

const splits = ['train', 'test'] as const;

/**
 * Pictures are written into a folder that is not there yet (or is empty), whole or not at all.
 *
 * @throws AblateError before the images are read, if there cannot be such a folder
 */
export function requireNewFolder(folder: string): void {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) {
    const parent = dirname(resolve(folder));
    if (existsSync(parent)) return;
    throw new AblateError(`cannot make the folder ${folder}: there is no folder ${parent}`, {
      fix: `mkdir -p ${quoted(parent)}`,
    });
  }
  if (stats.isDirectory() && readdirSync(folder).length === 0) return;
  throw new AblateError(`${folder} exists, and pictures are written into a new folder only`, {
    fix: 'name another folder: -o <folder>',
  });
}

/**
 * Writes the first images of each class as PNG files.
 *
 * @param perClass how many of each class and split; undefined for all
 * @returns how many were written
 * @throws DataError if a class has a name that no folder can have; AblateError if the files cannot be written
 */
export function exportPictures(dataset: Dataset, folder: string, perClass: number | undefined): { train: number; test: number } {
  dataset.classes.forEach(requireFolderName);
  requireNewFolder(folder);
  const target = resolve(folder);
  let partial: string | undefined;
  try {
    partial = mkdtempSync(join(dirname(target), `.${basename(target)}-`));
    const counts = { train: 0, test: 0 };
    for (const split of splits) counts[split] = writeSplit(dataset, dataset[split], join(partial, split), perClass ?? Infinity);
    renameFile(partial, target);
    return counts;
  } catch (error) {
    if (partial !== undefined) rmSync(partial, { recursive: true, force: true });
    throw fileError('write', folder, error);
  }
}

function writeSplit({ classes, shape }: Dataset, set: ImageSet, folder: string, most: number): number {
  const written = new Array<number>(classes.length).fill(0);
  for (const name of classes) makeFolder(join(folder, name));
  set.labels.forEach((label, position) => {
    const place = written[label]!;
    if (place >= most) return;
    const name = `${String(place).padStart(5, '0')}.png`;
    writeFileSync(join(folder, classes[label]!, name), encodePng(imageRaster(set, position, shape)));
    written[label] = place + 1;
  });
  return written.reduce((sum, count) => sum + count, 0);
}

function requireFolderName(name: string): void {
  // A name that begins with a dot would be hidden, and passed over when the folder is read.
  if (/^[^./\\\0][^/\\\0]*$/.test(name)) return;
  throw new DataError(
    `the class ${JSON.stringify(name)} cannot be the name of a folder: it must not begin with a dot or contain a slash`,
  );
}
