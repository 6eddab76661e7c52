import type { Effect } from '../../study/effects.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { verdictOf } from '../tables.ts';
import { lightColours } from '../theme.ts';

const colours = {
  better: lightColours.better,
  worse: lightColours.worse,
  unresolved: lightColours.muted,
  'one seed': lightColours.muted,
};

/** Effects with their intervals around the line of no difference; undefined if there are none. */
export function forestFigure(effects: readonly Effect[]): Figure | undefined {
  if (effects.length === 0) return undefined;
  const references = new Set(effects.map(({ reference }) => reference));
  const several = references.size > 1;
  const values = effects.map((effect) => {
    const { name, reference, difference, low, high } = effect;
    return {
      name: several ? `${name} — ${reference}` : name,
      difference: 100 * difference,
      low: low === undefined ? null : 100 * low,
      high: high === undefined ? null : 100 * high,
      verdict: verdictOf(effect),
    };
  });
  const intervals = values.filter(({ low }) => low !== null);
  const y = {
    field: 'name',
    type: 'nominal',
    sort: null,
    title: null,
    axis: { labelLimit: 360, labelColor: lightColours.text, domain: false, ticks: false },
  };
  const color = {
    field: 'verdict',
    type: 'nominal',
    title: null,
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
    legend: { values: [...new Set(values.map(({ verdict }) => verdict))] },
  };
  const title = several
    ? 'difference in percentage points, with its 95% interval'
    : `difference from ${effects[0]!.reference} in percentage points, with its 95% interval`;
  const spec = {
    data: { values },
    width: 460,
    height: { step: 24 },
    encoding: { y },
    layer: [
      {
        mark: { type: 'rule', color: lightColours.reference, strokeDash: [3, 3] },
        encoding: { x: { datum: 0, type: 'quantitative' }, y: null },
      },
      ...(intervals.length > 0
        ? [
            {
              data: { values: intervals },
              mark: { type: 'rule', strokeWidth: 2 },
              encoding: { x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' }, color },
            },
          ]
        : []),
      {
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: { x: { field: 'difference', type: 'quantitative', title, axis: { tickCount: 7 } }, color },
      },
    ],
  };
  return {
    name: 'effects',
    title: 'Effects and their intervals',
    description: 'Differences in accuracy with their 95% confidence intervals: an interval that crosses zero is not resolved.',
    spec: spec as unknown as TopLevelSpec,
  };
}
