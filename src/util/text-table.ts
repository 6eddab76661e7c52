import { printableLine } from './printable.ts';

/** `1,068,298`: an integer with thousands separators, the same in every locale. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/**
 * Rows of cells as lines of text, the columns padded to their widest cell and two spaces apart.
 *
 * @param given the rows; what would steer a terminal or end a line is written as an escape
 * @param alignments of the columns; every row must have as many cells
 */
export function alignColumns(given: readonly (readonly string[])[], alignments: readonly ('left' | 'right')[]): string {
  const rows = given.map((row) => row.map(printableLine));
  const widths = alignments.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]!.length), 0));
  const align = (cell: string, column: number) =>
    alignments[column] === 'left' ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => row.map(align).join('  ').trimEnd()).join('\n');
}
