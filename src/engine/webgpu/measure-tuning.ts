/** Which tiles suit a device: a short measurement of products like those of small networks. */
import { chooseSplits, chooseTile, type ProductSize, type Tile, type Tuning } from './tuning.ts';

export interface TuningChoices {
  /** Of all widths. */
  readonly tiles: readonly Tile[];
  /** Numbers of filters, ascending, for which tiles are chosen. */
  readonly columns: readonly number[];
  /** Of products with many rows, as the large layers of a batch have them, and with few. */
  readonly rows: { readonly many: number; readonly few: number };
  readonly depth: number;
  /** Numbers of workgroups over which long sums may be split, ascending, and the length of such a sum. */
  readonly workgroups: readonly number[];
  readonly longDepth: number;
}

const tile = (rows: number, columns: number, depth: number, threadRows: number, threadColumns: number): Tile => {
  return { rows, columns, depth, threadRows, threadColumns };
};

/** A convolution of 3x3 over 64 channels has a depth of 576; a batch of 128 images of 16x16 has 32,768 rows, of 4x4 2,048. */
export const gpuChoices: TuningChoices = {
  tiles: [
    tile(128, 128, 8, 8, 8),
    tile(128, 128, 16, 8, 8),
    tile(64, 128, 16, 8, 8),
    tile(128, 64, 8, 8, 8),
    tile(128, 64, 16, 8, 8),
    tile(128, 64, 16, 8, 4),
    tile(64, 64, 16, 8, 4),
    tile(64, 64, 16, 4, 4),
    tile(64, 64, 32, 4, 4),
    tile(32, 64, 16, 4, 4),
    tile(128, 32, 16, 8, 4),
    tile(128, 32, 16, 4, 4),
    tile(64, 32, 16, 4, 4),
    tile(32, 32, 16, 4, 4),
    tile(128, 16, 16, 8, 4),
    tile(128, 16, 16, 4, 4),
    tile(64, 16, 16, 4, 4),
  ],
  columns: [16, 32, 64, 128],
  rows: { many: 32_768, few: 2048 },
  depth: 576,
  workgroups: [128, 256, 512, 1024, 2048],
  longDepth: 32_768,
};

/** A larger number of workgroups must be worth the larger sum of parts behind it. */
const worthwhile = 0.95;

/**
 * The fastest tile of each width for many rows and for few, where a wider one is faster than a narrower; and over how many workgroups long sums are split.
 *
 * @param time the milliseconds of a product in tiles, its sums split in so many parts
 */
export async function measureTuning(
  base: Tuning,
  choices: TuningChoices,
  time: (tile: Tile, splits: number, size: ProductSize) => Promise<number>,
): Promise<Tuning> {
  const { rows, depth, longDepth } = choices;
  const fastest = async (tiles: readonly Tile[], size: { readonly rows: number; readonly columns: number }): Promise<Tile> => {
    let best: { readonly tile: Tile; readonly ms: number } | undefined;
    for (const candidate of tiles) {
      const ms = await time(candidate, 1, { ...size, depth, groups: 1 });
      if (best === undefined || ms < best.ms) best = { tile: candidate, ms };
    }
    return best!.tile;
  };
  const chosen: Tile[] = [];
  for (const columns of choices.columns) {
    const own = choices.tiles.filter((each) => each.columns === columns);
    // What a narrower width has won with competes again: if it wins, this width is not needed.
    const many = await fastest([...chosen, ...own], { rows: rows.many, columns });
    if (many.columns !== columns) continue;
    const few = await fastest(own, { rows: rows.few, columns });
    chosen.unshift(...(few.rows < many.rows ? [many, few] : [many]));
  }
  let best: { readonly workgroups: number; readonly ms: number } | undefined;
  for (const workgroups of choices.workgroups) {
    const tuning = { ...base, tiles: chosen, workgroups };
    const size = { rows: depth, columns: 64, depth: longDepth, groups: 1 };
    const chosenTile = chooseTile(tuning, size);
    const ms = await time(chosenTile, chooseSplits(tuning, chosenTile, size), size);
    if (best === undefined || ms < worthwhile * best.ms) best = { workgroups, ms };
  }
  return { ...base, tiles: chosen, workgroups: best!.workgroups };
}
