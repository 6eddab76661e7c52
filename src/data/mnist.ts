/**
 * MNIST (LeCun, Cortes and Burges, 1998) and Fashion-MNIST (Xiao et al., 2017, arXiv:1708.07747): grey images of 28x28 in the IDX format, which both
 * share with the names of their four files. Found, downloaded, verified and cached as CIFAR-10 is.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { DataError } from '../util/errors.ts';
import { makeFolder } from '../util/make-folder.ts';
import { decompress, startsAsGzip } from '../util/gzip.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { userCacheFolder } from '../util/user-cache.ts';
import type { Dataset, ImageSet } from './dataset.ts';
import { downloadFile } from './download.ts';
import { allocateImages, fingerprintOf } from './new-image-set.ts';
import { findWithin, folderOf, type FileVerification, type PublishedDataset, type SourceOptions } from './published.ts';

/** A published data set in the IDX format. */
export interface IdxDataset {
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  /** In the order of the labels. */
  readonly classes: readonly string[];
  readonly counts: { readonly train: number; readonly test: number };
  /** The folder of the files, with a slash at its end. */
  readonly url: string;
  /** MD5 of each compressed file, as published. */
  readonly checksums: Readonly<Record<string, string>>;
}

const splits = { train: 'train', test: 't10k' } as const;
const side = 28;
/** The largest of the eight files has 26 MB compressed, 47 MB unpacked. */
const largestFileBytes = 60_000_000;

export const mnist: IdxDataset = {
  name: 'mnist',
  title: 'MNIST',
  classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  counts: { train: 60_000, test: 10_000 },
  url: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
  checksums: {
    'train-images-idx3-ubyte': 'f68b3c2dcbeaaa9fbdd348bbdeb94873',
    'train-labels-idx1-ubyte': 'd53e105ee54ea40749a09fcbcd1e9432',
    't10k-images-idx3-ubyte': '9fb629c4189551a2d022fa330f9573f3',
    't10k-labels-idx1-ubyte': 'ec29112dd5afa0611ce80d1b7f02629c',
  },
};

export const fashionMnist: IdxDataset = {
  name: 'fashion-mnist',
  title: 'Fashion-MNIST',
  classes: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
  counts: { train: 60_000, test: 10_000 },
  url: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
  checksums: {
    'train-images-idx3-ubyte': '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
    'train-labels-idx1-ubyte': '25c81989df183df01b3e8a0aad5dffbe',
    't10k-images-idx3-ubyte': 'bef4ecab320f06d8554ea6380940ec79',
    't10k-labels-idx1-ubyte': 'bb300cfdad3c16e7a12a480ee83cd310',
  },
};

/**
 * Reads the data set from `dataDir`, from `$ABLATE_DATA_DIR` if it is there, or from the cache; downloads it into the cache if it is nowhere. Compressed files
 * are compared with their published checksums.
 *
 * @throws DataError that names the file that is missing, truncated or corrupt, or says why the download failed
 */
export async function loadIdxDataset(published: IdxDataset, options: SourceOptions = {}): Promise<Dataset> {
  const { name, classes } = published;
  const folder = await folderOf(publishedIdx(published), options);
  const train = readSplit(folder, 'train', published);
  const test = readSplit(folder, 'test', published);
  const shape = [1, side, side] as const;
  return { name, classes, shape, synthetic: false, fingerprint: fingerprintOf(classes, train, test, [shape]), train, test };
}

/** The data set as one whose files are published. */
export function publishedIdx(published: IdxDataset): PublishedDataset {
  const { name, title, checksums } = published;
  const names = Object.keys(checksums);
  const within = (base: string) =>
    [base, join(base, name)].find((folder) => names.every((file) => pathOf(folder, file) !== undefined));
  return {
    name,
    title,
    within,
    find: (options = {}) =>
      findWithin(within, options, {
        files: `the four files of ${title}`,
        fix: `let it point at the folder with ${names.join(', ')} (compressed or not), or leave it out`,
      }),
    verify: (folder) => filesOf(published).map(([file, shape]) => verifyIdx(folder, file, shape, published)),
    download: (options) => download(published, options),
  };
}

