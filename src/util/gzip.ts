/** Files that may be compressed with gzip: written so where their name ends in `.gz`, and recognized by their first bytes when read. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { DataError, messageOf } from './errors.ts';

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

/**
 * @param source what to call the bytes' origin in errors, usually a path
 * @throws DataError if the data are damaged or cut off
 */
export function decompress(bytes: Uint8Array, source: string): Uint8Array {
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw new DataError(`the gzip data of ${source} are damaged: ${messageOf(error)}`, { fix: 'write or copy it again' });
  }
}
