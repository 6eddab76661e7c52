/**
 * What an engine is: it compiles a network for a batch size into a plan that runs forward and backward. The engine decides
 * layouts, kernels and memory; everything outside it sees NCHW float32 and named parameters in plain layout.
 */
import type { Network } from '../nn/network.ts';
import type { ParameterSpec } from '../nn/parameter.ts';

export type Precision = 'f32' | 'bf16';

export interface CompileOptions {
  /** Examples per batch, a positive integer. */
  readonly batchSize: number;
  readonly precision?: Precision;
  /** In training: batch normalization over the batches of all processes that train together. Default: over this plan's own batch. */
  readonly sharedBatch?: SharedBatch;
}

/** The batch of a step when it is divided among processes, each with an equal part. */
export interface SharedBatch {
  readonly processes: number;
  /** Replaces the values by their sums over the processes; all of them call it in the same order. */
  sum(values: Float64Array): void;
}

export interface Engine {
  /** As it is chosen by: `onednn`. */
  readonly name: string;
  /** For people: `oneDNN 2.6.3 (avx512_core_bf16)`. */
  readonly description: string;
  /** Threads of this process that compute. */
  readonly threads: number;
  /** Versions of the libraries that compute, by name, for the record. */
  readonly versions: Readonly<Record<string, string>>;
  /** Forward, backward and gradients. */
  compileTraining(network: Network, options: CompileOptions): TrainingPlan;
  /** Forward only: no state for a backward pass, dropout gone, running statistics used, memory reused. */
  compileInference(network: Network, options: CompileOptions): InferencePlan;
  /** Releases the device, once no plan needs it any more. */
  dispose(): void;
}

/** What is known of an engine on this machine before it is opened. */
export interface EngineProbe {
  readonly available: boolean;
  /** Whether it is made for this machine: then it is chosen before those that only work. */
  readonly fast: boolean;
  /** What was found, or why it cannot be used: `oneDNN 2.6.3 (avx512_core_bf16)`. */
  readonly reason: string;
  /** What makes it available, or fast. */
  readonly fix?: string;
}

/** Where the random draws of a training step come from. Dropout masks are a function of these and the layer's name. */
export interface ForwardOptions {
  readonly seed: number;
  readonly step: number;
  /** Position of the batch's first example in the global batch (0 on one process). */
  readonly firstExample?: number;
}

interface Plan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  /** All parameters, in the engine's layout. */
  readonly parameters: ParameterArena;
  /** The input batch `[N, C, H, W]`; write it, or bind another buffer. */
  readonly input: Float32Array;
  /** Reads the input from `buffer` from now on (same size, may be shared memory); nothing is copied. */
  bindInput(buffer: Float32Array): void;
  /** The network's output `[N, classes]`, plain, valid after `forward` until the next. */
  readonly output: Float32Array;
  /** Bytes held by the plan: activations, gradients, parameters, scratch. */
  readonly memoryBytes: number;
  /** Releases native resources. The plan and its arrays must not be used afterwards. */
  dispose(): void;
}

export interface InferencePlan extends Plan {
  forward(): void;
}

export interface TrainingPlan extends Plan {
  /** Runs the network with dropout and batch statistics; updates running statistics. */
  forward(options: ForwardOptions): void;
  /** For optimizers and averages. */
  readonly vectorMath: VectorMath;
  /** d loss / d output `[N, classes]`; write it between `forward` and `backward`. */
  readonly outputGradient: Float32Array;
  /**
   * Fills `parameters.gradients` (overwritten, not accumulated). Call after `forward` on the same input.
   *
   * @param onProgress called often, with the first element of `gradients` from which on all are final: it falls from the arena's end to 0,
   *   as the backward pass goes from the last layer to the first
   */
  backward(onProgress?: (finalFrom: number) => void): void;
}

/**
 * Arithmetic on arrays in the arena's layout (or equal parts of them), one pass over memory each. Every method prepares an operation on
 * given arrays once; the function it returns runs it with the factors of the moment. A result may overwrite an operand.
 */
