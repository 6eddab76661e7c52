/** The part of a figure that shows accuracy against one cost. */
import { paretoFront, type Priced } from '../pareto.ts';
import { lightColours } from '../theme.ts';
import { placeLabels, type Box } from './label-placement.ts';

const width = 330;
const height = 230;

export interface PanelPoint extends Priced {
  /** What kind of point it is, shown by its shape. */
  readonly series?: string;
}

export interface PanelOptions {
  /** Of the axis of costs. */
  readonly title: string;
  /** Of its numbers, as d3-format has it. */
  readonly format: string;
  /** Of the points, where they have any. */
  readonly series?: readonly string[];
}

const shapes = ['circle', 'square', 'diamond'];

/** Accuracy in percent against a cost, each point once; the Pareto front is joined and named. As a Vega-Lite view. */
export function frontPanel(points: readonly PanelPoint[], { title, format, series }: PanelOptions) {
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
    axis: { format, values: ticksWithin(x.domain) },
  };
  const accuracyChannel = {
    field: 'accuracy',
    type: 'quantitative',
    title: 'accuracy, %',
    scale: { domain: y.domain, nice: false },
    axis: { tickCount: 5 },
  };
  const pointEncoding = series && {
    encoding: {
      shape: {
        field: 'series',
        type: 'nominal',
        title: null,
        scale: { domain: series, range: shapes.slice(0, series.length) },
        legend: { symbolFillColor: lightColours.muted, symbolStrokeWidth: 0 },
      },
    },
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
        ...pointEncoding,
      },
      {
        data: { values: front },
        mark: { type: 'point', filled: true, size: 60, opacity: 1, color: lightColours.accent },
        ...pointEncoding,
      },
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
