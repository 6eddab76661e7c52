/**
 * A data set of the user's own, of picture files: `<folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}`, or `<folder>/<class>/*` with a part of each
 * class split off for testing. Images are decoded once, at the start, and brought to one size, as `ablate label` does with the images that it gives to a
 * trained network.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AblateError, ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { formatSize, longestSide, sidesOf, sizeAsGiven, type ImageSize } from '../util/image-size.ts';
import { permutation, streamKey } from '../util/random.ts';
import { mostClasses, type Dataset, type ImageSet, type OnDataProgress } from './dataset.ts';
import { fitPicture } from './fit-image.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';
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
  /** What images are scaled to; default 32. */
  readonly size?: ImageSize | undefined;
  /** 1: grey, 3 (the default): colour. */
  readonly channels?: 1 | 3 | undefined;
  /** Part of each class that becomes the test images; default: the folder has a train and a test folder. */
  readonly test?: number | undefined;
  /** Decides which images those are; default 1. */
  readonly seed?: number | undefined;
  readonly onProgress?: OnDataProgress | undefined;
  /** Is told in a line what of the folder was not read, and how pictures were scaled. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** More than libuv's four threads, so that none of them waits for the next file. */
const decodedTogether = 8;
const layout = 'the layout is <folder>/{train,test}/<class>/*.{png,jpg,jpeg,webp}';
const flatLayout = 'the layout is <folder>/<class>/*.{png,jpg,jpeg,webp}';

type FilesByClass = ReadonlyMap<string, readonly string[]>;

/**
 * Reads the folder. Classes are sorted by name (by code unit, so alike on every machine); images of each split are put in a fixed
 * random order, so that the end of the training set, which `val` takes, holds every class. Names are compared, and given, in Unicode's
 * composed form (NFC): the same name may be stored in another form by another system.
 *
 * @throws ConfigurationError for options out of range; AblateError if a folder cannot be read; DataError if one is missing or empty, the splits'
 * classes differ, a class is too small to be split, or images cannot be decoded, of which all are named
 */
export async function loadImageFolder(folder: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  const { size = 32, channels = 3, test: share, seed = 1, onProgress, onNote } = options;
  requireSize(size);
  const sides = sidesOf(size);
  const shape = [channels, ...sides] as const;
  const passedOver: PassedOver = new Map();
  const files = share === undefined ? filesInSplits(folder, passedOver) : splitFiles(folder, share, seed, passedOver);
  const classes = [...files.train.keys()];
  if (classes.length < 2 || classes.length > mostClasses) {
    const where = share === undefined ? join(folder, 'train') : folder;
    throw new DataError(`${where} must hold 2 to ${mostClasses} classes, not ${classes.length}`, {
      fix: share === undefined ? layout : flatLayout,
    });
  }
  if (passedOver.size > 0) {
    onNote?.(`Passed over in ${folder}: ${describePassedOver(passedOver)} (${share === undefined ? layout : flatLayout})`);
  }
  const decoding: Decoding = { shape, classes: classes.length, failures: [], sizes: new Map(), onProgress };
  const train = await decodeAll(files.train, 'train', decoding);
  const test = await decodeAll(files.test, 'test', decoding);
  requireAllDecoded(folder, decoding.failures, train.count + test.count);
  const scaled = describeScaling(decoding.sizes, sides);
  if (scaled !== undefined) onNote?.(scaled);
  const split = share === undefined ? [] : [share, seed];
  const fingerprint = fingerprintOf(classes, train, test, [shape, ...split]);
  return { name: `images:${folder}`, classes, shape, synthetic: false, fingerprint, train, test };
}

function requireSize(size: ImageSize): void {
  if (sidesOf(size).every((side) => Number.isInteger(side) && side >= 1 && side <= longestSide)) return;
  throw new ConfigurationError(
    `image size (=${sizeAsGiven(size)}) must be an integer from 1 to ${longestSide}, or two of them: 96x128 (height x width)`,
    { key: 'size' },
  );
}

interface SplitFiles {
  readonly train: FilesByClass;
  readonly test: FilesByClass;
}

function filesInSplits(folder: string, passedOver: PassedOver): SplitFiles {
  for (const split of ['train', 'test']) {
    const splitFolder = join(folder, split);
    if (existsSync(splitFolder)) continue;
    // One folder of classes is told from a folder that is not there.
    const isFlat = existsSync(folder) && isFolder(folder) && !existsSync(join(folder, 'train'));
    const fix = isFlat
      ? `for classes directly in the folder, say which part of them is for testing: images:<folder>?test=0.2`
      : layout;
    throw new DataError(`${splitFolder} does not exist`, { fix });
  }
  const files = {
    train: listClasses(join(folder, 'train'), layout, passedOver),
    test: listClasses(join(folder, 'test'), layout, passedOver),
  };
  requireSameClasses(folder, [...files.train.keys()], [...files.test.keys()]);
  return files;
}

