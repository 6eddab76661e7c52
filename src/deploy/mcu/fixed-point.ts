/**
 * Multiplication of sums by a real factor with integers alone, as LiteRT's usual kernels (XNNPACK) do it with floating point: the sum and the factor
 * are float32, and so is their product, which then becomes the nearest integer, of two the even one. Its 24 bits are enough for a result of eight
 * but for one thing: a product very close to a half becomes that half, and so an even integer. That is all that integers must add to an
 * exact product that is rounded once.
 *
 * TensorFlow Lite's reference kernels, TensorFlow Lite Micro and CMSIS-NN round twice by default, as gemmlowp did, or once where they are built
 * for it (TFLITE_SINGLE_ROUNDING, CMSIS_NN_USE_SINGLE_ROUNDING): a few activations in a thousand are one more or less then.
 */

/** `multiplier * 2^-(31 + shift)` stands for a positive factor below 1/2. */
export interface FixedPoint {
  /** From 2^30 to below 2^31, of which the lowest seven bits are zero; 0 for a factor that is nothing. */
  readonly multiplier: number;
  /** Bits to the right: 1 to 30. */
  readonly shift: number;
}

/** The very number. @param factor a float32 above 0 and below 1/2 */
export function fixedPointOf(factor: number): FixedPoint {
  if (!(factor > 0 && factor < 0.5)) throw new RangeError(`factor (=${factor}) must be above 0 and below 1/2`);
  // Of 24 bits: none is so close to a power of two that its logarithm is rounded to an integer.
  const exponent = Math.floor(Math.log2(factor)) + 1;
  return exponent < -30
    ? { multiplier: 0, shift: 1 }
    : { multiplier: Math.round(factor * 2 ** (31 - exponent)), shift: -exponent };
}

export function factorOf({ multiplier, shift }: FixedPoint): number {
  return multiplier * 2 ** (-31 - shift);
}

/**
 * `sum * factor` in float32, to the nearest integer, of two the even one.
 *
 * @param sum an integer below 2^24; a larger one is rounded to 24 bits
 * @param factor a float32
 */
export function requantize(sum: number, factor: number): number {
  return nearestEven(Math.fround(Math.fround(sum) * factor));
}

/** The nearest integer; of two the even one. */
export function nearestEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
