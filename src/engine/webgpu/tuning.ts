/** What fits an adapter: the sizes of tiles and of workgroups. Results of the same device do not depend on anything else. */

/** Of a tiled product: what a workgroup computes, and each of its threads. All are multiples of four, and there is a thread for every four columns. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Products summed between two meetings of the workgroup. */
  readonly depth: number;
}

export interface Tuning {
  /** Threads of a workgroup in kernels whose threads do not meet. */
  readonly workgroupSize: number;
  /** Widest first; the first that a product fills is taken. */
  readonly tiles: readonly Tile[];
  /** Workgroups that keep the device busy: long sums are split until there are about as many. */
  readonly workgroups: number;
  /** The least part of a sum that is worth a workgroup of its own. */
  readonly leastDepth: number;
  /** Threads along the batch that each sum a part of a channel's elements. */
  readonly chunks: number;
}

/** Of GPUs: two warps or more a workgroup, and results by the thread as many as registers hold. */
export const gpuTuning: Tuning = {
  workgroupSize: 256,
  tiles: [
    { rows: 128, columns: 64, threadRows: 8, threadColumns: 8, depth: 16 },
    { rows: 64, columns: 64, threadRows: 8, threadColumns: 4, depth: 16 },
    { rows: 64, columns: 32, threadRows: 4, threadColumns: 4, depth: 16 },
    { rows: 64, columns: 16, threadRows: 4, threadColumns: 4, depth: 16 },
  ],
  workgroups: 512,
  leastDepth: 128,
  chunks: 256,
};

/**
 * Of SwiftShader, on which the tests run: it translates the text of a kernel once for every four threads that meet, so that a large workgroup takes
 * seconds to translate.
 */
export const softwareTuning: Tuning = {
  workgroupSize: 64,
  tiles: [{ rows: 8, columns: 8, threadRows: 4, threadColumns: 4, depth: 8 }],
  workgroups: 8,
  leastDepth: 16,
  chunks: 8,
};

/** What is measured of a tuning, for the record of a run: `tiles 128x64x16/8x8 64x16x16/4x4; 512 workgroups`. */
export function tuningText({ tiles, workgroups }: Tuning): string {
  return `tiles ${tiles.map(tileText).join(' ')}; ${workgroups} workgroups`;
}

/** `128x64x16/8x8`: rows, columns and depth of a tile, and rows and columns of a thread. */
function tileText({ rows, columns, depth, threadRows, threadColumns }: Tile): string {
  return `${rows}x${columns}x${depth}/${threadRows}x${threadColumns}`;
}

/** The tuning that such a text is of, in all else like `base`; undefined for any other text, and for tiles that no device is sure to have room for. */
export function parseTuning(text: string, base: Tuning): Tuning | undefined {
  const [, list, workgroups] = /^tiles ((?:[\dx/]+ ?)+); (\d{1,6}) workgroups$/.exec(text) ?? [];
  if (list === undefined || workgroups === undefined || Number(workgroups) === 0) return undefined;
  const tiles = list.split(' ').map(parseTile);
  if (!tiles.every((tile) => tile !== undefined)) return undefined;
  return { ...base, tiles, workgroups: Number(workgroups) };
}

/** What every WebGPU device has at least: threads of a workgroup, and bytes that they share. */
const threadsOfAll = 256;
const sharedBytesOfAll = 16_384;

function parseTile(text: string): Tile | undefined {
  const numbers = /^(\d{1,4})x(\d{1,4})x(\d{1,4})\/(\d{1,2})x(\d{1,2})$/.exec(text)?.slice(1).map(Number);
  if (numbers === undefined) return undefined;
  const [rows, columns, depth, threadRows, threadColumns] = numbers as [number, number, number, number, number];
  const isWhole = numbers.every((n) => n > 0 && n % 4 === 0) && rows % threadRows === 0 && columns % threadColumns === 0;
  const threads = (rows / threadRows) * (columns / threadColumns);
  const fits = threads <= threadsOfAll && threads >= columns / 4 && 4 * depth * (rows + columns) <= sharedBytesOfAll;
  return isWhole && fits ? { rows, columns, threadRows, threadColumns, depth } : undefined;
}

export interface ProductSize {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly groups: number;
}

/** The tile that a product of this size fills best: of those no wider than it needs, the first that makes enough workgroups, else the smallest. */
export function chooseTile({ tiles, workgroups }: Tuning, { rows, columns, groups }: ProductSize): Tile {
  const least = Math.min(...tiles.map((tile) => tile.columns));
  const needed = Math.max(least, 2 ** Math.ceil(Math.log2(columns)));
  const narrow = tiles.filter((tile) => tile.columns <= needed);
  const widest = Math.max(...narrow.map((tile) => tile.columns));
  const candidates = narrow.filter((tile) => tile.columns === widest);
  const count = (tile: Tile) => groups * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
  return candidates.find((tile) => count(tile) >= workgroups / 2) ?? candidates.at(-1)!;
}

/** Into how many workgroups the sums of a product are split. */
export function chooseSplits(
  { workgroups, leastDepth }: Tuning,
  tile: Tile,
  { rows, columns, depth, groups }: ProductSize,
): number {
  const tiles = groups * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
  const wanted = Math.floor(workgroups / tiles);
  const possible = Math.floor(depth / Math.max(leastDepth, tile.depth));
  return Math.max(1, Math.min(wanted, possible));
}
