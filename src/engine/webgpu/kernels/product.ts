/**
 * One generator of tiled matrix products, of which convolutions and dense layers are made, forward and backward:
 *
 *     c[row, column] = sum over depth of a[row, depth] * b[depth, column]
 *
 * What a and b are, and what becomes of c, is given as text. A workgroup computes a tile of c; its threads fetch tiles of a and b, in blocks of 4x4 and the next
 * ones while they multiply where four elements may be read at once, and keep their results in named vectors (indexed private arrays end up in memory). Long sums are split over workgroups, whose
 * parts a second kernel adds in order: the same device makes the same bits.
 */
import { largestDepth } from '../gpu.ts';
import type { Tile } from '../tuning.ts';
import { shader, threadIndex, type ShaderBuffer } from './shader.ts';

/** A matrix that is multiplied. */
export interface Operand {
  /** Along which index `width` elements are read at once: the rows of a or columns of b (`outer`), or the depth. */
  readonly along: 'outer' | 'depth';
  readonly width: 1 | 4;
  /**
   * Texts of an element, or of four, by `outer` and `depth` (u32): lines before, whether there is one (else it is zero), and its value, which is asked for anyway.
   * There are no branches, which would cost more than what they save. `group` is the number of the group.
   */
  readonly prepare?: string;
  readonly inside?: string;
  readonly value: string;
}

/** What becomes of a result. */
export interface Store {
  /** Columns at a time. */
  readonly width: 1 | 4;
  /** Body of a procedure of `row`, `column` (u32) and `value` (f32, or vec4f). `group` is the number of the group. */
  readonly code: string;
}

export interface ProductOptions {
  readonly tile: Tile;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Products side by side. */
  readonly groups: number;
  readonly splits: number;
  readonly buffers: readonly ShaderBuffer[];
  /** Numbers of the moment that loads and stores use. */
  readonly parameters?: Readonly<Record<string, 'f32' | 'u32'>>;
  /** What loads and stores call. */
  readonly declarations: string;
  readonly a: Operand;
  readonly b: Operand;
  readonly store: Store;
  /** The sums over the depth of b's columns, too: body of a procedure of `column` and `value` (f32). */
  readonly columnSums?: string;
}

/** Of the buffer with the parts of split sums: `[splits][groups][rows, columns]`, behind each of which are its column sums. */
export function partsLength({ rows, columns, groups, splits, columnSums }: ProductOptions): number {
  return splits === 1 ? 0 : splits * groups * (rows + (columnSums === undefined ? 0 : 1)) * columns;
}

export function productWorkgroups({ tile, rows, columns, groups, splits }: ProductOptions): readonly [number, number, number] {
  const [down, across] = [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns)];
  // What is too long for the first dimension goes on in the second.
  return down <= largestDepth
    ? [down, across, groups * splits]
    : [largestDepth, across * Math.ceil(down / largestDepth), groups * splits];
}

/** Text that makes `rowTile` and `columnTile` a workgroup's own. */
function placeText({ tile, rows, columns }: ProductOptions): string {
  const [down, across] = [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns)];
  if (down <= largestDepth) return '  let rowTile = workgroup.x;\n  let columnTile = workgroup.y;';
  return `  let rowTile = workgroup.x + workgroup.y / ${across}u * ${largestDepth}u;
  let columnTile = workgroup.y % ${across}u;
  if (rowTile >= ${down}u) { return; }`;
}

export function productThreads({ rows, columns, threadRows, threadColumns }: Tile): number {
  return (rows / threadRows) * (columns / threadColumns);
}

