/**
 * A data set of the user's own: `<folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}`. Images are decoded once, at the start, and the
 * largest centred square of each is scaled, as `ablate label` does with the images that it gives to a trained network.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AblateError, ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { permutation, streamKey } from '../util/random.ts';
import type { Dataset, ImageSet, OnDataProgress } from './dataset.ts';
import { fitToSquare } from './fit-image.ts';
import { allocateImages, fingerprintOf } from './image-set.ts';
import {
  countPassedOver,
  describePassedOver,
  pictureEndings,
  picturesIn,
  visibleEntries,
  type PassedOver,
} from './picture-files.ts';
import { readPicture } from './read-picture.ts';
import { isFolder } from '../util/regular-file.ts';

export interface ImageFolderOptions {
  /** Height and width that images are scaled to; default 32. */
  readonly size?: number | undefined;
  readonly onProgress?: OnDataProgress | undefined;
  /** Is told in a line what of the folder was not read. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** More than libuv's four threads, so that none of them waits for the next file. */
const decodedTogether = 8;
/** Labels are bytes. */
const maximumClasses = 256;
const layout = 'the layout is <folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}';

/**
 * Reads the folder. Classes are sorted by name (by code unit, so alike on every machine); images of each split are put in a fixed
 * random order, so that the end of the training set, which `val` takes, holds every class. Names are compared, and given, in Unicode's
 * composed form (NFC): the same name may be stored in another form by another system.
 *
 * @throws AblateError if a folder cannot be read; DataError if one is missing or empty, the splits' classes differ, or images cannot
 * be decoded, of which all are named
 */
export async function loadImageFolder(folder: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  const { size = 32, onProgress, onNote } = options;
  if (!Number.isInteger(size) || size < 1) throw new ConfigurationError(`image size (=${size}) must be an integer of at least 1`);
  const passedOver: PassedOver = new Map();
  const [trainFiles, testFiles] = [listSplit(folder, 'train', passedOver), listSplit(folder, 'test', passedOver)];
  const classes = [...trainFiles.keys()];
  requireSameClasses(folder, classes, [...testFiles.keys()]);
  if (classes.length < 2 || classes.length > maximumClasses) {
    throw new DataError(`${join(folder, 'train')} must hold 2 to ${maximumClasses} classes, not ${classes.length}`, {
      fix: layout,
    });
  }
  if (passedOver.size > 0) onNote?.(`Passed over in ${folder}: ${describePassedOver(passedOver)} (${layout})`);
  const failures: AblateError[] = [];
  const train = await decodeAll(trainFiles, size, 'train', failures, onProgress);
  const test = await decodeAll(testFiles, size, 'test', failures, onProgress);
  requireAllDecoded(folder, failures, train.count + test.count);
  const fingerprint = fingerprintOf(classes, train, test);
  return { name: `images:${folder}`, classes, shape: [3, size, size], synthetic: false, fingerprint, train, test };
}

/** The image files of each class, both sorted. */
function listSplit(folder: string, split: string, passedOver: PassedOver): Map<string, string[]> {
  const splitFolder = join(folder, split);
  if (!existsSync(splitFolder)) throw new DataError(`${splitFolder} does not exist`, { fix: layout });
  const byClass = new Map<string, string[]>();
  for (const { name } of visibleEntries(splitFolder)) {
    const classFolder = join(splitFolder, name);
    if (!isFolder(classFolder)) {
      countPassedOver(passedOver, 'file outside of the class folders');
      continue;
    }
    const others: PassedOver = new Map();
    const files = picturesIn(classFolder, others);
    if (files.length === 0) {
      const instead = others.size > 0 ? `, only ${describePassedOver(others)}` : '';
      throw new DataError(`${classFolder} holds no image (${pictureEndings})${instead}`, { fix: layout });
    }
    others.forEach((count, kind) => passedOver.set(kind, (passedOver.get(kind) ?? 0) + count));
    const className = name.normalize('NFC');
    if (byClass.has(className)) {
      throw new DataError(`${splitFolder} holds two folders called ${className}, which differ in their Unicode form only`, {
        fix: 'put the images of both into one',
      });
    }
    byClass.set(className, files);
  }
  if (byClass.size === 0) throw new DataError(`${splitFolder} holds no class folder`, { fix: layout });
  return new Map([...byClass].sort(([a], [b]) => (a < b ? -1 : 1)));
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

/** Goes on after an image that cannot be decoded, so that all such images are told at once. */
async function decodeAll(
  byClass: ReadonlyMap<string, readonly string[]>,
  size: number,
  split: string,
  failures: AblateError[],
  onProgress: OnDataProgress | undefined,
): Promise<ImageSet> {
  const files = [...byClass.values()].flatMap((paths, label) => paths.map((path) => ({ path, label })));
  const order = permutation(streamKey(0, `image-folder:${split}`), files.length);
  const set = allocateImages(files.length, [3, size, size]);
  const decode = async (position: number): Promise<void> => {
    const { path, label } = files[order[position]!]!;
    set.labels[position] = label;
    try {
      writePlanar(fitToSquare(await readPicture(path), size), set.images, position);
    } catch (error) {
      if (!(error instanceof AblateError)) throw error;
      failures.push(error);
    }
  };
  for (let start = 0; start < files.length; start += decodedTogether) {
    const end = Math.min(start + decodedTogether, files.length);
    await Promise.all(Array.from({ length: end - start }, (_, i) => decode(start + i)));
    onProgress?.({ activity: `decoding ${split} images`, done: end, total: files.length, unit: 'images' });
  }
  return set;
}

function requireAllDecoded(folder: string, failures: readonly AblateError[], count: number): void {
  if (failures.length === 0) return;
  const lines = failures.map(messageOf).sort();
  throw new DataError(`${failures.length} of ${count} images in ${folder} cannot be used:\n  ${lines.join('\n  ')}`, {
    fix: 'replace or remove these files',
  });
}

/** Turns `[H, W, 3]` into `[3, H, W]`. */
function writePlanar(pixels: Uint8Array, images: Uint8Array, position: number): void {
  const planeLength = pixels.length / 3;
  const offset = position * pixels.length;
  for (let pixel = 0; pixel < planeLength; pixel++) {
    for (let channel = 0; channel < 3; channel++) images[offset + channel * planeLength + pixel] = pixels[3 * pixel + channel]!;
  }
}
