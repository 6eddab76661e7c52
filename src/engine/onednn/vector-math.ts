/** Arithmetic on whole arrays with oneDNN's vectorized, multi-threaded binary kernels: what an optimizer step is made of. */
import type { VectorMath } from '../engine.ts';
import type { ArgumentName, BinaryAlgorithm, Dnnl, Memory, PostOperation } from './dnnl.ts';
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
      const rest = addends.flatMap((addend) => [plus(addend), scaled]);
      return operation('multiply', x, 'factor', y, rest);
    },
    approach: (x, y) => {
      const run = operation('subtract', x, y, y, [scaled, plus(y)]);
      return (share) => {
        run([share]);
      };
    },
    multiply: (x, y) => {
      const run = operation('multiply', x, y, y, []);
      return () => {
        run([]);
      };
    },
    // ((x * x) * (share / (1 - share)) + y) * (1 - share)
    approachSquare: (x, y) => {
      const run = operation('multiply', x, x, y, [scaled, plus(y), scaled]);
      return (share) => {
        run([share / (1 - share), 1 - share]);
      };
    },
    // (x * (step / keep) / (sqrt(squares * scale) + epsilon) + y) * keep
    addOverRoot: (x, squares, y) => {
      const divided: Further = { algorithm: 'multiply', operand: x };
      const rest: Further[] = ['squareRoot', plus('factor'), 'reciprocal', divided, scaled, plus(y), scaled];
      const run = operation('multiply', squares, 'factor', y, rest);
      return ({ scale, epsilon, step, keep }) => {
        // So little of y that nothing of it is seen in the sum.
        const kept = keep === 0 ? 1e-20 : keep;
        run([scale, epsilon, step / kept, kept]);
      };
    },
    product: (a, b, c, shape) => {
      requireMatrices(a, b, c, shape);
      const { transposeA = false, transposeB = false } = shape;
      return (alpha, beta) => {
        dnnl.multiplyMatrices({ a, b, c }, shape, { a: transposeA, b: transposeB }, { alpha, beta });
      };
    },
    scaleToNorm: (x, y) => {
      const scale = operation('multiply', x, 'factor', y, []);
      return (norm, epsilon) => {
        let squares = 0;
        for (let i = 0; i < x.length; i++) squares += x[i]! * x[i]!;
        scale([norm / (Math.sqrt(squares) + epsilon)]);
      };
    },
    allocate: (length) => asFloat32(allocateAligned(4 * length, scalarBytes)),
  };
}
