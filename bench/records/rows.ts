/**
 * Records of measurements: one file a question, and in it a row for each thing that was measured and what it was measured on. Measured again, the newest row
 * takes the place of the one before; what another processor, library or precision gave stays beside it.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { EnvironmentRecord } from '../../src/runs/environment.ts';
import { writeFileAtomic } from '../../src/util/atomic-file.ts';

/** What a row is of: rows that agree in all but `commit` and `date` measure the same thing. */
export interface RowKey {
  readonly model: string;
  /** As the operating system names it. */
  readonly processor: string;
  /** The widest vectors that it has, which decide which kernels run. */
  readonly instructions: string;
  /** With its version. */
  readonly library: string;
  readonly precision: string;
  readonly threads: number;
  /** Of ablate. */
  readonly commit: string | undefined;
  /** ISO 8601. */
  readonly date: string;
}

export interface RowsRecord<Row extends RowKey> {
  readonly what: string;
  /** That measures anew. */
  readonly command: string;
  readonly rows: readonly Row[];
}

/** The first that a processor has decides. */
const widest = [
  ['avx512_bf16', 'AVX-512 with bf16'],
  ['avx512f', 'AVX-512'],
  ['avx2', 'AVX2'],
  ['neon', 'NEON'],
] as const;

/** What the rows of one measurement share. */
export function measuredOn(
  { cpu, git, date }: Pick<EnvironmentRecord, 'cpu' | 'git' | 'date'>,
  given: Pick<RowKey, 'library' | 'precision' | 'threads'>,
): Omit<RowKey, 'model'> {
  const instructions = widest.find(([set]) => cpu.instructionSets.includes(set))?.[1] ?? 'other';
  return { processor: cpu.model, instructions, ...given, commit: git?.commit, date };
}

/** All rows, of each thing the newest, in the order of `now` and then of those before. */
export function mergeRows<Row extends RowKey>(earlier: readonly Row[], now: readonly Row[]): readonly Row[] {
  const newest = new Map<string, Row>();
  for (const row of [...now, ...earlier]) {
    const { model, processor, instructions, library, precision, threads } = row;
    const key = JSON.stringify([instructions, processor, library, precision, threads, model]);
    const known = newest.get(key);
    if (known === undefined || row.date > known.date) newest.set(key, row);
  }
  return [...newest.values()];
}

/** Writes the record with the rows that it had, but for those that were measured anew. */
export function recordRows<Row extends RowKey>(path: string, { what, command, rows }: RowsRecord<Row>): void {
  const earlier = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as RowsRecord<Row>).rows : [];
  const record: RowsRecord<Row> = { what, command, rows: mergeRows(earlier, rows) };
  writeFileAtomic(path, `${JSON.stringify(record, undefined, 2)}\n`);
}
