/** y = max(0, x), element by element; `y` may be `x`. */
export function relu(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i++) y[i] = Math.max(0, x[i]!);
}

/** dx = dy where y > 0, else 0 */
export function maskByRelu(dy: Float64Array, y: Float64Array): Float64Array {
  return dy.map((gradient, i) => (y[i]! > 0 ? gradient : 0));
}
