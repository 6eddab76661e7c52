/** Version 3: memory descriptors are handles, and every primitive descriptor is made by one call of its own. */
import koffi from 'koffi';

import {
  batchNormFlags,
  binaryAlgorithms,
  check,
  convolutionAlgorithms,
  created,
  dataTypes,
  Descriptor,
  dims,
  float,
  forwardPropagation,
  geometry,
  int,
  int64,
  optional,
  outPtr,
  poolingAlgorithms,
  propagation,
  ptr,
  raw,
  statusFunctions,
  type Handle,
  type VersionCalls,
} from './calls.ts';
import type { EltwiseAlgorithm, MemoryDescriptor, PrimitiveSpec } from './dnnl.ts';
import type { NativeLibrary } from './native.ts';

const eltwiseAlgorithms: Readonly<Record<EltwiseAlgorithm, number>> = {
  relu: 32,
  reluFromOutput: 256,
  clip: 47,
  clipFromOutput: 262,
  geluErf: 49,
  logistic: 41,
  logisticFromOutput: 260,
  swish: 44,
  hardSwish: 52,
  linear: 38,
  exp: 42,
  log: 45,
  squareRoot: 37,
  power: 48,
};

const useFlags = { scale: 2, shift: 4, relu: 8 };

const queryRank = 256;
const queryDims = 257;
const queryDataType = 258;

function declare(library: NativeLibrary) {
  const status = statusFunctions(library);
  const size = library.func('dnnl_memory_desc_get_size', 'size_t', [ptr]) as (descriptor: Handle) => number | bigint;
  return {
    descriptorByTag: status('dnnl_memory_desc_create_with_tag', outPtr, int, dims, int, int),
    descriptorSubmemory: status('dnnl_memory_desc_create_submemory', outPtr, ptr, dims, dims),
    descriptorDestroy: status('dnnl_memory_desc_destroy', ptr),
    descriptorSize: size,
    descriptorNumber: status('dnnl_memory_desc_query', ptr, int, '_Out_ int *'),
    descriptorPointer: status('dnnl_memory_desc_query', ptr, int, outPtr),
    queryDescriptor: library.func('dnnl_primitive_desc_query_md', ptr, [ptr, int, int]) as (...args: unknown[]) => Handle,
    postOpsEltwise: status('dnnl_post_ops_append_eltwise', ptr, int, float, float),
    postOpsSum: status('dnnl_post_ops_append_sum', ptr, float, 'int32_t', int),
    convolutionForward: status(
      'dnnl_convolution_forward_primitive_desc_create',
      ...[outPtr, ptr, int, int, ptr, ptr, ptr, ptr, dims, dims, dims, dims, ptr],
    ),
    convolutionBackwardData: status(
      'dnnl_convolution_backward_data_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, ptr, dims, dims, dims, dims, ptr, ptr],
    ),
    convolutionBackwardWeights: status(
      'dnnl_convolution_backward_weights_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, ptr, ptr, dims, dims, dims, dims, ptr, ptr],
    ),
    innerProductForward: status(
      'dnnl_inner_product_forward_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, ptr, ptr, ptr],
    ),
    innerProductBackwardData: status(
      'dnnl_inner_product_backward_data_primitive_desc_create',
      ...[outPtr, ptr, ptr, ptr, ptr, ptr, ptr],
    ),
    innerProductBackwardWeights: status(
      'dnnl_inner_product_backward_weights_primitive_desc_create',
      ...[outPtr, ptr, ptr, ptr, ptr, ptr, ptr, ptr],
    ),
    poolingForward: status(
      'dnnl_pooling_forward_primitive_desc_create',
      ...[outPtr, ptr, int, int, ptr, ptr, dims, dims, dims, dims, dims, ptr],
    ),
    poolingBackward: status(
      'dnnl_pooling_backward_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, dims, dims, dims, dims, dims, ptr, ptr],
    ),
    eltwiseForward: status('dnnl_eltwise_forward_primitive_desc_create', ...[outPtr, ptr, int, int, ptr, ptr, float, float, ptr]),
    eltwiseBackward: status(
      'dnnl_eltwise_backward_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, ptr, float, float, ptr, ptr],
    ),
    batchNormForward: status(
      'dnnl_batch_normalization_forward_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, float, 'unsigned int', ptr],
    ),
    batchNormBackward: status(
      'dnnl_batch_normalization_backward_primitive_desc_create',
      ...[outPtr, ptr, int, ptr, ptr, ptr, float, 'unsigned int', ptr, ptr],
    ),
    binary: status('dnnl_binary_primitive_desc_create', outPtr, ptr, int, ptr, ptr, ptr, ptr),
    reorder: status('dnnl_reorder_primitive_desc_create', outPtr, ptr, ptr, ptr, ptr, ptr),
    concat: status('dnnl_concat_primitive_desc_create', outPtr, ptr, ptr, int, int, ptr, ptr),
    sum: status('dnnl_sum_primitive_desc_create', outPtr, ptr, ptr, int, 'float *', ptr, ptr),
  };
}

