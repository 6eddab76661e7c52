import { estimateMean } from '../../study/statistics.ts';
import type { Cost, ReportData, ReportRun } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { frontPanel, type PanelPoint } from './front-panel.ts';

interface Panel {
  readonly title: string;
  readonly cost: (cost: Cost) => number | undefined;
  /** Of its numbers, as d3-format has it. */
  readonly format: string;
  /** Whether two measurements of one network differ. */
  readonly varies?: true;
}

const panels: readonly Panel[] = [
  { title: 'parameters', cost: ({ parameters }) => parameters, format: '~s' },
  { title: 'operations an image', cost: ({ operations }) => operations, format: '~s' },
  { title: 'bytes', cost: ({ bytes }) => bytes, format: '~s' },
  {
    title: 'latency of one image in ONNX Runtime, one thread, ms',
    cost: ({ latencyMs }) => latencyMs,
    format: '~g',
    varies: true,
  },
  { title: 'bytes of flash on a microcontroller', cost: ({ device }) => device?.flashBytes, format: '~s' },
  { title: 'bytes of RAM on a microcontroller', cost: ({ device }) => device?.ramBytes, format: '~s' },
];

/**
 * Accuracy against each cost, with the Pareto front drawn and named; undefined if no cost differs. A cost that is the same for
 * all variants has no panel.
 */
export function efficiencyFigure({ variants, cores = [] }: Pick<ReportData, 'variants' | 'cores'>): Figure | undefined {
  const times = cores.map((core, i): Panel => ({
    title: `predicted time of one image on ${core}, ms`,
    cost: ({ device }) => device?.ms[i],
    format: '~g',
  }));
  const drawn = [...panels, ...times].flatMap(({ title, cost: costOf, format, varies }) => {
    const points = variants.flatMap(({ name, accuracy, cost, runs }): PanelPoint[] => {
      const value = costOf(cost);
      if (accuracy === undefined || value === undefined) return [];
      return [{ name, cost: value, accuracy: 100 * accuracy.mean, ...intervalOf(runs) }];
    });
    // Latencies always differ a little: they say something where the files do.
    const files = new Set(variants.map(({ cost }) => `${cost.parameters} ${cost.operations} ${cost.bytes}`));
    const distinct = new Set(points.map(({ cost }) => cost)).size;
    return distinct > 1 && (varies !== true || files.size > 1) ? [frontPanel(points, { title, format })] : [];
  });
  if (drawn.length === 0) return undefined;
  const hasIntervals = variants.some(({ runs }) => Object.keys(intervalOf(runs)).length > 0);
  return {
    name: 'efficiency',
    title: 'Accuracy against cost',
    description: `Each point is a variant, the mean over its seeds${hasIntervals ? '; bars are the 95% intervals of that mean' : ''}. Joined: the Pareto front, those that no other beats in both accuracy and cost.`,
    spec: { concat: drawn, columns: 2, spacing: 30 } as unknown as TopLevelSpec,
  };
}

/** In percent; nothing where there is none, as with one seed. */
function intervalOf(runs: readonly ReportRun[]): Pick<PanelPoint, 'low' | 'high'> {
  const accuracies = runs.flatMap(({ accuracy }) => accuracy ?? []);
  const { low, high } = estimateMean(accuracies);
  return low === undefined || high === undefined ? {} : { low: 100 * low, high: Math.min(100, 100 * high) };
}
