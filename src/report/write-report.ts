import { effectsCsv, runsCsv } from './csv.ts';
import { confusionFigure } from './figures/confusion.ts';
import { curvesFigure, lossFigure } from './figures/curves.ts';
import { efficiencyFigure } from './figures/efficiency.ts';
import { forestFigure } from './figures/forest.ts';
import { rankingFigure } from './figures/ranking.ts';
import { htmlReport } from './html.ts';
import { markdownReport } from './markdown.ts';
import type { Figure } from './render.ts';
import type { ReportData } from './report-data.ts';
import { drawAll, writeFigures, writeReportFile, type WrittenReport } from './report-files.ts';
import { byAccuracy } from './tables.ts';

/** Confusion matrices drawn. */
const mostMatrices = 12;

/**
 * Writes report.md, index.html, report.json, effects.csv, runs.csv and, in figures/, each figure as SVG with its Vega-Lite specification.
 * Figures of an earlier report in the folder are removed.
 *
 * @throws AblateError if the folder cannot be written
 */
export async function writeReport(data: ReportData, folder: string): Promise<WrittenReport> {
  const { main, matrices } = reportFigures(data);
  const figures = await drawAll(main);
  const confusions = await drawAll(matrices);
  writeFigures([...figures, ...confusions], folder);
  const write = (name: string, text: string) => writeReportFile(folder, name, text);
  write('report.json', `${JSON.stringify(data, undefined, 2)}\n`);
  write('effects.csv', effectsCsv(data));
  write('runs.csv', runsCsv(data));
  const markdown = write('report.md', markdownReport(data, figures, confusions));
  const html = write('index.html', htmlReport(data, figures, confusions));
  return { folder, html, markdown };
}

/** All figures of a report that there is something to draw for. */
export function reportFigures(data: ReportData): { readonly main: readonly Figure[]; readonly matrices: readonly Figure[] } {
  const main = [
    data.reference === undefined ? rankingFigure(data.variants) : forestFigure(data.effects),
    curvesFigure(data),
    lossFigure(data),
    efficiencyFigure(data),
  ];
  const shown = (data.reference === undefined ? byAccuracy(data.variants) : data.variants).slice(0, mostMatrices);
  return {
    main: main.flatMap((figure) => figure ?? []),
    matrices: shown.flatMap((variant, i) => confusionFigure(variant, data.classes, i) ?? []),
  };
}
