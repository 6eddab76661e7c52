/** float16 (IEEE 754 binary16): 5 bits of exponent, 11 bits of precision; largest value 65504. */

/** The largest float16 that is finite. */
export const largestFloat16 = 65_504;

/** The bits of each value rounded to nearest, ties to even. What is too large becomes infinite, what is not a number stays one. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, float16Bits);
}

function float16Bits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // Halfway from 65504 to the next power of two, or more.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // From 2^-14 on the exponent is moved from bias 127 to bias 15, and a carry of the rounding may raise it.
  if (magnitude >= 0x38800000) return sign | ((magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Subnormal: a multiple of 2^-24.
  const exponent = Math.max((magnitude >>> 23) - 150, -149);
  const mantissa = magnitude >= 0x800000 ? (magnitude & 0x7fffff) | 0x800000 : magnitude;
  return sign | roundToEven(mantissa * 2 ** (exponent + 24));
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
