/** Data sets whose files are published: where they are looked for, whether they are as published, and fetching them. */
import { environmentVariable } from '../util/env.ts';
import { DataError } from '../util/errors.ts';
import { userCacheFolder } from '../util/user-cache.ts';
import type { OnDataProgress } from './dataset.ts';

export interface SourceOptions {
  /** The folder with the files, or one that holds their folder. Nothing else is looked at then. */
  readonly dataDir?: string;
  /** A mirror, tried if the original address fails. */
  readonly dataUrl?: string;
  /** Default `userCacheFolder()`. */
  readonly cacheDir?: string;
  /** Whether it is downloaded where it is nowhere; default true. */
  readonly download?: boolean;
  readonly onProgress?: OnDataProgress | undefined;
}

export interface FileVerification {
  readonly name: string;
  /** What the file was compared with (`sha256:cee9...`); undefined if only its size and contents could be checked. */
  readonly checksum: string | undefined;
  /** What is wrong with the file (`is missing`, `is truncated: ...`); undefined if it is as published. */
  readonly problem: string | undefined;
}

export interface PublishedDataset {
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  /** The folder that it would be read from; undefined if it would have to be downloaded. Throws DataError if a folder that is given does not hold it. */
  find(options?: SourceOptions): string | undefined;
  /** Where below a folder its files are. */
  within(base: string): string | undefined;
  /** Compares each file with what is published. */
  verify(folder: string): readonly FileVerification[];
  /** Downloads it into the cache. Returns the folder; throws DataError that says for each address why it failed. */
  download(options: Omit<SourceOptions, 'dataDir' | 'download'>): Promise<string>;
}

/**
 * The usual `find`: in the folder that is given and nowhere else, or in `$ABLATE_DATA_DIR` and then the cache.
 *
 * @param within as of the data set
 * @param missing what a folder that is given does not hold, and what to do
 * @throws DataError if a folder that is given does not hold it
 */
export function findWithin(
  within: PublishedDataset['within'],
  { dataDir, cacheDir = userCacheFolder() }: SourceOptions,
  missing: { readonly files: string; readonly fix: string },
): string | undefined {
  if (dataDir !== undefined) {
    const found = within(dataDir);
    if (found !== undefined) return found;
    throw new DataError(`--data-dir (=${dataDir}) does not hold ${missing.files}`, { fix: missing.fix });
  }
  const fromEnvironment = environmentVariable('ABLATE_DATA_DIR');
  return (fromEnvironment === undefined ? undefined : within(fromEnvironment)) ?? within(cacheDir);
}

/** The folder to read a data set from, downloaded if it is nowhere. Throws DataError. */
export async function folderOf(dataset: PublishedDataset, options: SourceOptions): Promise<string> {
  const found = dataset.find(options);
  if (found !== undefined) return found;
  if (options.download === false) throw notHere(dataset);
  return await dataset.download(options);
}

export function notHere({ name, title }: PublishedDataset): DataError {
  return new DataError(`${title} is not on this machine`, { fix: `ablate data fetch ${name}` });
}

/**
 * Makes sure that there is a complete, verified copy: where the data set is found, else in the cache.
 *
 * @throws DataError if it cannot be downloaded
 */
export async function fetchDataset(
  dataset: PublishedDataset,
  options: Omit<SourceOptions, 'dataDir' | 'download'> = {},
): Promise<{ folder: string; downloaded: boolean }> {
  const { cacheDir = userCacheFolder() } = options;
  for (const folder of [dataset.find({ cacheDir }), dataset.within(cacheDir)]) {
    if (folder !== undefined && dataset.verify(folder).every(({ problem }) => problem === undefined)) {
      return { folder, downloaded: false };
    }
  }
  return { folder: await dataset.download(options), downloaded: true };
}
