/** Tables with plain values for spreadsheets and programs: RFC 4180, fractions and seconds as numbers. */
import type { ReportData } from './report-data.ts';

export type Cell = string | number | undefined;

export function effectsCsv({ effects }: ReportData): string {
  const header = [
    'kind',
    'factor',
    'level',
    'reference',
    'difference',
    'low',
    'high',
    'pValue',
    'correctedPValue',
    'deviation',
    'seeds',
    'seedsForHalfPoint',
  ];
  const rows = effects.map((effect): Cell[] => [
    ...[effect.kind, effect.factor, effect.level, effect.reference, effect.difference, effect.low, effect.high],
    ...[effect.pValue, effect.correctedPValue, effect.deviation, effect.seeds.join(' '), effect.seedsForHalfPoint],
  ]);
  return csv([header, ...rows]);
}

export function runsCsv({ variants }: ReportData): string {
  const header = [
    'variant',
    'seed',
    'run',
    'state',
    'step',
    'accuracy',
    'loss',
    'trainingSeconds',
    'parameters',
    'operations',
    'bytes',
    'latencyMs',
    'reason',
  ];
  const rows = variants.flatMap(({ name, cost, runs }) =>
    runs.map(({ seed, run, state, step, accuracy, loss, trainingSeconds, reason }): Cell[] => [
      ...[name, seed, run, state, step, accuracy, loss, trainingSeconds],
      ...[cost.parameters, cost.operations, cost.bytes, cost.latencyMs, reason],
    ]),
  );
  return csv([header, ...rows]);
}

/** Rows as text, the first of them the names of the columns. */
export function csv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(quote).join(',')}\r\n`).join('');
}

function quote(cell: Cell): string {
  const text = typeof cell === 'string' ? withoutFormula(cell) : String(cell ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A spreadsheet takes text that begins like this for a formula, which may open an address or start a program. An apostrophe says that it is text. */
function withoutFormula(text: string): string {
  const isNumber = text.trim() !== '' && Number.isFinite(Number(text));
  return /^\s*[=+\-@]|^[\t\r\n]/.test(text) && !isNumber ? `'${text}` : text;
}
