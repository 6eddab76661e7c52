/** Arithmetic on whole arrays with oneDNN's vectorized, multi-threaded binary kernels: what an optimizer step is made of. */
import type { DeviceArray, VectorMath } from '../engine.ts';
import { arrayOf, valuesOf } from './array.ts';
import type { ArgumentName, BinaryAlgorithm, Dnnl, Memory, PostOperation } from './dnnl.ts';
import { alignment } from './memory-planner.ts';
import { allocateAligned } from './native.ts';
import { asFloat32 } from './program.ts';
import { requireMatrices } from '../matrices.ts';

const scalarBytes = 64;

/** A number of the moment in place of an array. */
type Operand = Float32Array | 'factor';

/** What follows on the result of an operation, before it is stored. */
type Further = { readonly algorithm: BinaryAlgorithm; readonly operand: Operand } | 'squareRoot' | 'reciprocal';

/** Multiplied by a number of the moment. */
const scaled: Further = { algorithm: 'multiply', operand: 'factor' };

function plus(operand: Operand): Further {
  return { algorithm: 'add', operand };
}

export function createVectorMath(dnnl: Dnnl): VectorMath {
  const scalar = dnnl.plain([1, 1], 'f32');

  /** y = a (op) b, then what is in `rest`, in turn. Factors are given in the order of the operands. */
  function operation(
    algorithm: BinaryAlgorithm,
    a: Float32Array,
    b: Operand,
    y: Float32Array,
    rest: readonly Further[],
  ): (factors: readonly number[]) => void {
    const operands = rest.flatMap((further) => (typeof further === 'string' ? [] : [further.operand]));
    for (const { length } of [a, b, ...operands].filter((operand) => operand !== 'factor')) {
      if (length !== y.length) throw new Error(`arrays of ${length} and ${y.length} elements must be of the same length`);
    }
    if (y.length === 0) return () => undefined;
    const vector = dnnl.plain([1, y.length], 'f32');
    const factorValues: Float32Array[] = [];
    const memoryOf = (operand: Operand): Memory => {
      if (operand !== 'factor') {
        return dnnl.memory(vector, new Uint8Array(operand.buffer, operand.byteOffset, operand.byteLength));
      }
      const bytes = new Uint8Array(scalarBytes);
      factorValues.push(asFloat32(bytes));
      return dnnl.memory(scalar, bytes);
    };
    const postOperations = rest.map((further): PostOperation => {
      if (further === 'squareRoot') return { type: 'eltwise', algorithm: 'squareRoot' };
      if (further === 'reciprocal') return { type: 'eltwise', algorithm: 'power', alpha: 1, beta: -1 };
      const { algorithm: next, operand } = further;
      return { type: 'binary', algorithm: next, operand: operand === 'factor' ? scalar : vector };
    });
    const spec = { kind: 'binary', algorithm, a: vector, b: b === 'factor' ? scalar : vector, dst: vector } as const;
    const primitive = dnnl.primitive(spec, { postOperations });
    if (primitive === undefined) throw new Error('oneDNN has no binary operation for arrays');
    const args = new Map<ArgumentName, Memory>([
      ['src', memoryOf(a)],
      ['src1', memoryOf(b)],
      ['dst', memoryOf(y)],
    ]);
    rest.forEach((further, i) => {
      if (typeof further !== 'string') args.set(`postOp${i}`, memoryOf(further.operand));
    });
    const execute = dnnl.execution(primitive, args);
    return (factors) => {
      factorValues.forEach((value, i) => {
        value[0] = factors[i]!;
      });
      execute();
    };
  }

  return {
    multiplyAdd: (x, addends, y) => {
      const rest = addends.flatMap((addend) => [plus(valuesOf(addend)), scaled]);
      return operation('multiply', valuesOf(x), 'factor', valuesOf(y), rest);
    },
    approach: (x, y, rounded = 'each') => {
      const [xs, ys] = sameLength(x, y);
      if (rounded === 'once') {
        return (share) => {
          for (let i = 0; i < ys.length; i++) ys[i] = ys[i]! + share * (xs[i]! - ys[i]!);
        };
      }
      const run = operation('subtract', xs, ys, ys, [scaled, plus(ys)]);
      return (share) => {
        run([share]);
      };
    },
    multiply: (x, y) => {
      const run = operation('multiply', valuesOf(x), valuesOf(y), valuesOf(y), []);
      return () => {
        run([]);
      };
    },
    // ((x * x) * (share / (1 - share)) + y) * (1 - share)
    approachSquare: (x, y) => {
      const run = operation('multiply', valuesOf(x), valuesOf(x), valuesOf(y), [scaled, plus(valuesOf(y)), scaled]);
      return (share) => {
        run([share / (1 - share), 1 - share]);
      };
    },
    // (x * (step / keep) / (sqrt(squares * scale) + epsilon) + y) * keep
    addOverRoot: (x, squares, y) => {
      const divided: Further = { algorithm: 'multiply', operand: valuesOf(x) };
      const rest: Further[] = ['squareRoot', plus('factor'), 'reciprocal', divided, scaled, plus(valuesOf(y)), scaled];
      const run = operation('multiply', valuesOf(squares), 'factor', valuesOf(y), rest);
      return ({ scale, epsilon, step, keep }) => {
        // So little of y that nothing of it is seen in the sum.
        const kept = keep === 0 ? 1e-20 : keep;
        run([scale, epsilon, step / kept, kept]);
      };
    },
    product: (a, b, c, shape) => {
      requireMatrices(a, b, c, shape);
      const matrices = { a: valuesOf(a), b: valuesOf(b), c: valuesOf(c) };
      const { transposeA = false, transposeB = false } = shape;
      return (alpha, beta) => {
        dnnl.multiplyMatrices(matrices, shape, { a: transposeA, b: transposeB }, { alpha, beta });
      };
    },
    scaleToNorm: (x, y) => {
      const xs = valuesOf(x);
      const scale = operation('multiply', xs, 'factor', valuesOf(y), []);
      return (norm, epsilon) => {
        scale([norm / (Math.sqrt(sumOfSquares(xs)) + epsilon)]);
      };
    },
    allocate: (length) => arrayOf(allocateAligned(4 * length, alignment)),
    copy: (x, y) => {
      const [xs, ys] = sameLength(x, y);
      return () => {
        ys.set(xs);
      };
    },
    fill: (y) => {
      const ys = valuesOf(y);
      return (value) => {
        ys.fill(value);
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
      return () => Promise.resolve(Float64Array.from(all, sumOfSquares));
    },
    allFinite: (x) => {
      const xs = valuesOf(x);
      return () => Promise.resolve(allFinite(xs));
    },
  };
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return sum;
}

function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return false;
  return true;
}

function sameLength(x: DeviceArray, y: DeviceArray): readonly [Float32Array, Float32Array] {
  if (x.length !== y.length) throw new Error(`arrays of ${x.length} and ${y.length} elements must be of the same length`);
  return [valuesOf(x), valuesOf(y)];
}
