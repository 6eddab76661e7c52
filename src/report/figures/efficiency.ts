import type { Priced } from '../pareto.ts';
import type { Cost, ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { frontPanel } from './front-panel.ts';

const panels: readonly { readonly key: keyof Cost; readonly title: string }[] = [
  { key: 'parameters', title: 'parameters' },
  { key: 'operations', title: 'operations an image' },
  { key: 'bytes', title: 'bytes' },
  { key: 'latencyMs', title: 'latency of one image, one thread, ms' },
];

/**
 * Accuracy against each cost, with the Pareto front drawn and named; undefined if no cost differs. A cost that is the same for
 * all variants has no panel.
 */
export function efficiencyFigure(variants: readonly ReportVariant[]): Figure | undefined {
  const drawn = panels.flatMap(({ key, title }) => {
    const points = variants.flatMap(({ name, accuracy, cost }): Priced[] => {
      const value = cost[key];
      return accuracy === undefined || value === undefined ? [] : [{ name, cost: value, accuracy: 100 * accuracy.mean }];
    });
    // Latencies always differ a little: they say something where the networks do.
    const networks = new Set(variants.map(({ cost }) => `${cost.parameters} ${cost.operations}`));
    const distinct = new Set(points.map(({ cost }) => cost)).size;
    return distinct > 1 && (key !== 'latencyMs' || networks.size > 1)
      ? [frontPanel(points, { title, format: key === 'latencyMs' ? '~g' : '~s' })]
      : [];
  });
  if (drawn.length === 0) return undefined;
  return {
    name: 'efficiency',
    title: 'Accuracy against cost',
    description:
      'Each point is a variant. Named and joined: the Pareto front, those that no other beats in both accuracy and cost.',
    spec: { concat: drawn, columns: 2, spacing: 30 } as unknown as TopLevelSpec,
  };
}
