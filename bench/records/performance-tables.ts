/** The tables of docs/performance.md, from the records of steps. `npm run results` writes them, and a test keeps them true. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../../src/report/markdown-parts.ts';
import { withTable } from './results-table.ts';
import type { RowKey, RowsRecord } from './rows.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const performancePath = `${root}docs/performance.md`;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A row of step-breakdown.json. */
export interface StepRow extends RowKey {
  readonly batchSize: number;
  /** Rounds. */
  readonly n: number;
  readonly msPerStep: Spread;
  readonly ceilingFraction: Spread;
  readonly breakdownMs: Readonly<Record<string, number>>;
  readonly residentMegabytes: number;
}

/** A row of step-comparison.json. */
export interface ComparisonRow extends RowKey {
  readonly batchSize: number;
  readonly n: number;
  /** Of ablate. */
  readonly ms: Spread;
  readonly pytorch: readonly {
    readonly version: string;
    readonly precision: string;
    readonly preload: string | null;
    /** PyTorch's milliseconds over ablate's, round by round. */
    readonly ratio: Spread;
  }[];
}

const order = ['tuto', 'alex2', 'alex4', 'squeeze1', 'nin2', 'air94'];

function readRecord(name: string): unknown {
  return JSON.parse(readFileSync(`${root}docs/results/${name}.json`, 'utf8'));
}

function inOrder<Row extends RowKey>({ rows }: RowsRecord<Row>): readonly Row[] {
  return [...rows].sort((a, b) => order.indexOf(a.model) - order.indexOf(b.model));
}

/** A table for each processor, library and precision, under what it is of. */
function tables<Row extends RowKey>(rows: readonly Row[], tableOf: (rows: readonly Row[]) => string): string {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const { instructions, library, precision, threads } = row;
    const name = `${instructions}, ${library}, ${precision === 'f32' ? 'float32' : precision}, ${threads} threads`;
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, group]) => `${name}:\n\n${tableOf(group)}`)
    .join('\n\n');
}

const right = (count: number) => Array.from({ length: count }, () => 'right' as const);
const milliseconds = (ms: number) => (ms < 100 ? ms.toFixed(1) : ms.toFixed(0));

function stepTable(rows: readonly StepRow[]): string {
  return markdownTable({
    header: ['model', 'batch', 'ms a step', 'of the ceiling', 'elementwise, ms', 'update, ms', 'memory', 'rounds', 'commit'],
    alignments: ['left', ...right(7), 'left'],
    rows: rows.map(({ model, batchSize, msPerStep, ceilingFraction, breakdownMs, residentMegabytes, n, commit = '' }) => [
      ...[model, String(batchSize), milliseconds(msPerStep.median), `${Math.round(100 * ceilingFraction.median)}%`],
      ...[(breakdownMs['elementwise'] ?? 0).toFixed(1), (breakdownMs['optimizer'] ?? 0).toFixed(2)],
      ...[`${Math.round(residentMegabytes).toLocaleString('en')} MB`, String(n), commit.slice(0, 7)],
    ]),
  });
}

function comparisonTable(rows: readonly ComparisonRow[]): string {
  const nameOf = ({ version, precision, preload }: ComparisonRow['pytorch'][number]) =>
    `PyTorch ${version.replace(/(a0|\+.*)$/, '')}${precision === 'f32' ? '' : `, ${precision}`}${preload === null ? '' : ' + tcmalloc'}`;
  const peers = [...new Set(rows.flatMap(({ pytorch }) => pytorch.map(nameOf)))];
  return markdownTable({
    header: ['model', 'batch', 'ablate, ms', ...peers, 'rounds', 'commit'],
    alignments: ['left', ...right(3 + peers.length), 'left'],
    rows: rows.map(({ model, batchSize, ms, pytorch, n, commit = '' }) => [
      ...[model, String(batchSize), milliseconds(ms.median)],
      ...peers.map((peer) => pytorch.find((each) => nameOf(each) === peer)?.ratio.median.toFixed(2) ?? ''),
      ...[String(n), commit.slice(0, 7)],
    ]),
  });
}

const markers = (name: string) => ({ start: `<!-- ${name}: written by npm run results -->`, end: `<!-- end of ${name} -->` });

/** docs/performance.md with the tables of the records in it. @throws Error if there is no place for one */
export async function withPerformanceTables(page: string): Promise<string> {
  const steps = readRecord('step-breakdown') as RowsRecord<StepRow>;
  const comparison = readRecord('step-comparison') as RowsRecord<ComparisonRow>;
  const withSteps = await withTable(page, markers('steps'), tables(inOrder(steps), stepTable));
  return await withTable(withSteps, markers('comparison'), tables(inOrder(comparison), comparisonTable));
}
