/** Fetches CIFAR-10 into a cache folder, where it appears complete and verified or not at all. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { AblateError, DataError, messageOf } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { recognizeFile } from '../util/file-kind.ts';
import { formatBytes } from '../util/format.ts';
import { startsAsGzip } from '../util/gzip.ts';
import { cifar10Files, cifar10FolderName, readCifar10File } from './cifar10-files.ts';
import type { OnDataProgress } from './dataset.ts';

export const cifar10Url = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz';

/** A server that sends less than this in that time is given up. */
export interface Patience {
  readonly leastBytes: number;
  readonly withinMs: number;
}

const usualPatience: Patience = { leastBytes: 300_000, withinMs: 30_000 };

/** The published archive has 170 MB. Unpacked, its six files and a few small ones have 185 MB. */
const largestArchiveBytes = 250_000_000;
const largestUnpackedBytes = 250_000_000;

export interface DownloadOptions {
  /** The folder of downloaded data; made if missing. */
  readonly cacheDir: string;
  /** Addresses of the archive (.tar.gz), tried in order. */
  readonly urls: readonly string[];
  readonly onProgress?: OnDataProgress | undefined;
  /** Default 300 kB in 30 seconds. */
  readonly patience?: Patience;
}

/**
 * Downloads, verifies and unpacks the archive from the first address that has it, replacing an earlier copy.
 *
 * @returns the folder with the six files
 * @throws DataError that says for each address why it failed; AblateError if the cache cannot be written
 */
export async function downloadCifar10(options: DownloadOptions): Promise<string> {
  const { cacheDir, urls } = options;
  const failures: string[] = [];
  for (const url of urls) {
    const temporary = await makeTemporaryFolder(cacheDir);
    try {
      await unpack(url, temporary, options);
      requireComplete(temporary);
      const folder = join(cacheDir, cifar10FolderName);
      await replaceFolder(temporary, folder);
      return folder;
    } catch (error) {
      const reported = fileError('write', temporary, error);
      if (reported instanceof AblateError && !(reported instanceof DataError)) throw reported;
      failures.push(`  ${url}: ${reasonOf(error)}`);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  throw new DataError(`CIFAR-10 cannot be downloaded:\n${failures.join('\n')}`, {
    fix: `unpack ${basename(cifar10Url)} yourself and give its folder with --data-dir, give a mirror with --data-url, or use --data synthetic`,
  });
}

async function makeTemporaryFolder(cacheDir: string): Promise<string> {
  try {
    await mkdir(cacheDir, { recursive: true });
    return await mkdtemp(join(cacheDir, `.${cifar10FolderName}-`));
  } catch (error) {
    throw fileError('create', cacheDir, error);
  }
}

/** Streams the archive at `url` through gunzip and tar; of its contents only the six files arrive in `folder`. */
async function unpack(url: string, folder: string, { onProgress, patience = usualPatience }: DownloadOptions): Promise<void> {
  const controller = new AbortController();
  const { leastBytes, withinMs } = patience;
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
    if (length > largestArchiveBytes) throw tooLarge('the archive has', length, largestArchiveBytes);
    const total = length > 0 ? length : undefined;
    const meter = new Transform({
      transform: (chunk: Uint8Array, _encoding, callback) => {
        if (done === 0 && !startsAsGzip(chunk)) {
          callback(new Error(`what the server sent is ${recognizeFile(chunk)?.name ?? 'no gzip archive'}`));
          return;
        }
        done += chunk.length;
        onProgress?.({ activity: 'downloading CIFAR-10', done, total, unit: 'bytes' });
        callback(done > largestArchiveBytes ? tooLarge('the archive has', done, largestArchiveBytes) : null, chunk);
      },
    });
    const names = new Set(cifar10Files.map((file) => file.name));
    let unpacked = 0;
    const isWanted = (path: string, { size }: { readonly size: number }): boolean => {
      unpacked += size;
      if (unpacked > largestUnpackedBytes)
        controller.abort(tooLarge('unpacked, the archive has', unpacked, largestUnpackedBytes));
      return names.has(basename(path)) && !controller.signal.aborted;
    };
    const unpacker = extract({ cwd: folder, strip: 1, strict: true, filter: (path, entry) => isWanted(path, entry) });
    await pipeline(Readable.fromWeb(response.body), meter, unpacker, { signal: controller.signal });
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearInterval(watch);
  }
}

function tooLarge(what: string, bytes: number, maximumBytes: number): Error {
  return new Error(`${what} ${formatBytes(bytes)}, and at most ${formatBytes(maximumBytes)} are taken: it is not CIFAR-10`);
}

function requireComplete(folder: string): void {
  for (const file of cifar10Files) {
    const { problem } = readCifar10File(folder, file);
    if (problem !== undefined) throw new DataError(`${file.name} in the archive ${problem}`);
  }
}

/** Puts `source` in the place of `target`, unless that is complete: another process has then downloaded it, and may be reading it. */
async function replaceFolder(source: string, target: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(source, target);
      return;
    } catch (error) {
      if (attempt > 0 || !['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) throw error;
    }
    if (isComplete(target)) return;
    await rm(target, { recursive: true, force: true });
  }
}

function isComplete(folder: string): boolean {
  try {
    requireComplete(folder);
    return true;
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
