/**
 * Multiplication of sums by a real factor with integers alone, to the bit as TensorFlow Lite's reference kernels, TensorFlow Lite Micro and
 * CMSIS-NN do it (gemmlowp's rounding, in two steps).
 */

/** `multiplier * 2^-(31 + shift)` stands for a positive factor. */
export interface FixedPoint {
  /** From 2^30 to below 2^31; 0 for a factor that is nothing to 32 bits. */
  readonly multiplier: number;
  /** Bits to the right; to the left if negative. */
  readonly shift: number;
}

/** The nearest number of 31 bits: TensorFlow Lite's QuantizeMultiplier. */
export function fixedPointOf(factor: number): FixedPoint {
  if (!(factor > 0 && Number.isFinite(factor))) throw new RangeError(`factor (=${factor}) must be a positive number`);
  let exponent = Math.floor(Math.log2(factor)) + 1;
  // The logarithm is rounded; multiplications by powers of two are not.
  if (factor * 2 ** -exponent >= 1) exponent++;
  if (factor * 2 ** -exponent < 0.5) exponent--;
  const multiplier = Math.round(factor * 2 ** (31 - exponent));
  if (multiplier === 2 ** 31) return { multiplier: 2 ** 30, shift: 0 - (exponent + 1) };
  return exponent < -31 ? { multiplier: 0, shift: 0 } : { multiplier, shift: 0 - exponent };
}

/**
 * `sum * factor`: the product with the multiplier over 2^31, rounded to the nearest integer (halves up), and that over 2^shift, rounded
 * again (halves away from zero).
 *
 * @param sum an integer whose result fits into 31 bits
 */
export function requantize(sum: number, { multiplier, shift }: FixedPoint): number {
  const x = shift < 0 ? sum * 2 ** -shift : sum;
  // The product has 62 bits, a number 53: in two parts, each exact. What is cut off below cannot change the quotient.
  const low = x * (multiplier & 0xffff) + 2 ** 30;
  const high = Math.floor((x * (multiplier >>> 16) + Math.floor(low / 2 ** 16)) / 2 ** 15);
  if (shift <= 0) return high;
  const half = 2 ** (shift - 1);
  return Math.floor((high + half - (high < 0 ? 1 : 0)) / 2 ** shift);
}
