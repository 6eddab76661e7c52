/**
 * The lines of a chart, on a canvas above the one on which uPlot draws axes and grid. While lines grow and the axes stay, only the part of it
 * is drawn again in which something has changed: at ten times a second, that is what keeps a page that follows a training from competing with it.
 */
import type uPlot from 'uplot';
import { drawLines, projectionOf, type Box, type Projection, type Range } from './draw-lines.ts';
import type { Line } from './lines.ts';

export interface CurveLayer {
  /** Draws what has changed since the last time. */
  draw(lines: readonly Line[], highlight: string | undefined): void;
}

interface Drawn {
  readonly lines: readonly Line[];
  readonly highlight: string | undefined;
  /** Size, place and scales. */
  readonly frame: string;
}

/** Pixels of CSS to the left of a point that what is drawn at it may reach. */
const reach = 4;

/** @param plot whose canvas the layer covers, and with which it is removed */
export function createCurveLayer(plot: uPlot): CurveLayer {
  const axes = plot.ctx.canvas;
  const canvas = document.createElement('canvas');
  canvas.className = 'curve-layer';
  axes.after(canvas);
  const ctx = canvas.getContext('2d')!;
  let drawn: Drawn | undefined;

  return {
    draw(lines, highlight) {
      const projection = projectionOf(plot);
      if (projection === undefined) return;
      const frame = frameOf(plot);
      const changedAt = drawn?.frame === frame && drawn.highlight === highlight ? changedPlace(drawn.lines, lines) : -Infinity;
      drawn = { lines, highlight, frame };
      if (changedAt === undefined) return;
      const isWhole = changedAt === -Infinity;
      if (isWhole && (canvas.width !== axes.width || canvas.height !== axes.height)) {
        canvas.width = axes.width;
        canvas.height = axes.height;
      }
      const part = isWhole ? plot.bbox : partFrom(plot.bbox, projection, changedAt);
      if (isWhole) ctx.clearRect(0, 0, canvas.width, canvas.height);
      else ctx.clearRect(part.left, part.top, part.width, part.height);
      drawLines(ctx, projection, part, lines, highlight);
    },
  };
}

function frameOf({ bbox, scales, ctx }: uPlot): string {
  const { x, y } = scales;
  return [
    ...[ctx.canvas.width, ctx.canvas.height, devicePixelRatio, bbox.left, bbox.top, bbox.width, bbox.height],
    ...[x, y].flatMap((scale) => [scale?.min, scale?.max, scale?.distr]),
  ].join(' ');
}

/** Whole pixels, so that nothing at the edge is drawn twice or by half. */
function partFrom({ left, top, width, height }: Box, projection: Projection, changedAt: number): Box {
  const right = left + width;
  const start = Math.floor(projection.x(changedAt) - reach * devicePixelRatio);
  const from = Number.isNaN(start) ? left : Math.min(right, Math.max(left, start));
  return { left: from, top, width: right - from, height };
}

/** The place behind which lines differ; -Infinity if all must be drawn anew, undefined if nothing must. */
function changedPlace(before: readonly Line[], now: readonly Line[]): number | undefined {
  if (before === now) return undefined;
  if (before.length !== now.length) return -Infinity;
  let place: number | undefined;
  for (const [i, line] of now.entries()) {
    const changed = changedPlaceOf(before[i]!, line);
    if (changed !== undefined) place = Math.min(place ?? Infinity, changed);
  }
  return place;
}

function changedPlaceOf(before: Line, now: Line): number | undefined {
  if (before.id !== now.id || before.colour !== now.colour || before.dash.join() !== now.dash.join()) return -Infinity;
  const columns = [
    [before.x, now.x],
    [before.y, now.y],
    [before.low, now.low],
    [before.high, now.high],
    [before.raw, now.raw],
  ] as const;
  let same = Math.min(before.x.length, now.x.length);
  for (const [a, b] of columns) {
    if (a === b) continue;
    if (a === undefined || b === undefined) return -Infinity;
    same = Math.min(same, samePart(a, b, same));
  }
  if (same === before.x.length && same === now.x.length) return undefined;
  // The line to the first point that differs begins at the one before it.
  return same === 0 ? -Infinity : now.x[same - 1]!;
}

/** How many values agree from the beginning on, of so many at most. */
function samePart(a: Float64Array, b: Float64Array, most: number): number {
  for (let i = 0; i < most; i++) if (!Object.is(a[i], b[i])) return i;
  return most;
}

/**
 * What an axis shows, as long as what it should show lies less than half a pixel away: an axis that moves with every point has everything
 * drawn anew for nothing that can be seen.
 *
 * @param pixels that the axis is long; undefined as long as that is not known
 * @returns `before` itself, or `next` itself
 */
export function steadyRange(before: Range, next: Range, isLog: boolean, pixels = Infinity): Range {
  const scaled = isLog ? Math.log : (value: number) => value;
  const [from, to] = [scaled(next.min), scaled(next.max)];
  const least = (to - from) / (2 * pixels);
  const isNear = Math.abs(scaled(before.min) - from) <= least && Math.abs(scaled(before.max) - to) <= least;
  return isNear ? before : next;
}
