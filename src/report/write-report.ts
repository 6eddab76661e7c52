import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { fileError } from '../util/file-error.ts';
import { effectsCsv, runsCsv } from './csv.ts';
import { confusionFigure } from './figures/confusion.ts';
import { curvesFigure } from './figures/curves.ts';
import { efficiencyFigure } from './figures/efficiency.ts';
import { forestFigure } from './figures/forest.ts';
import { rankingFigure } from './figures/ranking.ts';
import { htmlReport, type DrawnFigure } from './html.ts';
import { markdownReport } from './markdown.ts';
import { completeSpec, renderSvg, type Figure } from './render.ts';
import type { ReportData } from './report-data.ts';
import { byAccuracy } from './tables.ts';

export interface WrittenReport {
  readonly folder: string;
  readonly html: string;
  readonly markdown: string;
}

/** Confusion matrices drawn. */
const mostMatrices = 12;

/**
 * Writes report.md, index.html, report.json, effects.csv, runs.csv and, in figures/, each figure as SVG with its Vega-Lite specification.
 * Figures of an earlier report in the folder are removed.
 *
 * @throws AblateError if the folder cannot be written
 */
export async function writeReport(data: ReportData, folder: string): Promise<WrittenReport> {
  const figuresFolder = join(folder, 'figures');
  prepareFolder(figuresFolder);
  const main = [
    data.reference === undefined ? rankingFigure(data.variants) : forestFigure(data.effects),
    curvesFigure(data),
    efficiencyFigure(data.variants),
  ];
  const matrices = (data.reference === undefined ? byAccuracy(data.variants) : data.variants).slice(0, mostMatrices);
  const figures = await drawAll(main);
  const confusions = await drawAll(matrices.map((variant, i) => confusionFigure(variant, data.classes, i)));
  for (const figure of [...figures, ...confusions]) {
    writeFileAtomic(join(figuresFolder, `${figure.name}.svg`), figure.svg, { durable: false });
    const spec = `${JSON.stringify(completeSpec(figure), undefined, 1)}\n`;
    writeFileAtomic(join(figuresFolder, `${figure.name}.vl.json`), spec, { durable: false });
  }
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileAtomic(path, text, { durable: false });
    return path;
  };
  write('report.json', `${JSON.stringify(data, undefined, 2)}\n`);
  write('effects.csv', effectsCsv(data));
  write('runs.csv', runsCsv(data));
  const markdown = write('report.md', markdownReport(data, figures, confusions));
  const html = write('index.html', htmlReport(data, figures, confusions));
  return { folder, html, markdown };
}

async function drawAll(figures: readonly (Figure | undefined)[]): Promise<DrawnFigure[]> {
  const drawn: DrawnFigure[] = [];
  for (const figure of figures) {
    if (figure !== undefined) drawn.push({ ...figure, svg: await renderSvg(figure) });
  }
  return drawn;
}

function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      if (/\.(svg|vl\.json)$/.test(name)) rmSync(join(folder, name));
    }
  } catch (error) {
    throw fileError('write', folder, error);
  }
}
