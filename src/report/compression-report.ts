/** The report of a compression: index.html, report.md, compress.json, and its figures. */
import type { CompressionData } from './compression-data.ts';
import {
  conclusion,
  description,
  layersExplanation,
  layersTable,
  notesOf,
  stagesTable,
  targetsTable,
} from './compression-text.ts';
import { compressionFigures } from './figures/compression.ts';
import { escapeInline, fenced, image, markdownTable, plainText } from './markdown-parts.ts';
import { escape, figureSection, htmlPage, htmlTable } from './page.ts';
import type { DrawnFigure } from './render.ts';
import { drawAll, writeFigures, writeReportFile, type WrittenReport } from './report-files.ts';
import { describeEnvironmentLine } from './summary.ts';

/** Figures of an earlier report in the folder are removed. @throws AblateError if the folder cannot be written */
export async function writeCompressionReport(data: CompressionData, folder: string): Promise<WrittenReport> {
  const figures = await drawAll(compressionFigures(data.stages));
  writeFigures(figures, folder);
  writeReportFile(folder, 'compress.json', `${JSON.stringify(data, undefined, 2)}\n`);
  const markdown = writeReportFile(folder, 'report.md', markdownReport(data, figures));
  const html = writeReportFile(folder, 'index.html', htmlReport(data, figures));
  return { folder, html, markdown };
}

function titleOf({ model }: CompressionData): string {
  return `Compression of ${model}`;
}

function environmentLines({ trainingEnvironments, environment }: CompressionData): string[] {
  return [
    ...trainingEnvironments.map((each) => `trained: ${describeEnvironmentLine(each)}`),
    `measured: ${describeEnvironmentLine(environment)}`,
  ];
}

function htmlReport(data: CompressionData, figures: readonly DrawnFigure[]): string {
  return htmlPage(
    titleOf(data),
    `<p>${escape(conclusion(data))}</p>
<p class="muted">${escape(description(data))}</p>
${notesOf(data)
  .map((note) => `<p class="note">${escape(note)}</p>`)
  .join('\n')}
<h2>Targets</h2>
${htmlTable(targetsTable(data))}
${figures.map((figure) => figureSection(figure.title, figure)).join('\n')}
<h2>Networks</h2>
${htmlTable(stagesTable(data))}
<h2>Layers of the result</h2>
<p class="muted">${escape(layersExplanation)}</p>
${htmlTable(layersTable(data))}
<h2>How to get the same</h2>
<pre>${escape(data.command)}</pre>
${data.stages.length > 1 ? htmlTable(runsTable(data)) : ''}
<h3>Environment</h3>
<ul>${environmentLines(data)
      .map((line) => `<li>${escape(line)}</li>`)
      .join('\n')}</ul>`,
  );
}

function markdownReport(data: CompressionData, figures: readonly DrawnFigure[]): string {
  return [
    `# ${escapeInline(titleOf(data))}`,
    plainText(conclusion(data)),
    plainText(description(data)),
    ...notesOf(data).map((note) => `> ${plainText(note)}`),
    '## Targets',
    markdownTable(targetsTable(data)),
    ...figures.flatMap((figure) => [`## ${figure.title}`, figure.description, image(figure)]),
    '## Networks',
    markdownTable(stagesTable(data)),
    '## Layers of the result',
    layersExplanation,
    markdownTable(layersTable(data)),
    '## How to get the same',
    fenced('bash', data.command),
    ...(data.stages.length > 1 ? [markdownTable(runsTable(data))] : []),
    '### Environment',
    environmentLines(data)
      .map((line) => `- ${escapeInline(line)}`)
      .join('\n'),
  ]
    .join('\n\n')
    .concat('\n');
}

/** Where each round was trained. */
function runsTable({ stages }: CompressionData) {
  const rows = stages.flatMap(({ name, run }) => (run === null ? [] : [[name, run]]));
  return { header: ['network', 'run'], rows, alignments: ['left', 'left'] as const };
}