type Native = ReturnType<typeof declare>;

export function callsV3(library: NativeLibrary): VersionCalls {
  const native = declare(library);
  /** Those made here; others belong to primitive descriptors. */
  const owned: Handle[] = [];

  const descriptor = (handle: Handle): Descriptor => {
    const rank: [number] = [0];
    const dataType: [number] = [0];
    const pointer: [Handle] = [null];
    check('memory_desc_query', native.descriptorNumber(handle, queryRank, rank));
    if (rank[0] === 0) return new Descriptor(handle, [], 0, 0);
    check('memory_desc_query', native.descriptorNumber(handle, queryDataType, dataType));
    check('memory_desc_query', native.descriptorPointer(handle, queryDims, pointer));
    const extents = koffi.decode(pointer[0], koffi.array('int64_t', rank[0], 'Array')) as (number | bigint)[];
    return new Descriptor(handle, extents.map(Number), dataType[0], native.descriptorSize(handle));
  };
  const own = (handle: Handle): Descriptor => {
    owned.push(handle);
    return descriptor(handle);
  };

  return {
    plainTags: [0, 2, 3, 4, 5, 6],
    imageTags: { nChw16c: 78, nChw8c: 102, nhwc: 22 },
    eltwiseAlgorithms,
    firstPostOperation: 32768,
    backwardBatchNormTakesShift: false,
    descriptorByTag: (extents, dataType, tag) =>
      own(
        created('memory_desc_create_with_tag', native.descriptorByTag, extents.length, int64(extents), dataTypes[dataType], tag),
      ),
    descriptorOfPart(whole, extents, offsets) {
      const out: [Handle] = [null];
      const status = native.descriptorSubmemory(out, whole.native, int64(extents), int64(offsets));
      return status === 0 ? own(out[0]) : undefined;
    },
    queryDescriptor(primitiveDescriptor, query) {
      const handle = native.queryDescriptor(primitiveDescriptor, query, 0);
      return handle === null ? new Descriptor(null, [], 0, 0) : descriptor(handle);
    },
    appendEltwise: (postOps, algorithm, alpha, beta) => native.postOpsEltwise(postOps, algorithm, alpha, beta),
    // Data type 0: that of the destination.
    appendSum: (postOps) => native.postOpsSum(postOps, 1, 0, 0),
    describe: (...args) => describe(native, ...args),
    dispose() {
      owned.splice(0).forEach((handle) => native.descriptorDestroy(handle));
    },
  };
}

const noDilation = int64([0, 0]);

