/**
 * Multiplication of sums by a real factor with integers alone, rounded once: as LiteRT's kernels on processors (XNNPACK) round, and TensorFlow Lite
 * Micro and CMSIS-NN where they are built for it (TFLITE_SINGLE_ROUNDING, CMSIS_NN_USE_SINGLE_ROUNDING). By default those two, and TensorFlow Lite's
 * reference kernels, round twice, as gemmlowp did: a few activations in a thousand are one more or less then.
 */

/** `multiplier * 2^-(31 + shift)` stands for a positive factor below 1/2. */
export interface FixedPoint {
  /** From 2^30 to below 2^31; 0 for a factor that is nothing to 32 bits. */
  readonly multiplier: number;
  /** Bits to the right: 1 to 31. */
  readonly shift: number;
}

/** The nearest number of 31 bits: TensorFlow Lite's QuantizeMultiplier. @param factor a little less than 1/2 at most: it must not round to it */
export function fixedPointOf(factor: number): FixedPoint {
  if (!(factor > 0 && factor < 0.5)) throw new RangeError(`factor (=${factor}) must be above 0 and below 1/2`);
  let exponent = Math.floor(Math.log2(factor)) + 1;
  // The logarithm is rounded; multiplications by powers of two are not.
  if (factor * 2 ** -exponent >= 1) exponent++;
  if (factor * 2 ** -exponent < 0.5) exponent--;
  const multiplier = Math.round(factor * 2 ** (31 - exponent));
  if (multiplier === 2 ** 31) return { multiplier: 2 ** 30, shift: -exponent - 1 };
  return exponent < -31 ? { multiplier: 0, shift: 1 } : { multiplier, shift: -exponent };
}

/**
 * `sum * factor` to the nearest integer, halves up: (sum * multiplier + 2^(30 + shift)) / 2^(31 + shift), rounded down. Since the shift is at least 1,
 * the lower 31 bits of the product cannot change it.
 *
 * @param sum an integer below 2^30
 */
export function requantize(sum: number, { multiplier, shift }: FixedPoint): number {
  // The product has 61 bits, a number 53: in two parts, each exact.
  const low = Math.floor((sum * (multiplier & 0xffff)) / 2 ** 16);
  const high = Math.floor((sum * (multiplier >>> 16) + low) / 2 ** 15);
  return Math.floor((high + 2 ** (shift - 1)) / 2 ** shift);
}
