/**
 * Statistics of paired differences. The same seed gives every variant the same order and augmentation of images (and, where shapes
 * agree, the same first weights), so the difference within a seed varies less than either accuracy.
 */
import tCdf from '@stdlib/stats-base-dists-t-cdf';
import tQuantile from '@stdlib/stats-base-dists-t-quantile';

export interface Estimate {
  /** Pairs. */
  readonly count: number;
  readonly mean: number;
  /** Standard deviation of the values (n - 1); undefined for a single one. */
  readonly deviation: number | undefined;
  /**
   * Bounds of the 95% confidence interval of the mean, by Student's t with n - 1 degrees of freedom; undefined for a single value, and
   * for values that are all alike.
   */
  readonly low: number | undefined;
  readonly high: number | undefined;
  /** Two-sided, of a mean of zero, uncorrected; undefined for a single value, 1 for values that are all alike. */
  readonly pValue: number | undefined;
}

const confidence = 0.95;
const power = 0.8;
/** Values that differ by less, relative to their size, are the same but for the last digits of their computation. */
const rounding = 1e-9;
/** Accuracies are fractions: no difference of theirs that is smaller is one. */
const smallest = 1e-14;

/**
 * Mean, interval and p-value of one or more values: the differences of pairs. Accuracies are multiples of 1 / images, so that few differences
 * are easily all alike by chance: how much they vary is then not known, and nothing is concluded from them.
 */
export function estimateMean(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { count, mean, deviation: undefined, low: undefined, high: undefined, pValue: undefined };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1));
  if (deviation <= Math.max(smallest, rounding * Math.max(...values.map(Math.abs)))) {
    return { count, mean, deviation: 0, low: undefined, high: undefined, pValue: 1 };
  }
  const standardError = deviation / Math.sqrt(count);
  const halfWidth = tQuantile((1 + confidence) / 2, count - 1) * standardError;
  const pValue = 2 * tCdf(-Math.abs(mean) / standardError, count - 1);
  return { count, mean, deviation, low: mean - halfWidth, high: mean + halfWidth, pValue };
}

/**
 * Holm's step-down correction (1979): with it, the chance of one or more false alarms among all comparisons is at most the level that the
 * p-values are compared with, however the comparisons depend on each other.
 *
 * @returns corrected p-values, in the order given
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const corrected: number[] = [];
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[index]!));
    corrected[index] = largest;
  });
  return corrected;
}

/** More than this many seeds is out of reach in any case. */
const mostSeeds = 1000;

/**
 * Seeds with which a difference of `size` would be found (p < 0.05, uncorrected) in four studies of five: the smallest n of at least 2 with
 * size >= (t(0.975, n - 1) + t(0.8, n - 1)) * deviation / sqrt(n).
 *
 * @param deviation of the differences of pairs, in the unit of `size`
 * @returns undefined if it takes more than 1,000
 */
export function seedsToResolve(size: number, deviation: number): number | undefined {
  const isEnough = (n: number) =>
    size >= ((tQuantile((1 + confidence) / 2, n - 1) + tQuantile(power, n - 1)) * deviation) / Math.sqrt(n);
  if (!isEnough(mostSeeds)) return undefined;
  let low = 2;
  let high = mostSeeds;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
