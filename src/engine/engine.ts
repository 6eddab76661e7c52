/**
 * What an engine is: it compiles a network for a batch size into a plan that runs forward and backward. The engine decides layouts, kernels,
 * memory and where things are computed; everything outside it sees NCHW float32 and named parameters in plain layout.
 *
 * Its arrays are opaque: `read` and `write` are the only ways to their elements, and are awaited. All else (forward, loss, backward,
 * arithmetic on arrays) is enqueued, in order: an engine may do it at once or later. An error of what was enqueued may come at the next await.
 */
import type { Network } from '../nn/network.ts';
import type { ParameterSpec } from '../nn/parameter.ts';

export const precisions = ['f32', 'bf16', 'f16'] as const;

export type Precision = (typeof precisions)[number];

export interface CompileOptions {
  /** Examples per batch, a positive integer. */
  readonly batchSize: number;
  readonly precision?: Precision;
}

export interface TrainingOptions extends CompileOptions {
  /** The loss that is minimized. Default: plain cross-entropy, its mean over this plan's batch. */
  readonly loss?: LossOptions;
  /** Batch normalization over the batches of all processes that train together. Default: over this plan's own batch. */
  readonly sharedBatch?: SharedBatch;
}

/** The loss of a training; loss.ts has the formulas. */
export interface LossOptions {
  /** In [0, 1); default 0. */
  readonly labelSmoothing?: number;
  /** N of the mean over the batch, if this plan's examples are a part of a larger one. Default: the plan's batch size. */
  readonly wholeBatchSize?: number;
  /** The part of a teacher, whose logits each loss is then given. */
  readonly distillation?: {
    /** Of the teacher's part, in [0, 1]. */
    readonly weight: number;
    /** Above 0. */
    readonly temperature: number;
  };
}

/** What the examples of a batch should be. */
export interface Targets {
  /** `[N]`, class indices. */
  readonly labels: Uint8Array | Uint16Array;
  /** Of examples mixed in pairs: a label is (1 - share) times the own one plus share times the other's. */
  readonly mixed?: { readonly labels: Uint8Array | Uint16Array; readonly share: number } | undefined;
  /** `[N, classes]`: the output of a plan of the same engine. */
  readonly teacherLogits?: DeviceArray | undefined;
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
  /** What it has measured to choose how it computes, where it does: it decides the order of sums, and is recorded with a run. */
  readonly tuning?: string;
  /** The same engine, computing as a run recorded it, so that the run goes on with the same bits. Throws DataError for what it has never recorded. */
  tunedAs?(tuning: string): Engine;
  /** Forward, backward and gradients. */
  compileTraining(network: Network, options: TrainingOptions): Promise<TrainingPlan>;
  /** Forward only: no state for a backward pass, dropout gone, running statistics used, memory reused. */
  compileInference(network: Network, options: CompileOptions): Promise<InferencePlan>;
  /** Trainings side by side on the device. Undefined where there is nothing to win: they are run one after the other. */
  readonly sideBySide?: SideBySide;
  /** Releases the device, once no plan needs it any more. */
  dispose(): void;
}

/**
 * Several networks of one architecture, each with its own seed, batches and hyperparameters, trained in one go: what they do at the same time the device does
 * together. Each has an engine of its own, on which it computes the same bits as alone.
 */
export interface SideBySide {
  /** How many networks fit in the device's largest arrays, as far as is known before they are compiled: 0 if not even one does. */
  most(network: Network, options: CompileOptions): number;
  /**
   * Engines to be used at the same time, one for each network. None begins a step before all others have come to one: each is to be disposed of as soon as its
   * network is trained. They share this engine's device, which stays open.
   */
  open(count: number): readonly Engine[];
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

/** An array of float32 on the engine's device. Only arrays of one engine may meet. */
export interface DeviceArray {
  /** Name of its engine. */
  readonly engine: string;
  readonly length: number;
  /** Elements `start` to before `end`, in the same memory. */
  part(start: number, end: number): DeviceArray;
  /** Its elements after all that was enqueued before, in an array of the caller's own. */
  read(): Promise<Float32Array>;
  /** Overwrites all elements, after all that was enqueued before. */
  write(values: Float32Array): Promise<void>;
  /** Host memory for what others than the engine do to the array. */
  stage(): Staging;
}

/** Where an array's elements lie on the host for a while. */
export interface Staging {
  readonly host: Float32Array;
  /** Whether `host` is the array itself: then nothing needs to be fetched or stored, and what is computed is there at once. */
  readonly direct: boolean;
  /** Brings the array's elements into `host`. */
  fetch(): Promise<void>;
  /** Brings what is in `host` back into the array. */
  store(): Promise<void>;
}

interface Plan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  /** All parameters, in the engine's layout. */
  readonly parameters: ParameterArena;
  /** The input batch `[N, C, H, W]`, in memory of the host; write it, or bind another buffer. */
  readonly input: Float32Array;
  /**
   * Takes the input from `buffer` from now on (same size, may be shared memory). It must not change before the call that ends a step has
   * returned: `forward` of an inference plan, `backward` of a training plan.
   */
  bindInput(buffer: Float32Array): void;
  /** The network's output `[N, classes]`, plain, of the last `forward`. */
  readonly output: DeviceArray;
  /** Bytes held by the plan: activations, gradients, parameters, scratch. */
  readonly memoryBytes: number;
  /** Releases native resources. The plan and its arrays must not be used afterwards. */
  dispose(): void;
}

export interface InferencePlan extends Plan {
  forward(): void;
}

