/** Eigenvalues in descending order; `vectors[i]` is the unit eigenvector of `values[i]`. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** Sweeps over all pairs; convergence is quadratic, and small matrices need fewer than ten. */
const maxSweeps = 60;

/**
 * Eigenvalues and eigenvectors of a small symmetric matrix by Jacobi's rotations (Golub and Van Loan, Matrix Computations, section 8.5): each
 * makes one pair of off-diagonal elements zero, until all are negligible. The sign of each vector is such that its element of largest
 * magnitude (the first of equals) is positive, so the result is a function of the matrix alone.
 *
 * @param matrix `[size, size]`, row by row; only its upper triangle is read, and it is not changed
 * @throws RangeError if there are not `size * size` elements, or one is not finite
 */
export function symmetricEigen(matrix: Float64Array, size: number): SymmetricEigen {
  if (matrix.length !== size * size || !matrix.every(Number.isFinite)) {
    throw new RangeError(`a symmetric ${size}x${size} matrix must have ${size * size} finite elements`);
  }
  const a = new Float64Array(size * size);
  const v = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    v[i * size + i] = 1;
    for (let j = i; j < size; j++) a[i * size + j] = a[j * size + i] = matrix[i * size + j]!;
  }
  const scale = Math.hypot(...a);
  for (let sweep = 0; sweep < maxSweeps && offDiagonal(a, size) > Number.EPSILON * scale; sweep++) {
    for (let p = 0; p < size - 1; p++) for (let q = p + 1; q < size; q++) rotate(a, v, size, p, q);
  }
  const order = Array.from({ length: size }, (_, i) => i).sort((i, j) => a[j * size + j]! - a[i * size + i]!);
  return {
    values: Float64Array.from(order, (i) => a[i * size + i]!),
    vectors: order.map((i) => oriented(Float64Array.from({ length: size }, (_, row) => v[row * size + i]!))),
  };
}

function offDiagonal(a: Float64Array, size: number): number {
  let squares = 0;
  for (let i = 0; i < size; i++) for (let j = i + 1; j < size; j++) squares += 2 * a[i * size + j]! ** 2;
  return Math.sqrt(squares);
}

/** a = J' a J and v = v J, with the rotation J in the plane (p, q) that makes a[p, q] zero. */
function rotate(a: Float64Array, v: Float64Array, size: number, p: number, q: number): void {
  const apq = a[p * size + q]!;
  if (apq === 0) return;
  const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (let k = 0; k < size; k++) turn(a, k * size + p, k * size + q, c, s);
  for (let k = 0; k < size; k++) turn(a, p * size + k, q * size + k, c, s);
  for (let k = 0; k < size; k++) turn(v, k * size + p, k * size + q, c, s);
}

function turn(array: Float64Array, i: number, j: number, c: number, s: number): void {
  const [x, y] = [array[i]!, array[j]!];
  array[i] = c * x - s * y;
  array[j] = s * x + c * y;
}

function oriented(vector: Float64Array): Float64Array {
  let largest = 0;
  for (const element of vector) if (Math.abs(element) > Math.abs(largest)) largest = element;
  return largest < 0 ? vector.map((element) => -element) : vector;
}
