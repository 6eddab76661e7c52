/**
 * A program is the list of operations of a compiled network. It is written first with storages whose place in memory is not yet
 * known; `finish` lays them out by their lifetimes, allocates everything once, and binds every operation to its bytes.
 */
import { AblateError } from '../../util/errors.ts';
import type { ForwardOptions } from '../engine.ts';
import { alignment, planMemory } from './memory-planner.ts';
import type { ArgumentName, Dnnl, Memory, MemoryDescriptor, Primitive, PrimitiveOptions, PrimitiveSpec } from './dnnl.ts';
import { allocateAligned, OnednnError } from './native.ts';

/** Forward and backward passes, for profiles: what an operation does for its layer. */
export type Pass = 'forward' | 'backwardData' | 'backwardWeights' | 'elementwise' | 'reorder';

/** Bytes in memory: planned ones get their place when the program is finished, fixed ones have it. */
export interface Storage {
  readonly sizeBytes: number;
  fixed: Uint8Array | undefined;
  /** The storage whose bytes from `offset` on these are. */
  within: { readonly whole: Storage; readonly offset: number } | undefined;
  /** Positions of the first and last operations; of a part those of its whole count. */
  firstUse: number;
  lastUse: number;
}

/** A tensor in the program: bytes and how they are laid out. */
export interface Value {
  readonly descriptor: MemoryDescriptor;
  readonly storage: Storage;
  /** Whether something else still needs these bytes, so that no operation may overwrite them. */
  readonly shared: boolean;
}

/** One step of the program, ready to run. */
export interface Operation {
  readonly layer: string;
  readonly pass: Pass;
  /** oneDNN's name of the kernel, or `host`. */
  readonly implementation: string;
  readonly run: (options: ForwardOptions) => void;
}

/** Work done in TypeScript between native operations; the arrays are those of its values, whole storages as float32, as they are bound. */
export type HostFunction = (arrays: readonly Float32Array[], options: ForwardOptions) => void;

interface PendingOperation {
  readonly layer: string;
  readonly pass: Pass;
  readonly work:
    | { readonly primitive: Primitive; readonly args: ReadonlyMap<ArgumentName, Value> }
    | { readonly host: HostFunction; readonly values: readonly Value[] };
}

export type Arguments = Partial<Readonly<Record<ArgumentName, Value>>>;

export class ProgramBuilder {
  readonly dnnl: Dnnl;
  readonly #pending: PendingOperation[] = [];
  readonly #storages: Storage[] = [];
  #scratchpadBytes = 0;

  constructor(dnnl: Dnnl) {
    this.dnnl = dnnl;
  }

  /** Number of operations so far: the position of the next. */
  get position(): number {
    return this.#pending.length;
  }

  /** A new tensor in planned memory. */
  value(descriptor: MemoryDescriptor): Value {
    const { sizeBytes } = descriptor;
    const storage: Storage = { sizeBytes, fixed: undefined, within: undefined, firstUse: Infinity, lastUse: -1 };
    this.#storages.push(storage);
    return { descriptor, storage, shared: false };
  }

  /** A tensor in memory that outlives the program's run: inputs, outputs, parameters. The bytes may be given later, before `finish`. */
  persistent(descriptor: MemoryDescriptor, bytes?: Uint8Array): Value {
    const { sizeBytes } = descriptor;
    const storage: Storage = { sizeBytes, fixed: bytes, within: undefined, firstUse: 0, lastUse: Infinity };
    return { descriptor, storage, shared: true };
  }

  /**
   * The first of the given specifications that oneDNN implements with an optimized kernel, else the first it implements at all.
   *
   * @throws AblateError with the layer's name where it implements none.
   */
  primitive(layer: string, specs: readonly PrimitiveSpec[], options: PrimitiveOptions = {}): Primitive {
    let fallback: Primitive | undefined;
    for (const spec of specs) {
      const primitive = this.tryPrimitive(layer, spec, options);
      if (primitive !== undefined && !isReference(primitive)) return primitive;
      fallback ??= primitive;
    }
    if (fallback === undefined) throw new AblateError(`layer "${layer}": oneDNN has no implementation of its ${specs[0]!.kind}`);
    return fallback;
  }

  /** Undefined where oneDNN has no implementation. */
  tryPrimitive(layer: string, spec: PrimitiveSpec, options: PrimitiveOptions = {}): Primitive | undefined {
    try {
      return this.dnnl.primitive(spec, options);
    } catch (error) {
      throw withLayer(error, layer);
    }
  }

  /** Appends a native operation. */
  emit(layer: string, pass: Pass, primitive: Primitive, args: Arguments): void {
    const values = new Map(Object.entries(args) as [ArgumentName, Value][]);
    this.#scratchpadBytes = Math.max(this.#scratchpadBytes, primitive.descriptor('scratchpad').sizeBytes);
    this.#append({ layer, pass, work: { primitive, args: values } }, values.values());
  }

