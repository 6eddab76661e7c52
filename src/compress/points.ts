/**
 * Points of accuracy, to a millionth: differences of fractions are off by rounding in the last digits, and one that is exactly at a limit must
 * not be above it.
 */
export function roundPoints(points: number): number {
  return Math.round(points * 1e6) / 1e6;
}

/** By how many points accuracy, a fraction, drops from one network to another; negative if it rises. */
export function dropInPoints(before: number, after: number): number {
  return roundPoints(100 * (before - after));
}
