/** Arithmetic on whole arrays: a kernel each, whose text knows which operands share memory with the result, and nothing of lengths. */
import { GpuArray, requireOwn } from './array.ts';
import type { Lane } from './lanes.ts';
import type { DeviceArray, VectorMath } from '../engine.ts';
import { productText, productWorkgroups, type Operand } from './kernels/product.ts';
import { shader, threadIndex, workgroupsFor } from './kernels/shader.ts';
import { skipElement } from './loss-scaling.ts';
import { chooseTile, type Tuning } from './tuning.ts';

export class GpuVectorMath implements VectorMath {
  readonly #lane: Lane;
  readonly #tuning: Tuning;
  /** The state of the loss scaling, where nothing is written in a step that is left out. */
  readonly #scaling: GpuArray | undefined;
  readonly #releases: (() => void)[] = [];

  constructor(lane: Lane, tuning: Tuning, scaling?: GpuArray) {
    this.#lane = lane;
    this.#tuning = tuning;
    this.#scaling = scaling;
  }

  /** What a kernel needs to write nothing in a step that is left out: behind its own buffers and numbers, and before it writes. All is empty where no step is. */
  get #guard() {
    const scaling = this.#scaling;
    if (scaling === undefined) return { buffers: [], bound: [], written: [], parameters: {}, words: [], text: '' };
    return {
      buffers: [{ name: 'scaling', type: 'f32' }] as const,
      bound: [scaling.buffer],
      written: [false],
      parameters: { scalingStart: 'u32' } as const,
      words: [scaling.start],
      text: `\n  if (scaling[parameters.scalingStart + ${skipElement}u] != 0.0) { return; }`,
    };
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

  readonly allocate: VectorMath['allocate'] = (length) => this.#make(length, 'matrix');

  #make(length: number, label: string): GpuArray {
    const { buffer, start, release } = this.#lane.createBuffer(length, label);
    this.#releases.push(release);
    return new GpuArray(this.#lane, buffer, start, length);
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
    const lane = this.#lane;
    const { gpu } = lane;
    const y = requireOwn(lane, result);
    const own = Object.entries(operands).map(([name, array]) => ({ name, array: requireOwn(lane, array) }));
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
    const guard = this.#guard;
    const written = [...buffers.map((buffer) => buffer === y.buffer), ...guard.written];
    const code = shader({
      buffers: [...buffers.map((_, i) => ({ name: `buffer${i}`, type, written: written[i]! }) as const), ...guard.buffers],
      parameters: Object.fromEntries([
        ['count', 'u32'],
        ...all.map(({ name }) => [`${name}Start`, 'u32']),
        ...factors.map((name) => [name, 'f32']),
        ...Object.entries(guard.parameters),
      ]) as Record<string, 'u32' | 'f32'>,
      workgroupSize,
      body: `${threadIndex('parameters.count', workgroupSize)}${guard.text}
${all.map(({ name, array }) => `  let ${name} = ${place(array, name)};`).join('\n')}
  ${place(y, 'y')} = ${expression.replaceAll(/\bT\b/g, type)};`,
    });
    const bound = gpu.bind(gpu.compileNow(code, written), [...buffers, ...guard.bound], 'vector math', {
      bytes: 4 * y.length * (own.length + (/\by\b/.test(expression) ? 2 : 1)),
    });
    const count = y.length / width;
    const workgroups = workgroupsFor(count, workgroupSize);
    const words = new Uint32Array(1 + all.length + factors.length + guard.words.length);
    words.set([count, ...all.map(({ array }) => array.start / width)]);
    words.set(guard.words, 1 + all.length + factors.length);
    const floats = new Float32Array(words.buffer, 4 * (1 + all.length), factors.length);
    return (values) => {
      floats.set(values);
      lane.enqueue(bound, workgroups, words);
    };
  }