  /** Appends an operation in TypeScript. */
  emitHost(layer: string, pass: Pass, values: readonly Value[], host: HostFunction): void {
    this.#append({ layer, pass, work: { host, values } }, values);
  }

  /** `value` in the layout of `descriptor`: itself where it has it, else a reordered copy. */
  inLayout(layer: string, value: Value, descriptor: MemoryDescriptor, target?: Value): Value {
    if (target === undefined && this.dnnl.equal(value.descriptor, descriptor)) return value;
    const result = target ?? this.value(descriptor);
    const reorder = this.primitive(layer, [{ kind: 'reorder', src: value.descriptor, dst: descriptor }]);
    this.emit(layer, 'reorder', reorder, { src: value, dst: result });
    return result;
  }

  /** The same elements in the same order with other dimensions, for example `[N, C, 1, 1]` for `[N, C]`. */
  withDims(layer: string, value: Value, dims: readonly number[]): Value {
    const { dims: own, dataType } = value.descriptor;
    if (own.length === dims.length && own.every((extent, i) => extent === dims[i])) return value;
    const plain = this.inLayout(layer, value, this.dnnl.plain(own, dataType));
    return { ...plain, descriptor: this.dnnl.plain(dims, dataType) };
  }

  /** The element-wise sum of tensors of one shape, in the layout of `target`, by default that of the first. */
  sum(layer: string, values: readonly Value[], target = this.value(values[0]!.descriptor)): Value {
    const addends = values.map((value) => this.inLayout(layer, value, target.descriptor));
    const srcs = addends.map((value) => value.descriptor);
    const primitive = this.primitive(layer, [{ kind: 'sum', srcs, scales: srcs.map(() => 1), dst: target.descriptor }]);
    const sources = Object.fromEntries(addends.map((value, i) => [`multipleSrc${String(i)}`, value]));
    this.emit(layer, 'elementwise', primitive, { ...sources, dst: target });
    return target;
  }

  /** A tensor of images cut into parts of `examples` images, which share its memory. `examples` must divide the batch. */
  cutBatch(layer: string, value: Value, examples: number): readonly Value[] {
    const [batch, ...image] = value.descriptor.dims as readonly [number, ...number[]];
    const whole = this.inLayout(layer, value, this.#batchOutermost(value.descriptor));
    const descriptor = this.dnnl.withLayoutOf(whole.descriptor, [examples, ...image])!;
    const { sizeBytes } = descriptor;
    return Array.from({ length: batch / examples }, (_, i): Value => {
      const within = { whole: whole.storage, offset: i * sizeBytes };
      return { ...whole, descriptor, storage: { sizeBytes, fixed: undefined, within, firstUse: Infinity, lastUse: -1 } };
    });
  }

  /** The tensor of images of which `parts`, all of them as large as the first, are the batch. It takes over their memory. */
  joinBatch(layer: string, parts: readonly Value[]): Value {
    const first = parts[0]!.descriptor;
    const partDescriptor = this.#batchOutermost(first);
    const [examples, ...image] = first.dims as readonly [number, ...number[]];
    const whole = this.value(this.dnnl.withLayoutOf(partDescriptor, [parts.length * examples, ...image])!);
    parts.forEach((part, i) => {
      const { storage } = this.inLayout(layer, part, partDescriptor);
      if (storage.within !== undefined || storage.fixed !== undefined) throw new Error('a part of a batch has its place already');
      storage.within = { whole: whole.storage, offset: i * partDescriptor.sizeBytes };
      extendLife(whole.storage, storage.firstUse, storage.lastUse);
    });
    return whole;
  }

  /** The layout itself, if the images of the batch follow each other in it; otherwise plain. */
  #batchOutermost(descriptor: MemoryDescriptor): MemoryDescriptor {
    const isSimple = this.dnnl.withLayoutOf(descriptor, descriptor.dims) !== undefined;
    return isSimple ? descriptor : this.dnnl.plain(descriptor.dims, descriptor.dataType);
  }

