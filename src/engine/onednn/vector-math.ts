/** Arithmetic on whole arrays with oneDNN's vectorized, multi-threaded binary kernels: what an optimizer step is made of. */
import type { VectorMath } from '../engine.ts';
import type { ArgumentName, BinaryAlgorithm, Dnnl, Memory, PostOperation } from './dnnl.ts';
import { asFloat32 } from './program.ts';

const scalarBytes = 64;

export function createVectorMath(dnnl: Dnnl): VectorMath {
  const scalar = dnnl.plain([1, 1], 'f32');
  const multiplyByScalar: PostOperation = { type: 'binary', algorithm: 'multiply', operand: scalar };

  /** y = a (op) b, then the post-operations; `factor` is written into a scalar operand before each run. */
  function operation(
    algorithm: BinaryAlgorithm,
    a: Float32Array,
    b: Float32Array | 'factor',
    y: Float32Array,
    rest: readonly (Float32Array | 'factor')[],
  ): (factor: number) => void {
    if (a.length !== y.length) throw new Error(`arrays of ${a.length} and ${y.length} elements must be of the same length`);
    if (a.length === 0) return () => undefined;
    const vector = dnnl.plain([1, a.length], 'f32');
    const factorBytes = new Uint8Array(scalarBytes);
    const factorMemory = dnnl.memory(scalar, factorBytes);
    const memoryOf = (operand: Float32Array | 'factor'): Memory =>
      operand === 'factor'
        ? factorMemory
        : dnnl.memory(vector, new Uint8Array(operand.buffer, operand.byteOffset, operand.byteLength));
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
    const factorValue = asFloat32(factorBytes);
    return (factor) => {
      factorValue[0] = factor;
      execute();
    };
  }

  return {
    addScaled: (x, y) => operation('multiply', x, 'factor', y, [y]),
    scaleAndAdd: (x, y) => operation('multiply', y, 'factor', y, [x]),
    approach: (x, y) => operation('subtract', x, y, y, ['factor', y]),
    multiply: (x, y) => {
      const run = operation('multiply', x, y, y, []);
      return () => run(1);
    },
  };
}
