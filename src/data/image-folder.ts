/**
 * A data set of the user's own: `<folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}`. Images are decoded once, at the start, and the
 * largest centred square of each is scaled, as `ablate label` does with the images that it gives to a trained network.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { permutation, streamKey } from '../util/random.ts';
import type { Dataset, ImageSet, OnDataProgress } from './dataset.ts';
import { decodeImage, imageFileName } from './decode-image.ts';
import { fitToSquare } from './fit-image.ts';
import { allocateImages, fingerprintOf } from './image-set.ts';

export interface ImageFolderOptions {
  /** Height and width that images are scaled to; default 32. */
  readonly size?: number | undefined;
  readonly onProgress?: OnDataProgress | undefined;
}

/** More than libuv's four threads, so that none of them waits for the next file. */
const decodedTogether = 8;
/** Labels are bytes. */
const maximumClasses = 256;
const layout = 'the layout is <folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}';

/**
 * Reads the folder. Classes are sorted by name (by code unit, so alike on every machine); images of each split are put in a fixed
 * random order, so that the end of the training set, which `val` takes, holds every class.
 *
 * @throws AblateError if a folder cannot be read; DataError if one is missing or empty, the splits' classes differ, or an image cannot
 * be decoded
 */
export async function loadImageFolder(folder: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  const { size = 32, onProgress } = options;
  if (!Number.isInteger(size) || size < 1) throw new ConfigurationError(`image size (=${size}) must be an integer of at least 1`);
  const [trainFiles, testFiles] = [await listSplit(folder, 'train'), await listSplit(folder, 'test')];
  const classes = [...trainFiles.keys()];
  requireSameClasses(folder, classes, [...testFiles.keys()]);
  if (classes.length < 2 || classes.length > maximumClasses) {
    throw new DataError(`${join(folder, 'train')} must hold 2 to ${maximumClasses} classes, not ${classes.length}`, {
      fix: layout,
    });
  }
  const train = await decodeAll(trainFiles, size, 'train', onProgress);
  const test = await decodeAll(testFiles, size, 'test', onProgress);
  const fingerprint = fingerprintOf(classes, train, test);
  return { name: `images:${folder}`, classes, shape: [3, size, size], synthetic: false, fingerprint, train, test };
}

/** The image files of each class, both sorted. Hidden files and other kinds of files are passed over. */
async function listSplit(folder: string, split: string): Promise<Map<string, string[]>> {
  const splitFolder = join(folder, split);
  if (!existsSync(splitFolder)) throw new DataError(`${splitFolder} does not exist`, { fix: layout });
  const byClass = new Map<string, string[]>();
  for (const name of await visibleEntries(splitFolder)) {
    const classFolder = join(splitFolder, name);
    if (!(await isFolder(classFolder))) continue;
    const files = (await visibleEntries(classFolder))
      .filter((file) => imageFileName.test(file))
      .map((file) => join(classFolder, file));
    if (files.length === 0) throw new DataError(`${classFolder} holds no image (.png, .jpg, .jpeg or .webp)`, { fix: layout });
    byClass.set(name, files);
  }
  if (byClass.size === 0) throw new DataError(`${splitFolder} holds no class folder`, { fix: layout });
  return byClass;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError('read', path, error);
  }
}

async function visibleEntries(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    throw fileError('read', folder, error);
  }
}

function requireSameClasses(folder: string, train: readonly string[], test: readonly string[]): void {
  const onlyTrain = train.filter((name) => !test.includes(name));
  const onlyTest = test.filter((name) => !train.includes(name));
  const parts = [
    ...(onlyTrain.length > 0 ? [`only in train: ${onlyTrain.join(', ')}`] : []),
    ...(onlyTest.length > 0 ? [`only in test: ${onlyTest.join(', ')}`] : []),
  ];
  if (parts.length > 0)
    throw new DataError(`${folder} must hold the same classes in train and test; ${parts.join('; ')}`, { fix: layout });
}

async function decodeAll(
  byClass: ReadonlyMap<string, readonly string[]>,
  size: number,
  split: string,
  onProgress: OnDataProgress | undefined,
): Promise<ImageSet> {
  const files = [...byClass.values()].flatMap((paths, label) => paths.map((path) => ({ path, label })));
  const order = permutation(streamKey(0, `image-folder:${split}`), files.length);
  const set = allocateImages(files.length, [3, size, size]);
  for (let start = 0; start < files.length; start += decodedTogether) {
    const end = Math.min(start + decodedTogether, files.length);
    const positions = Array.from({ length: end - start }, (_, i) => start + i);
    await Promise.all(
      positions.map(async (position) => {
        const { path, label } = files[order[position]!]!;
        set.labels[position] = label;
        writePlanar(await decode(path, size), set.images, position);
      }),
    );
    onProgress?.({ activity: `decoding ${split} images`, done: end, total: files.length, unit: 'images' });
  }
  return set;
}

/** `[size, size, 3]` bytes. */
async function decode(path: string, size: number): Promise<Uint8Array> {
  try {
    return fitToSquare(await decodeImage(path), size);
  } catch (error) {
    throw new DataError(`${path} cannot be decoded: ${messageOf(error)}`, { fix: 'replace or remove the file', cause: error });
  }
}

/** Turns `[H, W, 3]` into `[3, H, W]`. */
function writePlanar(pixels: Uint8Array, images: Uint8Array, position: number): void {
  const planeLength = pixels.length / 3;
  const offset = position * pixels.length;
  for (let pixel = 0; pixel < planeLength; pixel++) {
    for (let channel = 0; channel < 3; channel++) images[offset + channel * planeLength + pixel] = pixels[3 * pixel + channel]!;
  }
}
