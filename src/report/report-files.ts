/** What all reports have in common as files: a folder with a page and a text, and in `figures/` each figure with its specification. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { fileError } from '../util/file-error.ts';
import { makeFolder } from '../util/make-folder.ts';
import { printable } from '../util/printable.ts';
import { completeSpec, draw, type DrawnFigure, type Figure } from './render.ts';
import { svgForFile } from './theme.ts';

const specSuffix = '.vl.json';

export interface WrittenReport {
  readonly folder: string;
  readonly html: string;
  readonly markdown: string;
}

/**
 * Makes the folder; writes each figure as SVG, for light and dark, with its Vega-Lite specification. Figures of an earlier report, which have one too, are
 * removed; any others in the folder are the user's.
 */
export function writeFigures(figures: readonly DrawnFigure[], folder: string): void {
  const figuresFolder = join(folder, 'figures');
  prepareFolder(figuresFolder);
  for (const figure of figures) {
    writeReportFile(figuresFolder, `${figure.name}.svg`, svgForFile(figure.svg));
    writeReportFile(figuresFolder, `${figure.name}${specSuffix}`, `${JSON.stringify(completeSpec(figure), undefined, 1)}\n`);
  }
}

/** Nothing in it, such as the name of a class, steers a terminal that shows it. Returns the file's path. */
export function writeReportFile(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileAtomic(path, printable(text), { durable: false });
  return path;
}

/** Those that there is something to draw for. */
export async function drawAll(figures: readonly (Figure | undefined)[]): Promise<DrawnFigure[]> {
  const drawn: DrawnFigure[] = [];
  for (const figure of figures) {
    if (figure !== undefined) drawn.push(await draw(figure));
  }
  return drawn;
}

function prepareFolder(folder: string): void {
  try {
    makeFolder(folder);
    for (const name of readdirSync(folder)) {
      if (!name.endsWith(specSuffix)) continue;
      rmSync(join(folder, name));
      rmSync(join(folder, `${name.slice(0, -specSuffix.length)}.svg`), { force: true });
    }
  } catch (error) {
    throw fileError('write', folder, error);
  }
}
