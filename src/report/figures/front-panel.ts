/** The part of a figure that shows accuracy against one cost. */
import { paretoFront, type Priced } from '../pareto.ts';
import { lightColours } from '../theme.ts';
import { placeLabels, stepsBetween } from './label-placement.ts';
import { linear, logarithmic, ticksWithin } from './scales.ts';

const width = 330;
const height = 230;

export interface PanelPoint extends Priced {
  /** What kind of point it is, shown by its shape. */
  readonly series?: string;
  /** Bounds of its interval, in the units of `accuracy`. */
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

export interface PanelOptions {
  /** Of the axis of costs. */
  readonly title: string;
  /** Of its numbers, as d3-format has it. */
  readonly format: string;
  /** Of the points, where they have any. */
  readonly series?: readonly string[];
}

/** So many points with names of so many letters can all be named, not only those in the front. */
const mostNamed = 16;
const longestName = 12;

const shapes = ['circle', 'square', 'diamond'];

/**
 * Accuracy in percent against a cost, each point once, with its interval if it has one; the Pareto front is joined and named, and the others
 * are named too where there is room. As a Vega-Lite view.
 */
export function frontPanel(points: readonly PanelPoint[], { title, format, series }: PanelOptions) {
  const front = paretoFront(points);
  const x = logarithmic(
    points.map(({ cost }) => cost),
    width,
  );
  const y = linear(accuraciesToShow(points), height);
  const inFront = new Set(front.map(({ name }) => name));
  const isFront = (name: string | undefined) => name !== undefined && inFront.has(name);
  const namesAll = points.length <= mostNamed && points.every(({ name }) => name.length <= longestName);
  const pixels = points.map(({ name, cost, accuracy }) => ({
    ...((namesAll || inFront.has(name)) && { name, optional: !inFront.has(name) }),
    x: x.toPixel(cost),
    y: height - y.toPixel(accuracy),
  }));
  // The front first: it gets the best places.
  const inOrder = [...pixels.filter(({ name }) => isFront(name)), ...pixels.filter(({ name }) => !isFront(name))];
  const intervals = points.flatMap(({ cost, low, high }) =>
    low === undefined || high === undefined ? [] : [{ cost, low, high }],
  );
  const obstacles = [
    ...stepsBetween(pixels.filter(({ name }) => isFront(name))),
    ...intervals.map(({ cost, low, high }) => ({
      ...{ left: x.toPixel(cost) - 1, right: x.toPixel(cost) + 1 },
      ...{ top: height - y.toPixel(high), bottom: height - y.toPixel(low) },
    })),
  ];
  const labels = placeLabels(inOrder, { width, height }, obstacles).map((label) => ({
    name: label.name,
    cost: x.fromPixel(label.x),
    accuracy: y.fromPixel(height - label.y),
  }));
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
        data: { values: front.map(({ name, cost, accuracy }) => ({ name, cost, accuracy })) },
        mark: { type: 'line', interpolate: 'step-after', color: lightColours.accent, strokeWidth: 1.5 },
      },
      ...(intervals.length > 0
        ? [
            {
              data: { values: intervals },
              mark: { type: 'rule', color: lightColours.reference, strokeWidth: 1, clip: true },
              encoding: { y: { ...accuracyChannel, field: 'low' }, y2: { field: 'high' } },
            },
          ]
        : []),
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
        data: { values: labels.filter(({ name }) => inFront.has(name)) },
        mark: { type: 'text', align: 'left', baseline: 'middle' },
        encoding: { text: { field: 'name' } },
      },
      {
        data: { values: labels.filter(({ name }) => !inFront.has(name)) },
        mark: { type: 'text', align: 'left', baseline: 'middle', color: lightColours.muted },
        encoding: { text: { field: 'name' } },
      },
    ],
  };
}

/** What the axis spans: the points, and their intervals as far as these do not squeeze the points together (two seeds can give any width). */
function accuraciesToShow(points: readonly PanelPoint[]): readonly number[] {
  const accuracies = points.map(({ accuracy }) => accuracy);
  const [lowest, highest] = [Math.min(...accuracies), Math.max(...accuracies)];
  const room = Math.max(highest - lowest, 1) / 2;
  return points.flatMap(({ accuracy, low = accuracy, high = accuracy }) => [
    accuracy,
    Math.max(low, lowest - room),
    Math.min(high, highest + room),
  ]);
}
