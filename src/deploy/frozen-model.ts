/** A frozen file, loaded: what it says of itself, and a session that runs it. */
import { readFileSync } from 'node:fs';
import { fileError } from '../util/file-error.ts';
import { decompress, startsAsGzip } from '../util/gzip.ts';
import { readFrozenMetadata, type FrozenMetadata } from './metadata.ts';
import { openSession, type RuntimeOptions, type RuntimeSession } from './onnx-runtime.ts';

export interface FrozenModel {
  readonly path: string;
  /** Uncompressed. */
  readonly sizeBytes: number;
  readonly metadata: FrozenMetadata;
  readonly session: RuntimeSession;
}

/**
 * Loads a frozen file, which may be compressed with gzip. The caller disposes of its session.
 *
 * @throws AblateError if it cannot be read; DataError if it is no file of `ablate freeze`, or damaged
 */
export async function openFrozenModel(path: string, options: RuntimeOptions = {}): Promise<FrozenModel> {
  const bytes = readFrozenFile(path);
  const metadata = readFrozenMetadata(bytes, path);
  return { path, sizeBytes: bytes.length, metadata, session: await openSession(bytes, path, options) };
}

/**
 * The bytes of an ONNX file; of a compressed one, those that were compressed.
 *
 * @throws AblateError if the file cannot be read; DataError if its gzip data are damaged
 */
export function readFrozenFile(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError('read', path, error);
  }
  // No ONNX file starts so: its first byte would be a field of a wire type that does not exist.
  return startsAsGzip(bytes) ? decompress(bytes, path) : bytes;
}
