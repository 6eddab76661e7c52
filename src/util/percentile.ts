/**
 * The value below which a share of the values lies, interpolated linearly between the two nearest (Hyndman and Fan's type 7, the
 * default of NumPy and R). `share` is in [0, 1]: 0.5 is the median.
 *
 * @throws RangeError if there are no values
 */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a percentile needs at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (position - below) * (high - low);
}
