import { readTextFile } from '../../util/regular-file.ts';

/** The last things that a process said, from its error on, on one line; empty if it has no log. */
export function lastLines(path: string): string {
  let text: string;
  try {
    text = readTextFile(path);
  } catch {
    return ''; // It was ended before it said anything.
  }
  const lines = text.trimEnd().split('\n');
  const lastError = lines.findLastIndex((line) => line.includes('error:'));
  return lines
    .slice(lastError < 0 ? -2 : lastError)
    .slice(0, 3)
    .join(' / ')
    .slice(0, 500);
}