/** Each file with the extents that it must have. */
function filesOf({ counts }: IdxDataset): (readonly [file: string, shape: readonly number[]])[] {
  return (['train', 'test'] as const).flatMap((split) => [
    [`${splits[split]}-images-idx3-ubyte`, [counts[split], side, side]] as const,
    [`${splits[split]}-labels-idx1-ubyte`, [counts[split]]] as const,
  ]);
}

function verifyIdx(folder: string, file: string, shape: readonly number[], published: IdxDataset): FileVerification {
  const path = pathOf(folder, file);
  if (path === undefined) return { name: file, checksum: undefined, problem: 'is missing' };
  const contents = contentsOf(path, file, shape, published);
  const checksum = path.endsWith('.gz') ? `md5:${published.checksums[file]!}` : undefined;
  return { name: basename(path), checksum, problem: contents.problem };
}

/** A file as it is there: compressed or not. */
function pathOf(folder: string, file: string): string | undefined {
  return [join(folder, `${file}.gz`), join(folder, file)].find((path) => existsSync(path));
}

function readSplit(folder: string, split: 'train' | 'test', published: IdxDataset): ImageSet {
  const count = published.counts[split];
  const set = allocateImages(count, [1, side, side]);
  set.images.set(readIdx(folder, `${splits[split]}-images-idx3-ubyte`, [count, side, side], published));
  set.labels.set(readIdx(folder, `${splits[split]}-labels-idx1-ubyte`, [count], published));
  return set;
}

function readIdx(folder: string, file: string, shape: readonly number[], published: IdxDataset): Uint8Array {
  const path = pathOf(folder, file)!;
  const contents = contentsOf(path, file, shape, published);
  if (contents.problem === undefined) return contents.bytes;
  throw new DataError(`${path} ${contents.problem}`, {
    fix: `remove ${folder} and let it be downloaded again, or give another folder with --data-dir`,
  });
}

type IdxContents = { readonly bytes: Uint8Array; readonly problem?: never } | { readonly problem: string };

/**
 * The bytes of an IDX file, or what is wrong with it: 0, 0, 8 (unsigned bytes), the number of its dimensions, and each of them in 32 bits, the highest byte
 * first. Of one dimension they are labels.
 */
function contentsOf(path: string, file: string, shape: readonly number[], published: IdxDataset): IdxContents {
  const content = readRegularFile(path, largestFileBytes);
  const isCompressed = startsAsGzip(content);
  const damage = isCompressed ? problemWith(content, published.checksums[file]!) : undefined;
  if (damage !== undefined) return { problem: damage };
  const unpacked = isCompressed ? decompress(content, path, { maximumBytes: largestFileBytes }) : content;
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
  const wanted = header.length + shape.reduce((product, extent) => product * extent, 1);
  if (unpacked.length !== wanted) return { problem: `has ${unpacked.length} bytes, and must have ${wanted}` };
  if (!header.equals(unpacked.subarray(0, header.length))) {
    return { problem: `is not the file of ${published.title}: its header is another` };
  }
  const bytes = unpacked.subarray(header.length);
  const wrong = shape.length > 1 ? -1 : bytes.findIndex((label) => label >= published.classes.length);
  return wrong < 0 ? { bytes } : { problem: `is corrupt: label ${wrong} is ${bytes[wrong]!}` };
}

function problemWith(compressed: Uint8Array, checksum: string): string | undefined {
  const md5 = createHash('md5').update(compressed).digest('hex');
  return md5 === checksum ? undefined : `is corrupt: its MD5 is ${md5}, the published one ${checksum}`;
}

/** Each file appears in the cache verified or not at all. */
async function download(
  published: IdxDataset,
  { dataUrl, cacheDir = userCacheFolder(), onProgress }: SourceOptions,
): Promise<string> {
  const { name, title, url, checksums } = published;
  const folder = join(cacheDir, name);
  makeFolder(folder);
  const mirrors = [url, ...(dataUrl === undefined ? [] : [dataUrl.replace(/\/?$/, '/')])];
  for (const [file, md5] of Object.entries(checksums)) {
    const urls = mirrors.map((mirror) => `${mirror}${file}.gz`);
    writeFileAtomic(
      join(folder, `${file}.gz`),
      await downloadFile({ title: `${file}.gz of ${title}`, md5 }, { urls, onProgress }),
    );
  }
  return folder;
}