/** @param options with splits above 1, the last buffer is that of the parts, `parts: array<f32>`, and the stores are those of `sumText` */
export function productText(options: ProductOptions): string {
  const { tile, rows, columns, depth, groups, splits, a, b, columnSums } = options;
  const threads = productThreads(tile);
  const [rowGroups, columnGroups] = [tile.rows / 4, tile.columns / 4];
  const [threadsDown, threadsAcross] = [tile.rows / tile.threadRows, tile.columns / tile.threadColumns];
  const [down, across] = [tile.threadRows / 4, tile.threadColumns / 4];
  const fetchA = fetchText('a', a, rowGroups, tile.depth, threads, 'tileRow');
  const fetchB = fetchText('b', b, columnGroups, tile.depth, threads, 'tileColumn');
  const results = range(tile.threadRows).flatMap((row) => range(across).map((column) => ({ row, column })));
  const splitDepth = Math.ceil(Math.ceil(depth / tile.depth) / splits) * tile.depth;
  const sums = columnSums !== undefined;
  const fits = depth % tile.depth === 0;
  const body = `
${placeText(options)}
  let tileRow = rowTile * ${tile.rows}u;
  let tileColumn = columnTile * ${tile.columns}u;
  ${groups === 1 ? '' : `group = workgroup.z % ${groups}u;`}
  ${splits === 1 ? '' : `let ownSplit = workgroup.z / ${groups}u;\n  split = ownSplit;`}
  let threadRow = local / ${threadsAcross}u;
  let threadColumn = local % ${threadsAcross}u;
  let first = ${splits === 1 ? '0u' : `ownSplit * ${splitDepth}u`};
  let last = ${splits === 1 ? `${depth}u` : `min(first + ${splitDepth}u, ${depth}u)`};
${results.map(({ row, column }) => `  var c${row}_${column} = vec4f();`).join('\n')}
${sums ? '  var columnSums = vec4f();' : ''}
${fetchA.variables}
${fetchB.variables}
  for (var at = first; ; at += ${tile.depth}u) {
    // The next tiles are on their way while the last ones are multiplied.
    if (at < last) {
${fetchA.load}
${fetchB.load}
    }
    if (at > first) {
${sums ? `      if (rowTile == 0u && local < ${columnGroups}u) { for (var d = 0u; d < ${tile.depth}u; d++) { columnSums += tileB[d * ${columnGroups}u + local]; } }` : ''}
    for (var d = 0u; d < ${tile.depth}u; d++) {
${range(down)
  .map((g) => `      let a${g} = tileA[d * ${rowGroups}u + threadRow + ${g * threadsDown}u];`)
  .join('\n')}
${range(across)
  .map((g) => `      let b${g} = tileB[d * ${columnGroups}u + threadColumn + ${g * threadsAcross}u];`)
  .join('\n')}
${results.map(({ row, column }) => `      c${row}_${column} += a${row >> 2}[${row & 3}] * b${column};`).join('\n')}
      }
    }
    if (at >= last) { break; }
    workgroupBarrier();
${fetchA.store}
${fetchB.store}
    workgroupBarrier();
  }
${results
  .map(({ row, column }) => {
    const rowText = `tileRow + (threadRow + ${(row >> 2) * threadsDown}u) * 4u + ${row & 3}u`;
    const columnText = `tileColumn + (threadColumn + ${column * threadsAcross}u) * 4u`;
    return `  keep(${rowText}, ${columnText}, c${row}_${column});`;
  })
  .join('\n')}
${
  sums
    ? `  if (rowTile == 0u && local < ${columnGroups}u) {
${range(4)
  .map(
    (j) =>
      `    if (tileColumn + local * 4u + ${j}u < ${columns}u) { keepSum(tileColumn + local * 4u + ${j}u, columnSums[${j}]); }`,
  )
  .join('\n')}
  }`
    : ''
}`;
  const split = splits > 1;
  return shader({
    buffers: options.buffers,
    ...(options.parameters !== undefined && { parameters: options.parameters }),
    workgroupSize: threads,
    depth: groups * splits,
    declarations: `${options.declarations}
${groups === 1 ? 'const group = 0u;' : 'var<private> group: u32;'}
${split ? 'var<private> split: u32;' : ''}
var<workgroup> tileA: array<vec4f, ${tile.depth * rowGroups}>;
var<workgroup> tileB: array<vec4f, ${tile.depth * columnGroups}>;
${operandText('A', a, rows % tile.rows === 0 && fits, rows, depth)}
${operandText('B', b, columns % tile.columns === 0 && fits, columns, depth)}
${split ? partsStoreText(options) : `${storeText(options)}\n${keepText(options)}`}
`,
    body,
  });
}

