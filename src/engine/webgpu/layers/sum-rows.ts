/** Sums over a batch's pixels for each channel, in two ordered passes: threads sum parts of the rows, then one for each channel adds the parts. */
import { use, type Lowering } from '../lowering.ts';
import type { Pass, Use } from '../program.ts';
import { indexText, type View } from '../tensor.ts';

export interface SumRowsOptions {
  readonly layer: string;
  readonly pass: Pass;
  readonly rows: number;
  readonly channels: number;
  /** Elements of the row and channel, by the names that `terms` have for them. */
  readonly inputs: Readonly<Record<string, View>>;
  /** What else the terms read. */
  readonly uses?: readonly Use[];
  readonly declarations?: string;
  /** Lines before the rows, which know `channel`. */
  readonly prepare?: string;
  /** Texts of what is summed. */
  readonly terms: readonly string[];
  /** What becomes of the sums, `sum0`, `sum1`, ... of `channel`. */
  readonly finish: { readonly uses: readonly Use[]; readonly code: string };
}

/** Rows that each thread takes, and how many threads that makes for a channel. */
export function chunksOf(c: Lowering, rows: number): { readonly chunks: number; readonly chunkRows: number } {
  const chunkRows = Math.max(4, Math.ceil(rows / c.tuning.chunks));
  return { chunks: Math.ceil(rows / chunkRows), chunkRows };
}

export function sumRows(c: Lowering, options: SumRowsOptions): void {
  const { layer, pass, rows, channels, inputs, terms, finish, declarations = '', prepare = '' } = options;
  const { chunks, chunkRows } = chunksOf(c, rows);
  const parts = c.builder.storage(`parts of ${layer}`, chunks * channels * terms.length);
  const place = (chunk: string, term: number) => `(${chunk} * ${terms.length}u + ${term}u) * ${channels}u + channel`;
  c.threads(
    layer,
    pass,
    chunks * channels,
    [
      ...Object.entries(inputs).map(([name, view]) => use(`${name}Values`, view, 1)),
      ...(options.uses ?? []),
      { name: 'parts', type: 'f32', storage: parts, written: true },
    ],
    `  let channel = i % ${channels}u;
  let chunk = i / ${channels}u;
${prepare}
${terms.map((_, t) => `  var sum${t} = 0.0;`).join('\n')}
  let last = min((chunk + 1u) * ${chunkRows}u, ${rows}u);
  for (var row = chunk * ${chunkRows}u; row < last; row++) {
${Object.entries(inputs)
  .map(([name, view]) => `    let ${name} = ${name}Values[${indexText(view, 'row', 'channel', 1)}];`)
  .join('\n')}
${terms.map((term, t) => `    sum${t} += ${term};`).join('\n')}
  }
${terms.map((_, t) => `  parts[${place('chunk', t)}] = sum${t};`).join('\n')}`,
    declarations,
  );
  c.threads(
    layer,
    pass,
    channels,
    [{ name: 'parts', type: 'f32', storage: parts }, ...finish.uses],
    `  let channel = i;
${terms.map((_, t) => `  var sum${t} = 0.0;`).join('\n')}
  for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
${terms.map((_, t) => `    sum${t} += parts[${place('chunk', t)}];`).join('\n')}
  }
${finish.code}`,
  );
}
