import { percentile } from '../../util/percentile.ts';

/**
 * The end of the axis, of a few effects far beyond the others, without them: they would press all others together.
 *
 * @param extents of the effects, from zero to the farther end of the interval
 */
export function axisLimit(extents: readonly number[]): number {
  const typical = percentile(extents, 0.5);
  const shown = extents.filter((extent) => extent <= 4 * typical);
  return 1.05 * Math.max(...(shown.length > 0 ? shown : extents), 0.1);
}
