/**
 * The version-independent interface, built on what versions 2 and 3 of oneDNN have in common. What differs between them is in v2.ts and
 * v3.ts, behind `VersionCalls`.
 */
import koffi from 'koffi';

import type {
  ArgumentName,
  BinaryAlgorithm,
  ConvolutionAlgorithm,
  DataType,
  DescriptorQuery,
  Dnnl,
  EltwiseAlgorithm,
  Memory,
  MemoryDescriptor,
  PostOperation,
  Primitive,
  PrimitiveSpec,
} from './dnnl.ts';
import { OnednnError, statusUnimplemented, threadSetter, type NativeLibrary } from './native.ts';

export type Handle = unknown;
/** A native function whose result is a status code. */
export type StatusFunction = (...args: unknown[]) => number;

/** What differs between the versions. One object per plan. */
export interface VersionCalls {
  /** Tags of row-major layouts by the number of dimensions. */
  readonly plainTags: readonly number[];
  readonly imageTags: Readonly<Record<'nChw16c' | 'nChw8c' | 'nhwc', number>>;
  readonly eltwiseAlgorithms: Readonly<Record<EltwiseAlgorithm, number>>;
  /** Number of the first post-operation's argument; those of the others are its multiples. */
  readonly firstPostOperation: number;
  /** Whether the backward pass of batch normalization must be given the shift (which it does not need), or must not. */
  readonly backwardBatchNormTakesShift: boolean;
  descriptorByTag(dims: readonly number[], dataType: DataType, tag: number): Descriptor;
  /** A part of a tensor, sharing its memory; undefined where its layout does not allow it. */
  descriptorOfPart(whole: Descriptor, dims: readonly number[], offsets: readonly number[]): Descriptor | undefined;
  /** A layout of a primitive descriptor; an empty one where it has none. */
  queryDescriptor(primitiveDescriptor: Handle, query: number): Descriptor;
  appendEltwise(postOperations: Handle, algorithm: number, alpha: number, beta: number): number;
  appendSum(postOperations: Handle): number;
  /** Makes the primitive descriptor for a specification; the result is a oneDNN status, the handle is put into `out`. `forward`: null for none. */
  describe(engine: Handle, spec: PrimitiveSpec, attributes: Handle, forward: Handle, out: [Handle]): number;
  dispose(): void;
}

/** In version 2 around the bytes of a C structure, in version 3 around a handle. */
export class Descriptor implements MemoryDescriptor {
  readonly native: unknown;
  readonly dims: readonly number[];
  readonly dataType: DataType;
  readonly sizeBytes: number;

  constructor(native: unknown, dims: readonly number[], dataType: number, sizeBytes: number | bigint) {
    this.native = native;
    this.dims = dims;
    this.dataType = (Object.keys(dataTypes) as DataType[]).find((name) => dataTypes[name] === dataType) ?? 'f32';
    this.sizeBytes = Number(sizeBytes);
  }
}

export const dataTypes: Readonly<Record<DataType, number>> = { bf16: 2, f32: 3 };
export const binaryAlgorithms: Readonly<Record<BinaryAlgorithm, number>> = {
  add: 131056,
  multiply: 131057,
  subtract: 131061,
};
export const poolingAlgorithms = { max: 511, average: 1023 } as const;
export const convolutionAlgorithms: Readonly<Record<ConvolutionAlgorithm, number>> = { direct: 1, winograd: 2 };
/** The parts of a backward pass. */
export const propagation = { both: 128, data: 160 } as const;

export function forwardPropagation(spec: { readonly training: boolean }): number {
  return spec.training ? 64 : 96;
}

const anyTag = 1;

const descriptorQueries: Readonly<Record<DescriptorQuery, number>> = {
  src: 129,
  diffSrc: 130,
  weights: 131,
  diffWeights: 132,
  dst: 133,
  diffDst: 134,
  workspace: 135,
  scratchpad: 136,
};
const queryImplementation = 8;

const fixedArguments: Readonly<Record<Exclude<ArgumentName, `multipleSrc${number}` | `postOp${number}`>, number>> = {
  src: 1,
  src1: 2,
  dst: 17,
  weights: 33,
  bias: 41,
  mean: 49,
  variance: 50,
  scale: 51,
  shift: 52,
  workspace: 64,
  scratchpad: 80,
  diffSrc: 129,
  diffDst: 145,
  diffWeights: 161,
  diffBias: 169,
  diffScale: 255,
  diffShift: 256,
};
const firstMultipleSource = 1024;
const postOperationSource1 = 2;

