import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePng } from '../../src/runs/png.ts';
import { uint32 } from '../../src/util/random.ts';

/** A folder of images for `--data images:<root>`: two classes of noise, dark and bright. `seed` makes others. */
export function writeNoiseImages(root: string, seed = 0): void {
  for (const [split, count] of [
    ['train', 40],
    ['test', 11],
  ] as const) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 128],
    ] as const) {
      mkdirSync(join(root, split, label), { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: 32 * 32 * 3 }, (_, k) => base + (uint32(base + i + 1000 * seed, k) % 128));
        writeFileSync(join(root, split, label, `${i}.png`), encodePng({ width: 32, height: 32, channels: 3, samples }));
      }
    }
  }
}
