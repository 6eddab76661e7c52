/** The kernels of a plan in their order, recorded first; then memory is given to what they use, and all are compiled together. */
import type { ForwardOptions } from '../engine.ts';
import type { Bound, Gpu, Words } from './gpu.ts';
import { bindingsOf, shader, type ElementType, type ShaderOptions } from './kernels/shader.ts';
import { strideOf } from './lanes.ts';
import { wordsOf as storageWords, type Storage } from './tensor.ts';

export type Pass = 'forward' | 'backwardData' | 'backwardWeights' | 'backward' | 'copy';

/** A buffer of a kernel: what its text calls it, and where it is. */
export interface Use {
  readonly name: string;
  readonly type: ElementType;
  readonly written?: boolean;
  readonly storage: Storage;
  /** Elements of it; default: all. */
  readonly part?: { readonly offset: number; readonly length: number };
}

export interface Kernel {
  readonly layer: string;
  readonly pass: Pass;
  readonly code: string;
  /** In the order of the bindings. */
  readonly uses: readonly Use[];
  readonly workgroups: readonly [number, number, number];
  /** How it computes, for measurements, and its multiplications and additions; by default elementwise, and none that would count. */
  readonly implementation?: string;
  readonly operations?: number;
  /** The numbers of the moment. */
  readonly words?: (draws: ForwardOptions) => Words;
}

/** A kernel's run in a program. */
export interface Operation {
  readonly layer: string;
  readonly pass: Pass;
  readonly bound: Bound;
  readonly workgroups: readonly [number, number, number];
  /** All numbers of the moment for a lane: where its buffers' parts begin, and the input of the lane that has it, then the kernel's own. */
  wordsOf(lane: number): (draws: ForwardOptions, inputLane: number) => Words;
}

export class ProgramBuilder {
  readonly kernels: Kernel[] = [];
  /** Kernels before this one are the forward pass. */
  #backwardStart: number | undefined;

  /** @param half whether its elements are float16 */
  storage(label: string, length: number, half = false): Storage {
    return { label, length, ...(half && { half }) };
  }

  add(kernel: Kernel): void {
    this.kernels.push(kernel);
  }

  /** A kernel by the parts of its text. */
  addShader({ layer, pass, uses, workgroups, words }: Omit<Kernel, 'code'>, text: Omit<ShaderOptions, 'buffers'>): void {
    const code = shader({ ...text, buffers: uses });
    this.add({ layer, pass, uses, workgroups, code, ...(words !== undefined && { words }) });
  }

  startBackward(): void {
    this.#backwardStart = this.kernels.length;
  }

  /** Bytes of the largest of the buffers that one network needs. */
  largest(): number {
    return Math.max(0, ...planMemory(this.kernels).sizes.map((length) => 4 * strideOf(length)));
  }

