/** Files that may be compressed with gzip: written so where their name ends in `.gz`, and recognized by their first bytes when read. */
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { DataError, messageOf } from './errors.ts';
import { formatBytes } from './format.ts';
import { largestFileBytes } from './regular-file.ts';

/** The same bytes always give the same. */
export function compress(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9 });
}

/** The bytes to write to a file: compressed if its name ends in `.gz`. */
export function bytesFor(path: string, bytes: Uint8Array): Uint8Array {
  return path.endsWith('.gz') ? compress(bytes) : bytes;
}

/** Whether bytes begin as a gzip file does (RFC 1952). */
export function startsAsGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** What data may unpack to. */
export interface UnpackedSize {
  /** Default `largestFileBytes`. */
  readonly maximumBytes?: number;
  /** The length that the data give themselves, from their unpacked start; undefined as long as the start is too short to tell. */
  readonly announcedBytes?: (start: Uint8Array) => number | undefined;
}

/**
 * Unpacks no more than allowed: a few megabytes of gzip can hold gigabytes. Where a format begins with its length, pass `announcedBytes`,
 * so that no more is unpacked than the file claims to be.
 *
 * @param source what to call the bytes' origin in errors, usually a path
 * @throws DataError if the data are damaged or cut off, or unpack to more
 */
export function decompress(bytes: Uint8Array, source: string, size: UnpackedSize = {}): Uint8Array {
  let allowed = size.maximumBytes ?? largestFileBytes;
  try {
    allowed = Math.min(allowed, announcedSize(bytes, size, allowed) ?? Infinity);
    return gunzipSync(bytes, { maxOutputLength: allowed });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new DataError(`the gzip data of ${source} unpack to more than the ${formatBytes(allowed)} that are allowed`, {
        fix: 'write or copy it again',
      });
    }
    if (error instanceof DataError) throw error;
    throw new DataError(`the gzip data of ${source} are damaged: ${messageOf(error)}`, { fix: 'write or copy it again' });
  }
}

/** Unpacks longer and longer starts until one tells the length. A byte of gzip holds at most about a thousand. */
function announcedSize(bytes: Uint8Array, { announcedBytes }: UnpackedSize, maxOutputLength: number): number | undefined {
  if (announcedBytes === undefined) return undefined;
  for (let taken = 4096; ; taken *= 4) {
    const start = gunzipSync(bytes.subarray(0, taken), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength });
    const announced = announcedBytes(start);
    if (announced !== undefined || taken >= bytes.length) return announced;
  }
}
