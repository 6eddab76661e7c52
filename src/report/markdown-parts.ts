/** What all reports have in common as Markdown (GitHub's). */
import type { Figure } from './render.ts';
import type { Table } from './tables.ts';

export function markdownTable({ header, rows, alignments }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeInline).join(' | ')} |`;
  const rule = `|${alignments.map((alignment) => (alignment === 'left' ? '---' : '---:')).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

/** Text within a line, in a table too, shown as it is: neither Markdown, nor HTML, nor a formula. */
export function escapeInline(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>|~$]|&(?=[a-z#])/gi, '\\$&').replaceAll(/\s*\n\s*/g, ' ');
}

/** A text of its own, shown as it is: paragraphs stay apart, and none of them begins a heading, a list or a quote. */
export function plainText(text: string): string {
  return paragraphsOf(text)
    .map((paragraph) => escapeInline(paragraph).replace(/^(\d*)([-#+=.)])/, '$1\\$2'))
    .join('\n\n');
}

/** The paragraphs of a text, which blank lines separate. */
export function paragraphsOf(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== '');
}

export function image({ name, title }: Figure): string {
  return `![${escapeInline(title)}](figures/${name}.svg)`;
}

/** A block of code; its fence is longer than any in the text. */
export function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}
