/**
 * Which elements dropout drops: one definition for all engines, so that they can be compared and a run repeats on any of them.
 *
 * Element i of a layer's tensor, counted through the whole global batch in plain `[N, C, H, W]` order, has a 16-bit draw that is a
 * function of (seed, layer name, step, i). It is kept if its draw is at least `rate * 2^16`: the rate that is applied is exact to
 * 2^-17. Two neighbours share one 32-bit hash, since masks of millions of elements are filled in every training step.
 */
import { mix32, streamKey } from '../util/random.ts';

export interface DropoutMaskOptions {
  readonly seed: number;
  readonly step: number;
  /** Position of the mask's first element in the layer's tensor of the whole global batch: first example times elements per example. */
  readonly firstElement: number;
}

/**
 * Fills `mask` (plain `[N, C, H, W]` order, from `firstElement` on) with 0 for the dropped elements of
 * the dropout layer named `layer` and 1 / (1 - rate) for the others.
 */
export function fillDropoutMask(mask: Float32Array, layer: string, rate: number, options: DropoutMaskOptions): void {
  const { seed, step, firstElement } = options;
  const key = streamKey(seed, `dropout:${layer}`, step);
  // A stream is mix32 over a Weyl sequence with its own odd increment, so that no stream is another one shifted.
  const increment = mix32(key) | 1;
  const threshold = Math.round(rate * 0x1_0000);
  const kept = 1 / (1 - rate);
  let i = 0;
  if (firstElement % 2 === 1 && mask.length > 0) {
    mask[i++] = maskValue(mix32((key + Math.imul((firstElement - 1) / 2, increment)) | 0) >>> 16, threshold, kept);
  }
  let state = (key + Math.imul((firstElement + i) / 2, increment)) | 0;
  for (; i + 1 < mask.length; i += 2) {
    const draws = mix32(state);
    mask[i] = maskValue(draws & 0xffff, threshold, kept);
    mask[i + 1] = maskValue(draws >>> 16, threshold, kept);
    state = (state + increment) | 0;
  }
  if (i < mask.length) mask[i] = maskValue(mix32(state) & 0xffff, threshold, kept);
}

/** `kept` if the draw is at least the threshold, else 0; by a sign and no branch, half of which would be mispredicted. */
function maskValue(draw: number, threshold: number, kept: number): number {
  return kept * ((threshold - 1 - draw) >>> 31);
}
