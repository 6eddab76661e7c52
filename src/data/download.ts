/** Fetches published data into a cache folder, where it appears complete and verified or not at all. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AblateError, DataError, messageOf } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { recognizeFile } from '../util/file-kind.ts';
import { formatBytes } from '../util/format.ts';
import { startsAsGzip } from '../util/gzip.ts';
import { makeFolder } from '../util/make-folder.ts';
import { renameFile } from '../util/rename.ts';
import type { OnDataProgress } from './dataset.ts';

/** A server that sends less than this in that time is given up. */
export interface Patience {
  readonly leastBytes: number;
  readonly withinMs: number;
}

const usualPatience: Patience = { leastBytes: 300_000, withinMs: 30_000 };

/** Above all that is published: the archive of CIFAR-10 has 170 MB, and its files 185 MB. */
const largestDownload = 250_000_000;
const largestUnpacked = 250_000_000;

export interface DownloadOptions {
  /** The folder of downloaded data; made if missing. */
  readonly cacheDir: string;
  /** Addresses, tried in order. */
  readonly urls: readonly string[];
  readonly onProgress?: OnDataProgress | undefined;
  /** Default 300 kB in 30 seconds. */
  readonly patience?: Patience;
}

/** A published archive (.tar.gz). */
export interface Archive {
  /** As people write the data set. */
  readonly title: string;
  /** The original address. */
  readonly url: string;
  /** MD5 of the archive, where that is published rather than checksums of its files. */
  readonly md5?: string;
  /** The folder in the archive, and in the cache, with the files. */
  readonly folderName: string;
  /** The names of the files. */
  readonly files: readonly string[];
  /** What is wrong with the first file that is not as published; undefined if all are. */
  problemIn(folder: string): string | undefined;
}

/**
 * Downloads, verifies and unpacks an archive from the first address that has it, replacing an earlier copy.
 *
 * @returns the folder with the files
 * @throws DataError that says for each address why it failed; AblateError if the cache cannot be written
 */
