/**
 * oneDNN 2.x behind the version-independent interface. In version 2, memory descriptors and operation descriptors are plain C
 * structures that the caller owns: they are kept here as opaque zeroed byte arrays of the sizes in dnnl_types.h (2.6).
 */
import koffi from 'koffi';

import type {
  ArgumentName,
  BinaryAlgorithm,
  DataType,
  DescriptorQuery,
  Dnnl,
  EltwiseAlgorithm,
  Memory,
  MemoryDescriptor,
  PostOperation,
  Primitive,
  PrimitiveOptions,
  PrimitiveSpec,
} from './dnnl.ts';
import { OnednnError, statusUnimplemented, type NativeLibrary } from './native.ts';

const memoryDescriptorBytes = 696;
/** Size of the largest operation descriptor (convolution). */
const operationDescriptorBytes = 5976;
const maxDimensions = 12;

const dataTypes: Readonly<Record<DataType, number>> = { bf16: 2, f32: 3, s32: 4, u8: 6 };
const plainTags: readonly number[] = [0, 2, 3, 4, 5, 7];
const anyTag = 1;
/** nchw, nChw16c, nChw8c, nhwc: the layouts whose channels can be cut into ranges. */
const imageLayouts = [
  { tag: 5, block: 1 },
  { tag: 69, block: 16 },
  { tag: 93, block: 8 },
  { tag: 20, block: 1 },
] as const;

const eltwiseAlgorithms: Readonly<Record<EltwiseAlgorithm, number>> = {
  relu: 31,
  reluFromOutput: 256,
  geluErf: 48,
  square: 79,
  linear: 127,
  exp: 191,
  log: 239,
};
const binaryAlgorithms: Readonly<Record<BinaryAlgorithm, number>> = {
  add: 131056,
  multiply: 131057,
  divide: 131060,
  subtract: 131061,
};
const poolingAlgorithms = { max: 511, average: 1023 } as const;
const convolutionDirect = 1;

const forwardTraining = 64;
const forwardInference = 96;
const backwardBoth = 128;
const backwardData = 160;

const useGlobalStatistics = 1;
const useScale = 8;
const useShift = 16;

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
const firstPostOperation = 16384;
const postOperationSource1 = 2;

type Handle = unknown;
/** A native function whose result is a status code. */
type StatusFunction = (...args: unknown[]) => number;

const ptr = 'void *';
const int = 'int';
const float = 'float';
const dims = 'int64_t *';
const outPtr = '_Out_ void **';

