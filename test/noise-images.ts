import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';

export interface NoiseImages {
  /** Pictures of each class; default 40. */
  readonly train?: number;
  /** Default 11. */
  readonly test?: number;
  /** Pixels; default 32. */
  readonly side?: number;
  /** Another makes other pictures; default 0. */
  readonly seed?: number;
}

/** A folder of pictures for `--data images:<root>`: two classes that are easy to tell apart, dark and bright noise. */
export function writeNoiseImages(root: string, { train = 40, test = 11, side = 32, seed = 0 }: NoiseImages = {}): void {
  for (const [split, count] of [
    ['train', train],
    ['test', test],
  ] as const) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 128],
    ] as const) {
      mkdirSync(join(root, split, label), { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: side * side * 3 }, (_, k) => base + (uint32(base + i + 1000 * seed, k) % 128));
        writeFileSync(join(root, split, label, `${i}.png`), encodePng({ width: side, height: side, channels: 3, samples }));
      }
    }
  }
}
