import { paretoFront, type Priced } from '../pareto.ts';
import type { Cost, ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { lightColours } from '../theme.ts';
import { placeLabels, type Box } from './label-placement.ts';

const width = 330;
const height = 230;

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
    return distinct > 1 && networks.size > 1 ? [panelOf(points, title)] : [];
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

function panelOf(points: readonly Priced[], title: string) {
  const front = paretoFront(points);
  const x = logarithmic(points.map(({ cost }) => cost));
  const y = linear(points.map(({ accuracy }) => accuracy));
  const inFront = new Set(front.map(({ name }) => name));
  const pixels = points.map(({ name, cost, accuracy }) => ({
    ...(inFront.has(name) && { name }),
    x: x.toPixel(cost),
    y: height - y.toPixel(accuracy),
  }));
  const labels = placeLabels(pixels, { width, height }, stepsBetween(pixels.filter(({ name }) => name !== undefined))).map(
    (label) => ({
      name: label.name,
      cost: x.fromPixel(label.x),
      accuracy: y.fromPixel(height - label.y),
    }),
  );
  const costChannel = {
    field: 'cost',
    type: 'quantitative',
    title,
    scale: { type: 'log', domain: x.domain, nice: false },
    axis: { format: '~s', values: ticksWithin(x.domain) },
  };
  const accuracyChannel = {
    field: 'accuracy',
    type: 'quantitative',
    title: 'accuracy, %',
    scale: { domain: y.domain, nice: false },
    axis: { tickCount: 5 },
  };
  return {
    width,
    height,
    encoding: { x: costChannel, y: accuracyChannel },
    layer: [
      {
        data: { values: front },
        mark: { type: 'line', interpolate: 'step-after', color: lightColours.accent, strokeWidth: 1.5 },
      },
      {
        data: { values: points.filter(({ name }) => !inFront.has(name)) },
        mark: { type: 'point', filled: true, size: 50, opacity: 1, color: lightColours.reference },
      },
      { data: { values: front }, mark: { type: 'point', filled: true, size: 60, opacity: 1, color: lightColours.accent } },
      {
        data: { values: labels },
        mark: { type: 'text', align: 'left', baseline: 'middle' },
        encoding: { text: { field: 'name' } },
      },
    ],
  };
}

/** The line that joins the front: from each point to the right, then up to the next. */
function stepsBetween(front: readonly { readonly x: number; readonly y: number }[]): Box[] {
  const inOrder = [...front].sort((a, b) => a.x - b.x);
  return inOrder.slice(1).flatMap((next, i) => {
    const { x, y } = inOrder[i]!;
    return [
      { left: x, right: next.x, top: y - 1, bottom: y + 1 },
      { left: next.x - 1, right: next.x + 1, top: next.y, bottom: y },
    ];
  });
}

/** Up to about six round values on a logarithmic axis: 1, 2 and 5 in each power of ten, fewer where there are many powers. */
function ticksWithin([low, high]: readonly [number, number]): number[] {
  const mantissas = high / low > 100 ? [1] : high / low > 4 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const mantissa of mantissas) {
      const tick = mantissa * 10 ** power;
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

interface Scale {
  readonly domain: readonly [number, number];
  toPixel(value: number): number;
  fromPixel(pixel: number): number;
}

function logarithmic(values: readonly number[]): Scale {
  const logs = values.map(Math.log);
  const room = 0.12 * Math.max(Math.max(...logs) - Math.min(...logs), 0.2);
  const [low, high] = [Math.min(...logs) - room, Math.max(...logs) + room];
  return {
    domain: [Math.exp(low), Math.exp(high)],
    toPixel: (value) => (width * (Math.log(value) - low)) / (high - low),
    fromPixel: (pixel) => Math.exp(low + (pixel / width) * (high - low)),
  };
}

function linear(values: readonly number[]): Scale {
  const room = 0.15 * Math.max(Math.max(...values) - Math.min(...values), 0.5);
  const [low, high] = [Math.min(...values) - room, Math.max(...values) + room];
  return {
    domain: [low, high],
    toPixel: (value) => (height * (value - low)) / (high - low),
    fromPixel: (pixel) => low + (pixel / height) * (high - low),
  };
}