/** Of each class, so many images of a random order of its own: alike for the same names of files and the same seed. */
function splitFiles(folder: string, share: number, seed: number, passedOver: PassedOver): SplitFiles {
  if (!(share > 0 && share < 1)) {
    throw new ConfigurationError(
      `test (=${share}) must be a number between 0 and 1: the part of each class that is for testing`,
      {
        key: 'test',
      },
    );
  }
  if (!existsSync(folder)) throw new DataError(`${folder} does not exist`, { fix: flatLayout });
  if (['train', 'test'].every((split) => existsSync(join(folder, split)))) {
    throw new DataError(`${folder} has a train and a test folder, and is not to be split again`, { fix: 'leave ?test= out' });
  }
  const all = listClasses(folder, flatLayout, passedOver);
  const small = [...all].filter(([, files]) => files.length < 2).map(([name]) => name);
  if (small.length > 0) {
    throw new DataError(`a class must have at least 2 images to be split into training and testing: ${small.join(', ')} has 1`, {
      fix: 'add images, or remove the class',
    });
  }
  const [train, test] = [new Map<string, string[]>(), new Map<string, string[]>()];
  for (const [name, files] of all) {
    const order = permutation(streamKey(seed, `image-folder:split:${name}`), files.length);
    const held = Math.min(Math.max(Math.round(share * files.length), 1), files.length - 1);
    const isHeld = new Set(order.subarray(0, held));
    train.set(
      name,
      files.filter((_, i) => !isHeld.has(i)),
    );
    test.set(
      name,
      files.filter((_, i) => isHeld.has(i)),
    );
  }
  return { train, test };
}

/** The image files of each class, both sorted. */
function listClasses(splitFolder: string, fix: string, passedOver: PassedOver): Map<string, string[]> {
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
      throw new DataError(`${classFolder} holds no image (${pictureEndings})${instead}`, { fix });
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
  if (byClass.size === 0) throw new DataError(`${splitFolder} holds no class folder`, { fix });
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

/** What decoding all pictures needs and finds out. */
interface Decoding {
  /** Of the images that are made. */
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly classes: number;
  readonly failures: AblateError[];
  /** Sizes of the pictures as they are stored, `height` and `width` by their name. */
  readonly sizes: Map<string, readonly [height: number, width: number]>;
  readonly onProgress: OnDataProgress | undefined;
}

/** Goes on after an image that cannot be decoded, so that all such images are told at once. */
async function decodeAll(byClass: FilesByClass, split: string, decoding: Decoding): Promise<ImageSet> {
  const { shape, classes, failures, sizes, onProgress } = decoding;
  const files = [...byClass.values()].flatMap((paths, label) => paths.map((path) => ({ path, label })));
  const order = permutation(streamKey(0, `image-folder:${split}`), files.length);
  const set = allocateImages(files.length, shape, classes);
  const decode = async (position: number): Promise<void> => {
    const { path, label } = files[order[position]!]!;
    set.labels[position] = label;
    try {
      const picture = await readPicture(path);
      const size = [picture.height, picture.width] as const;
      sizes.set(formatSize(size), size);
      writePlanar(fitPicture(picture, shape), shape, set.images, position);
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

/** In a line, how pictures became images of one size; undefined if all were of that size. */
function describeScaling(sizes: Decoding['sizes'], sides: readonly [number, number]): string | undefined {
  const all = [...sizes.values()].sort(([a, b], [c, d]) => a * b - c * d || a - c);
  const [least, most] = [all[0]!, all.at(-1)!];
  if (all.length === 1 && formatSize(least) === formatSize(sides)) return undefined;
  const given = all.length === 1 ? formatSize(least) : `${formatSize(least)} to ${formatSize(most)}`;
  const isCut = all.some(([height, width]) => height * sides[1] !== width * sides[0]);
  const cut = isCut ? ', what is too wide or too high cut off at both ends' : '';
  return `Pictures of ${given} pixels are scaled to ${formatSize(sides)}${cut} (images:<folder>?size=<height>x<width> sets the size)`;
}

function requireAllDecoded(folder: string, failures: readonly AblateError[], count: number): void {
  if (failures.length === 0) return;
  const lines = failures.map(messageOf).sort();
  throw new DataError(`${failures.length} of ${count} images in ${folder} cannot be used:\n  ${lines.join('\n  ')}`, {
    fix: 'replace or remove these files',
  });
}

/** Turns `[H, W, C]` into `[C, H, W]`. */
function writePlanar(
  pixels: Uint8Array,
  [channels, height, width]: readonly [number, number, number],
  images: Uint8Array,
  position: number,
): void {
  const planeLength = height * width;
  const offset = position * pixels.length;
  for (let pixel = 0; pixel < planeLength; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      images[offset + channel * planeLength + pixel] = pixels[channels * pixel + channel]!;
    }
  }
}
