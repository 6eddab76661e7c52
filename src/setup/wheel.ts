/** Takes the oneDNN library out of a wheel of PyPI, where it lies ready: neither Python nor pip is needed. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { cachedLibraryFolder, type Wheel } from '../engine/onednn/cached-library.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { AblateError, messageOf } from '../util/errors.ts';
import { formatBytes } from '../util/format.ts';
import { makeFolder } from '../util/make-folder.ts';
import { readZipEntry } from '../util/zip.ts';
import type { Say } from './run-command.ts';

/** A slow connection takes this long for the 30 MB. */
const timeLimitMs = 15 * 60_000;

/**
 * Downloads and verifies the wheel, and puts its library into the cache.
 *
 * @returns the library's path
 * @throws AblateError if it cannot be downloaded or is not the file that is expected, or the cache cannot be written
 */
export async function installFromWheel(wheel: Wheel, say: Say, folder = cachedLibraryFolder()): Promise<string> {
  const path = join(folder, wheel.file);
  makeFolder(folder);
  say(`downloading ${wheel.name} (${formatBytes(wheel.sizeBytes)}) from ${new URL(wheel.url).host} for ${path}`);
  const archive = await download(wheel, path);
  writeFileAtomic(path, readZipEntry(archive, wheel.entry));
  return path;
}

async function download({ name, url, sha256, sizeBytes, entry }: Wheel, path: string): Promise<Uint8Array> {
  const byHand = `download it elsewhere, and put its file ${entry} at ${path}: ${url}`;
  let archive: Uint8Array;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeLimitMs) });
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
    archive = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    throw new AblateError(`${name} cannot be downloaded: ${messageOf(error)}${cause}`, { fix: byHand });
  }
  if (createHash('sha256').update(archive).digest('hex') !== sha256) {
    const size = archive.length === sizeBytes ? '' : ` (${archive.length} bytes instead of ${sizeBytes})`;
    throw new AblateError(`what ${new URL(url).host} sent is not ${name}: its SHA-256 is another${size}`, { fix: byHand });
  }
  return archive;
}
