/** Numbers of comparisons as people read them. */

/** `+0.42`: a difference of fractions in percentage points. */
export function formatPoints(fraction: number): string {
  const points = (100 * fraction).toFixed(2);
  return fraction > 0 && !points.startsWith('0.00') ? `+${points}` : points.replace(/^-(0\.00)$/, '$1');
}

/** `[-0.10, +0.94]`; empty without an interval. */
export function formatInterval(low: number | undefined, high: number | undefined): string {
  return low === undefined || high === undefined ? '' : `[${formatPoints(low)}, ${formatPoints(high)}]`;
}

/** `0.012`, `<0.001`; empty if there is none. */
export function formatPValue(p: number | undefined): string {
  if (p === undefined) return '';
  return p < 0.001 ? '<0.001' : p.toFixed(3);
}

/** `81.42` of a fraction: percent, without the sign. */
export function formatPercent(fraction: number | undefined): string {
  return fraction === undefined ? '' : (100 * fraction).toFixed(2);
}