  /** The position of the last operation that uses `value`; -1 if none does. */
  lastUseOf(value: Value | undefined): number {
    return this.#pending.findLastIndex(({ work }) => {
      const values = 'host' in work ? work.values : [...work.args.values()];
      return values.some(({ storage }) => storage === value?.storage);
    });
  }

  /**
   * Allocates memory and binds the operations.
   *
   * @param requireMemory is given the bytes before they are allocated, and throws if there are not so many
   */
  finish(requireMemory?: (bytes: number) => void): { readonly operations: readonly Operation[]; readonly memoryBytes: number } {
    const planned = this.#storages.filter((storage) => storage.lastUse >= 0 && storage.within === undefined);
    const layout = planMemory(planned);
    requireMemory?.(layout.totalBytes + this.#scratchpadBytes);
    const block = allocateAligned(layout.totalBytes, alignment);
    const bytesOf = new Map<Storage, Uint8Array>();
    planned.forEach((storage, i) => {
      bytesOf.set(storage, block.subarray(layout.offsets[i], layout.offsets[i]! + storage.sizeBytes));
    });
    const scratchpad = allocateAligned(this.#scratchpadBytes, alignment);
    const resolve = (storage: Storage): Uint8Array => {
      const { within } = storage;
      if (within === undefined) return bytesOf.get(storage) ?? storage.fixed ?? missing();
      return resolve(within.whole).subarray(within.offset, within.offset + storage.sizeBytes);
    };
    const memories = new Map<Storage, { readonly descriptor: MemoryDescriptor; readonly memory: Memory }[]>();
    const memoryOf = (value: Value): Memory => {
      const known = memories.get(value.storage) ?? [];
      memories.set(value.storage, known);
      const same = known.find(({ descriptor }) => this.dnnl.equal(descriptor, value.descriptor));
      if (same !== undefined) return same.memory;
      const memory = this.dnnl.memory(value.descriptor, resolve(value.storage));
      known.push({ descriptor: value.descriptor, memory });
      return memory;
    };
    const operations = this.#pending.map(({ layer, pass, work }): Operation => {
      if ('host' in work) {
        const arrays = work.values.map(({ storage }) => asFloat32(resolve(storage)));
        const { host, values } = work;
        this.#hostArrays.push({ values, arrays });
        return {
          layer,
          pass,
          implementation: 'host',
          run: (options) => {
            host(arrays, options);
          },
        };
      }
      const args = new Map([...work.args].map(([name, value]) => [name, memoryOf(value)]));
      const scratchpadDescriptor = work.primitive.descriptor('scratchpad');
      if (scratchpadDescriptor.sizeBytes > 0) args.set('scratchpad', this.dnnl.memory(scratchpadDescriptor, scratchpad));
      const execute = this.dnnl.execution(work.primitive, args);
      const run = (): void => {
        try {
          execute();
        } catch (error) {
          throw withLayer(error, layer);
        }
      };
      return { layer, pass, implementation: work.primitive.implementation, run };
    });
    this.#memories = memories;
    return { operations, memoryBytes: block.byteLength + scratchpad.byteLength };
  }

  readonly #hostArrays: { readonly values: readonly Value[]; readonly arrays: Float32Array[] }[] = [];
  #memories: ReadonlyMap<Storage, readonly { readonly memory: Memory }[]> = new Map();

  /** After `finish`: lets every operation that uses `value` work on `bytes` instead. */
  bind(value: Value, bytes: Uint8Array): void {
    for (const [storage, memories] of this.#memories) {
      const offset = offsetWithin(storage, value.storage);
      if (offset === undefined) continue;
      for (const { memory } of memories) memory.bind(bytes.subarray(offset, offset + storage.sizeBytes));
    }
    for (const { values, arrays } of this.#hostArrays) {
      values.forEach(({ storage }, i) => {
        const offset = offsetWithin(storage, value.storage);
        if (offset !== undefined) arrays[i] = asFloat32(bytes.subarray(offset, offset + storage.sizeBytes));
      });
    }
  }

  #append(operation: PendingOperation, values: Iterable<Value>): void {
    const position = this.#pending.push(operation) - 1;
    for (const { storage } of values) extendLife(storage, position, position);
  }
}

function wholeOf(storage: Storage): Storage {
  return storage.within === undefined ? storage : wholeOf(storage.within.whole);
}

/** Lets a storage, or the one that it is a part of, live from `first` to `last` at least. */
function extendLife(storage: Storage, first: number, last: number): void {
  const whole = wholeOf(storage);
  whole.firstUse = Math.min(whole.firstUse, first);
  whole.lastUse = Math.max(whole.lastUse, last);
}

/** Where `storage` begins in `whole`; undefined if it is no part of it. */
function offsetWithin(storage: Storage, whole: Storage): number | undefined {
  if (storage === whole) return 0;
  const { within } = storage;
  const offset = within && offsetWithin(within.whole, whole);
  return offset === undefined ? undefined : offset + within!.offset;
}

export function asFloat32(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
}

export function isReference(primitive: Primitive): boolean {
  return primitive.implementation.startsWith('ref');
}

function withLayer(error: unknown, layer: string): unknown {
  return error instanceof OnednnError ? new AblateError(`layer "${layer}": ${error.message}`, { cause: error }) : error;
}

function missing(): never {
  throw new Error('a persistent tensor has no memory');
}
