import type { ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { byAccuracy } from '../tables.ts';
import { lightColours } from '../theme.ts';

const mostShown = 25;

/** The best of a search: the mean of each, and each seed; undefined if nothing has finished. */
export function rankingFigure(variants: readonly ReportVariant[]): Figure | undefined {
  const best = byAccuracy(variants)
    .filter(({ accuracy }) => accuracy !== undefined)
    .slice(0, mostShown);
  if (best.length === 0) return undefined;
  const seeds = best.flatMap(({ name, runs }) =>
    runs.flatMap(({ accuracy }) => (accuracy === undefined ? [] : [{ name, accuracy: 100 * accuracy }])),
  );
  const means = best.map(({ name, accuracy }) => ({ name, accuracy: 100 * accuracy!.mean }));
  const spec = {
    width: 420,
    height: { step: 22 },
    encoding: {
      y: {
        field: 'name',
        type: 'nominal',
        sort: best.map(({ name }) => name),
        title: null,
        axis: { labelLimit: 380, labelColor: lightColours.text, domain: false, ticks: false },
      },
      x: { field: 'accuracy', type: 'quantitative', title: 'accuracy, %', scale: { zero: false }, axis: { tickCount: 6 } },
    },
    layer: [
      { data: { values: seeds }, mark: { type: 'tick', color: lightColours.reference, thickness: 2 } },
      { data: { values: means }, mark: { type: 'point', filled: true, size: 70, opacity: 1, color: lightColours.accent } },
    ],
  };
  return {
    name: 'ranking',
    title: 'The best combinations',
    description: 'Points are means over the seeds, ticks the seeds.',
    spec: spec as unknown as TopLevelSpec,
  };
}
