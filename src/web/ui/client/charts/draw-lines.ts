/** Draws lines with their bands where a uPlot chart has its axes. uPlot's own series share their places; runs do not. */
import type uPlot from 'uplot';
import { firstNotBelow, type Line } from './lines.ts';

export interface Projection {
  x(value: number): number;
  y(value: number): number;
  /** The value on the horizontal axis at a pixel. */
  valueAt(px: number): number;
}

/** In pixels of the canvas. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** uPlot's number for logarithmic scales. */
export const logarithmic = 3;

const width = 1.6;

/**
 * @param part of the canvas that is drawn: what lies outside of it stays as it is
 * @param highlight the line that stands out; the others step back
 */
export function drawLines(
  ctx: CanvasRenderingContext2D,
  projection: Projection,
  part: Box,
  lines: readonly Line[],
  highlight: string | undefined,
): void {
  const isHighlighted = lines.some(({ id }) => id === highlight);
  ctx.save();
  ctx.beginPath();
  ctx.rect(part.left, part.top, part.width, part.height);
  ctx.clip();
  ctx.lineJoin = 'round';
  const ordered = isHighlighted ? [...lines].sort((a, b) => Number(a.id === highlight) - Number(b.id === highlight)) : lines;
  for (const line of ordered) {
    const strength = !isHighlighted || line.id === highlight ? 1 : 0.25;
    const range = visibleRange(projection, part, line);
    if (line.low !== undefined && line.high !== undefined) {
      ctx.globalAlpha = 0.16 * strength;
      ctx.fillStyle = line.colour;
      fillBand(ctx, projection, line, range);
    }
    ctx.strokeStyle = line.colour;
    ctx.lineWidth = (line.id === highlight ? 1.5 * width : width) * devicePixelRatio;
    if (line.raw !== undefined) {
      ctx.globalAlpha = 0.22 * strength;
      stroke(ctx, projection, line.x, line.raw, range, []);
    }
    ctx.globalAlpha = strength;
    const dash = line.dash.map((length) => length * devicePixelRatio);
    stroke(ctx, projection, line.x, line.y, range, dash);
  }
  ctx.restore();
}

/** From values to the pixels of the canvas; undefined as long as the chart has no size. */
export function projectionOf({ scales, bbox }: uPlot): Projection | undefined {
  const x = along(scales['x'], bbox.left, bbox.width);
  const y = along(scales['y'], bbox.top + bbox.height, -bbox.height);
  return x && y && { x: x.to, y: y.to, valueAt: x.from };
}

function along(scale: uPlot.Scale | undefined, start: number, length: number) {
  const { min, max, distr } = scale ?? {};
  if (typeof min !== 'number' || typeof max !== 'number' || max === min) return undefined;
  if (Number(distr) !== logarithmic) {
    return {
      to: (value: number) => start + ((value - min) / (max - min)) * length,
      from: (px: number) => min + ((px - start) / length) * (max - min),
    };
  }
  const [low, high] = [Math.log(min), Math.log(max)];
  return {
    to: (value: number) => (value > 0 ? start + ((Math.log(value) - low) / (high - low)) * length : NaN),
    from: (px: number) => Math.exp(low + ((px - start) / length) * (high - low)),
  };
}

/** The points of which something is seen: one more on either side, beyond what is drawn at a point itself. */
function visibleRange({ valueAt }: Projection, { left, width: room }: Box, { x }: Line): readonly [first: number, end: number] {
  const first = firstNotBelow(x, valueAt(left - 3 * devicePixelRatio)) - 1;
  return [Math.max(0, first), Math.min(x.length, firstNotBelow(x, valueAt(left + room)) + 2)];
}

/** Pixels of a line between its last gap and a point: so far its dashes are there, whatever part of it is drawn. */
function lengthUntil(point: number, { x, y }: Projection, xs: Float64Array, ys: Float64Array): number {
  let length = 0;
  let [lastX, lastY] = [NaN, NaN];
  for (let i = 0; i <= point; i++) {
    const [px, py] = [x(xs[i]!), y(ys[i]!)];
    const more = Math.sqrt((px - lastX) ** 2 + (py - lastY) ** 2);
    length = Number.isNaN(more) ? 0 : length + more;
    [lastX, lastY] = [px, py];
  }
  return length;
}

