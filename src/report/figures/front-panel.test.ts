import { expect, test } from 'vitest';
import { sampleReport } from '../../../test/report-data.ts';
import { efficiencyFigure } from './efficiency.ts';
import { frontPanel, type PanelPoint } from './front-panel.ts';

interface Layer {
  readonly data: { readonly values: readonly Readonly<Record<string, unknown>>[] };
  readonly mark: { readonly type: string };
}

const options = { title: 'operations', format: '~s' };
const points: readonly PanelPoint[] = [
  { name: 'small', cost: 1e6, accuracy: 80, low: 79, high: 81 },
  { name: 'slow', cost: 5e7, accuracy: 82, low: 81.5, high: 82.5 },
  { name: 'large', cost: 1e8, accuracy: 90, low: 60, high: 120 },
  { name: 'one seed', cost: 1e7, accuracy: 85 },
];

function layersOf(panel: ReturnType<typeof frontPanel>): readonly Layer[] {
  return panel.layer as unknown as readonly Layer[];
}

test('each point with an interval has its bar, a wide one does not squeeze the others, and the front is joined', () => {
  const panel = frontPanel(points, options);
  const [line, bars] = layersOf(panel);
  expect(line!.data.values.map(({ name }) => name)).toEqual(['small', 'one seed', 'large']);
  expect(bars!.mark.type).toBe('rule');
  expect(bars!.data.values).toEqual(points.slice(0, 3).map(({ cost, low, high }) => ({ cost, low, high })));
  // Half of what the accuracies span, and the room around.
  const [lowest, highest] = panel.encoding.y.scale.domain;
  expect(lowest).toBeGreaterThan(70);
  expect(highest).toBeLessThan(100);
  const none = frontPanel(
    points.map(({ name, cost, accuracy }) => ({ name, cost, accuracy })),
    options,
  );
  expect(layersOf(none).map(({ mark }) => mark.type)).not.toContain('rule');
});

test('short names are all written, long ones only along the front', () => {
  const namesIn = (shown: readonly PanelPoint[]) =>
    layersOf(frontPanel(shown, options))
      .filter(({ mark }) => mark.type === 'text')
      .map(({ data }) => data.values.map(({ name }) => name));
  expect(namesIn(points)).toEqual([['small', 'large', 'one seed'], ['slow']]);
  const long = points.map((point) => (point.name === 'slow' ? { ...point, name: 'a name of many words' } : point));
  expect(namesIn(long)).toEqual([['small', 'large', 'one seed'], []]);
});

test('the bars of a study are the 95% intervals of its means', () => {
  const { variants } = sampleReport(3);
  const accuracies = [0.8, 0.81, 0.82];
  const three = variants.slice(0, 2).map((variant, v) => ({
    ...variant,
    runs: variant.runs.map((run, i) => ({ ...run, accuracy: accuracies[i]! + 0.1 * v })),
    accuracy: { mean: 0.81 + 0.1 * v, deviation: 0.01, count: 3 },
    cost: { ...variant.cost, parameters: 1000 + v },
  }));
  const { spec, description } = efficiencyFigure({ variants: three })!;
  expect(description).toContain('bars are the 95% intervals of that mean');
  expect(efficiencyFigure(sampleReport(1))!.description).not.toContain('bars');
  const { concat } = spec as unknown as { concat: readonly ReturnType<typeof frontPanel>[] };
  const { low, high } = layersOf(concat[0]!)[1]!.data.values[0]!;
  // Student's t with 2 degrees of freedom: 4.303 times 0.01 / sqrt(3).
  expect(low).toBeCloseTo(81 - 2.484, 2);
  expect(high).toBeCloseTo(81 + 2.484, 2);
});