/** Types of native parameters. */
export const ptr = 'void *';
export const int = 'int';
export const float = 'float';
export const dims = 'int64_t *';
export const outPtr = '_Out_ void **';

/** Declares functions that return a status. */
export function statusFunctions(library: NativeLibrary): (name: string, ...parameters: string[]) => StatusFunction {
  return (name, ...parameters) => library.func(name, int, parameters) as StatusFunction;
}

export function check(call: string, status: number): void {
  if (status !== 0) throw new OnednnError(call, status);
}

/** Calls a function whose first parameter receives a new handle. */
export function created(call: string, create: StatusFunction, ...args: unknown[]): Handle {
  const result: [Handle] = [null];
  check(call, create(result, ...args));
  return result[0];
}

export function int64(values: readonly number[]): BigInt64Array {
  return BigInt64Array.from(values, BigInt);
}

/** @param flags those whose values differ between the versions */
export function batchNormFlags(
  spec: { readonly scale: boolean; readonly shift: boolean; readonly givenStatistics: boolean; readonly relu: boolean },
  flags: { readonly scale: number; readonly shift: number; readonly relu: number },
): number {
  const useGlobalStatistics = 1;
  const affine = (spec.scale ? flags.scale : 0) | (spec.shift ? flags.shift : 0);
  return affine | (spec.givenStatistics ? useGlobalStatistics : 0) | (spec.relu ? flags.relu : 0);
}

/** What native code takes for a descriptor. */
export function raw(descriptor: MemoryDescriptor): unknown {
  return madeHere(descriptor, Descriptor).native;
}

export function optional(descriptor: MemoryDescriptor | undefined): unknown {
  return descriptor === undefined ? null : raw(descriptor);
}

/** Strides, padding at top and left, padding at bottom and right. */
export function geometry(spec: {
  readonly strides: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
}): readonly [strides: BigInt64Array, topLeft: BigInt64Array, bottomRight: BigInt64Array] {
  const [top, left, bottom, right] = spec.padding;
  return [int64(spec.strides), int64([top, left]), int64([bottom, right])];
}

function declare(library: NativeLibrary) {
  const status = statusFunctions(library);
  return {
    engineCreate: status('dnnl_engine_create', outPtr, int, 'size_t'),
    engineDestroy: status('dnnl_engine_destroy', ptr),
    streamCreate: status('dnnl_stream_create', outPtr, ptr, int),
    streamDestroy: status('dnnl_stream_destroy', ptr),
    descriptorEqual: library.func('dnnl_memory_desc_equal', int, [ptr, ptr]) as (a: unknown, b: unknown) => number,
    memoryCreate: status('dnnl_memory_create', outPtr, ptr, ptr, ptr),
    memorySetData: status('dnnl_memory_set_data_handle', ptr, ptr),
    memoryDestroy: status('dnnl_memory_destroy', ptr),
    attributesCreate: status('dnnl_primitive_attr_create', outPtr),
    attributesDestroy: status('dnnl_primitive_attr_destroy', ptr),
    attributesSetScratchpad: status('dnnl_primitive_attr_set_scratchpad_mode', ptr, int),
    attributesSetPostOps: status('dnnl_primitive_attr_set_post_ops', ptr, ptr),
    postOpsCreate: status('dnnl_post_ops_create', outPtr),
    postOpsDestroy: status('dnnl_post_ops_destroy', ptr),
    postOpsBinary: status('dnnl_post_ops_append_binary', ptr, int, ptr),
    primitiveDescriptorDestroy: status('dnnl_primitive_desc_destroy', ptr),
    queryString: status('dnnl_primitive_desc_query', ptr, int, int, '_Out_ str *'),
    sgemm: status(
      'dnnl_sgemm',
      ...['char', 'char', 'int64_t', 'int64_t', 'int64_t', float, ptr, 'int64_t', ptr, 'int64_t', float, ptr, 'int64_t'],
    ),
    primitiveCreate: status('dnnl_primitive_create', outPtr, ptr),
    primitiveDestroy: status('dnnl_primitive_destroy', ptr),
    primitiveExecute: status('dnnl_primitive_execute', ptr, ptr, int, ptr),
  };
}

type Native = ReturnType<typeof declare>;

class NativePrimitive implements Primitive {
  readonly kind: PrimitiveSpec['kind'];
  readonly implementation: string;
  readonly primitive: Handle;
  readonly primitiveDescriptor: Handle;
  readonly #native: Native;
  readonly #calls: VersionCalls;

