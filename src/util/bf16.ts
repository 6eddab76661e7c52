/** bfloat16: the upper half of a float32, with its range and 8 bits of precision. */

/** Rounds to nearest, ties to even, `values[i]` into `target[i]`; what is not a number stays one. */
export function toBf16(values: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    target[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}

/** The exact value of `values[i]` into `target[i]`. */
export function fromBf16(values: Uint16Array, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < bits.length; i++) bits[i] = values[i]! << 16;
}