  /**
   * c = alpha * op(a) op(b) + beta * c, row-major. `c` must have memory of its own.
   */
  readonly product: VectorMath['product'] = (first, second, result, size) => {
    const lane = this.#lane;
    const { gpu } = lane;
    const [a, b, c] = [first, second, result].map((array) => requireOwn(lane, array)) as [GpuArray, GpuArray, GpuArray];
    const { rows, columns, inner, transposeA = false, transposeB = false } = size;
    const lengths = [rows * inner, inner * columns, rows * columns];
    [a, b, c].forEach(({ length }, i) => {
      if (length !== lengths[i]) throw new RangeError(`a matrix of the product has ${length} elements, not ${lengths[i]}`);
    });
    if (c.buffer === a.buffer || c.buffer === b.buffer)
      throw new Error('the result of a product must not share memory with a factor');
    // What lies side by side: along the rows of a if it is transposed, along the columns of b if it is not.
    const operand = (array: GpuArray, name: string, isAcross: boolean, outer: number): Operand => {
      const extent = isAcross ? outer : inner;
      const width = extent % 4 === 0 && array.start % 4 === 0 ? 4 : 1;
      const index = isAcross ? `depth * ${outer}u + outer` : `outer * ${inner}u + depth`;
      return {
        along: isAcross ? 'outer' : 'depth',
        width,
        value: `${name}[(parameters.${name}Start + ${index}) / ${width}u]`,
      };
    };
    const [aLoad, bLoad] = [operand(a, 'a', transposeA, rows), operand(b, 'b', !transposeB, columns)];
    const guard = this.#guard;
    const options = {
      ...{ rows, columns, depth: inner, groups: 1, splits: 1, a: aLoad, b: bLoad, declarations: '' },
      tile: chooseTile(this.#tuning, { rows, columns, depth: inner, groups: 1 }),
      buffers: [
        { name: 'a', type: aLoad.width === 4 ? 'vec4f' : 'f32' },
        { name: 'b', type: bLoad.width === 4 ? 'vec4f' : 'f32' },
        { name: 'c', type: 'f32', written: true },
        ...guard.buffers,
      ] as const,
      parameters: {
        ...({ aStart: 'u32', bStart: 'u32', cStart: 'u32', alpha: 'f32', beta: 'f32' } as const),
        ...guard.parameters,
      },
      store: {
        width: 1,
        code: `${guard.text}  let at = parameters.cStart + row * ${columns}u + column;
  c[at] = parameters.alpha * value + select(parameters.beta * c[at], 0.0, parameters.beta == 0.0);`,
      } as const,
    };
    const bound = gpu.bind(
      gpu.compileNow(productText(options), [false, false, true, ...guard.written]),
      [...[a, b, c].map(({ buffer }) => buffer), ...guard.bound],
      'product',
      { operations: 2 * rows * columns * inner },
    );
    const words = Uint32Array.of(a.start, b.start, c.start, 0, 0, ...guard.words);
    const factors = new Float32Array(words.buffer, 12, 2);
    return (alpha, beta) => {
      factors.set([alpha, beta]);
      lane.enqueue(bound, productWorkgroups(options), words);
    };
  };

  /** Threads' sums of `term` (of the element x) into `parts` from `partStart` on: as many as `sumThreads`. */
  #partialSums(array: GpuArray, parts: GpuArray, partStart: number, type: 'f32' | 'u32', term: string): () => void {
    const lane = this.#lane;
    const { gpu } = lane;
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
    const bound = gpu.bind(gpu.compileNow(code, [false, true]), [array.buffer, parts.buffer], 'sums');
    const threads = sumThreads(array.length);
    const words = Uint32Array.of(array.length, array.start, parts.start + partStart, threads);
    return () => lane.enqueue(bound, workgroupsFor(threads, workgroupSize), words);
  }