export interface VectorMath {
  /** y = (((x * factors[0] + addends[0]) * factors[1] + addends[1]) ...) * factors.at(-1): one factor more than addends. */
  readonly multiplyAdd: (
    x: Float32Array,
    addends: readonly Float32Array[],
    y: Float32Array,
  ) => (factors: readonly number[]) => void;
  /** y = y + share * (x - y): y goes the given share of the way to x. */
  readonly approach: (x: Float32Array, y: Float32Array) => (share: number) => void;
  /** y = x * y, element by element; no factor. */
  readonly multiply: (x: Float32Array, y: Float32Array) => () => void;
  /** y = y + share * (x * x - y): y goes the given share of the way, less than the whole, to the squares of x. */
  readonly approachSquare: (x: Float32Array, y: Float32Array) => (share: number) => void;
  /** y = keep * y + step * x / (sqrt(scale * squares) + epsilon): x in units of its own size, which `squares` has. */
  readonly addOverRoot: (x: Float32Array, squares: Float32Array, y: Float32Array) => (factors: OverRoot) => void;
  /** c = alpha * op(a) op(b) + beta * c, with matrices that lie row by row; op transposes where the shape says so. */
  readonly product: (
    a: Float32Array,
    b: Float32Array,
    c: Float32Array,
    shape: ProductShape,
  ) => (alpha: number, beta: number) => void;
  /** y = x * norm / (sqrt(sum of x * x) + epsilon) */
  readonly scaleToNorm: (x: Float32Array, y: Float32Array) => (norm: number, epsilon: number) => void;
  /** A zeroed array for what is no parameter. */
  readonly allocate: (length: number) => Float32Array;
}

/** Of a matrix product: c is `[rows, columns]`, op(a) `[rows, inner]`, op(b) `[inner, columns]`. */
export interface ProductShape {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Whether a lies as `[inner, rows]`. */
  readonly transposeA?: boolean;
  /** Whether b lies as `[columns, inner]`. */
  readonly transposeB?: boolean;
}

/** The factors of `VectorMath.addOverRoot`. */
export interface OverRoot {
  /** Of the squares, at least 0. */
  readonly scale: number;
  /** Above 0. */
  readonly epsilon: number;
  readonly step: number;
  /** The part of y that stays. */
  readonly keep: number;
}

/** Where one parameter lies in the arena. */
export interface ArenaEntry {
  readonly spec: ParameterSpec;
  /** First element in the arena. */
  readonly offset: number;
  /** Elements in the arena, padding of blocked layouts included. Padding is zero and must stay zero. */
  readonly length: number;
}

/**
 * All parameters of a plan in one flat array, all gradients in another of the same layout: element i of `gradients` belongs to
 * element i of `values`. An optimizer slot or a moving average is a further array of the same layout, made by `allocate`.
 *
 * Running statistics are entries too (kind `statistic`), behind the trainable ones: elements from `trainableLength` on have no gradient.
 */
export interface ParameterArena {
  readonly entries: readonly ArenaEntry[];
  readonly length: number;
  /** Trainable and frozen parameters lie in [0, trainableLength), statistics in [trainableLength, length). */
  readonly trainableLength: number;
  readonly values: Float32Array;
  /** Empty in inference plans. */
  readonly gradients: Float32Array;
  /** A zeroed array in the arena's layout. */
  allocate(): Float32Array;
  /** Copies one parameter from an array in the arena's layout into one of its elements alone, in plain layout, whenever it is called. */
  unpack(entry: ArenaEntry, from: Float32Array, plain: Float32Array): () => void;
  /** The other way round. */
  pack(entry: ArenaEntry, plain: Float32Array, into: Float32Array): () => void;
  /** One parameter in plain layout, read from an array in the arena's layout. */
  read(entry: ArenaEntry, from: Float32Array): Float32Array;
  /** Writes a parameter given in plain layout into an array in the arena's layout. */
  write(entry: ArenaEntry, plain: Float32Array, into: Float32Array): void;
}
