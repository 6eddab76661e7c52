/** Arithmetic on whole arrays with oneDNN's vectorized, multi-threaded binary kernels: what an optimizer step is made of. */
import type { VectorMath } from '../engine.ts';
import type { ArgumentName, BinaryAlgorithm, Dnnl, Memory, PostOperation } from './dnnl.ts';
import { asFloat32 } from './program.ts';

const scalarBytes = 64;

/** A number of the moment in place of an array. */
type Operand = Float32Array | 'factor';

export function createVectorMath(dnnl: Dnnl): VectorMath {
  const scalar = dnnl.plain([1, 1], 'f32');
  const multiplyByScalar: PostOperation = { type: 'binary', algorithm: 'multiply', operand: scalar };

  /** y = a (op) b, then multiplied by each factor and plus each array of `rest` in turn. Factors are given in the order of the operands. */
  function operation(
    algorithm: BinaryAlgorithm,
    a: Float32Array,
    b: Operand,
    y: Float32Array,
    rest: readonly Operand[],
  ): (factors: readonly number[]) => void {
    for (const { length } of [a, b, ...rest].filter((operand) => operand !== 'factor')) {
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
    const addVector: PostOperation = { type: 'binary', algorithm: 'add', operand: vector };
    const postOperations = rest.map((operand) => (operand === 'factor' ? multiplyByScalar : addVector));
    const spec = { kind: 'binary', algorithm, a: vector, b: b === 'factor' ? scalar : vector, dst: vector } as const;
    const primitive = dnnl.primitive(spec, { postOperations });
    if (primitive === undefined) throw new Error('oneDNN has no binary operation for arrays');
    const args = new Map<ArgumentName, Memory>([
      ['src', memoryOf(a)],
      ['src1', memoryOf(b)],
      ['dst', memoryOf(y)],
    ]);
    rest.forEach((operand, i) => args.set(`postOp${i}`, memoryOf(operand)));
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
      const rest = addends.flatMap((addend): Operand[] => [addend, 'factor']);
      return operation('multiply', x, 'factor', y, rest);
    },
    approach: (x, y) => {
      const run = operation('subtract', x, y, y, ['factor', y]);
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
  };
}
