import type { ReportData, ReportRun, ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { byAccuracy } from '../tables.ts';
import { lightColours } from '../theme.ts';

interface BandPoint {
  readonly step: number;
  /** Over the seeds that have a value at this step. */
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Panels of a search, the best first; comparisons show all they have. */
const mostPanels = 12;
const columns = 3;

/** What is drawn over the steps. */
interface Measure {
  readonly name: string;
  readonly title: string;
  readonly axisTitle: string;
  valuesOf(run: ReportRun): readonly { readonly step: number; readonly value: number }[];
  /** Ends of the axis. */
  domain(lowest: number, highest: number): readonly [number, number];
}

/** Accuracy over steps, a panel for each variant with the reference behind it; undefined where none was evaluated more than once. */
export function curvesFigure(data: ReportData): Figure | undefined {
  return figureOver(data, {
    name: 'curves',
    title: 'Accuracy over steps',
    axisTitle: `${data.split} accuracy, %`,
    valuesOf: ({ curve }) => curve.map(({ step, accuracy }) => ({ step, value: 100 * accuracy })),
    domain: (lowest, highest) => [Math.floor(lowest), Math.ceil(highest)],
  });
}

/** The training loss in the same way. */
export function lossFigure(data: ReportData): Figure | undefined {
  return figureOver(data, {
    name: 'training-loss',
    title: 'Training loss over steps',
    axisTitle: 'training loss',
    valuesOf: ({ lossCurve }) => lossCurve.map(({ step, loss }) => ({ step, value: loss })),
    domain: (lowest, highest) => [Math.floor(10 * lowest) / 10, Math.ceil(10 * highest) / 10],
  });
}

function figureOver({ variants, reference, seeds }: ReportData, measure: Measure): Figure | undefined {
  const { name, title, axisTitle, valuesOf, domain } = measure;
  const base = variants.find((variant) => variant.name === reference);
  const measured = variants.filter(({ runs }) => runs.some((run) => valuesOf(run).length > 0));
  const others = base === undefined ? byAccuracy(measured).slice(0, mostPanels) : measured.filter((variant) => variant !== base);
  const shown = others.length === 0 && base !== undefined ? [base] : others;
  const panels = shown
    .map((variant) => ({ panel: inLines(variant.name), points: bandOf(variant, measure) }))
    .filter(({ points }) => points.length > 1);
  if (panels.length === 0) return undefined;
  const basePoints = base === undefined || shown.includes(base) ? [] : bandOf(base, measure);
  const baseName = reference ?? '';
  const values = panels.flatMap(({ panel, points }) => [
    ...basePoints.map((point) => ({ panel, line: baseName, ...point })),
    ...points.map((point) => ({ panel, line: 'variant', ...point })),
  ]);
  const color = {
    field: 'line',
    type: 'nominal',
    title: null,
    scale: {
      domain: ['variant', ...(basePoints.length > 0 ? [baseName] : [])],
      range: [lightColours.accent, lightColours.reference],
    },
    legend: basePoints.length > 0 ? {} : null,
  };
  const lowest = values.reduce((least, { low }) => Math.min(least, low), Infinity);
  const highest = values.reduce((most, { high }) => Math.max(most, high), -Infinity);
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    title: axisTitle,
    scale: { zero: false, domain: domain(lowest, highest) },
    axis: { tickCount: 5 },
  });
  const spec = {
    data: { values },
    facet: {
      field: 'panel',
      type: 'nominal',
      sort: panels.map(({ panel }) => panel),
      title: null,
      header: { labelExpr: "split(datum.label, '\\n')" },
    },
    columns,
    // Without a browser the width of text is a guess, far too large: names above the panels do not move them.
    bounds: 'flush',
    spacing: { row: 40, column: 30 },
    spec: {
      width: 250,
      height: 130,
      encoding: { x: { field: 'step', type: 'quantitative', title: 'steps', axis: { tickCount: 4, format: '~s' } }, color },
      layer: [
        { mark: { type: 'area', opacity: 0.22 }, encoding: { y: y('low'), y2: { field: 'high' } } },
        { mark: { type: 'line', strokeWidth: 1.8 }, encoding: { y: y('mean') } },
      ],
    },
  };
  return {
    name,
    title,
    description: `Mean over the seeds${seeds.length > 1 ? '; the band is from the lowest to the highest' : ''}.`,
    spec: spec as unknown as TopLevelSpec,
  };
}

/** Letters that fit above a panel. */
const panelLetters = 36;

/** A long name in two lines, broken at a blank. */
function inLines(name: string): string {
  if (name.length <= panelLetters) return name;
  const blank = name.lastIndexOf(' ', panelLetters);
  return blank < 0 ? name : `${name.slice(0, blank)}\n${name.slice(blank + 1)}`;
}

function bandOf({ runs }: ReportVariant, { valuesOf }: Measure): BandPoint[] {
  const bySteps = new Map<number, number[]>();
  for (const run of runs) {
    for (const { step, value } of valuesOf(run)) bySteps.set(step, [...(bySteps.get(step) ?? []), value]);
  }
  return [...bySteps]
    .sort(([a], [b]) => a - b)
    .map(([step, values]) => ({
      step,
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      low: Math.min(...values),
      high: Math.max(...values),
    }));
}
