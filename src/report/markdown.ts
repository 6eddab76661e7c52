import { escapeInline, fenced, image, markdownTable, paragraphsOf, plainText } from './markdown-parts.ts';
import type { Figure } from './render.ts';
import type { ReportData } from './report-data.ts';
import { configurationOf, describeChanges, describeEnvironmentLine, hypothesesMethod, method, subtitle } from './summary.ts';
import { effectsTable, hypothesisTables, runsTable, variantsTable } from './tables.ts';

/** The report as Markdown (GitHub's), with its figures as files in `figures/`. */
export function markdownReport(data: ReportData, figures: readonly Figure[], confusions: readonly Figure[]): string {
  const effects = effectsTable(data);
  return [
    `# ${escapeInline(data.title)}`,
    ...paragraphsOf(data.description).map(plainText),
    plainText(subtitle(data)),
    ...data.notes.map((note) => `> ${plainText(note)}`),
    ...hypotheses(data),
    ...(effects.rows.length > 0 ? ['## What each change buys', markdownTable(effects), method] : []),
    ...figures.flatMap((figure) => [`## ${escapeInline(figure.title)}`, plainText(figure.description), image(figure)]),
    '## Variants',
    markdownTable(variantsTable(data)),
    ...data.costNotes.map(plainText),
    ...(confusions.length > 0 ? ['## Confusion matrices', confusions[0]!.description] : []),
    ...confusions.flatMap((figure) => [`**${escapeInline(figure.title)}**`, image(figure)]),
    '## Runs',
    markdownTable(runsTable(data)),
    '## How to get the same',
    fenced('bash', data.command),
    ...(data.studyText === undefined ? [] : [fenced('yaml', data.studyText.trimEnd())]),
    '### Configuration',
    `What ${escapeInline(data.reference ?? 'the first variant')} was trained with; the other variants differ in:`,
    markdownTable({
      header: ['variant', 'changed'],
      rows: data.variants.map((variant) => [variant.name, describeChanges(variant)]),
      alignments: ['left', 'left'],
    }),
    markdownTable({ header: ['key', 'value'], rows: configurationOf(data), alignments: ['left', 'left'] }),
    '### Environment',
    data.environments.map((environment) => `- ${escapeInline(describeEnvironmentLine(environment))}`).join('\n'),
  ]
    .join('\n\n')
    .concat('\n');
}

function hypotheses(data: ReportData): string[] {
  const tables = hypothesisTables(data);
  if (tables.length === 0) return [];
  const each = tables.flatMap(({ title, criterion, table }) => [
    `### ${escapeInline(title)}`,
    plainText(criterion),
    markdownTable(table),
  ]);
  return ['## What was believed', hypothesesMethod, ...each];
}