  /**
   * Buffers for all storages, some of which share one, and all kernels compiled.
   *
   * @param lanes networks, each with a part of every buffer
   * @param refusal the error for memory that there is not
   */
  async build(gpu: Gpu, lanes: number, refusal: (bytes: number, message: string) => Error): Promise<Program> {
    const { buffers, sizes: own } = planMemory(this.kernels);
    const sizes = own.map((length) => (lanes === 1 ? length : lanes * strideOf(length)));
    const bytes = sizes.reduce((sum, length) => sum + 4 * length, 0);
    const largest = Math.max(0, ...sizes.map((length) => 4 * length));
    if (largest > gpu.largestBuffer) {
      throw refusal(largest, `arrays on this device have ${gpu.largestBuffer} bytes at most`);
    }
    let made: readonly GPUBuffer[] = [];
    const release = () => made.forEach((buffer) => buffer.destroy());
    try {
      await gpu.guardMemory(
        () => (made = sizes.map((length, i) => gpu.createBuffer(length, `activations ${i}`))),
        (message) => refusal(bytes, message),
      );
      const operations = await Promise.all(
        this.kernels.map(async (kernel): Promise<Operation> => {
          const { layer, pass, code, uses, workgroups, words, implementation = 'elementwise', operations = 0 } = kernel;
          const { bindings } = bindingsOf(uses);
          const compiled = await gpu.compile(
            code,
            bindings.map(({ written = false }) => written),
          );
          const bytes = uses.reduce(
            (sum, { storage: { length, half = false }, part }) => sum + (half ? 2 : 4) * (part?.length ?? length),
            0,
          );
          const bound = gpu.bind(
            compiled,
            bindings.map(({ storage }) => storage.buffer ?? made[buffers.get(storage)!]!),
            `${layer} ${pass}`,
            { layer, pass, implementation, operations, bytes },
          );
          const strideIn = (storage: Storage) =>
            (storage.half === true ? 2 : 1) *
            strideOf(storage.buffer === undefined ? own[buffers.get(storage)!]! : storageWords(storage));
          const startsOf = (lane: number, inputLane: number) =>
            Uint32Array.from(
              uses,
              ({ storage, part, type }) =>
                ((storage.isInput === true ? inputLane : lane) * strideIn(storage) + (part?.offset ?? 0)) / elementWidth[type],
            );
          const readsInput = uses.some(({ storage }) => storage.isInput);
          const wordsOf = (lane: number) => {
            const own = startsOf(lane, lane);
            return (draws: ForwardOptions, inputLane: number) => {
              const starts = readsInput && inputLane !== lane ? startsOf(lane, inputLane) : own;
              return words === undefined ? starts : Uint32Array.of(...starts, ...words(draws));
            };
          };
          return { layer, pass, workgroups, bound, wordsOf };
        }),
      );
      const start = this.#backwardStart ?? operations.length;
      return { forward: operations.slice(0, start), backward: operations.slice(start), memoryBytes: bytes, dispose: release };
    } catch (error) {
      release();
      throw error;
    }
  }
}

const elementWidth: Readonly<Record<ElementType, number>> = { f32: 1, u32: 1, f16: 1, vec4f: 4, vec4u: 4, vec4h: 4 };

export interface Program {
  readonly forward: readonly Operation[];
  readonly backward: readonly Operation[];
  /** Of the buffers that it made. */
  readonly memoryBytes: number;
  dispose(): void;
}

/**
 * Which storages share a buffer: those of which one is last used before another is first used. Kernels run in order, so that nothing is overwritten too early.
 *
 * @returns the number of each storage's buffer, and the buffers' lengths in words of four bytes
 */
export function planMemory(kernels: readonly Pick<Kernel, 'uses'>[]): {
  readonly buffers: ReadonlyMap<Storage, number>;
  readonly sizes: readonly number[];
} {
  const lastUse = new Map<Storage, number>();
  kernels.forEach(({ uses }, at) => {
    for (const { storage } of uses) if (storage.buffer === undefined) lastUse.set(storage, at);
  });
  const buffers = new Map<Storage, number>();
  const sizes: number[] = [];
  let free: number[] = [];
  kernels.forEach(({ uses }, at) => {
    const own = [...new Set(uses.map(({ storage }) => storage))].filter((storage) => lastUse.has(storage));
    for (const storage of own) {
      if (buffers.has(storage)) continue;
      const length = storageWords(storage);
      const chosen = chooseFree(free, sizes, length);
      if (chosen === undefined) {
        sizes.push(length);
      } else {
        free = free.filter((buffer) => buffer !== chosen);
        sizes[chosen] = Math.max(sizes[chosen]!, length);
      }
      buffers.set(storage, chosen ?? sizes.length - 1);
    }
    for (const storage of own) if (lastUse.get(storage) === at) free.push(buffers.get(storage)!);
  });
  return { buffers, sizes };
}

/** The smallest that is large enough, else the largest. */
function chooseFree(free: readonly number[], sizes: readonly number[], length: number): number | undefined {
  const enough = free.filter((buffer) => sizes[buffer]! >= length);
  const [pool, smaller] = enough.length > 0 ? [enough, 1] : [free, -1];
  return pool.reduce<number | undefined>(
    (best, buffer) => (best === undefined || smaller * (sizes[buffer]! - sizes[best]!) < 0 ? buffer : best),
    undefined,
  );
}