function declare(library: NativeLibrary) {
  const status = (name: string, ...parameters: string[]): StatusFunction => library.func(name, int, parameters) as StatusFunction;
  return {
    engineCreate: status('dnnl_engine_create', outPtr, int, 'size_t'),
    engineDestroy: status('dnnl_engine_destroy', ptr),
    streamCreate: status('dnnl_stream_create', outPtr, ptr, int),
    streamDestroy: status('dnnl_stream_destroy', ptr),
    descriptorByTag: status('dnnl_memory_desc_init_by_tag', ptr, int, dims, int, int),
    descriptorSubmemory: status('dnnl_memory_desc_init_submemory', ptr, ptr, dims, dims),
    descriptorSize: library.func('dnnl_memory_desc_get_size', 'size_t', [ptr]) as (descriptor: Uint8Array) => number | bigint,
    descriptorEqual: library.func('dnnl_memory_desc_equal', int, [ptr, ptr]) as (a: Uint8Array, b: Uint8Array) => number,
    memoryCreate: status('dnnl_memory_create', outPtr, ptr, ptr, ptr),
    memorySetData: status('dnnl_memory_set_data_handle', ptr, ptr),
    memoryDestroy: status('dnnl_memory_destroy', ptr),
    attributesCreate: status('dnnl_primitive_attr_create', outPtr),
    attributesDestroy: status('dnnl_primitive_attr_destroy', ptr),
    attributesSetScratchpad: status('dnnl_primitive_attr_set_scratchpad_mode', ptr, int),
    attributesSetPostOps: status('dnnl_primitive_attr_set_post_ops', ptr, ptr),
    postOpsCreate: status('dnnl_post_ops_create', outPtr),
    postOpsDestroy: status('dnnl_post_ops_destroy', ptr),
    postOpsEltwise: status('dnnl_post_ops_append_eltwise', ptr, float, int, float, float),
    postOpsBinary: status('dnnl_post_ops_append_binary', ptr, int, ptr),
    postOpsSum: status('dnnl_post_ops_append_sum', ptr, float),
    convolutionForward: status('dnnl_convolution_forward_desc_init', ptr, int, int, ptr, ptr, ptr, ptr, dims, dims, dims),
    convolutionBackwardData: status('dnnl_convolution_backward_data_desc_init', ptr, int, ptr, ptr, ptr, dims, dims, dims),
    convolutionBackwardWeights: status(
      'dnnl_convolution_backward_weights_desc_init',
      ptr,
      int,
      ptr,
      ptr,
      ptr,
      ptr,
      dims,
      dims,
      dims,
    ),
    innerProductForward: status('dnnl_inner_product_forward_desc_init', ptr, int, ptr, ptr, ptr, ptr),
    innerProductBackwardData: status('dnnl_inner_product_backward_data_desc_init', ptr, ptr, ptr, ptr),
    innerProductBackwardWeights: status('dnnl_inner_product_backward_weights_desc_init', ptr, ptr, ptr, ptr, ptr),
    poolingForward: status('dnnl_pooling_forward_desc_init', ptr, int, int, ptr, ptr, dims, dims, dims, dims),
    poolingBackward: status('dnnl_pooling_backward_desc_init', ptr, int, ptr, ptr, dims, dims, dims, dims),
    eltwiseForward: status('dnnl_eltwise_forward_desc_init', ptr, int, int, ptr, float, float),
    eltwiseBackward: status('dnnl_eltwise_backward_desc_init', ptr, int, ptr, ptr, float, float),
    batchNormForward: status('dnnl_batch_normalization_forward_desc_init', ptr, int, ptr, float, 'unsigned int'),
    batchNormBackward: status('dnnl_batch_normalization_backward_desc_init', ptr, int, ptr, ptr, float, 'unsigned int'),
    binary: status('dnnl_binary_desc_init', ptr, int, ptr, ptr, ptr),
    reorderDescriptor: status('dnnl_reorder_primitive_desc_create', outPtr, ptr, ptr, ptr, ptr, ptr),
    concatDescriptor: status('dnnl_concat_primitive_desc_create', outPtr, ptr, int, int, ptr, ptr, ptr),
    sumDescriptor: status('dnnl_sum_primitive_desc_create', outPtr, ptr, int, 'float *', ptr, ptr, ptr),
    primitiveDescriptorCreate: status('dnnl_primitive_desc_create', outPtr, ptr, ptr, ptr, ptr),
    primitiveDescriptorDestroy: status('dnnl_primitive_desc_destroy', ptr),
    queryDescriptor: library.func('dnnl_primitive_desc_query_md', ptr, [ptr, int, int]) as (...args: unknown[]) => Handle,
    queryString: status('dnnl_primitive_desc_query', ptr, int, int, '_Out_ str *'),
    primitiveCreate: status('dnnl_primitive_create', outPtr, ptr),
    primitiveDestroy: status('dnnl_primitive_destroy', ptr),
    primitiveExecute: status('dnnl_primitive_execute', ptr, ptr, int, ptr),
    streamWait: status('dnnl_stream_wait', ptr),
  };
}

type Native = ReturnType<typeof declare>;

function check(call: string, status: number): void {
  if (status !== 0) throw new OnednnError(call, status);
}

/** Calls a function whose first parameter receives a new handle. */
function created(call: string, create: StatusFunction, ...args: unknown[]): Handle {
  const result: [Handle] = [null];
  check(call, create(result, ...args));
  return result[0];
}

function int64(values: readonly number[]): BigInt64Array {
  return BigInt64Array.from(values, BigInt);
}

class DescriptorV2 implements MemoryDescriptor {
  readonly bytes: Uint8Array;
  readonly dims: readonly number[];
  readonly dataType: DataType;
  readonly sizeBytes: number;

  constructor(native: Native, bytes: Uint8Array) {
    this.bytes = bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const rank = view.getInt32(0, true);
    this.dims = Array.from({ length: rank }, (_, i) => Number(view.getBigInt64(8 + 8 * i, true)));
    const type = view.getInt32(8 + 8 * maxDimensions, true);
    this.dataType = (Object.keys(dataTypes) as DataType[]).find((name) => dataTypes[name] === type) ?? 'f32';
    this.sizeBytes = Number(native.descriptorSize(bytes));
  }
}

