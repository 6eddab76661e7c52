import type { DeviceArray, VectorMath } from '../engine.ts';
import { requireMatrices } from '../matrices.ts';
import { newArray, valuesOf } from './array.ts';

/** Arithmetic on whole arrays in plain loops: float64, rounded to float32 when stored. */
export const vectorMath: VectorMath = {
  multiplyAdd: (x, addends, y) => {
    const [xs, ys] = sameLength(x, y);
    const others = addends.map((addend) => sameLength(addend, y)[0]);
    return (factors) => {
      for (let i = 0; i < ys.length; i++) {
        let value = xs[i]! * factors[0]!;
        others.forEach((addend, k) => {
          value = (value + addend[i]!) * factors[k + 1]!;
        });
        ys[i] = value;
      }
    };
  },
  approach: (x, y) => {
    const [xs, ys] = sameLength(x, y);
    return (share) => {
      for (let i = 0; i < ys.length; i++) ys[i] = share * (xs[i]! - ys[i]!) + ys[i]!;
    };
  },
  multiply: (x, y) => {
    const [xs, ys] = sameLength(x, y);
    return () => {
      for (let i = 0; i < ys.length; i++) ys[i] = xs[i]! * ys[i]!;
    };
  },
  allocate: newArray,
  copy: (x, y) => {
    const [xs, ys] = sameLength(x, y);
    return () => {
      for (let i = 0; i < ys.length; i++) ys[i] = xs[i]!;
    };
  },
  fill: (y) => {
    const ys = valuesOf(y);
    return (value) => {
      for (let i = 0; i < ys.length; i++) ys[i] = value;
    };
  },
  clearWhere: (mask, y) => {
    const [masks, ys] = sameLength(mask, y);
    return () => {
      for (let i = 0; i < ys.length; i++) if (masks[i] === 0) ys[i] = 0;
    };
  },
  sumsOfSquares: (arrays) => {
    const all = arrays.map(valuesOf);
    return () =>
      Promise.resolve(
        Float64Array.from(all, (values) => {
          let sum = 0;
          for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
          return sum;
        }),
      );
  },
  allFinite: (x) => {
    const xs = valuesOf(x);
    return () => Promise.resolve(xs.every(Number.isFinite));
  },
  approachSquare: (x, y) => {
    const [xs, ys] = sameLength(x, y);
    return (share) => {
      for (let i = 0; i < ys.length; i++) ys[i] = ys[i]! + share * (xs[i]! * xs[i]! - ys[i]!);
    };
  },
  addOverRoot: (x, squares, y) => {
    const [xs, ys] = sameLength(x, y);
    const [roots] = sameLength(squares, y);
    return ({ scale, epsilon, step, keep }) => {
      for (let i = 0; i < ys.length; i++) ys[i] = keep * ys[i]! + (step * xs[i]!) / (Math.sqrt(scale * roots[i]!) + epsilon);
    };
  },
  product: (a, b, c, shape) => {
    requireMatrices(a, b, c, shape);
    const [left, right, result] = [valuesOf(a), valuesOf(b), valuesOf(c)];
    const { rows, inner, columns, transposeA = false, transposeB = false } = shape;
    return (alpha, beta) => {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            const factor = right[transposeB ? column * inner + k : k * columns + column]!;
            sum += left[transposeA ? k * rows + row : row * inner + k]! * factor;
          }
          const i = row * columns + column;
          result[i] = alpha * sum + (beta === 0 ? 0 : beta * result[i]!);
        }
      }
    };
  },
  scaleToNorm: (x, y) => {
    const [xs, ys] = sameLength(x, y);
    return (norm, epsilon) => {
      const factor = norm / (Math.sqrt(xs.reduce((sum, value) => sum + value * value, 0)) + epsilon);
      for (let i = 0; i < ys.length; i++) ys[i] = factor * xs[i]!;
    };
  },
};

/** The elements of two arrays. */
function sameLength(x: DeviceArray, y: DeviceArray): readonly [Float32Array, Float32Array] {
  if (x.length !== y.length) throw new RangeError(`arrays of ${x.length} and ${y.length} elements must be of the same length`);
  return [valuesOf(x), valuesOf(y)];
}
