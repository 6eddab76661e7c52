/** CIFAR-10's files: missing, of another size, of the wrong content, or no files at all. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { anotherFile } from '../mutate-bytes.ts';

const fileBytes = 30_730_000;
const names = [...[1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`), 'test_batch.bin'];

const commands: readonly (readonly string[])[] = [
  ['data', 'verify'],
  ['data', 'show'],
  ['train', 'tuto', '--steps', '1', '--batch-size', '4', '--threads', '1'],
  ['train', 'tuto', '--data', 'images:no-data', '--steps', '1'],
  ['bench', 'train', 'tuto', '--data', 'cifar10', '--steps', '1', '--warm-up', '1', '--repetitions', '1', '--batch-size', '4'],
];

export const dataFiles: Family = ({ folder, draw }) => {
  const set = join(folder, 'no-data', draw.pick(['', 'cifar-10-batches-bin']));
  mkdirSync(set, { recursive: true });
  const odd = draw.pick(names);
  for (const name of names) if (name !== odd) sparse(join(set, name), fileBytes, draw);
  return { what: `${odd}: ${makeOdd(join(set, odd), draw)}`, args: draw.pick(commands), refused: true };
};

function makeOdd(path: string, draw: Draw): string {
  switch (draw.below(4)) {
    case 0:
      return 'missing';
    case 1: {
      const size = draw.pick([0, 1, fileBytes - 1, fileBytes + 1, 2 * fileBytes, 8e9, 4e12]);
      sparse(path, size, draw);
      return `${size} bytes`;
    }
    case 2: {
      const { bytes, what } = anotherFile(draw);
      writeFileSync(path, bytes);
      return what;
    }
    default:
      mkdirSync(path);
      return 'a folder';
  }
}

/** Of zeros but for one byte, without taking room on the disk. */
function sparse(path: string, size: number, draw: Draw): void {
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, size);
  if (size > 0) writeSync(descriptor, Uint8Array.of(draw.below(256)), 0, 1, draw.below(Math.min(size, fileBytes)));
  closeSync(descriptor);
}
