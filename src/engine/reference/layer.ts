/**
 * How the reference engine runs one layer. It is the oracle that other engines are compared to: plain loops, float64 throughout, plain
 * layouts (`[N, C, H, W]`), nothing saved between forward and backward that can be computed again.
 */
import type { LayerKind, LayerOf } from '../../nn/layer.ts';
import type { CustomLayers } from '../../nn/custom.ts';
import type { ParameterRole } from '../../nn/parameter.ts';
import type { ForwardOptions, SharedBatch } from '../engine.ts';

/** A layer's parameters (or their gradients) by role, those of custom layers by name, in plain layout; only those that the layer has. */
export type LayerParameters = Readonly<Partial<Record<ParameterRole, Float64Array>>>;

/** In training dropout drops and batch normalization uses the batch; at inference neither. */
export type Mode = { readonly training: false } | TrainingMode;

export interface TrainingMode {
  readonly training: true;
  readonly draws: ForwardOptions;
  readonly sharedBatch: SharedBatch;
}

/** The whole batch is in this process. */
export const ownBatch: SharedBatch = { processes: 1, sum: () => undefined };

export interface ForwardCall<K extends LayerKind> {
  readonly layer: LayerOf<K>;
  /** The network's. */
  readonly customLayers: CustomLayers | undefined;
  readonly batchSize: number;
  readonly mode: Mode;
  /** One tensor per input of the layer. */
  readonly inputs: readonly Float64Array[];
  /** Running statistics are updated in place in training; all else is only read. */
  readonly parameters: LayerParameters;
  /** Zeroed; to be filled. */
  readonly output: Float64Array;
}

export interface BackwardCall<K extends LayerKind> {
  readonly layer: LayerOf<K>;
  /** The network's. */
  readonly customLayers: CustomLayers | undefined;
  readonly batchSize: number;
  /** Of the forward pass. */
  readonly mode: TrainingMode;
  readonly inputs: readonly Float64Array[];
  readonly parameters: LayerParameters;
  /** What forward made. */
  readonly output: Float64Array;
  /** d loss / d output. */
  readonly outputGradient: Float64Array;
  /** d loss / d input, per input: to be ADDED to, as a tensor may feed several layers. */
  readonly inputGradients: readonly Float64Array[];
  /** Zeroed; to be filled. */
  readonly parameterGradients: LayerParameters;
}

export interface ReferenceLayer<K extends LayerKind> {
  forward(call: ForwardCall<K>): void;
  backward(call: BackwardCall<K>): void;
}

/** The single input of a layer. */
export function only<T>(list: readonly T[]): T {
  return list[0]!;
}
