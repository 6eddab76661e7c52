/**
 * Version 2: memory descriptors and operation descriptors are plain C structures that the caller owns. They are kept here as opaque
 * zeroed byte arrays of the sizes in dnnl_types.h (2.6).
 */
import koffi from 'koffi';

import {
  batchNormFlags,
  binaryAlgorithms,
  check,
  convolutionAlgorithms,
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

const memoryDescriptorBytes = 696;
/** Size of the largest operation descriptor (convolution). */
const operationDescriptorBytes = 5976;
const maxDimensions = 12;

const eltwiseAlgorithms: Readonly<Record<EltwiseAlgorithm, number>> = {
  relu: 31,
  reluFromOutput: 256,
  clip: 16,
  clipFromOutput: 262,
  geluErf: 48,
  logistic: 175,
  logisticFromOutput: 260,
  swish: 223,
  hardSwish: 112,
  linear: 127,
  exp: 191,
  log: 239,
  squareRoot: 111,
  power: 32,
};

const useFlags = { scale: 8, shift: 16, relu: 4 };

function declare(library: NativeLibrary) {
  const status = statusFunctions(library);
  return {
    descriptorByTag: status('dnnl_memory_desc_init_by_tag', ptr, int, dims, int, int),
    descriptorSubmemory: status('dnnl_memory_desc_init_submemory', ptr, ptr, dims, dims),
    descriptorSize: library.func('dnnl_memory_desc_get_size', 'size_t', [ptr]) as (descriptor: Uint8Array) => number | bigint,
    queryDescriptor: library.func('dnnl_primitive_desc_query_md', ptr, [ptr, int, int]) as (...args: unknown[]) => Handle,
    postOpsEltwise: status('dnnl_post_ops_append_eltwise', ptr, float, int, float, float),
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
  };
}

type Native = ReturnType<typeof declare>;

export function callsV2(library: NativeLibrary): VersionCalls {
  const native = declare(library);

  const descriptor = (bytes: Uint8Array): Descriptor => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const rank = view.getInt32(0, true);
    const extents = Array.from({ length: rank }, (_, i) => Number(view.getBigInt64(8 + 8 * i, true)));
    return new Descriptor(bytes, extents, view.getInt32(8 + 8 * maxDimensions, true), native.descriptorSize(bytes));
  };

  return {
    plainTags: [0, 2, 3, 4, 5, 7],
    imageTags: { nChw16c: 69, nChw8c: 93, nhwc: 20 },
    eltwiseAlgorithms,
    firstPostOperation: 16384,
    backwardBatchNormTakesShift: true,
    descriptorByTag(extents, dataType, tag) {
      const bytes = new Uint8Array(memoryDescriptorBytes);
      check('memory_desc_init_by_tag', native.descriptorByTag(bytes, extents.length, int64(extents), dataTypes[dataType], tag));
      return descriptor(bytes);
    },
    descriptorOfPart(whole, extents, offsets) {
      const bytes = new Uint8Array(memoryDescriptorBytes);
      const status = native.descriptorSubmemory(bytes, whole.native, int64(extents), int64(offsets));
      return status === 0 ? descriptor(bytes) : undefined;
    },
    queryDescriptor(primitiveDescriptor, query) {
      const pointer = native.queryDescriptor(primitiveDescriptor, query, 0);
      const bytes = new Uint8Array(memoryDescriptorBytes);
      // The structure belongs to the primitive descriptor: copied, it outlives it.
      if (pointer !== null) bytes.set(koffi.decode(pointer, koffi.array('uint8_t', memoryDescriptorBytes)) as Uint8Array);
      return descriptor(bytes);
    },
    appendEltwise: (postOps, algorithm, alpha, beta) => native.postOpsEltwise(postOps, 1, algorithm, alpha, beta),
    appendSum: (postOps) => native.postOpsSum(postOps, 1),
    describe: (...args) => describe(native, ...args),
    dispose: () => undefined,
  };
}

function describe(
  native: Native,
  engine: Handle,
  spec: PrimitiveSpec,
  attributes: Handle,
  forward: Handle,
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
      return native.primitiveDescriptorCreate(out, operation, attributes, engine, forward);
    }
  }
}

function joined(descriptors: readonly MemoryDescriptor[]): Uint8Array {
  const all = new Uint8Array(memoryDescriptorBytes * descriptors.length);
  descriptors.forEach((descriptor, i) => {
    all.set(raw(descriptor) as Uint8Array, memoryDescriptorBytes * i);
  });
  return all;
}

function initializeOperation(
  native: Native,
  operation: Uint8Array,
  spec: Exclude<PrimitiveSpec, { kind: 'reorder' | 'concat' | 'sum' }>,
): number {
  switch (spec.kind) {
    case 'convolution': {
      const tensors = [raw(spec.src), raw(spec.weights), optional(spec.bias), raw(spec.dst)];
      return native.convolutionForward(
        operation,
        forwardPropagation(spec),
        convolutionAlgorithms[spec.algorithm],
        ...tensors,
        ...geometry(spec),
      );
    }
    case 'convolutionBackwardData': {
      const tensors = [raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst)];
      return native.convolutionBackwardData(operation, convolutionAlgorithms[spec.algorithm], ...tensors, ...geometry(spec));
    }
    case 'convolutionBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      return native.convolutionBackwardWeights(operation, convolutionAlgorithms[spec.algorithm], ...tensors, ...geometry(spec));
    }
    case 'innerProduct': {
      const tensors = [raw(spec.src), raw(spec.weights), optional(spec.bias), raw(spec.dst)];
      return native.innerProductForward(operation, forwardPropagation(spec), ...tensors);
    }
    case 'innerProductBackwardData':
      return native.innerProductBackwardData(operation, raw(spec.diffSrc), raw(spec.weights), raw(spec.diffDst));
    case 'innerProductBackwardWeights': {
      const tensors = [raw(spec.src), raw(spec.diffWeights), optional(spec.diffBias), raw(spec.diffDst)];
      return native.innerProductBackwardWeights(operation, ...tensors);
    }
    case 'pooling': {
      const [strides, ...padding] = geometry(spec);
      const window = [strides, int64(spec.kernel), ...padding];
      const algorithm = poolingAlgorithms[spec.algorithm];
      return native.poolingForward(operation, forwardPropagation(spec), algorithm, raw(spec.src), raw(spec.dst), ...window);
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
      const algorithm = eltwiseAlgorithms[spec.algorithm];
      return native.eltwiseForward(operation, forwardPropagation(spec), algorithm, raw(spec.data), alpha, beta);
    }
    case 'eltwiseBackward': {
      const { alpha = 0, beta = 0 } = spec;
      return native.eltwiseBackward(operation, eltwiseAlgorithms[spec.algorithm], raw(spec.diff), raw(spec.data), alpha, beta);
    }
    case 'batchNorm':
      return native.batchNormForward(
        operation,
        forwardPropagation(spec),
        raw(spec.data),
        spec.epsilon,
        batchNormFlags(spec, useFlags),
      );
    case 'batchNormBackward': {
      const direction = spec.scale || spec.shift ? propagation.both : propagation.data;
      return native.batchNormBackward(
        operation,
        direction,
        raw(spec.diff),
        raw(spec.data),
        spec.epsilon,
        batchNormFlags(spec, useFlags),
      );
    }
    case 'binary':
      return native.binary(operation, binaryAlgorithms[spec.algorithm], raw(spec.a), raw(spec.b), raw(spec.dst));
    default:
      return spec satisfies never;
  }
}