export interface TrainingPlan extends Plan {
  /** If there is one, it is awaited before each `forward`: for weights that something beside the engine changes for the step. */
  prepareStep?(): Promise<void>;
  /** Runs the network with dropout and batch statistics; updates running statistics. */
  forward(options: ForwardOptions): void;
  /** Between `forward` and `backward`: the loss of the output, and its gradient into `outputGradient`. */
  computeLoss(targets: Targets): void;
  /**
   * The losses since the last call, in the order of their `computeLoss`: each the examples' sum divided by `wholeBatchSize`. Waits until they are
   * computed, and is to be called after `stepsInFlight` steps at the latest.
   */
  takeLosses(): Promise<Float64Array>;
  /** Steps that may be enqueued before anything is waited for: 1 where work is done when it is asked for. */
  readonly stepsInFlight: number;
  /** For optimizers and averages. */
  readonly vectorMath: VectorMath;
  /** Where gradients have too few bits for small numbers: the loss is scaled in the backward pass. Gradients are without the scale. */
  readonly lossScaling?: LossScaling;
  /** d loss / d output `[N, classes]`, plain: what `computeLoss` writes. */
  readonly outputGradient: DeviceArray;
  /**
   * Fills `parameters.gradients` (overwritten, not accumulated). Call after `forward` on the same input.
   *
   * @param onProgress called often, with the first element of `gradients` from which on all are final: it falls from the arena's end to 0,
   *   as the backward pass goes from the last layer to the first
   */
  backward(onProgress?: (finalFrom: number) => void): void;
}

/**
 * The scale of the loss in the backward pass, a power of two, which the engine chooses: where a gradient overflows, the scale is halved and the step is left out;
 * after many steps without an overflow it is doubled.
 */
export interface LossScaling {
  /** The least that it takes. */
  readonly leastScale: number;
  /** Arithmetic for updates: what it writes stays as it is in a step that is left out. */
  readonly updates: VectorMath;
  /** After all steps that were enqueued. */
  read(): Promise<LossScale>;
  write(scale: LossScale): Promise<void>;
}

export interface LossScale {
  /** Of the next step. */
  readonly scale: number;
  /** Steps without an overflow since the scale was changed. */
  readonly goodSteps: number;
  /** Steps that were left out since the training began. */
  readonly skippedSteps: number;
}

/**
 * Arithmetic on arrays in the arena's layout (or equal parts of them), one pass over memory each. Every method prepares an operation on
 * given arrays once; the function it returns runs it with the factors of the moment. A result may overwrite an operand.
 */
export interface VectorMath {
  /** y = (((x * factors[0] + addends[0]) * factors[1] + addends[1]) ...) * factors.at(-1): one factor more than addends. */
  readonly multiplyAdd: (x: DeviceArray, addends: readonly DeviceArray[], y: DeviceArray) => (factors: readonly number[]) => void;
  /** y = y + share * (x - y): y goes the given share of the way to x. Rounded after `each` operation, or `once`, from float64 where the device has it. */
  readonly approach: (x: DeviceArray, y: DeviceArray, rounded?: 'each' | 'once') => (share: number) => void;
  /** y = x * y, element by element; no factor. */
  readonly multiply: (x: DeviceArray, y: DeviceArray) => () => void;
  /** y = y + share * (x * x - y): y goes the given share of the way, less than the whole, to the squares of x. */
  readonly approachSquare: (x: DeviceArray, y: DeviceArray) => (share: number) => void;
  /** y = keep * y + step * x / (sqrt(scale * squares) + epsilon): x in units of its own size, which `squares` has. */
  readonly addOverRoot: (x: DeviceArray, squares: DeviceArray, y: DeviceArray) => (factors: OverRoot) => void;
  /** c = alpha * op(a) op(b) + beta * c, with matrices that lie row by row; op transposes where the shape says so. */
  readonly product: (
    a: DeviceArray,
    b: DeviceArray,
    c: DeviceArray,
    shape: ProductShape,
  ) => (alpha: number, beta: number) => void;
  /** y = x * norm / (sqrt(sum of x * x) + epsilon) */
  readonly scaleToNorm: (x: DeviceArray, y: DeviceArray) => (norm: number, epsilon: number) => void;
  /** A zeroed array of its own, for what is in no arena's layout. */
  readonly allocate: (length: number) => DeviceArray;
  /** y = x */
  readonly copy: (x: DeviceArray, y: DeviceArray) => () => void;
  /** Every element of y is the value. */
  readonly fill: (y: DeviceArray) => (value: number) => void;
  /** y = 0 where mask is 0, whatever it was. */
  readonly clearWhere: (mask: DeviceArray, y: DeviceArray) => () => void;
  /** The sum of the squares of each array, from float64 where the device has it. */
  readonly sumsOfSquares: (arrays: readonly DeviceArray[]) => () => Promise<Float64Array>;
  /** Whether all elements are finite. */
  readonly allFinite: (x: DeviceArray) => () => Promise<boolean>;
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
  readonly values: DeviceArray;
  /** Empty in inference plans. */
  readonly gradients: DeviceArray;
  /** A zeroed array in the arena's layout. */
  allocate(): DeviceArray;
  /** Copies one parameter from an array in the arena's layout into one of its elements alone, in plain layout, whenever it is called. */
  unpack(entry: ArenaEntry, from: DeviceArray, plain: DeviceArray): () => void;
  /** The other way round. */
  pack(entry: ArenaEntry, plain: DeviceArray, into: DeviceArray): () => void;
  /** One parameter in plain layout, from an array in the arena's layout. */
  read(entry: ArenaEntry, from: DeviceArray): Promise<Float32Array>;
  /** Writes a parameter given in plain layout into an array in the arena's layout. */
  write(entry: ArenaEntry, plain: Float32Array, into: DeviceArray): Promise<void>;
}
