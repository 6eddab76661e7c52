import type { ReportData, ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { byAccuracy } from '../tables.ts';
import { lightColours } from '../theme.ts';

interface BandPoint {
  readonly step: number;
  /** In percent, over the seeds evaluated at this step. */
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Panels of a search, the best first; comparisons show all they have. */
const mostPanels = 12;
const columns = 3;

/** Accuracy over steps, a panel for each variant with the reference behind it; undefined without evaluations. */
export function curvesFigure({ variants, reference, seeds, split }: ReportData): Figure | undefined {
  const base = variants.find(({ name }) => name === reference);
  const evaluated = variants.filter(({ runs }) => runs.some(({ curve }) => curve.length > 0));
  const others =
    base === undefined ? byAccuracy(evaluated).slice(0, mostPanels) : evaluated.filter((variant) => variant !== base);
  const shown = others.length === 0 && base !== undefined ? [base] : others;
  const panels = shown
    .map((variant) => ({ panel: inLines(variant.name), points: bandOf(variant) }))
    .filter(({ points }) => points.length > 0);
  if (panels.length === 0) return undefined;
  const basePoints = base === undefined || shown.includes(base) ? [] : bandOf(base);
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
    title: `${split} accuracy, %`,
    scale: { zero: false, domain: [Math.floor(lowest), Math.ceil(highest)] },
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
    spacing: 22,
    spec: {
      width: 220,
      height: 130,
      encoding: { x: { field: 'step', type: 'quantitative', title: 'steps', axis: { tickCount: 4, format: '~s' } }, color },
      layer: [
        { mark: { type: 'area', opacity: 0.22 }, encoding: { y: y('low'), y2: { field: 'high' } } },
        { mark: { type: 'line', strokeWidth: 1.8 }, encoding: { y: y('mean') } },
      ],
    },
  };
  return {
    name: 'curves',
    title: 'Accuracy over steps',
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

function bandOf({ runs }: ReportVariant): BandPoint[] {
  const bySteps = new Map<number, number[]>();
  for (const { curve } of runs) {
    for (const { step, accuracy } of curve) bySteps.set(step, [...(bySteps.get(step) ?? []), 100 * accuracy]);
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
