/**
 * The part of oneDNN that the engine uses, independent of the library's version: memory descriptors, primitives and their
 * execution. calls.ts implements it with what the versions have in common, v2.ts and v3.ts; nothing else makes native calls.
 */

export type DataType = 'f32' | 'bf16';

/** Dimensions and layout of a tensor; `any` descriptors leave the layout to the primitive. */
export interface MemoryDescriptor {
  /** Bytes the tensor takes, padding of blocked layouts included. */
  readonly sizeBytes: number;
  readonly dims: readonly number[];
  readonly dataType: DataType;
}

/** `...FromOutput`: backward passes that are given the function's output in place of its input. */
export type EltwiseAlgorithm =
  /** alpha: slope where x < 0 */
  | 'relu'
  | 'reluFromOutput'
  /** From alpha to beta. */
  | 'clip'
  | 'clipFromOutput'
  | 'geluErf'
  | 'logistic'
  | 'logisticFromOutput'
  /** x * logistic(alpha * x) */
  | 'swish'
  /** x * min(max(0, alpha * x + beta), 1); version 2 knows alpha = 1/6 and beta = 1/2 only. */
  | 'hardSwish'
  /** alpha * x + beta */
  | 'linear'
  | 'log'
  | 'exp'
  | 'squareRoot'
  /** alpha * x^beta */
  | 'power';
export type BinaryAlgorithm = 'add' | 'multiply' | 'subtract';

/** The parts of a primitive's work that follow on its result, before it is stored. */
export type PostOperation =
  | { readonly type: 'eltwise'; readonly algorithm: EltwiseAlgorithm; readonly alpha?: number; readonly beta?: number }
  | { readonly type: 'binary'; readonly algorithm: BinaryAlgorithm; readonly operand: MemoryDescriptor }
  /** result + what the destination held before */
  | { readonly type: 'sum' };

export interface ConvolutionGeometry {
  readonly strides: readonly [number, number];
  /** `[top, left, bottom, right]` */
  readonly padding: readonly [number, number, number, number];
}

/** `winograd`: fewer multiplications for filters of 3x3 and stride 1, at the price of some rounding; not on every processor. */
export type ConvolutionAlgorithm = 'direct' | 'winograd';

interface Convolution extends ConvolutionGeometry {
  readonly algorithm: ConvolutionAlgorithm;
}

interface Forward {
  /** Training primitives may keep what backward needs (a workspace). */
  readonly training: boolean;
}

export type PrimitiveSpec =
  | ({
      readonly kind: 'convolution';
      readonly src: MemoryDescriptor;
      readonly weights: MemoryDescriptor;
      readonly bias: MemoryDescriptor | undefined;
      readonly dst: MemoryDescriptor;
    } & Convolution &
      Forward)
  | ({
      readonly kind: 'convolutionBackwardData';
      readonly diffSrc: MemoryDescriptor;
      readonly weights: MemoryDescriptor;
      readonly diffDst: MemoryDescriptor;
    } & Convolution)
  | ({
      readonly kind: 'convolutionBackwardWeights';
      readonly src: MemoryDescriptor;
      readonly diffWeights: MemoryDescriptor;
      readonly diffBias: MemoryDescriptor | undefined;
      readonly diffDst: MemoryDescriptor;
    } & Convolution)
  | ({
      readonly kind: 'innerProduct';
      readonly src: MemoryDescriptor;
      readonly weights: MemoryDescriptor;
      readonly bias: MemoryDescriptor | undefined;
      readonly dst: MemoryDescriptor;
    } & Forward)
  | {
      readonly kind: 'innerProductBackwardData';
      readonly diffSrc: MemoryDescriptor;
      readonly weights: MemoryDescriptor;
      readonly diffDst: MemoryDescriptor;
    }
  | {
      readonly kind: 'innerProductBackwardWeights';
      readonly src: MemoryDescriptor;
      readonly diffWeights: MemoryDescriptor;
      readonly diffBias: MemoryDescriptor | undefined;
      readonly diffDst: MemoryDescriptor;
    }
  | ({
      readonly kind: 'pooling';
      readonly algorithm: 'max' | 'average';
      readonly src: MemoryDescriptor;
      readonly dst: MemoryDescriptor;
      readonly kernel: readonly [number, number];
    } & ConvolutionGeometry &
      Forward)
  | ({
      readonly kind: 'poolingBackward';
      readonly algorithm: 'max' | 'average';
      readonly diffSrc: MemoryDescriptor;
      readonly diffDst: MemoryDescriptor;
      readonly kernel: readonly [number, number];
    } & ConvolutionGeometry)
  | ({
      readonly kind: 'eltwise';
      readonly algorithm: EltwiseAlgorithm;
      readonly data: MemoryDescriptor;
      readonly alpha?: number;
      readonly beta?: number;
    } & Forward)
  | {
      readonly kind: 'eltwiseBackward';
      readonly algorithm: EltwiseAlgorithm;
      readonly data: MemoryDescriptor;
      readonly diff: MemoryDescriptor;
      readonly alpha?: number;
      readonly beta?: number;
    }
  | ({
      readonly kind: 'batchNorm';
      readonly data: MemoryDescriptor;
      readonly epsilon: number;
      readonly scale: boolean;
      readonly shift: boolean;
      /** Use the given statistics instead of the batch's own. */
      readonly givenStatistics: boolean;
      /** max(0, result); in training the workspace keeps where that is not zero. */
      readonly relu: boolean;
    } & Forward)
  | {
      readonly kind: 'batchNormBackward';
      readonly data: MemoryDescriptor;
      readonly diff: MemoryDescriptor;
      readonly epsilon: number;
      readonly scale: boolean;
      readonly shift: boolean;
      /** As of the forward primitive: the statistics are constants then, whose own gradient is left out. */
      readonly givenStatistics: boolean;
      readonly relu: boolean;
    }
  | {
      readonly kind: 'binary';
      readonly algorithm: BinaryAlgorithm;
      readonly a: MemoryDescriptor;
      readonly b: MemoryDescriptor;
      readonly dst: MemoryDescriptor;
    }
  | { readonly kind: 'reorder'; readonly src: MemoryDescriptor; readonly dst: MemoryDescriptor }
  | {
      readonly kind: 'concat';
      readonly srcs: readonly MemoryDescriptor[];
      readonly axis: number;
      readonly dst?: MemoryDescriptor;
    }
  | {
      readonly kind: 'sum';
      readonly srcs: readonly MemoryDescriptor[];
      readonly scales: readonly number[];
      readonly dst: MemoryDescriptor;
    };

