/** A frozen file, loaded: what it says of itself, and a session that runs it. */
import { writeFileAtomic } from '../util/atomic-file.ts';
import { requireFrozenName } from '../util/file-names.ts';
import { bytesFor, decompress, startsAsGzip } from '../util/gzip.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { readFrozenMetadata, type FrozenAccuracy, type FrozenMetadata } from './metadata.ts';
import { openSession, type RuntimeOptions, type RuntimeSession } from './onnx-runtime.ts';

export interface FrozenModel {
  readonly path: string;
  /** Uncompressed. */
  readonly sizeBytes: number;
  readonly metadata: FrozenMetadata;
  readonly session: RuntimeSession;
}

/** As large as a frozen file may be, compressed or not: some ten times the largest network of the models. */
const largestFileBytes = 2 ** 29;

export interface FrozenFile {
  /** Those of the ONNX file; of a compressed one, those that were compressed. */
  readonly bytes: Uint8Array;
  readonly metadata: FrozenMetadata;
}

/**
 * Loads a frozen file, which may be compressed with gzip. The caller disposes of its session.
 *
 * @throws AblateError if it cannot be read; DataError if it is no file of `ablate freeze`, or damaged
 */
export async function openFrozenModel(path: string, options: RuntimeOptions = {}): Promise<FrozenModel> {
  const { bytes, metadata } = readFrozenFile(path);
  return { path, sizeBytes: bytes.length, metadata, session: await openSession(bytes, path, options) };
}

/**
 * Reads a frozen file, which may be compressed with gzip, and checks it.
 *
 * @throws as `openFrozenModel`
 */
export function readFrozenFile(path: string): FrozenFile {
  const content = readRegularFile(path, largestFileBytes);
  // No ONNX file starts so: its first byte would be a field of a wire type that does not exist.
  const bytes = startsAsGzip(content) ? decompress(content, path, { maximumBytes: largestFileBytes }) : content;
  return { bytes, metadata: readFrozenMetadata(bytes, path) };
}

/**
 * Writes what `freeze` or `quantize` has made, whole or not at all; a file that is there is replaced.
 *
 * @param path ends in .onnx, or in .onnx.gz to be compressed
 * @param accuracy to be recorded in the file (`accuracyRecord`); default none
 * @returns the bytes on the disk
 * @throws ConfigurationError for another name; AblateError if it cannot be written
 */
export function writeFrozenFile(
  path: string,
  { encode }: { encode(accuracy: FrozenAccuracy | null): Uint8Array },
  accuracy: FrozenAccuracy | null = null,
): number {
  requireFrozenName(path);
  const bytes = bytesFor(path, encode(accuracy));
  writeFileAtomic(path, bytes);
  return bytes.length;
}