export async function downloadArchive(archive: Archive, options: DownloadOptions): Promise<string> {
  const { title, folderName } = archive;
  const folder = join(options.cacheDir, folderName);
  const fix = `unpack ${basename(archive.url)} yourself and give its folder with --data-dir, give a mirror with --data-url, or use --data synthetic`;
  await fromFirst(title, fix, options.urls, async (url) => {
    const temporary = await makeTemporaryFolder(options.cacheDir, folderName);
    try {
      await unpack(url, temporary, archive, options);
      const problem = archive.problemIn(temporary);
      if (problem !== undefined) throw new DataError(problem);
      await replaceFolder(temporary, folder, archive);
    } catch (error) {
      throw fileError('write', temporary, error);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  });
  return folder;
}

/**
 * Downloads one compressed file (.gz) from the first address that has it.
 *
 * @returns its bytes, compressed
 * @throws DataError that says for each address why it failed
 */
export async function downloadFile(
  { title, md5 }: Pick<Archive, 'title'> & { readonly md5: string },
  { urls, ...options }: Omit<DownloadOptions, 'cacheDir'>,
): Promise<Uint8Array> {
  const fix = 'give a folder with its files with --data-dir, or a mirror with --data-url';
  return await fromFirst(title, fix, urls, async (url) => {
    const chunks: Uint8Array[] = [];
    await receive(url, { title, md5 }, options, () => async (source: AsyncIterable<Uint8Array>) => {
      for await (const chunk of source) chunks.push(chunk);
    });
    return Buffer.concat(chunks);
  });
}

async function fromFirst<T>(title: string, fix: string, urls: readonly string[], get: (url: string) => Promise<T>): Promise<T> {
  const failures: string[] = [];
  for (const url of urls) {
    try {
      return await get(url);
    } catch (error) {
      if (error instanceof AblateError && !(error instanceof DataError)) throw error;
      failures.push(`  ${url}: ${reasonOf(error)}`);
    }
  }
  throw new DataError(`${title} cannot be downloaded:\n${failures.join('\n')}`, { fix });
}

async function makeTemporaryFolder(cacheDir: string, folderName: string): Promise<string> {
  makeFolder(cacheDir);
  try {
    return await mkdtemp(join(cacheDir, `.${folderName}-`));
  } catch (error) {
    throw fileError('create', cacheDir, error);
  }
}

/** Streams the archive at `url` through gunzip and tar; of its contents only the published files arrive in `folder`. */
async function unpack(url: string, folder: string, archive: Archive, options: Omit<DownloadOptions, 'urls'>): Promise<void> {
  const { extract } = await import('tar');
  const { title, files } = archive;
  let unpacked = 0;
  await receive(url, archive, options, (controller) => {
    const isWanted = (path: string, { size }: { readonly size: number }): boolean => {
      unpacked += size;
      if (unpacked > largestUnpacked) controller.abort(tooLarge(title, 'unpacked, the archive has', unpacked, largestUnpacked));
      return files.includes(basename(path)) && !controller.signal.aborted;
    };
    return extract({ cwd: folder, strip: 1, strict: true, filter: (path, entry) => isWanted(path, entry) });
  });
}

type Sink = NodeJS.WritableStream | ((source: AsyncIterable<Uint8Array>) => Promise<void>);

/** Sends what is at `url`, which must be gzip, into a sink, and compares its MD5 in the end. */
async function receive(
  url: string,
  { title, md5 }: { readonly title: string; readonly md5?: string },
  { onProgress, patience = usualPatience }: Omit<DownloadOptions, 'urls' | 'cacheDir'>,
  sinkFor: (controller: AbortController) => Sink,
): Promise<void> {
  const controller = new AbortController();
  const { leastBytes, withinMs } = patience;
  const hash = createHash('md5');
  let done = 0;
  let doneBefore = 0;
  const watch = setInterval(() => {
    if (done - doneBefore < leastBytes) {
      const received = `${formatBytes(done - doneBefore)} in ${withinMs / 1000} s`;
      controller.abort(new Error(`the server is too slow or has stopped sending: ${received}`));
    }
    doneBefore = done;
  }, withinMs);
  try {
    const response = await fetch(url, { signal: controller.signal });
    if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status} ${response.statusText}`);
    const length = Number(response.headers.get('content-length'));
    if (length > largestDownload) throw tooLarge(title, 'the archive has', length, largestDownload);
    const total = length > 0 ? length : undefined;
    const meter = new Transform({
      transform: (chunk: Uint8Array, _encoding, callback) => {
        if (done === 0 && !startsAsGzip(chunk)) {
          callback(new Error(`what the server sent is ${recognizeFile(chunk)?.name ?? 'no gzip archive'}`));
          return;
        }
        done += chunk.length;
        hash.update(chunk);
        onProgress?.({ activity: `downloading ${title}`, done, total, unit: 'bytes' });
        callback(done > largestDownload ? tooLarge(title, 'the archive has', done, largestDownload) : null, chunk);
      },
    });
    const sink = sinkFor(controller) as NodeJS.WritableStream;
    await pipeline(Readable.fromWeb(response.body), meter, sink, { signal: controller.signal });
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearInterval(watch);
  }
  const found = hash.digest('hex');
  if (md5 !== undefined && found !== md5)
    throw new Error(`what the server sent has the MD5 ${found}, the published one is ${md5}`);
}

function tooLarge(title: string, what: string, bytes: number, maximumBytes: number): Error {
  return new Error(`${what} ${formatBytes(bytes)}, and at most ${formatBytes(maximumBytes)} are taken: it is not ${title}`);
}

/** Puts `source` in the place of `target`, unless that is complete: another process has then downloaded it, and may be reading it. */
async function replaceFolder(source: string, target: string, archive: Archive): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      renameFile(source, target);
      return;
    } catch (error) {
      if (attempt > 0 || !['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) throw error;
    }
    if (isComplete(target, archive)) return;
    await rm(target, { recursive: true, force: true });
  }
}

function isComplete(folder: string, archive: Archive): boolean {
  try {
    return archive.problemIn(folder) === undefined;
  } catch (error) {
    if (error instanceof DataError) return false;
    throw error;
  }
}

/** `fetch failed` alone says nothing: the reason is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? `${messageOf(error)} (${cause.message})` : messageOf(error);
}