/** Adds the parts of split sums in order, and does with them what the product would have done. The last buffer is that of the parts. */
export function sumText(options: ProductOptions, workgroupSize: number): string {
  const { rows, columns, groups, splits, columnSums } = options;
  const { width } = options.store;
  const section = partSection(options);
  const perSplit = groups * section;
  const across = columns / width;
  const type = width === 4 ? 'vec4f' : 'f32';
  const products = groups * rows * across;
  const load = (index: string) =>
    width === 4 ? `vec4f(parts[${index}], parts[${index} + 1u], parts[${index} + 2u], parts[${index} + 3u])` : `parts[${index}]`;
  return shader({
    buffers: options.buffers.map((buffer) => (buffer.name === 'parts' ? { ...buffer, type: 'f32', written: false } : buffer)),
    workgroupSize,
    declarations: `${options.declarations}
${groups === 1 ? 'const group = 0u;' : 'var<private> group: u32;'}
${storeText(options)}`,
    body: `${threadIndex(sumThreads(options), workgroupSize)}
  if (i < ${products}u) {
    let column = i % ${across}u * ${width}u;
    let row = i / ${across}u % ${rows}u;
    ${groups === 1 ? '' : `group = i / ${across * rows}u;`}
    var value = ${type}();
    for (var split = 0u; split < ${splits}u; split++) {
      let start = split * ${perSplit}u + group * ${section}u + row * ${columns}u + column;
      value += ${load('start')};
    }
    store(row, column, value);
  }
${
  columnSums === undefined
    ? ''
    : `  if (i >= ${products}u) {
    let column = (i - ${products}u) % ${columns}u;
    ${groups === 1 ? '' : `group = (i - ${products}u) / ${columns}u;`}
    var value = 0.0;
    for (var split = 0u; split < ${splits}u; split++) {
      value += parts[split * ${perSplit}u + group * ${section}u + ${rows * columns}u + column];
    }
    keepSum(column, value);
  }`
}`,
  });
}

export function sumThreads({ rows, columns, groups, store, columnSums }: ProductOptions): number {
  return groups * rows * (columns / store.width) + (columnSums === undefined ? 0 : groups * columns);
}

/** Elements of a group in the parts of a split. */
function partSection({ rows, columns, columnSums }: ProductOptions): number {
  return (rows + (columnSums === undefined ? 0 : 1)) * columns;
}

function storeText({ store, columnSums }: ProductOptions): string {
  const type = store.width === 4 ? 'vec4f' : 'f32';
  return `fn store(row: u32, column: u32, value: ${type}) {
${store.code}
}
${columnSums === undefined ? '' : `fn keepSum(column: u32, value: f32) {\n${columnSums}\n}`}`;
}

/** Four results in a row, as far as they are inside. */
function keepText({ rows, columns, store }: ProductOptions): string {
  const stores =
    store.width === 4
      ? 'store(row, column, value);'
      : range(4)
          .map((j) => `if (column + ${j}u < ${columns}u) { store(row, column + ${j}u, value[${j}]); }`)
          .join('\n  ');
  return `fn keep(row: u32, column: u32, value: vec4f) {
  if (row >= ${rows}u || column >= ${columns}u) { return; }
  ${stores}
}`;
}

function partsStoreText(options: ProductOptions): string {
  const { rows, columns, groups, columnSums } = options;
  const section = partSection(options);
  const start = `(split * ${groups}u + group) * ${section}u`;
  return `fn keep(row: u32, column: u32, value: vec4f) {
  if (row >= ${rows}u) { return; }
  let start = ${start} + row * ${columns}u + column;
${range(4)
  .map((j) => `  if (column + ${j}u < ${columns}u) { parts[start + ${j}u] = value[${j}]; }`)
  .join('\n')}
}
${columnSums === undefined ? '' : `fn keepSum(column: u32, value: f32) { parts[${start} + ${rows * columns}u + column] = value; }`}`;
}

function operandText(
  name: string,
  { width, prepare = '', inside, value }: Operand,
  isWhole: boolean,
  outer: number,
  depth: number,
): string {
  const type = width === 4 ? 'vec4f' : 'f32';
  const conditions = [
    ...(isWhole ? [] : [`(outer < ${outer}u) & (depth < ${depth}u)`]),
    ...(inside === undefined ? [] : [inside]),
  ];
  const result = conditions.length === 0 ? value : `select(${type}(), ${value}, ${conditions.join(' & ')})`;
  return `fn load${name}(outer: u32, depth: u32) -> ${type} {
${prepare}
  return ${result};
}`;
}

