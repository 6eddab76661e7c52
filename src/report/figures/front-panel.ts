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
  const x = logarithmic(
    points.map(({ cost }) => cost),
    width,
  );
  const y = linear(
    points.map(({ accuracy }) => accuracy),
    height,
  );
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
