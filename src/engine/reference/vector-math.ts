import type { VectorMath } from '../engine.ts';
import { requireMatrices } from '../matrices.ts';

/** Arithmetic on whole arrays in plain loops: float64, rounded to float32 when stored. */
export const vectorMath: VectorMath = {
  multiplyAdd: (x, addends, y) => (factors) => {
    for (let i = 0; i < y.length; i++) {
      let value = x[i]! * factors[0]!;
      addends.forEach((addend, k) => {
        value = (value + addend[i]!) * factors[k + 1]!;
      });
      y[i] = value;
    }
  },
  approach: (x, y) => (share) => {
    for (let i = 0; i < y.length; i++) y[i] = share * (x[i]! - y[i]!) + y[i]!;
  },
  multiply: (x, y) => () => {
    for (let i = 0; i < y.length; i++) y[i] = x[i]! * y[i]!;
  },
  approachSquare: (x, y) => (share) => {
    for (let i = 0; i < y.length; i++) y[i] = y[i]! + share * (x[i]! * x[i]! - y[i]!);
  },
  addOverRoot:
    (x, squares, y) =>
    ({ scale, epsilon, step, keep }) => {
      for (let i = 0; i < y.length; i++) y[i] = keep * y[i]! + (step * x[i]!) / (Math.sqrt(scale * squares[i]!) + epsilon);
    },
  product: (a, b, c, shape) => {
    requireMatrices(a, b, c, shape);
    const { rows, inner, columns, transposeA = false, transposeB = false } = shape;
    return (alpha, beta) => {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            sum += a[transposeA ? k * rows + row : row * inner + k]! * b[transposeB ? column * inner + k : k * columns + column]!;
          }
          const i = row * columns + column;
          c[i] = alpha * sum + (beta === 0 ? 0 : beta * c[i]!);
        }
      }
    };
  },
  scaleToNorm: (x, y) => (norm, epsilon) => {
    const factor = norm / (Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) + epsilon);
    for (let i = 0; i < y.length; i++) y[i] = factor * x[i]!;
  },
  allocate: (length) => new Float32Array(length),
};