/** Texts of how the threads bring a tile to the workgroup's memory, where four elements along its rows or columns are a vector. */
interface Fetch {
  readonly variables: string;
  /** Before the last tiles are multiplied. */
  readonly load: string;
  /** After that. */
  readonly store: string;
}

/** @param start text of the tile's first row or column */
function fetchText(name: 'a' | 'b', operand: Operand, groups: number, depth: number, threads: number, start: string): Fetch {
  return operand.width === 1
    ? fetchOnesText(name, operand, groups, depth, threads, start)
    : fetchBlocksText(name, operand, groups, depth, threads, start);
}

/** One element at a time, those of neighbours side by side in memory. */
function fetchOnesText(
  name: 'a' | 'b',
  { along }: Operand,
  groups: number,
  depth: number,
  threads: number,
  start: string,
): Fetch {
  const matrix = name.toUpperCase();
  const [outer, deep] = along === 'outer' ? [`e % ${4 * groups}u`, `e / ${4 * groups}u`] : [`e / ${depth}u`, `e % ${depth}u`];
  return {
    variables: '',
    load: '',
    store: `    for (var e = local; e < ${4 * groups * depth}u; e += ${threads}u) {
      let outer = ${outer};
      let deep = ${deep};
      tile${matrix}[deep * ${groups}u + outer / 4u][outer % 4u] = load${matrix}(${start} + outer, at + deep);
    }`,
  };
}

/** Blocks of four by four, of which a thread keeps its own while the last tiles are multiplied. */
function fetchBlocksText(
  name: 'a' | 'b',
  { along }: Operand,
  groups: number,
  depth: number,
  threads: number,
  start: string,
): Fetch {
  const matrix = name.toUpperCase();
  const blocks = (groups * depth) / 4;
  const rounds = range(Math.ceil(blocks / threads));
  const block = (round: number) => `${name}Block${round}`;
  const inside = (round: number) => (blocks % threads === 0 ? '' : `if (${block(round)} < ${blocks}u) `);
  // Of a block: which of the vectors along its rows or columns, and which four of the depth.
  const vector = (round: number) => (along === 'outer' ? `(${block(round)} % ${groups}u)` : `(${block(round)} / ${depth / 4}u)`);
  const quarter = (round: number) => (along === 'outer' ? `(${block(round)} / ${groups}u)` : `(${block(round)} % ${depth / 4}u)`);
  const loadOf = (round: number): string => {
    const kept = (j: number) => `${name}${round}_${j}`;
    const lines =
      along === 'outer'
        ? range(4).map((j) => `${kept(j)} = load${matrix}(outer, deep + ${j}u);`)
        : [
            ...range(4).map((i) => `let v${i} = load${matrix}(outer + ${i}u, deep);`),
            ...range(4).map((j) => `${kept(j)} = vec4f(v0[${j}], v1[${j}], v2[${j}], v3[${j}]);`),
          ];
    return `      ${inside(round)}{
        let outer = ${start} + ${vector(round)} * 4u;
        let deep = at + ${quarter(round)} * 4u;
        ${lines.join('\n        ')}
      }`;
  };
  const storeOf = (round: number): string => {
    const place = (j: number) => `tile${matrix}[(${quarter(round)} * 4u + ${j}u) * ${groups}u + ${vector(round)}]`;
    return `    ${inside(round)}{ ${range(4)
      .map((j) => `${place(j)} = ${name}${round}_${j};`)
      .join(' ')} }`;
  };
  const variablesOf = (round: number): string =>
    `  let ${block(round)} = local + ${round * threads}u;\n${range(4)
      .map((j) => `  var ${name}${round}_${j} = vec4f();`)
      .join('\n')}`;
  return {
    variables: rounds.map(variablesOf).join('\n'),
    load: rounds.map(loadOf).join('\n'),
    store: rounds.map(storeOf).join('\n'),
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
