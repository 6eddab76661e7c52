/**
 * CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) in its binary version: where it is found, and how
 * it becomes a Dataset.
 *
 * Every file is hashed at every load (about 0.15 s for all six), so a run never starts on other bytes than the published ones, and
 * the fingerprint follows from the published hashes.
 */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { environmentVariable } from '../util/env.ts';
import { DataError } from '../util/errors.ts';
import { userCacheFolder } from '../util/user-cache.ts';
import { cifar10Files, cifar10FolderName, readCifar10File, recordBytes, recordsPerFile } from './cifar10-files.ts';
import type { Dataset, ImageSet } from './dataset.ts';
import { downloadArchive, type Archive, type DownloadOptions } from './download.ts';
import { allocateImages } from './new-image-set.ts';
import { notHere, type FileVerification, type PublishedDataset, type SourceOptions } from './published.ts';

/** In the order of the labels. */
export const cifar10Classes: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];
const shape = [3, 32, 32] as const;

export const cifar10Url = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz';

const archive: Archive = {
  title: 'CIFAR-10',
  url: cifar10Url,
  folderName: cifar10FolderName,
  files: cifar10Files.map(({ name }) => name),
  problemIn(folder) {
    for (const file of cifar10Files) {
      const { problem } = readCifar10File(folder, file);
      if (problem !== undefined) return `${file.name} in the archive ${problem}`;
    }
    return undefined;
  },
};

export const cifar10: PublishedDataset = {
  name: 'cifar10',
  title: 'CIFAR-10',
  find: findCifar10,
  within: folderWithFiles,
  verify: verifyCifar10,
  async download({ dataUrl, cacheDir = userCacheFolder(), onProgress }) {
    const urls = dataUrl === undefined ? [cifar10Url] : [cifar10Url, dataUrl];
    return await downloadCifar10({ cacheDir, urls, onProgress });
  },
};

/** Returns the folder with the six files. Throws as `downloadArchive` does. */
export async function downloadCifar10(options: DownloadOptions): Promise<string> {
  return await downloadArchive(archive, options);
}

/**
 * Reads CIFAR-10 from `dataDir`, `$ABLATE_DATA_DIR` or the cache, the first that is given; downloads it into the cache if it is nowhere.
 *
 * @throws DataError that names each file that is missing, truncated or corrupt, or says why the download failed
 */
export async function loadCifar10(options: SourceOptions = {}): Promise<Dataset> {
  const found = locate(options);
  if (found === undefined && options.download === false) throw notHere(cifar10);
  const { folder, fix } = found ?? { folder: await cifar10.download(options), fix: fetchAgain };
  const train = allocateImages(50_000, shape);
  const test = allocateImages(10_000, shape);
  const filled = { train: 0, test: 0 };
  const problems: string[] = [];
  for (const file of cifar10Files) {
    const contents = readCifar10File(folder, file);
    if (contents.problem !== undefined) problems.push(`${file.name} ${contents.problem}`);
    else copyRecords(contents.bytes, file.split === 'train' ? train : test, filled[file.split]);
    filled[file.split] += recordsPerFile;
  }
  if (problems.length > 0) throw new DataError(`CIFAR-10 in ${folder}: ${problems.join('; ')}`, { fix });
  const fingerprint = createHash('sha256')
    .update(cifar10Files.map((file) => file.sha256).join('\n'))
    .digest('hex');
  return { name: 'cifar10', classes: cifar10Classes, shape, synthetic: false, fingerprint, train, test };
}

/** Compares each of the six files in `folder` (or in its `cifar-10-batches-bin/`) with the published one. */
export function verifyCifar10(folder: string): FileVerification[] {
  const found = folderWithFiles(folder) ?? folder;
  const results: FileVerification[] = [];
  for (const file of cifar10Files) {
    const { problem } = readCifar10File(found, file);
    results.push({ name: file.name, checksum: `sha256:${file.sha256}`, problem });
  }
  return results;
}

/** Where `loadCifar10` would read from; undefined if it would have to download. Throws a DataError if the folder given has no such files. */
export function findCifar10(options: SourceOptions = {}): string | undefined {
  return locate(options)?.folder;
}

const fetchAgain = 'ablate data fetch cifar10 downloads good copies';

function locate(options: SourceOptions): { folder: string; fix: string } | undefined {
  const fromEnvironment = environmentVariable('ABLATE_DATA_DIR');
  if (options.dataDir !== undefined) return given(options.dataDir, '--data-dir');
  if (fromEnvironment !== undefined) return given(fromEnvironment, '$ABLATE_DATA_DIR');
  const folder = folderWithFiles(options.cacheDir ?? userCacheFolder());
  return folder === undefined ? undefined : { folder, fix: fetchAgain };
}

function given(base: string, source: string): { folder: string; fix: string } {
  const folder = folderWithFiles(base);
  const wanted = `the folder that holds ${cifar10Files[0]!.name} ... test_batch.bin`;
  if (folder !== undefined) return { folder, fix: `replace the files, or let ${source} point at another folder` };
  throw new DataError(`${source} (=${base}) ${whyNot(base)}`, {
    fix: `let ${source} point at ${wanted} (${cifar10Url}), or leave it out to download them`,
  });
}

/** What is wrong with a place that holds none of the files. */
function whyNot(base: string): string {
  const archive = basename(cifar10Url);
  if (!existsSync(base)) return 'does not exist';
  if (!statSync(base).isDirectory()) return 'is a file; an archive must be unpacked first';
  if (existsSync(join(base, archive))) return `holds ${archive}, which must be unpacked first`;
  const isPython = ['data_batch_1', 'cifar-10-batches-py', 'cifar-10-python.tar.gz'].some((name) => existsSync(join(base, name)));
  return isPython ? 'holds the Python version of CIFAR-10; the binary version is needed' : 'holds no file of CIFAR-10';
}

/** `base` or its `cifar-10-batches-bin/`, whichever holds at least one of the files. */
function folderWithFiles(base: string): string | undefined {
  const candidates = [base, join(base, cifar10FolderName)];
  return candidates.find((folder) => cifar10Files.some((file) => existsSync(join(folder, file.name))));
}

/** Separates the labels and images of a file's records. */
function copyRecords(bytes: Uint8Array, target: ImageSet, first: number): void {
  const imageBytes = recordBytes - 1;
  for (let record = 0; record < recordsPerFile; record++) {
    const start = record * recordBytes;
    target.labels[first + record] = bytes[start]!;
    target.images.set(bytes.subarray(start + 1, start + recordBytes), (first + record) * imageBytes);
  }
}
