/** The six files of CIFAR-10's binary version: their names, layout and published contents, and what can be wrong with a copy. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../util/file-error.ts';
import { recognizeFile } from '../util/file-kind.ts';
import { openRegularFile, readStart } from '../util/regular-file.ts';

export interface Cifar10File {
  readonly name: string;
  readonly split: 'train' | 'test';
  /** In hexadecimal, of the file in the archive that the University of Toronto distributes. */
  readonly sha256: string;
}

/** In the order of the data set. */
export const cifar10Files: readonly Cifar10File[] = [
  train(1, 'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5'),
  train(2, 'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed'),
  train(3, 'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67'),
  train(4, '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48'),
  train(5, '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add'),
  { name: 'test_batch.bin', split: 'test', sha256: '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b' },
];

function train(number: number, sha256: string): Cifar10File {
  return { name: `data_batch_${number}.bin`, split: 'train', sha256 };
}

/** The folder in the archive that holds the files. */
export const cifar10FolderName = 'cifar-10-batches-bin';

export const recordsPerFile = 10_000;
/** A label byte, then 1,024 bytes each of red, green and blue, row by row. */
export const recordBytes = 1 + 3 * 32 * 32;
export const fileBytes = recordsPerFile * recordBytes;
const classCount = 10;

/** The contents of a file, or what is wrong with it: `is missing`, `is truncated: ...`. */
export type Cifar10FileContents =
  | { readonly file: Cifar10File; readonly bytes: Uint8Array; readonly problem?: never }
  | { readonly file: Cifar10File; readonly problem: string };

/**
 * Reads and checks one file: size, labels, sha256. Of a file with another size only the start is read.
 *
 * @throws AblateError if the file is there and cannot be read, or is no regular file
 */
export function readCifar10File(folder: string, file: Cifar10File): Cifar10FileContents {
  const path = join(folder, file.name);
  if (!existsSync(path)) return { file, problem: 'is missing' };
  const { descriptor, sizeBytes } = openRegularFile(path);
  try {
    if (sizeBytes !== fileBytes) return { file, problem: problemWithSize(sizeBytes, readStart(descriptor, 1024)) };
    const bytes = readStart(descriptor, fileBytes);
    const problem = problemWith(bytes, file);
    return problem === undefined ? { file, bytes } : { file, problem };
  } catch (error) {
    throw fileError('read', path, error);
  } finally {
    closeSync(descriptor);
  }
}

function problemWithSize(sizeBytes: number, start: Uint8Array): string {
  const kind = recognizeFile(start);
  if (kind !== undefined) return `is ${kind.name}${kind.fix === undefined ? '' : ` (${kind.fix})`}`;
  if (sizeBytes < fileBytes) return `is truncated: ${sizeBytes} of ${fileBytes} bytes`;
  return `is too long: ${sizeBytes} bytes, not ${fileBytes}`;
}

function problemWith(bytes: Uint8Array, file: Cifar10File): string | undefined {
  for (let record = 0; record < recordsPerFile; record++) {
    const label = bytes[record * recordBytes]!;
    if (label >= classCount) return `is corrupt: the label of record ${record} (=${label}) must be below ${classCount}`;
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 === file.sha256) return undefined;
  const other = cifar10Files.find((candidate) => candidate.sha256 === sha256);
  if (other !== undefined) return `has the contents of ${other.name}`;
  return `is corrupt: its sha256 is ${sha256}, the published one ${file.sha256}`;
}