class PrimitiveV2 implements Primitive {
  readonly implementation: string;
  readonly primitive: Handle;
  readonly primitiveDescriptor: Handle;
  readonly #native: Native;

  constructor(native: Native, primitiveDescriptor: Handle) {
    this.#native = native;
    this.primitiveDescriptor = primitiveDescriptor;
    this.primitive = created('primitive_create', native.primitiveCreate, primitiveDescriptor);
    const name: [string | null] = [null];
    native.queryString(primitiveDescriptor, queryImplementation, 0, name);
    this.implementation = name[0] ?? '';
  }

  descriptor(query: DescriptorQuery): MemoryDescriptor {
    const pointer = this.#native.queryDescriptor(this.primitiveDescriptor, descriptorQueries[query], 0);
    const bytes = new Uint8Array(memoryDescriptorBytes);
    // The structure belongs to the primitive descriptor: copied, it outlives it.
    if (pointer !== null) bytes.set(koffi.decode(pointer, koffi.array('uint8_t', memoryDescriptorBytes)) as Uint8Array);
    return new DescriptorV2(this.#native, bytes);
  }

  destroy(): void {
    this.#native.primitiveDestroy(this.primitive);
    this.#native.primitiveDescriptorDestroy(this.primitiveDescriptor);
  }
}

class MemoryV2 implements Memory {
  readonly handle: Handle;
  /** Keeps the bytes alive as long as native code may use them. */
  #bytes: Uint8Array;
  readonly #native: Native;

