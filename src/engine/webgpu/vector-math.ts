/** Arithmetic on whole arrays: a kernel each, whose text knows which operands share memory with the result, and nothing of lengths. */
import { GpuArray, requireOwn } from './array.ts';
import type { Gpu } from './gpu.ts';
import type { DeviceArray, VectorMath } from './interface.ts';
import { shader, threadIndex, workgroupsFor } from './kernels/shader.ts';

export class GpuVectorMath implements VectorMath {
  readonly #gpu: Gpu;
  readonly #buffers: GPUBuffer[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  readonly multiplyAdd: VectorMath['multiplyAdd'] = (x, addends, y) => {
    const names = addends.map((_, i) => `a${i}`);
    const factors = ['f0', ...addends.map((_, i) => `f${i + 1}`)];
    const expression = names.reduce((text, name, i) => `(${text} + ${name}) * parameters.f${i + 1}`, 'x * parameters.f0');
    const operands = { x, ...Object.fromEntries(addends.map((addend, i) => [names[i]!, addend])) };
    return this.#prepare(operands, y, factors, expression);
  };

  readonly approach: VectorMath['approach'] = (x, y) => {
    const run = this.#prepare({ x }, y, ['share'], 'y + parameters.share * (x - y)');
    return (share) => run([share]);
  };

  readonly multiply: VectorMath['multiply'] = (x, y) => {
    const run = this.#prepare({ x }, y, [], 'x * y');
    return () => run([]);
  };

  readonly copy: VectorMath['copy'] = (x, y) => {
    const run = this.#prepare({ x }, y, [], 'x');
    return () => run([]);
  };

  readonly fill: VectorMath['fill'] = (y) => {
    const run = this.#prepare({}, y, ['value'], 'T(parameters.value)');
    return (value) => run([value]);
  };

  readonly clearWhere: VectorMath['clearWhere'] = (mask, y) => {
    const run = this.#prepare({ mask }, y, [], 'select(T(), y, mask != T())');
    return () => run([]);
  };

  readonly approachSquare: VectorMath['approachSquare'] = (x, y) => {
    const run = this.#prepare({ x }, y, ['share'], 'y + parameters.share * (x * x - y)');
    return (share) => run([share]);
  };

  readonly addOverRoot: VectorMath['addOverRoot'] = (x, squares, y) => {
    const factors = ['scale', 'epsilon', 'step', 'keep'] as const;
    const update = 'parameters.step * x / (sqrt(parameters.scale * squares) + T(parameters.epsilon))';
    const run = this.#prepare({ x, squares }, y, factors, `parameters.keep * y + ${update}`);
    return (values) => run(factors.map((name) => values[name]));
  };

  #make(length: number, label: string): GpuArray {
    const buffer = this.#gpu.createBuffer(length, label);
    this.#buffers.push(buffer);
    return new GpuArray(this.#gpu, buffer, 0, length);
  }

  /**
   * y = `expression` of the operands' elements, `y` and `parameters`. An array that is written may be bound once only: what shares memory with the result is
   * read from there.
   */
  #prepare(
    operands: Readonly<Record<string, DeviceArray>>,
    result: DeviceArray,
    factors: readonly string[],
    expression: string,
  ): (values: readonly number[]) => void {
    const gpu = this.#gpu;
    const y = requireOwn(gpu, result);
    const own = Object.entries(operands).map(([name, array]) => ({ name, array: requireOwn(gpu, array) }));
    for (const { array } of own) {
      if (array.length !== y.length)
        throw new RangeError(`arrays of ${array.length} and ${y.length} elements do not go together`);
    }
    if (y.length === 0) return () => undefined;
    const all = [...own, { name: 'y', array: y }];
    const width = y.length % 4 === 0 && all.every(({ array }) => array.start % 4 === 0) ? 4 : 1;
    const type = width === 4 ? 'vec4f' : 'f32';
    const buffers = [...new Set([...own.map(({ array }) => array.buffer), y.buffer])];
    const { workgroupSize } = gpu.tuning;
    const place = (array: GpuArray, name: string) => `buffer${buffers.indexOf(array.buffer)}[parameters.${name}Start + i]`;
    const written = buffers.map((buffer) => buffer === y.buffer);
    const code = shader({
      buffers: buffers.map((_, i) => ({ name: `buffer${i}`, type, written: written[i]! })),
      parameters: Object.fromEntries([
        ['count', 'u32'],
        ...all.map(({ name }) => [`${name}Start`, 'u32']),
        ...factors.map((name) => [name, 'f32']),
      ]) as Record<string, 'u32' | 'f32'>,
      workgroupSize,
      body: `${threadIndex('parameters.count', workgroupSize)}
${all.map(({ name, array }) => `  let ${name} = ${place(array, name)};`).join('\n')}
  ${place(y, 'y')} = ${expression.replaceAll(/\bT\b/g, type)};`,
    });
    const bound = gpu.bind(
      gpu.compileNow(code, written),
      buffers.map((buffer) => ({ buffer })),
      'vector math',
    );
    const count = y.length / width;
    const workgroups = workgroupsFor(count, workgroupSize);
    const words = new Uint32Array(1 + all.length + factors.length);
    words.set([count, ...all.map(({ array }) => array.start / width)]);
    const floats = new Float32Array(words.buffer, 4 * (1 + all.length));
    return (values) => {
      floats.set(values);
      gpu.enqueue(bound, workgroups, words);
    };
  }

  /** Threads' sums of `term` (of the element x) into `parts` from `partStart` on: as many as `sumThreads`. */
  #partialSums(array: GpuArray, parts: GPUBuffer, partStart: number, type: 'f32' | 'u32', term: string): () => void {
    const gpu = this.#gpu;
    const { workgroupSize } = gpu.tuning;
    const code = shader({
      buffers: [
        { name: 'xs', type },
        { name: 'parts', type, written: true },
      ],
      parameters: { count: 'u32', start: 'u32', partStart: 'u32', threads: 'u32' },
      workgroupSize,
      body: `${threadIndex('parameters.threads', workgroupSize)}
  var sum = ${type}();
  for (var at = i; at < parameters.count; at += parameters.threads) { let x = xs[parameters.start + at]; sum += ${term}; }
  parts[parameters.partStart + i] = sum;`,
    });
    const bound = gpu.bind(gpu.compileNow(code, [false, true]), [{ buffer: array.buffer }, { buffer: parts }], 'sums');
    const threads = sumThreads(array.length);
    const words = Uint32Array.of(array.length, array.start, partStart, threads);
    return () => gpu.enqueue(bound, workgroupsFor(threads, workgroupSize), words);
  }

  readonly sumsOfSquares: VectorMath['sumsOfSquares'] = (arrays) => {
    const own = arrays.map((array) => requireOwn(this.#gpu, array));
    const starts = own.map((_, i) => own.slice(0, i).reduce((sum, { length }) => sum + sumThreads(length), 0));
    const total = own.reduce((sum, { length }) => sum + sumThreads(length), 0);
    const parts = this.#make(total, 'sums of squares');
    const runs = own.map((array, i) =>
      array.length === 0 ? undefined : this.#partialSums(array, parts.buffer, starts[i]!, 'f32', 'x * x'),
    );
    return async () => {
      for (const run of runs) run?.();
      const values = await parts.read();
      return Float64Array.from(own, ({ length }, i) =>
        values.subarray(starts[i], starts[i]! + sumThreads(length)).reduce((sum, value) => sum + value, 0),
      );
    };
  };

  readonly allFinite: VectorMath['allFinite'] = (array) => {
    const x = requireOwn(this.#gpu, array);
    if (x.length === 0) return () => Promise.resolve(true);
    const parts = this.#make(sumThreads(x.length), 'numbers that are not finite');
    // Shaders may take it for granted that floats are finite: so it is asked of their bits.
    const run = this.#partialSums(x, parts.buffer, 0, 'u32', 'select(0u, 1u, (x & 0x7f800000u) == 0x7f800000u)');
    return async () => {
      run();
      const counts = new Uint32Array(await this.#gpu.read(parts.buffer, 0, parts.length));
      return counts.every((count) => count === 0);
    };
  };

  dispose(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}

/** Threads that sum an array's elements. */
function sumThreads(length: number): number {
  return Math.min(4096, Math.ceil(length / 16));
}