  constructor(native: Native, calls: VersionCalls, kind: PrimitiveSpec['kind'], primitiveDescriptor: Handle) {
    this.kind = kind;
    this.#native = native;
    this.#calls = calls;
    this.primitiveDescriptor = primitiveDescriptor;
    this.primitive = created('primitive_create', native.primitiveCreate, primitiveDescriptor);
    const name: [string | null] = [null];
    native.queryString(primitiveDescriptor, queryImplementation, 0, name);
    this.implementation = name[0] ?? '';
  }

  descriptor(query: DescriptorQuery): MemoryDescriptor {
    return this.#calls.queryDescriptor(this.primitiveDescriptor, descriptorQueries[query]);
  }

  destroy(): void {
    this.#native.primitiveDestroy(this.primitive);
    this.#native.primitiveDescriptorDestroy(this.primitiveDescriptor);
  }
}

class NativeMemory implements Memory {
  readonly handle: Handle;
  /** Keeps the bytes alive as long as native code may use them. */
  #bytes: Uint8Array;
  readonly #native: Native;

  constructor(native: Native, engine: Handle, descriptor: MemoryDescriptor, bytes: Uint8Array) {
    if (bytes.byteLength < descriptor.sizeBytes) {
      throw new Error(`memory of ${String(bytes.byteLength)} bytes for a tensor of ${String(descriptor.sizeBytes)}`);
    }
    this.#native = native;
    this.#bytes = bytes;
    this.handle = created('memory_create', native.memoryCreate, raw(descriptor), engine, bytes);
  }

