/**
 * MNIST (LeCun, Cortes and Burges, 1998) and Fashion-MNIST (Xiao et al., 2017, arXiv:1708.07747): grey images of 28x28 in the IDX format, which both
 * share with the names of their four files. Found, downloaded, verified and cached as CIFAR-10 is.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { environmentVariable } from '../util/env.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { makeFolder } from '../util/make-folder.ts';
import { decompress, startsAsGzip } from '../util/gzip.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { userCacheFolder } from './cache.ts';
import type { Dataset, ImageSet, OnDataProgress } from './dataset.ts';
import { allocateImages, fingerprintOf } from './image-set.ts';

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
/** For each file. */
const timeoutMs = 300_000;

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

export interface IdxOptions {
  /** The folder with the four files, compressed or not. Nothing else is looked at then. */
  readonly dataDir?: string;
  /** A mirror: the address of a folder with the four compressed files, tried if the original fails. */
  readonly dataUrl?: string;
  /** Default `userCacheFolder()`. */
  readonly cacheDir?: string;
  /** Whether it is downloaded where it is nowhere; default true. */
  readonly download?: boolean;
  readonly onProgress?: OnDataProgress | undefined;
}

/**
 * Reads the data set from `dataDir`, from `$ABLATE_DATA_DIR` if it is there, or from the cache; downloads it into the cache if it is nowhere. Compressed files
 * are compared with their published checksums.
 *
 * @throws DataError that names the file that is missing, truncated or corrupt, or says why the download failed
 */
export async function loadIdxDataset(published: IdxDataset, options: IdxOptions = {}): Promise<Dataset> {
  const { name, classes } = published;
  const folder = locate(published, options) ?? (await download(published, options));
  const train = readSplit(folder, 'train', published);
  const test = readSplit(folder, 'test', published);
  const shape = [1, side, side] as const;
  return { name, classes, shape, synthetic: false, fingerprint: fingerprintOf(classes, train, test, [shape]), train, test };
}

function locate(published: IdxDataset, { dataDir, cacheDir = userCacheFolder() }: IdxOptions): string | undefined {
  const { name, title } = published;
  const holds = (folder: string) => Object.keys(published.checksums).every((file) => pathOf(folder, file) !== undefined);
  const within = (base: string) => [base, join(base, name)].find(holds);
  if (dataDir !== undefined) {
    const found = within(dataDir);
    if (found !== undefined) return found;
    throw new DataError(`--data-dir (=${dataDir}) does not hold the four files of ${title}`, {
      fix: `let it point at the folder with ${Object.keys(published.checksums).join(', ')} (compressed or not), or leave it out`,
    });
  }
  const fromEnvironment = environmentVariable('ABLATE_DATA_DIR');
  return (fromEnvironment === undefined ? undefined : within(fromEnvironment)) ?? within(cacheDir);
}

/** A file as it is there: compressed or not. */
function pathOf(folder: string, file: string): string | undefined {
  return [join(folder, `${file}.gz`), join(folder, file)].find((path) => existsSync(path));
}

function readSplit(folder: string, split: 'train' | 'test', published: IdxDataset): ImageSet {
  const count = published.counts[split];
  const images = readIdx(folder, `${splits[split]}-images-idx3-ubyte`, [count, side, side], published);
  const labels = readIdx(folder, `${splits[split]}-labels-idx1-ubyte`, [count], published);
  const set = allocateImages(count, [1, side, side]);
  set.images.set(images);
  const wrong = labels.findIndex((label) => label >= published.classes.length);
  if (wrong >= 0) {
    throw new DataError(`${join(folder, `${splits[split]}-labels-idx1-ubyte`)} is corrupt: label ${wrong} is ${labels[wrong]!}`);
  }
  set.labels.set(labels);
  return set;
}

/** The bytes of an IDX file: 0, 0, 8 (unsigned bytes), the number of its dimensions, and each of them in 32 bits, the highest byte first. */
function readIdx(folder: string, file: string, shape: readonly number[], published: IdxDataset): Uint8Array {
  const path = pathOf(folder, file)!;
  const fix = `remove ${folder} and let it be downloaded again, or give another folder with --data-dir`;
  const content = readRegularFile(path, largestFileBytes);
  const isCompressed = startsAsGzip(content);
  if (isCompressed) {
    const problem = problemWith(content, published.checksums[file]!);
    if (problem !== undefined) throw new DataError(`${path} ${problem}`, { fix });
  }
  const bytes = isCompressed ? decompress(content, path, { maximumBytes: largestFileBytes }) : content;
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
  const wanted = header.length + shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== wanted) throw new DataError(`${path} has ${bytes.length} bytes, and must have ${wanted}`, { fix });
  if (!header.equals(bytes.subarray(0, header.length))) {
    throw new DataError(`${path} is not the file of ${published.title}: its header is another`, { fix });
  }
  return bytes.subarray(header.length);
}

function problemWith(compressed: Uint8Array, checksum: string): string | undefined {
  const md5 = createHash('md5').update(compressed).digest('hex');
  return md5 === checksum ? undefined : `is corrupt: its MD5 is ${md5}, the published one ${checksum}`;
}

/** Each file appears in the cache verified or not at all. */
async function download(published: IdxDataset, options: IdxOptions): Promise<string> {
  const { name, title, url, checksums } = published;
  const { dataUrl, cacheDir = userCacheFolder(), onProgress } = options;
  if (options.download === false)
    throw new DataError(`${title} is not on this machine`, { fix: `ablate data show ${name} downloads it` });
  const folder = join(cacheDir, name);
  makeFolder(folder);
  const mirrors = [url, ...(dataUrl === undefined ? [] : [dataUrl.replace(/\/?$/, '/')])];
  let done = 0;
  for (const [file, checksum] of Object.entries(checksums)) {
    const failures: string[] = [];
    let content: Uint8Array | undefined;
    for (const mirror of mirrors) {
      try {
        content = await fetchFile(`${mirror}${file}.gz`, checksum);
        break;
      } catch (error) {
        failures.push(`  ${mirror}${file}.gz: ${messageOf(error)}`);
      }
    }
    if (content === undefined) {
      throw new DataError(`${title} cannot be downloaded:\n${failures.join('\n')}`, {
        fix: 'give a folder with its files with --data-dir, or a mirror with --data-url',
      });
    }
    writeFileAtomic(join(folder, `${file}.gz`), content);
    done += content.length;
    onProgress?.({ activity: `downloading ${title}`, done, total: undefined, unit: 'bytes' });
  }
  return folder;
}

async function fetchFile(url: string, checksum: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  if (Number(response.headers.get('content-length') ?? 0) > largestFileBytes) throw new Error('the file is too large');
  const content = new Uint8Array(await response.arrayBuffer());
  const problem = problemWith(content, checksum);
  if (problem !== undefined) throw new Error(`what the server sent ${problem}`);
  return content;
}
