/** Weights as 8-bit integers: symmetric, with a scale of its own for each output channel. */

/**
 * The largest magnitude of a stored weight. With 7 bits, no sum of two products with an unsigned 8-bit activation leaves 16 bits:
 * 2 * 255 * 64 = 32640. That is what AVX2's and AVX-512's multiply-add of bytes (VPMADDUBSW) adds, and saturates beyond.
 */
export const largestWeight = { 7: 64, 8: 127 } as const;

export type WeightBits = keyof typeof largestWeight;

export interface QuantizedWeights {
  /** In the order of the weights: `value * scale of its channel` is about the weight. */
  readonly values: Int8Array;
  /** Positive, one for each channel. */
  readonly scales: Float32Array;
}

/**
 * Rounds each weight to a multiple of its channel's scale, which is max |weight| / largest.
 *
 * @param weights channels first
 * @param leastScale a channel's scale is not smaller than this (0 by default); a channel of zeros without one gets the scale 1
 */
export function quantizeWeights(
  weights: Float32Array,
  channels: number,
  bits: WeightBits,
  leastScale: (channel: number) => number = () => 0,
): QuantizedWeights {
  const largest = largestWeight[bits];
  const length = weights.length / channels;
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const [start, end] = [channel * length, (channel + 1) * length];
    let magnitude = 0;
    for (let i = start; i < end; i++) magnitude = Math.max(magnitude, Math.abs(weights[i]!));
    scales[channel] = Math.max(magnitude / largest, leastScale(channel));
    // Zero, or too small for a float32.
    if (scales[channel] === 0) scales[channel] = 1;
    const scale = scales[channel]!;
    for (let i = start; i < end; i++) values[i] = clamp(Math.round(weights[i]! / scale), largest);
  }
  return { values, scales };
}

/** Biases are added to sums of products, in their unit: `inputScale * weight scale`. */
export interface QuantizedBias {
  readonly values: Int32Array;
  /** One for each channel. */
  readonly scales: Float32Array;
}

/** Half of what 32 bits hold is left to the sums. */
const largestBias = 2 ** 30;

/** The least weight scale with which a channel's bias fits into an integer of 32 bits. */
export function leastScaleFor(bias: number, inputScale: number): number {
  return Math.abs(bias) / (inputScale * largestBias);
}

export function quantizeBias(bias: Float32Array, inputScale: number, weightScales: Float32Array): QuantizedBias {
  const scales = weightScales.map((scale) => inputScale * scale);
  return { values: Int32Array.from(bias, (value, channel) => clamp(Math.round(value / scales[channel]!), largestBias)), scales };
}

function clamp(value: number, largest: number): number {
  return Math.min(Math.max(value, -largest), largest);
}
