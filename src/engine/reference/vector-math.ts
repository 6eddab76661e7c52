import type { VectorMath } from '../engine.ts';

/** Arithmetic on whole arrays in plain loops: float64, rounded to float32 when stored. */
export const vectorMath: VectorMath = {
  addScaled: (x, y) => (factor) => {
    for (let i = 0; i < y.length; i++) y[i] = factor * x[i]! + y[i]!;
  },
  scaleAndAdd: (x, y) => (factor) => {
    for (let i = 0; i < y.length; i++) y[i] = factor * y[i]! + x[i]!;
  },
  approach: (x, y) => (share) => {
    for (let i = 0; i < y.length; i++) y[i] = share * (x[i]! - y[i]!) + y[i]!;
  },
  multiply: (x, y) => () => {
    for (let i = 0; i < y.length; i++) y[i] = x[i]! * y[i]!;
  },
};
