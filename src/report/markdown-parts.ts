/** What all reports have in common as Markdown (GitHub's). */
import type { Figure } from './render.ts';
import type { Table } from './tables.ts';

export function markdownTable({ header, rows, alignments }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(' | ')} |`;
  const rule = `|${alignments.map((alignment) => (alignment === 'left' ? '---' : '---:')).join('|')}|`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

export function escapeCell(text: string): string {
  return text.replaceAll(/[\\|*_<>]/g, '\\$&').replaceAll('\n', ' ');
}

export function image({ name, title }: Figure): string {
  return `![${title.replaceAll(/[[\]]/g, '')}](figures/${name}.svg)`;
}

export function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}
