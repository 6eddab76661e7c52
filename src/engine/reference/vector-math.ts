import type { VectorMath } from '../engine.ts';

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
};
