import { printableLine } from './printable.ts';

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

/** A column of text is not made narrower than this; of numbers nothing is ever cut off. */
const narrowest = 12;
/** The first column says what a row is: it keeps more, and where a table is divided, as much of a line as this. */
const narrowestName = 20;
const partOfNames = 0.4;

/**
 * The same in lines of at most `width` letters. Columns of text are cut to what there is room for, the widest first, with an ellipsis; where
 * that is not enough, the columns are divided among several tables below each other, each with the first column.
 *
 * @param width letters in a line; undefined for any
 */
export function fitColumns(
  given: readonly (readonly string[])[],
  alignments: readonly ('left' | 'right')[],
  width: number | undefined,
): string {
  const rows = given.map((row) => row.map(printableLine));
  const widths = alignments.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]!.length), 0));
  const total = () => widths.reduce((sum, each) => sum + each, 0) + 2 * (widths.length - 1);
  if (width === undefined || total() <= width) return alignColumns(rows, alignments);
  const longestName = widths[0]!;
  const isText = (column: number) => alignments[column] === 'left';
  const widest = Math.max(...widths.filter((_, column) => isText(column)), 0);
  for (let most = widest - 1; most >= narrowest && total() > width; most--) {
    widths.forEach((each, column) => {
      if (isText(column)) widths[column] = Math.min(each, column === 0 ? Math.max(most, narrowestName) : most);
    });
  }
  const names = clippedNames(rows, widths[0]!);
  const cut = rows.map((row, i) => [names[i]!, ...row.slice(1).map((cell, column) => clipped(cell, widths[column + 1]!))]);
  if (total() <= width) return alignColumns(cut, alignments);
  const name = Math.min(longestName, Math.max(narrowestName, Math.floor(partOfNames * width)));
  const parts: number[][] = [];
  let room = 0;
  for (let column = 1; column < widths.length; column++) {
    if (parts.length === 0 || room < widths[column]! + 2) {
      parts.push([]);
      room = width - name;
    }
    parts.at(-1)!.push(column);
    room -= widths[column]! + 2;
  }
  const shortNames = clippedNames(rows, name);
  const partOf = (whole: readonly (readonly string[])[], columns: readonly number[]) =>
    [
      whole.map((row, i) => [shortNames[i]!, ...columns.map((column) => row[column]!)]),
      [alignments[0]!, ...columns.map((column) => alignments[column]!)],
    ] as const;
  // Below each other, texts have more room than side by side. What has too little even so is as it is.
  if (parts.length === 1) return alignColumns(...partOf(cut, parts[0]!));
  return parts.map((columns) => fitColumns(...partOf(rows, columns), width)).join('\n\n');
}

/** The cells of the first column, clipped; those that others would then look like lose their middle in place of their end. */
function clippedNames(rows: readonly (readonly string[])[], width: number): readonly string[] {
  const names = rows.map(([name]) => name!);
  const cut = names.map((name) => clipped(name, width));
  return names.map((name, i) => {
    const isAlone = names.every((other, j) => other === name || cut[j] !== cut[i]);
    if (isAlone || name.length <= width) return cut[i]!;
    const end = Math.ceil((width - 1) / 2);
    return `${name.slice(0, width - 1 - end)}…${name.slice(-end)}`;
  });
}

/** A text with an ellipsis for what is beyond a width. */
export function clipped(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;
}
