/** From the values that a tensor was seen to have to the scale of its integers. */
import type { CalibrationMethod, IntegerSettings } from '../quantization.ts';

/** Numbers of values between `low` and `high`, in bins of equal width. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: Float64Array;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** An unsigned byte q stands for (q - zeroPoint) * scale. */
export interface ActivationScale {
  /** Positive, a float32. */
  readonly scale: number;
  /** 0 to 255. */
  readonly zeroPoint: number;
}

export interface RangeMethod {
  readonly method: CalibrationMethod;
  /** Of the method `percentile`: share of the values within the range, in percent; half of the others lie below it, half above. */
  readonly percentile: number;
}

export const histogramBins = 2048;

/** Share of the values within the range, in percent, where nobody says another. */
const usualPercentile = 99.99;

export function rangeMethodOf({ calibration: method, percentile = usualPercentile }: IntegerSettings): RangeMethod {
  return { method, percentile };
}

/** Adds values to a histogram; all must lie between `low` and `high`. */
export function addToHistogram({ low, high, counts }: Histogram, values: Float32Array): void {
  const binsPerUnit = high > low ? counts.length / (high - low) : 0;
  const last = counts.length - 1;
  for (let i = 0; i < values.length; i++) counts[Math.min(Math.floor((values[i]! - low) * binsPerUnit), last)]!++;
}

/**
 * The range of values that get integers of their own; what is outside gets the nearest end.
 *
 * - `min-max`: all values seen.
 * - `percentile`: without the outermost ones.
 * - `mse`: each end moved towards zero by the factor (1, 0.99, ... 0.2) with the least mean squared error of rounding and clipping together.
 */
export function chooseRange(histogram: Histogram, { method, percentile }: RangeMethod): Range {
  switch (method) {
    case 'min-max':
      return histogram;
    case 'percentile': {
      const outside = (1 - percentile / 100) / 2;
      return { low: quantile(histogram, outside), high: quantile(histogram, 1 - outside) };
    }
    case 'mse':
      return leastSquaresRange(histogram);
  }
}

/** The value below which a share of the counted ones lies, linear within its bin. */
function quantile({ low, high, counts }: Histogram, share: number): number {
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  const width = (high - low) / counts.length;
  let below = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (count > 0 && below + count >= wanted) return low + width * (bin + (wanted - below) / count);
    below += count;
  }
  return high;
}

/** Shrinks one end after the other, twice: how far one may be depends a little on where the other is. */
function leastSquaresRange(histogram: Histogram): Range {
  let best: Range = { low: histogram.low, high: histogram.high };
  for (const end of ['high', 'low', 'high', 'low'] as const) {
    let leastError = Infinity;
    for (let percent = 100; percent >= 20; percent--) {
      const range = { ...best, [end]: (histogram[end] * percent) / 100 };
      const error = squaredError(histogram, scaleOf(range));
      if (error < leastError) [best, leastError] = [range, error];
    }
  }
  return best;
}

/** Sum over the values of (value - what its integer stands for)^2, each value taken for the middle of its bin. */
function squaredError({ low, high, counts }: Histogram, { scale, zeroPoint }: ActivationScale): number {
  const width = (high - low) / counts.length;
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (count === 0) continue;
    const value = low + width * (bin + 0.5);
    const integer = Math.min(Math.max(Math.round(value / scale) + zeroPoint, 0), 255);
    sum += count * (value - (integer - zeroPoint) * scale) ** 2;
  }
  return sum;
}

/** The scale with which 0 to 255 span a range, widened to hold 0, which must be exact: it is what padding and ReLUs make. */
export function scaleOf(range: Range): ActivationScale {
  const low = Math.min(range.low, 0);
  const high = Math.max(range.high, 0);
  const scale = Math.fround((high - low) / 255);
  // Nothing but zeros.
  if (scale === 0) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.round(Math.min(Math.max(-low / scale, 0), 255)) };
}
