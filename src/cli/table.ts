export interface Column {
  readonly title: string;
  /** Numbers go to the right. Default left. */
  readonly align?: 'left' | 'right';
}

/** Lines of a table with its columns aligned, two spaces between them; no line ends in spaces. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map((column) => column.title), ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    columns
      .map((column, i) => (column.align === 'right' ? (row[i] ?? '').padStart(widths[i]!) : (row[i] ?? '').padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return all.map(line);
}
