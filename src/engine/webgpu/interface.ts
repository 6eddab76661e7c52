/** What this engine implements of the engines' interface. */
import type { Network } from '../../nn/network.ts';
import type { ArenaEntry, CompileOptions, ForwardOptions, Precision, ProductShape, SharedBatch } from '../engine.ts';

export interface TrainingOptions extends CompileOptions {
  readonly sharedBatch?: SharedBatch;
  readonly loss?: LossOptions;
}

export interface LossOptions {
  readonly labelSmoothing?: number;
  readonly wholeBatchSize?: number;
  readonly distillation?: { readonly weight: number; readonly temperature: number };
}

export interface Targets {
  readonly labels: Uint8Array;
  readonly mixed?: { readonly labels: Uint8Array; readonly share: number } | undefined;
  readonly teacherLogits?: DeviceArray | undefined;
}

export interface Engine {
  readonly name: string;
  readonly description: string;
  readonly threads: number;
  readonly versions: Readonly<Record<string, string>>;
  compileTraining(network: Network, options: TrainingOptions): Promise<TrainingPlan>;
  compileInference(network: Network, options: CompileOptions): Promise<InferencePlan>;
  dispose(): void;
}

export interface DeviceArray {
  readonly engine: string;
  readonly length: number;
  part(start: number, end: number): DeviceArray;
  read(): Promise<Float32Array>;
  write(values: Float32Array): Promise<void>;
  stage(): Staging;
}

export interface Staging {
  readonly host: Float32Array;
  readonly direct: boolean;
  fetch(): Promise<void>;
  store(): Promise<void>;
}

interface Plan {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  readonly parameters: ParameterArena;
  readonly input: Float32Array;
  bindInput(buffer: Float32Array): void;
  readonly output: DeviceArray;
  readonly memoryBytes: number;
  dispose(): void;
}

export interface InferencePlan extends Plan {
  forward(): void;
}

export interface TrainingPlan extends Plan {
  forward(options: ForwardOptions): void;
  computeLoss(targets: Targets): void;
  takeLosses(): Promise<Float64Array>;
  readonly stepsInFlight: number;
  readonly vectorMath: VectorMath;
  readonly outputGradient: DeviceArray;
  backward(onProgress?: (finalFrom: number) => void): void;
}

export interface VectorMath {
  readonly multiplyAdd: (x: DeviceArray, addends: readonly DeviceArray[], y: DeviceArray) => (factors: readonly number[]) => void;
  readonly approach: (x: DeviceArray, y: DeviceArray, rounding?: 'each' | 'once') => (share: number) => void;
  readonly multiply: (x: DeviceArray, y: DeviceArray) => () => void;
  readonly copy: (x: DeviceArray, y: DeviceArray) => () => void;
  readonly fill: (y: DeviceArray) => (value: number) => void;
  readonly clearWhere: (mask: DeviceArray, y: DeviceArray) => () => void;
  readonly approachSquare: (x: DeviceArray, y: DeviceArray) => (share: number) => void;
  readonly addOverRoot: (
    x: DeviceArray,
    squares: DeviceArray,
    y: DeviceArray,
  ) => (factors: { readonly scale: number; readonly epsilon: number; readonly step: number; readonly keep: number }) => void;
  readonly product: (
    a: DeviceArray,
    b: DeviceArray,
    c: DeviceArray,
    shape: ProductShape,
  ) => (alpha: number, beta: number) => void;
  readonly scaleToNorm: (x: DeviceArray, y: DeviceArray) => (norm: number, epsilon: number) => void;
  readonly allocate: (length: number) => DeviceArray;
  readonly sumsOfSquares: (arrays: readonly DeviceArray[]) => () => Promise<Float64Array>;
  readonly allFinite: (x: DeviceArray) => () => Promise<boolean>;
}

export interface ParameterArena {
  readonly entries: readonly ArenaEntry[];
  readonly length: number;
  readonly trainableLength: number;
  readonly values: DeviceArray;
  readonly gradients: DeviceArray;
  allocate(): DeviceArray;
  read(entry: ArenaEntry, from: DeviceArray): Promise<Float32Array>;
  write(entry: ArenaEntry, plain: Float32Array, into: DeviceArray): Promise<void>;
  unpack(entry: ArenaEntry, from: DeviceArray, plain: DeviceArray): () => void;
  pack(entry: ArenaEntry, plain: DeviceArray, into: DeviceArray): () => void;
}