  readonly sumsOfSquares: VectorMath['sumsOfSquares'] = (arrays) => {
    const own = arrays.map((array) => requireOwn(this.#lane, array));
    const starts = own.map((_, i) => own.slice(0, i).reduce((sum, { length }) => sum + sumThreads(length), 0));
    const total = own.reduce((sum, { length }) => sum + sumThreads(length), 0);
    const parts = this.#make(total, 'sums of squares');
    const runs = own.map((array, i) =>
      array.length === 0 ? undefined : this.#partialSums(array, parts, starts[i]!, 'f32', 'x * x'),
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
    const x = requireOwn(this.#lane, array);
    if (x.length === 0) return () => Promise.resolve(true);
    const parts = this.#make(sumThreads(x.length), 'numbers that are not finite');
    // Shaders may take it for granted that floats are finite: so it is asked of their bits.
    const run = this.#partialSums(x, parts, 0, 'u32', 'select(0u, 1u, (x & 0x7f800000u) == 0x7f800000u)');
    return async () => {
      run();
      const counts = new Uint32Array(await this.#lane.read(parts.buffer, parts.start, parts.start + parts.length));
      return counts.every((count) => count === 0);
    };
  };

  readonly scaleToNorm: VectorMath['scaleToNorm'] = (first, result) => {
    const lane = this.#lane;
    const { gpu } = lane;
    const [x, y] = [requireOwn(lane, first), requireOwn(lane, result)];
    if (x.length !== y.length) throw new RangeError(`arrays of ${x.length} and ${y.length} elements do not go together`);
    if (x.length === 0) return () => undefined;
    const threads = sumThreads(x.length);
    const parts = this.#make(threads + 1, 'norm');
    const sum = this.#partialSums(x, parts, 1, 'f32', 'x * x');
    const { workgroupSize } = gpu.tuning;
    const total = gpu.bind(
      gpu.compileNow(
        shader({
          buffers: [{ name: 'parts', type: 'f32', written: true }],
          parameters: { threads: 'u32', start: 'u32' },
          workgroupSize: 1,
          body: `  var sum = 0.0;
  for (var i = 1u; i <= parameters.threads; i++) { sum += parts[parameters.start + i]; }
  parts[parameters.start] = sqrt(sum);`,
        }),
        [true],
      ),
      [parts.buffer],
      'norm',
    );
    const inPlace = x.buffer === y.buffer;
    const guard = this.#guard;
    const code = shader({
      buffers: [
        { name: 'parts', type: 'f32' },
        ...(inPlace ? [] : [{ name: 'xs', type: 'f32' } as const]),
        { name: 'ys', type: 'f32', written: true },
        ...guard.buffers,
      ],
      parameters: {
        ...({ count: 'u32', xStart: 'u32', yStart: 'u32', normStart: 'u32', norm: 'f32', epsilon: 'f32' } as const),
        ...guard.parameters,
      },
      workgroupSize,
      body: `${threadIndex('parameters.count', workgroupSize)}${guard.text}
  ys[parameters.yStart + i] = ${inPlace ? 'ys' : 'xs'}[parameters.xStart + i] * (parameters.norm / (parts[parameters.normStart] + parameters.epsilon));`,
    });
    const buffers = [parts.buffer, ...(inPlace ? [] : [x.buffer]), y.buffer];
    const written = buffers.map((_, i) => i === buffers.length - 1);
    const scale = gpu.bind(gpu.compileNow(code, [...written, ...guard.written]), [...buffers, ...guard.bound], 'scale to norm');
    const words = Uint32Array.of(x.length, x.start, y.start, parts.start, 0, 0, ...guard.words);
    const factors = new Float32Array(words.buffer, 16, 2);
    return (norm, epsilon) => {
      sum();
      lane.enqueue(total, [1, 1, 1], Uint32Array.of(threads, parts.start));
      factors.set([norm, epsilon]);
      lane.enqueue(scale, workgroupsFor(x.length, workgroupSize), words);
    };
  };

  dispose(): void {
    for (const release of this.#releases) release();
  }
}

/** Threads that sum an array's elements. */
function sumThreads(length: number): number {
  return Math.min(4096, Math.ceil(length / 16));
}