function describe(
  native: Native,
  engine: Handle,
  spec: PrimitiveSpec,
  attributes: Handle,
  forward: Handle,
  out: [Handle],
): number {
  switch (spec.kind) {
    case 'convolution': {
      const tensors = [raw(spec.src), raw(spec.weights), optional(spec.bias), raw(spec.dst)];
      const options = [forwardPropagation(spec), convolutionAlgorithms[spec.algorithm]];
      return native.convolutionForward(out, engine, ...options, ...tensors, ...dilated(spec), attributes);
    }
    case 'convolutionBackwardData': {
      const tensors = [raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst)];
      const algorithm = convolutionAlgorithms[spec.algorithm];
      return native.convolutionBackwardData(out, engine, algorithm, ...tensors, ...dilated(spec), forward, attributes);
    }
    case 'convolutionBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      const algorithm = convolutionAlgorithms[spec.algorithm];
      return native.convolutionBackwardWeights(out, engine, algorithm, ...tensors, ...dilated(spec), forward, attributes);
    }
    case 'innerProduct': {
      const tensors = [raw(spec.src), raw(spec.weights), optional(spec.bias), raw(spec.dst)];
      return native.innerProductForward(out, engine, forwardPropagation(spec), ...tensors, attributes);
    }
    case 'innerProductBackwardData': {
      const tensors = [raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst)];
      return native.innerProductBackwardData(out, engine, ...tensors, forward, attributes);
    }
    case 'innerProductBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      return native.innerProductBackwardWeights(out, engine, ...tensors, forward, attributes);
    }
    case 'pooling': {
      const options = [forwardPropagation(spec), poolingAlgorithms[spec.algorithm]];
      return native.poolingForward(out, engine, ...options, raw(spec.src), raw(spec.dst), ...window(spec), attributes);
    }
    case 'poolingBackward': {
      const tensors = [raw(spec.diffSrc), raw(spec.diffDst)];
      const algorithm = poolingAlgorithms[spec.algorithm];
      return native.poolingBackward(out, engine, algorithm, ...tensors, ...window(spec), forward, attributes);
    }
    case 'eltwise': {
      const { alpha = 0, beta = 0 } = spec;
      const options = [forwardPropagation(spec), eltwiseAlgorithms[spec.algorithm]];
      return native.eltwiseForward(out, engine, ...options, raw(spec.data), raw(spec.data), alpha, beta, attributes);
    }
    case 'eltwiseBackward': {
      const { alpha = 0, beta = 0 } = spec;
      const tensors = [raw(spec.diff), raw(spec.diff), raw(spec.data)];
      return native.eltwiseBackward(out, engine, eltwiseAlgorithms[spec.algorithm], ...tensors, alpha, beta, forward, attributes);
    }
    case 'batchNorm': {
      const tensors = [raw(spec.data), raw(spec.data)];
      const flags = batchNormFlags(spec, useFlags);
      return native.batchNormForward(out, engine, forwardPropagation(spec), ...tensors, spec.epsilon, flags, attributes);
    }
    case 'batchNormBackward': {
      const direction = spec.scale || spec.shift ? propagation.both : propagation.data;
      const tensors = [raw(spec.diff), raw(spec.diff), raw(spec.data)];
      return native.batchNormBackward(
        out,
        engine,
        direction,
        ...tensors,
        spec.epsilon,
        batchNormFlags(spec, useFlags),
        forward,
        attributes,
      );
    }
    case 'binary': {
      const tensors = [raw(spec.a), raw(spec.b), raw(spec.dst)];
      return native.binary(out, engine, binaryAlgorithms[spec.algorithm], ...tensors, attributes);
    }
    case 'reorder':
      return native.reorder(out, raw(spec.src), engine, raw(spec.dst), engine, attributes);
    case 'concat':
      return native.concat(out, engine, optional(spec.dst), spec.srcs.length, spec.axis, listOf(spec.srcs), attributes);
    case 'sum': {
      const scales = Float32Array.from(spec.scales);
      return native.sum(out, engine, raw(spec.dst), spec.srcs.length, scales, listOf(spec.srcs), attributes);
    }
    default:
      return spec satisfies never;
  }
}

function dilated(spec: Parameters<typeof geometry>[0]): readonly BigInt64Array[] {
  const [strides, ...padding] = geometry(spec);
  return [strides, noDilation, ...padding];
}

function window(spec: Parameters<typeof geometry>[0] & { readonly kernel: readonly [number, number] }): readonly BigInt64Array[] {
  const [strides, ...padding] = geometry(spec);
  return [strides, int64(spec.kernel), noDilation, ...padding];
}

/** An array of handles. */
function listOf(descriptors: readonly MemoryDescriptor[]): BigUint64Array {
  return BigUint64Array.from(descriptors, (descriptor) => koffi.address(raw(descriptor)));
}