function stroke(
  ctx: CanvasRenderingContext2D,
  projection: Projection,
  xs: Float64Array,
  ys: Float64Array,
  [first, end]: readonly [number, number],
  dash: readonly number[],
): void {
  const { x, y } = projection;
  ctx.setLineDash([...dash]);
  ctx.lineDashOffset = dash.length > 0 ? lengthUntil(first, projection, xs, ys) : 0;
  ctx.beginPath();
  let points = 0;
  for (let i = first; i < end; i++) {
    const [px, py] = [x(xs[i]!), y(ys[i]!)];
    if (Number.isNaN(px) || Number.isNaN(py)) {
      if (points > 0) {
        ctx.stroke();
        ctx.beginPath();
      }
      ctx.lineDashOffset = points = 0;
      continue;
    }
    if (points++ === 0) ctx.moveTo(px, py);
    else ctx.lineTo(px, py);
    // A single point between gaps, or of a run that has just begun.
    if (points === 1 && (i + 1 >= end || Number.isNaN(ys[i + 1]!))) {
      ctx.lineTo(px + 0.01, py);
      ctx.moveTo(px + 2 * devicePixelRatio, py);
      ctx.arc(px, py, 2 * devicePixelRatio, 0, 2 * Math.PI);
    }
  }
  ctx.stroke();
}

/** Between the lower and the upper bounds, for each stretch without a gap. */
function fillBand(
  ctx: CanvasRenderingContext2D,
  { x, y }: Projection,
  line: Line,
  [first, end]: readonly [number, number],
): void {
  const { low, high } = line;
  const isGap = (i: number) => Number.isNaN(y(low![i]!)) || Number.isNaN(y(high![i]!));
  let start = first;
  while (start < end) {
    while (start < end && isGap(start)) start++;
    let stop = start;
    while (stop < end && !isGap(stop)) stop++;
    if (stop > start) {
      ctx.beginPath();
      for (let i = start; i < stop; i++) ctx.lineTo(x(line.x[i]!), y(high![i]!));
      for (let i = stop - 1; i >= start; i--) ctx.lineTo(x(line.x[i]!), y(low![i]!));
      ctx.closePath();
      ctx.fill();
    }
    start = stop;
  }
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** From the first to the last place of any line; undefined where there is nothing. On a logarithmic axis, places above zero count. */
export function extentOfX(lines: readonly Line[], isLog = false): Range | undefined {
  let [min, max] = [Infinity, -Infinity];
  for (const { x } of lines) {
    const first = isLog ? x.find((value) => value > 0) : x[0];
    if (first === undefined) continue;
    min = Math.min(min, first);
    max = Math.max(max, x.at(-1)!);
  }
  return min > max ? undefined : { min, max };
}

/** What an axis shows of all lines: from zero, where it is not logarithmic. */
export function rangeOfX(lines: readonly Line[], isLog: boolean): Range | undefined {
  const extent = extentOfX(lines, isLog);
  if (extent === undefined) return undefined;
  const { min, max } = extent;
  if (isLog) return min === max ? { min: min / 2, max: max * 2 } : extent;
  const start = Math.min(0, min);
  return { min: start, max: max > start ? max : start + 1 };
}

/**
 * Of what is in view, with some room. Bands take part as far as they are not much wider than the lines themselves: the interval of two seeds
 * would press everything else together.
 */
export function rangeOfY(lines: readonly Line[], x: Range, isLog: boolean, isFraction: boolean): Range | undefined {
  let [min, max, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const line of lines) {
    const end = Math.min(line.x.length, firstNotBelow(line.x, x.max) + 1);
    for (let i = Math.max(0, firstNotBelow(line.x, x.min) - 1); i < end; i++) {
      const value = line.y[i]!;
      if (Number.isFinite(value) && (!isLog || value > 0)) {
        min = Math.min(min, value);
        max = Math.max(max, value);
      }
      const [least, greatest] = [line.low?.[i] ?? NaN, line.high?.[i] ?? NaN];
      if (Number.isFinite(least) && (!isLog || least > 0)) low = Math.min(low, least);
      if (Number.isFinite(greatest)) high = Math.max(high, greatest);
    }
  }
  if (min > max) return undefined;
  if (isLog) {
    const factor = max / min > 1.05 ? (max / min) ** 0.05 : 1.5;
    return { min: Math.max(Math.min(min, low), min / 3) / factor, max: Math.min(Math.max(max, high), max * 3) * factor };
  }
  const size = max - min;
  const bottom = Math.max(Math.min(min, low), min - 0.6 * size);
  const top = Math.min(Math.max(max, high), max + 0.6 * size);
  const room = top > bottom ? 0.06 * (top - bottom) : Math.max(Math.abs(top) * 0.1, 1e-6);
  const limits = { min: bottom - room, max: top + room };
  return isFraction ? { min: Math.max(0, limits.min), max: Math.min(1, limits.max) } : limits;
}
