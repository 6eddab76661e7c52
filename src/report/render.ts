/** Draws Vega-Lite figures as SVG, on the server: the only file that imports Vega. */
import type { TopLevelSpec } from 'vega-lite';
import { figureConfig } from './theme.ts';

export type { TopLevelSpec };

export interface Figure {
  /** Of its files, without extension. */
  readonly name: string;
  readonly title: string;
  /** What to see in it, for those who do not. */
  readonly description: string;
  readonly spec: TopLevelSpec;
}

/** A figure and its drawing. */
export interface DrawnFigure extends Figure {
  readonly svg: string;
  /** With its panels below each other, for narrow pages, if it has several columns of them. */
  readonly narrowSvg?: string;
}

/** The figure as SVG documents, in light colours on an opaque ground. */
export async function draw(figure: Figure): Promise<DrawnFigure> {
  const svg = await renderSvg(figure);
  if (!('columns' in figure.spec)) return { ...figure, svg };
  return { ...figure, svg, narrowSvg: await renderSvg({ ...figure, spec: { ...figure.spec, columns: 1 } }) };
}

/** The whole specification, as it is kept beside the figure: any Vega-Lite editor draws it. */
export function completeSpec({ spec, description }: Figure): TopLevelSpec {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    description,
    config: figureConfig,
    ...spec,
  };
}

/** As one SVG document. */
export async function renderSvg(figure: Figure): Promise<string> {
  // When something is drawn: a program that imports the library mostly draws nothing.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const { spec } = compile(completeSpec(figure));
  const view = new vega.View(vega.parse(spec), { renderer: 'none', logLevel: vega.Warn });
  try {
    return withOwnNumbers(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Vega numbers its clip paths over all figures of a process: numbered within each, the same figure gives the same file. */
function withOwnNumbers(svg: string): string {
  const numbers = new Map<string, string>();
  return svg.replace(/\bclip(\d+)\b/g, (_, given: string) => {
    if (!numbers.has(given)) numbers.set(given, `clip${numbers.size}`);
    return numbers.get(given)!;
  });
}
