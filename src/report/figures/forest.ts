import type { Effect } from '../../study/effects.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { verdictOf } from '../../study/verdict.ts';
import { axisLimit } from './axis-limit.ts';
import { lightColours } from '../theme.ts';

const colours = {
  better: lightColours.better,
  worse: lightColours.worse,
  unresolved: lightColours.muted,
  'one seed': lightColours.muted,
};

/** Pixels of an interval below the middle of its row, whose upper part has the name. */
const below = 8;

/** Pixels that a name may take as guessed without a browser, 0.8 of the type size a letter: some 330 as drawn. */
const widestName = 500;

/** Effects with their intervals around the line of no difference; undefined if there are none. */
export function forestFigure(effects: readonly Effect[]): Figure | undefined {
  if (effects.length === 0) return undefined;
  // Of all combinations each effect has a reference of its own, and its name says all.
  const isFactorial = effects.some(({ kind }) => kind === 'main' || kind === 'interaction');
  const mainReference = effects[0]!.reference;
  const values = effects.map((effect) => {
    const { name, reference, difference, low, high } = effect;
    return {
      name: isFactorial || reference === mainReference ? name : `${name} vs ${reference}`,
      difference: 100 * difference,
      low: low === undefined ? null : 100 * low,
      high: high === undefined ? null : 100 * high,
      verdict: verdictOf(effect),
    };
  });
  const limit = axisLimit(
    values.map(({ difference, low, high }) => Math.max(...[difference, low, high].map((v) => Math.abs(v ?? 0)))),
  );
  const beyond = values
    .filter(({ difference }) => Math.abs(difference) > limit)
    .map((value) => ({ ...value, edge: 0.98 * limit * Math.sign(value.difference), text: describe(value) }));
  const intervals = values.filter(({ low }) => low !== null);
  const x = { type: 'quantitative', scale: { domain: [-limit, limit], nice: false } };
  const y = { field: 'name', type: 'nominal', sort: null, axis: null };
  const color = {
    field: 'verdict',
    type: 'nominal',
    title: null,
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
    legend: { values: [...new Set(values.map(({ verdict }) => verdict))] },
  };
  const unit = `in percentage points${intervals.length > 0 ? ', with its 95% interval' : ''}`;
  const title = [isFactorial ? 'effect' : `difference from ${mainReference}`, unit];
  const spec = {
    data: { values },
    // Names above their intervals: beside them they would not fit a phone.
    width: 330,
    height: { step: 36 },
    // Without a browser the width of text is a guess, far too large for names of this length: what is around the plot is stated.
    autosize: { type: 'none' },
    padding: { left: 10, right: 10, top: 34, bottom: 58 },
    encoding: { y },
    layer: [
      {
        mark: { type: 'rule', color: lightColours.reference, strokeDash: [3, 3] },
        encoding: { x: { ...x, datum: 0 }, y: null },
      },
      {
        mark: { type: 'text', align: 'left', dy: -8, color: lightColours.text, limit: widestName },
        encoding: { x: { value: 0 }, text: { field: 'name' } },
      },
      ...(intervals.length > 0
        ? [
            {
              data: { values: intervals },
              mark: { type: 'rule', strokeWidth: 2, clip: true, yOffset: below },
              encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, color },
            },
          ]
        : []),
      {
        mark: { type: 'point', filled: true, size: 70, opacity: 1, clip: true, yOffset: below },
        encoding: { x: { ...x, field: 'difference', title, axis: { tickCount: 7 } }, color },
      },
      ...([-1, 1] as const).flatMap((side) => {
        const data = { values: beyond.filter(({ edge }) => Math.sign(edge) === side) };
        if (data.values.length === 0) return [];
        const edge = { ...x, field: 'edge' };
        const text = { type: 'text', align: side < 0 ? 'left' : 'right', dx: -12 * side, baseline: 'middle', yOffset: below };
        const shape = side < 0 ? 'triangle-left' : 'triangle-right';
        const arrow = { type: 'point', shape, filled: true, size: 70, opacity: 1, yOffset: below };
        return [
          { data, mark: arrow, encoding: { x: edge, color } },
          { data, mark: text, encoding: { x: edge, text: { field: 'text' }, color } },
        ];
      }),
    ],
  };
  return {
    name: 'effects',
    title: 'Effects and their intervals',
    description:
      'Differences in accuracy with their 95% confidence intervals: an interval that crosses zero is not resolved.' +
      (beyond.length > 0 ? ' Arrows: beyond the axis.' : ''),
    spec: spec as unknown as TopLevelSpec,
  };
}

function describe({ difference, low, high }: { difference: number; low: number | null; high: number | null }): string {
  const interval = low === null ? '' : ` [${low.toFixed(1)}, ${high!.toFixed(1)}]`;
  return `${difference.toFixed(1)}${interval}`.replaceAll('-', '−');
}