  constructor(native: Native, engine: Handle, descriptor: DescriptorV2, bytes: Uint8Array) {
    if (bytes.byteLength < descriptor.sizeBytes) {
      throw new Error(`memory of ${String(bytes.byteLength)} bytes for a tensor of ${String(descriptor.sizeBytes)}`);
    }
    this.#native = native;
    this.#bytes = bytes;
    this.handle = created('memory_create', native.memoryCreate, descriptor.bytes, engine, bytes);
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

/** Opens oneDNN 2.x. One object per plan: its `dispose` frees what the plan made. */
export function openV2(library: NativeLibrary, version: string): Dnnl {
  const native = declare(library);
  const engine = created('engine_create', native.engineCreate, 1, 0);
  const stream = created('stream_create', native.streamCreate, engine, 1);
  const primitives: PrimitiveV2[] = [];
  const memories: MemoryV2[] = [];

  const byTag = (extents: readonly number[], dataType: DataType, tag: number): DescriptorV2 => {
    const bytes = new Uint8Array(memoryDescriptorBytes);
    check('memory_desc_init_by_tag', native.descriptorByTag(bytes, extents.length, int64(extents), dataTypes[dataType], tag));
    return new DescriptorV2(native, bytes);
  };
  const equal = (a: MemoryDescriptor, b: MemoryDescriptor): boolean => native.descriptorEqual(raw(a), raw(b)) !== 0;

  return {
    version,
    plain: (extents, dataType) => byTag(extents, dataType, plainTags[extents.length]!),
    any: (extents, dataType) => byTag(extents, dataType, anyTag),
    withLayoutOf(like, extents) {
      const layout = imageLayouts.find(({ tag }) => equal(byTag(like.dims, like.dataType, tag), like));
      return layout === undefined ? undefined : byTag(extents, like.dataType, layout.tag);
    },
    channelRange(parent, firstChannel, channels) {
      const layout = imageLayouts.find(({ tag }) => equal(byTag(parent.dims, parent.dataType, tag), parent));
      if (layout === undefined || firstChannel % layout.block !== 0 || channels % layout.block !== 0) return undefined;
      const bytes = new Uint8Array(memoryDescriptorBytes);
      const [batch, , height, width] = parent.dims as readonly [number, number, number, number];
      const extents = int64([batch, channels, height, width]);
      const status = native.descriptorSubmemory(bytes, raw(parent), extents, int64([0, firstChannel, 0, 0]));
      return status === 0 ? new DescriptorV2(native, bytes) : undefined;
    },
    equal,
    primitive(spec, options = {}) {
      const attributes = createAttributes(native, options.postOperations ?? []);
      try {
        const handle: [Handle] = [null];
        const status = describe(native, engine, spec, attributes, options, handle);
        if (status === statusUnimplemented) return undefined;
        check(spec.kind, status);
        const primitive = new PrimitiveV2(native, handle[0]);
        primitives.push(primitive);
        return primitive;
      } finally {
        native.attributesDestroy(attributes);
      }
    },
    memory(descriptor, bytes) {
      const memory = new MemoryV2(native, engine, madeHere(descriptor, DescriptorV2), bytes);
      memories.push(memory);
      return memory;
    },
    execution(primitive, args) {
      const { primitive: handle } = madeHere(primitive, PrimitiveV2);
      const count = args.size;
      const list = new Uint8Array(16 * count);
      const view = new DataView(list.buffer);
      [...args].forEach(([name, memory], i) => {
        view.setInt32(16 * i, argumentNumber(name), true);
        view.setBigUint64(16 * i + 8, koffi.address(madeHere(memory, MemoryV2).handle), true);
      });
      const execute = native.primitiveExecute;
      // `list`, and through `args` the memories, stay alive with this function: native code reads them.
      return () => {
        const status = execute(handle, stream, args.size, list);
        if (status !== 0) throw new OnednnError('primitive_execute', status);
      };
    },
    dispose() {
      primitives.splice(0).forEach((primitive) => {
        primitive.destroy();
      });
      memories.splice(0).forEach((memory) => {
        memory.destroy();
      });
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

function raw(descriptor: MemoryDescriptor): Uint8Array {
  return madeHere(descriptor, DescriptorV2).bytes;
}

function optional(descriptor: MemoryDescriptor | undefined): Uint8Array | null {
  return descriptor === undefined ? null : raw(descriptor);
}

function argumentNumber(name: ArgumentName): number {
  const index = /^(multipleSrc|postOp)(\d+)$/.exec(name);
  if (index === null) return fixedArguments[name as keyof typeof fixedArguments];
  const i = Number(index[2]);
  return index[1] === 'multipleSrc' ? firstMultipleSource + i : (firstPostOperation * (i + 1)) | postOperationSource1;
}

function createAttributes(native: Native, postOperations: readonly PostOperation[]): Handle {
  const attributes = created('primitive_attr_create', native.attributesCreate);
  const userScratchpad = 1;
  check('set_scratchpad_mode', native.attributesSetScratchpad(attributes, userScratchpad));
  if (postOperations.length === 0) return attributes;
  const postOps = created('post_ops_create', native.postOpsCreate);
  for (const operation of postOperations) {
    switch (operation.type) {
      case 'eltwise': {
        const { alpha = 0, beta = 0 } = operation;
        check('post_ops_append_eltwise', native.postOpsEltwise(postOps, 1, eltwiseAlgorithms[operation.algorithm], alpha, beta));
        break;
      }
      case 'binary':
        check(
          'post_ops_append_binary',
          native.postOpsBinary(postOps, binaryAlgorithms[operation.algorithm], raw(operation.operand)),
        );
        break;
      case 'sum':
        check('post_ops_append_sum', native.postOpsSum(postOps, 1));
        break;
      default:
        operation satisfies never;
    }
  }
  check('set_post_ops', native.attributesSetPostOps(attributes, postOps));
  native.postOpsDestroy(postOps);
  return attributes;
}

/** Makes the primitive descriptor for a specification; the result is a oneDNN status, the handle is put into `out`. */
function describe(
  native: Native,
  engine: Handle,
  spec: PrimitiveSpec,
  attributes: Handle,
  options: PrimitiveOptions,
  out: [Handle],
): number {
  switch (spec.kind) {
    case 'reorder':
      return native.reorderDescriptor(out, raw(spec.src), engine, raw(spec.dst), engine, attributes);
    case 'concat': {
      const sources = joined(spec.srcs);
      return native.concatDescriptor(out, optional(spec.dst), spec.srcs.length, spec.axis, sources, attributes, engine);
    }
    case 'sum': {
      const scales = Float32Array.from(spec.scales);
      return native.sumDescriptor(out, raw(spec.dst), spec.srcs.length, scales, joined(spec.srcs), attributes, engine);
    }
    default: {
      const operation = new Uint8Array(operationDescriptorBytes);
      const status = initializeOperation(native, operation, spec);
      if (status !== 0) return status;
      const hint = options.forward === undefined ? null : madeHere(options.forward, PrimitiveV2).primitiveDescriptor;
      return native.primitiveDescriptorCreate(out, operation, attributes, engine, hint);
    }
  }
}

function joined(descriptors: readonly MemoryDescriptor[]): Uint8Array {
  const all = new Uint8Array(memoryDescriptorBytes * descriptors.length);
  descriptors.forEach((descriptor, i) => {
    all.set(raw(descriptor), memoryDescriptorBytes * i);
  });
  return all;
}

function initializeOperation(
  native: Native,
  operation: Uint8Array,
  spec: Exclude<PrimitiveSpec, { kind: 'reorder' | 'concat' | 'sum' }>,
): number {
  const propagation = 'training' in spec && spec.training ? forwardTraining : forwardInference;
  switch (spec.kind) {
    case 'convolution': {
      const shape = [optional(spec.bias), raw(spec.dst), ...geometry(spec)];
      return native.convolutionForward(operation, propagation, convolutionDirect, raw(spec.src), raw(spec.weights), ...shape);
    }
    case 'convolutionBackwardData': {
      const tensors = [raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst)];
      return native.convolutionBackwardData(operation, convolutionDirect, ...tensors, ...geometry(spec));
    }
    case 'convolutionBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      return native.convolutionBackwardWeights(operation, convolutionDirect, ...tensors, ...geometry(spec));
    }
    case 'innerProduct':
      return native.innerProductForward(
        operation,
        propagation,
        raw(spec.src),
        raw(spec.weights),
        optional(spec.bias),
        raw(spec.dst),
      );
    case 'innerProductBackwardData':
      return native.innerProductBackwardData(operation, raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst));
    case 'innerProductBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      return native.innerProductBackwardWeights(operation, ...tensors);
    }
    case 'pooling': {
      const [strides, ...padding] = geometry(spec);
      const window = [strides, int64(spec.kernel), ...padding];
      return native.poolingForward(
        operation,
        propagation,
        poolingAlgorithms[spec.algorithm],
        raw(spec.src),
        raw(spec.dst),
        ...window,
      );
    }
    case 'poolingBackward': {
      const [strides, ...padding] = geometry(spec);
      const window = [strides, int64(spec.kernel), ...padding];
      return native.poolingBackward(
        operation,
        poolingAlgorithms[spec.algorithm],
        raw(spec.diffSrc),
        raw(spec.diffDst),
        ...window,
      );
    }
    case 'eltwise': {
      const { alpha = 0, beta = 0 } = spec;
      return native.eltwiseForward(operation, propagation, eltwiseAlgorithms[spec.algorithm], raw(spec.data), alpha, beta);
    }
    case 'eltwiseBackward': {
      const { alpha = 0, beta = 0 } = spec;
      return native.eltwiseBackward(operation, eltwiseAlgorithms[spec.algorithm], raw(spec.diff), raw(spec.data), alpha, beta);
    }
    case 'batchNorm': {
      return native.batchNormForward(operation, propagation, raw(spec.data), spec.epsilon, batchNormFlags(spec));
    }
    case 'batchNormBackward': {
      const direction = spec.scale || spec.shift ? backwardBoth : backwardData;
      return native.batchNormBackward(operation, direction, raw(spec.diff), raw(spec.data), spec.epsilon, batchNormFlags(spec));
    }
    case 'binary':
      return native.binary(operation, binaryAlgorithms[spec.algorithm], raw(spec.a), raw(spec.b), raw(spec.dst));
    default:
      return spec satisfies never;
  }
}

function batchNormFlags(spec: { readonly scale: boolean; readonly shift: boolean; readonly givenStatistics: boolean }): number {
  return (spec.scale ? useScale : 0) | (spec.shift ? useShift : 0) | (spec.givenStatistics ? useGlobalStatistics : 0);
}

/** Strides, padding at top and left, padding at bottom and right. */
function geometry(spec: {
  readonly strides: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
}): [BigInt64Array, BigInt64Array, BigInt64Array] {
  const [top, left, bottom, right] = spec.padding;
  return [int64(spec.strides), int64([top, left]), int64([bottom, right])];
}