  bind(bytes: Uint8Array): void {
    if (bytes.byteLength < this.#bytes.byteLength) {
      throw new Error(`a buffer of ${String(bytes.byteLength)} bytes in place of one of ${String(this.#bytes.byteLength)}`);
    }
    check('memory_set_data_handle', this.#native.memorySetData(this.handle, bytes));
    this.#bytes = bytes;
  }

  destroy(): void {
    this.#native.memoryDestroy(this.handle);
  }
}

/** Opens oneDNN through the calls of its version. One object per plan: its `dispose` frees what the plan made. */
export function openThrough(calls: VersionCalls, library: NativeLibrary, version: string, threads: number): Dnnl {
  const native = declare(library);
  const useThreads = threadSetter(library, threads);
  const engine = created('engine_create', native.engineCreate, 1, 0);
  const stream = created('stream_create', native.streamCreate, engine, 1);
  const primitives: NativePrimitive[] = [];
  const memories: NativeMemory[] = [];
  const { nChw16c, nChw8c, nhwc } = calls.imageTags;
  /** The layouts whose channels can be cut into ranges. */
  const imageLayouts = [
    { tag: calls.plainTags[4]!, block: 1 },
    { tag: nChw16c, block: 16 },
    { tag: nChw8c, block: 8 },
    { tag: nhwc, block: 1 },
  ];

  const equal = (a: MemoryDescriptor, b: MemoryDescriptor): boolean => native.descriptorEqual(raw(a), raw(b)) !== 0;
  const imageLayoutOf = (image: MemoryDescriptor) =>
    imageLayouts.find(({ tag }) => equal(calls.descriptorByTag(image.dims, image.dataType, tag), image));

  return {
    version,
    plain: (extents, dataType) => calls.descriptorByTag(extents, dataType, calls.plainTags[extents.length]!),
    channelsLast: (extents, dataType) => calls.descriptorByTag(extents, dataType, nhwc),
    any: (extents, dataType) => calls.descriptorByTag(extents, dataType, anyTag),
    withLayoutOf(like, extents) {
      const layout = imageLayoutOf(like);
      return layout === undefined ? undefined : calls.descriptorByTag(extents, like.dataType, layout.tag);
    },
    channelRange(parent, firstChannel, channels) {
      const layout = imageLayoutOf(parent);
      if (layout === undefined || firstChannel % layout.block !== 0 || channels % layout.block !== 0) return undefined;
      const [batch, , height, width] = parent.dims as readonly [number, number, number, number];
      return calls.descriptorOfPart(madeHere(parent, Descriptor), [batch, channels, height, width], [0, firstChannel, 0, 0]);
    },
    part: (parent, extents, offsets) => calls.descriptorOfPart(madeHere(parent, Descriptor), extents, offsets),
    equal,
    primitive(spec, { postOperations = [], forward } = {}) {
      // Kernels divide their work when they are made, too.
      useThreads();
      const attributes = createAttributes(native, calls, postOperations);
      const forwardDescriptor = forward === undefined ? null : madeHere(forward, NativePrimitive).primitiveDescriptor;
      try {
        const handle: [Handle] = [null];
        const status = calls.describe(engine, spec, attributes, forwardDescriptor, handle);
        if (status === statusUnimplemented) return undefined;
        check(spec.kind, status);
        const primitive = new NativePrimitive(native, calls, spec.kind, handle[0]);
        primitives.push(primitive);
        return primitive;
      } finally {
        native.attributesDestroy(attributes);
      }
    },
    memory(descriptor, bytes) {
      const memory = new NativeMemory(native, engine, descriptor, bytes);
      memories.push(memory);
      return memory;
    },
    execution(primitive, args) {
      const { kind, primitive: handle } = madeHere(primitive, NativePrimitive);
      const withoutShift = kind === 'batchNormBackward' && !calls.backwardBatchNormTakesShift;
      const taken = [...args].filter(([name]) => name !== 'shift' || !withoutShift);
      const list = new Uint8Array(16 * taken.length);
      const view = new DataView(list.buffer);
      taken.forEach(([name, memory], i) => {
        view.setInt32(16 * i, argumentNumber(name, calls.firstPostOperation), true);
        view.setBigUint64(16 * i + 8, koffi.address(madeHere(memory, NativeMemory).handle), true);
      });
      const execute = native.primitiveExecute;
      // `list`, and through `args` the memories, stay alive with this function: native code reads them.
      return () => {
        useThreads();
        const status = execute(handle, stream, taken.length, list);
        if (status !== 0) throw new OnednnError('primitive_execute', status);
      };
    },
    multiplyMatrices({ a, b, c }, { rows, inner, columns }, transposed, { alpha, beta }) {
      const letter = (transposes: boolean): number => (transposes ? 'T' : 'N').charCodeAt(0);
      const [rowOfA, rowOfB] = [transposed.a ? rows : inner, transposed.b ? inner : columns];
      const letters = [letter(transposed.a), letter(transposed.b)];
      check('sgemm', native.sgemm(...letters, rows, columns, inner, alpha, a, rowOfA, b, rowOfB, beta, c, columns));
    },
    dispose() {
      primitives.splice(0).forEach((primitive) => {
        primitive.destroy();
      });
      memories.splice(0).forEach((memory) => {
        memory.destroy();
      });
      calls.dispose();
      native.streamDestroy(stream);
      native.engineDestroy(engine);
    },
  };
}

/** The interface's objects come back to where they were made: anything else is a defect. */
function madeHere<T>(object: unknown, made: new (...args: never[]) => T): T {
  if (!(object instanceof made)) throw new TypeError(`not a ${made.name} of this engine`);
  return object;
}

function argumentNumber(name: ArgumentName, firstPostOperation: number): number {
  const index = /^(multipleSrc|postOp)(\d+)$/.exec(name);
  if (index === null) return fixedArguments[name as keyof typeof fixedArguments];
  const i = Number(index[2]);
  return index[1] === 'multipleSrc' ? firstMultipleSource + i : (firstPostOperation * (i + 1)) | postOperationSource1;
}

function createAttributes(native: Native, calls: VersionCalls, postOperations: readonly PostOperation[]): Handle {
  const attributes = created('primitive_attr_create', native.attributesCreate);
  const userScratchpad = 1;
  check('set_scratchpad_mode', native.attributesSetScratchpad(attributes, userScratchpad));
  if (postOperations.length === 0) return attributes;
  const postOps = created('post_ops_create', native.postOpsCreate);
  for (const operation of postOperations) {
    switch (operation.type) {
      case 'eltwise': {
        const { alpha = 0, beta = 0 } = operation;
        const algorithm = calls.eltwiseAlgorithms[operation.algorithm];
        check('post_ops_append_eltwise', calls.appendEltwise(postOps, algorithm, alpha, beta));
        break;
      }
      case 'binary':
        check(
          'post_ops_append_binary',
          native.postOpsBinary(postOps, binaryAlgorithms[operation.algorithm], raw(operation.operand)),
        );
        break;
      case 'sum':
        check('post_ops_append_sum', calls.appendSum(postOps));
        break;
      default:
        operation satisfies never;
    }
  }
  check('set_post_ops', native.attributesSetPostOps(attributes, postOps));
  native.postOpsDestroy(postOps);
  return attributes;
}
