/** From curves to what is drawn: the horizontal axis, smoothing, groups with their means and bands, differences from a reference. */
import type { RowChoices } from '../../protocol.ts';
import type { Curve } from '../state/curves.ts';

/** A line, and around it a band where there is one. All arrays have the same length; `x` ascends. NaN is a gap. */
export interface Line {
  /** Of the run or the group. */
  readonly id: string;
  readonly label: string;
  readonly colour: string;
  /** Lengths of dashes and gaps. */
  readonly dash: readonly number[];
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly low?: Float64Array;
  readonly high?: Float64Array;
  /** The line before it was smoothed, drawn faintly. */
  readonly raw?: Float64Array;
  /** Of a mean, the number of runs that reach each place. */
  readonly counts?: Float64Array;
}

export const xAxes = ['step', 'epoch', 'images', 'operations', 'time'] as const;

export type XAxis = (typeof xAxes)[number];

/** A training step computes about three times what classifying does: a forward pass, and a backward pass of twice the work. */
const passes = 3;

/**
 * What a step is on an axis; undefined for what is not known of a run.
 *
 * @returns a factor on the steps, or `seconds`
 */
export function scaleOf(axis: XAxis, choices: RowChoices | undefined): number | 'seconds' | undefined {
  if (axis === 'step') return 1;
  if (axis === 'time') return 'seconds';
  if (choices === undefined) return undefined;
  const { batchSize, trainImages, operations } = choices;
  if (axis === 'images') return batchSize;
  if (axis === 'epoch') return trainImages === undefined ? undefined : batchSize / trainImages;
  return operations === undefined ? undefined : batchSize * operations * passes;
}

/** The places of a curve's points on an axis. */
export function placesOf(curve: Curve, scale: number | 'seconds'): Float64Array {
  if (scale === 'seconds') return new Float64Array(curve.seconds);
  return new Float64Array(curve.step).map((step) => step * scale);
}

/**
 * Exponential smoothing whose strength does not depend on how many points there are: each value weighs less by e^-1 for every `span` of x
 * that lies behind. The beginning is not drawn towards zero, and gaps are passed over.
 */
export function smoothed(x: Float64Array, y: Float64Array, span: number): Float64Array {
  const result = new Float64Array(y.length);
  let [sum, weight, last] = [0, 0, 0];
  for (let i = 0; i < y.length; i++) {
    const decay = i === 0 ? 0 : Math.exp(-Math.max(0, x[i]! - last) / span);
    last = x[i]!;
    sum *= decay;
    weight *= decay;
    if (!Number.isNaN(y[i]!)) {
      sum += y[i]!;
      weight++;
    }
    result[i] = weight > 0 ? sum / weight : NaN;
  }
  return result;
}

/** A curve as numbers over an axis. */
export interface Track {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** The value of a track between its points; NaN before its first and behind its last. */
export function valueAt({ x, y }: Track, at: number): number {
  if (x.length === 0 || at < x[0]! || at > x[x.length - 1]!) return NaN;
  const next = firstNotBelow(x, at);
  if (x[next] === at || next === 0) return y[next]!;
  const [before, behind] = [x[next - 1]!, x[next]!];
  const share = behind === before ? 1 : (at - before) / (behind - before);
  return y[next - 1]! + share * (y[next]! - y[next - 1]!);
}

/** Index of the first element that is not below a value; the length if there is none. */
export function firstNotBelow(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const bands = ['interval', 'range', 'none'] as const;

/** `interval`: of 95% around the mean. `range`: from the least to the greatest. */
export type Band = (typeof bands)[number];

export interface Mean {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Tracks that reach each place. */
  readonly counts: Float64Array;
}

/**
 * The mean of tracks, at the places of the one with the most points, over those that reach there.
 *
 * @param tQuantiles of 97.5%, for 1, 2, 3, ... degrees of freedom
 */
export function meanOf(tracks: readonly Track[], band: Band, tQuantiles: readonly number[]): Mean {
  const x = placesOfAll(tracks);
  const empty = () => new Float64Array(x.length);
  const [y, low, high, counts] = [empty(), empty(), empty(), empty()];
  for (let i = 0; i < x.length; i++) {
    const values = tracks.map((track) => valueAt(track, x[i]!)).filter((value) => !Number.isNaN(value));
    const summary = summaryOf(values, band, tQuantiles);
    [y[i], low[i], high[i], counts[i]] = [summary.mean, summary.low, summary.high, values.length];
  }
  return { x, y, low, high, counts };
}

/**
 * The mean of the differences between tracks and their partners, as between runs of the same seed, with the paired interval.
 *
 * @param pairs each track with the one that it is compared with
 */
export function meanDifference(pairs: readonly (readonly [Track, Track])[], band: Band, tQuantiles: readonly number[]): Mean {
  const differences = pairs.map(([track, partner]): Track => ({
    x: track.x,
    y: Float64Array.from(track.x, (at, i) => track.y[i]! - valueAt(partner, at)),
  }));
  return meanOf(differences, band, tQuantiles);
}

/** All places of the track with the most points, and those of others beyond its end. */
function placesOfAll(tracks: readonly Track[]): Float64Array {
  const finest = tracks.reduce<Track | undefined>(
    (most, track) => (most && most.x.length >= track.x.length ? most : track),
    undefined,
  );
  if (finest === undefined) return new Float64Array();
  const end = finest.x.at(-1) ?? -Infinity;
  const longest = tracks.reduce(
    (most, track) => ((track.x.at(-1) ?? -Infinity) > (most.x.at(-1) ?? -Infinity) ? track : most),
    finest,
  );
  const beyond = longest.x.subarray(firstNotBelow(longest.x, end)).filter((at) => at > end);
  return Float64Array.from([...finest.x, ...beyond]);
}

function summaryOf(values: readonly number[], band: Band, tQuantiles: readonly number[]) {
  const count = values.length;
  if (count === 0) return { mean: NaN, low: NaN, high: NaN };
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (band === 'range') return { mean, low: Math.min(...values), high: Math.max(...values) };
  if (band === 'none' || count === 1) return { mean, low: NaN, high: NaN };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1));
  const half = ((tQuantiles[Math.min(count - 1, tQuantiles.length) - 1] ?? 2) * deviation) / Math.sqrt(count);
  return { mean, low: mean - half, high: mean + half };
}