export type ArgumentName =
  | 'src'
  | 'src1'
  | 'dst'
  | 'weights'
  | 'bias'
  | 'mean'
  | 'variance'
  | 'scale'
  | 'shift'
  | 'workspace'
  | 'scratchpad'
  | 'diffSrc'
  | 'diffDst'
  | 'diffWeights'
  | 'diffBias'
  | 'diffScale'
  | 'diffShift'
  | `multipleSrc${number}`
  | `postOp${number}`;

export type DescriptorQuery = 'src' | 'weights' | 'dst' | 'diffSrc' | 'diffWeights' | 'diffDst' | 'workspace' | 'scratchpad';

export interface Primitive {
  /** oneDNN's name of the kernel, for example `jit:avx512_core`. */
  readonly implementation: string;
  /** The layout the primitive chose or was given. */
  descriptor(query: DescriptorQuery): MemoryDescriptor;
}

/** A tensor's descriptor bound to bytes in memory. */
export interface Memory {
  /** Reads and writes `bytes` from now on. */
  bind(bytes: Uint8Array): void;
}

export interface PrimitiveOptions {
  readonly postOperations?: readonly PostOperation[];
  /** The forward primitive of a backward one. */
  readonly forward?: Primitive;
}

export interface Dnnl {
  readonly version: string;
  /** Plain row-major layout. */
  plain(dims: readonly number[], dataType: DataType): MemoryDescriptor;
  /** Images with the channels of each pixel side by side. */
  channelsLast(dims: readonly number[], dataType: DataType): MemoryDescriptor;
  /** Layout left to the primitive. */
  any(dims: readonly number[], dataType: DataType): MemoryDescriptor;
  /** The layout of `like`, a blocked image, for other dimensions; undefined where that layout is not a simple one. */
  withLayoutOf(like: MemoryDescriptor, dims: readonly number[]): MemoryDescriptor | undefined;
  /** A channel range of an image, sharing its memory; undefined where the layout does not allow it. */
  channelRange(parent: MemoryDescriptor, firstChannel: number, channels: number): MemoryDescriptor | undefined;
  /** A box of a tensor, sharing its memory; undefined where the layout does not allow it. */
  part(parent: MemoryDescriptor, dims: readonly number[], offsets: readonly number[]): MemoryDescriptor | undefined;
  equal(a: MemoryDescriptor, b: MemoryDescriptor): boolean;
  /** Undefined where oneDNN has no implementation for the specification. */
  primitive(spec: PrimitiveSpec, options?: PrimitiveOptions): Primitive | undefined;
  memory(descriptor: MemoryDescriptor, bytes: Uint8Array): Memory;
  /** A function that runs the primitive on its arguments; it throws OnednnError on failure. Everything it needs stays alive with it. */
  execution(primitive: Primitive, args: ReadonlyMap<ArgumentName, Memory>): () => void;
  /** c = alpha * op(a) op(b) + beta * c, with matrices that lie row by row. */
  multiplyMatrices(
    matrices: { readonly a: Float32Array; readonly b: Float32Array; readonly c: Float32Array },
    shape: { readonly rows: number; readonly inner: number; readonly columns: number },
    transposed: { readonly a: boolean; readonly b: boolean },
    factors: { readonly alpha: number; readonly beta: number },
  ): void;
  /** Frees every primitive and memory made through this object. None of them may be used afterwards. */
  dispose(): void;
}
