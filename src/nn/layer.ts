import type { Activation } from './activation.ts';
import type { CustomOptions } from './custom.ts';
import type { ParameterSpec } from './parameter.ts';
import type { Shape, Window2d } from './shape.ts';

/*
 * What a layer is, once its shapes are known. Every attribute is resolved (padding to numbers, defaults filled in): an engine
 * or an exporter never has to guess. The files in layers/ turn the builder's options into these.
 */

export interface ConvAttributes extends Window2d {
  readonly filters: number;
  readonly groups: number;
  readonly bias: boolean;
  /** After the bias; null for none. */
  readonly activation: Activation | null;
}

export interface DenseAttributes {
  /** Output features. */
  readonly features: number;
  readonly bias: boolean;
  /** After the bias; null for none. */
  readonly activation: Activation | null;
}

export type MaxPoolAttributes = Window2d;

/** The average is over the pixels inside the image only (padding is not counted), as TensorFlow and ONNX's default do. */
export type AvgPoolAttributes = Window2d;

/**
 * y[c] = x[c] / (bias + alpha * sum over |j - c| <= depthRadius of x[j]^2)^beta
 *
 * Krizhevsky et al. (2012), section 3.3, with alpha per element as in TensorFlow: not divided by the window (ONNX and oneDNN divide).
 */
export interface LrnAttributes {
  readonly depthRadius: number;
  readonly bias: number;
  readonly alpha: number;
  readonly beta: number;
}

/**
 * y = scale * (x - mean) / sqrt(variance + epsilon) + shift, per channel, over batch and pixels (Ioffe and Szegedy, 2015).
 *
 * Running statistics: running = momentum * running + (1 - momentum) * batch, with the population variance (divided by n, not n - 1).
 * `momentum` therefore weighs the OLD statistic, as in ONNX; PyTorch's momentum is one minus this.
 */
export interface BatchNormAttributes {
  readonly epsilon: number;
  readonly momentum: number;
  /** Whether there is a trainable scale; without it the scale is one. */
  readonly scale: boolean;
  /** Whether there is a trainable shift; without it the shift is zero. */
  readonly shift: boolean;
}

/** In training each element is zeroed with probability `rate`, the others divided by (1 - rate); the identity otherwise. */
export interface DropoutAttributes {
  readonly rate: number;
}

/** y = factor * x, with a constant factor. */
export interface ScaleAttributes {
  readonly factor: number;
}

/** A layer of the user's own: its functions are in the network's `customLayers`. */
export interface CustomAttributes {
  /** Name of the custom layer. */
  readonly type: string;
  readonly options: CustomOptions;
}

type NoAttributes = Readonly<Record<never, never>>;

/** Of a layer that is added with its name and inputs alone. */
export type NoOptions = Readonly<Record<never, never>>;

/** Every kind of layer and its attributes: the closed set over which engines and exporters are tables. */
export interface AttributesOf {
  conv: ConvAttributes;
  dense: DenseAttributes;
  maxPool: MaxPoolAttributes;
  avgPool: AvgPoolAttributes;
  globalAvgPool: NoAttributes;
  lrn: LrnAttributes;
  batchNorm: BatchNormAttributes;
  /** A function of each element. */
  activation: Activation;
  dropout: DropoutAttributes;
  /** Along the channels, in the order of the inputs. */
  concat: NoAttributes;
  /** Element-wise sum of its inputs. */
  add: NoAttributes;
  /** Element-wise product of two tensors, of which the second may have one number for each channel of the first. */
  multiply: NoAttributes;
  scale: ScaleAttributes;
  /** [C, H, W] to [C * H * W]. */
  flatten: NoAttributes;
  custom: CustomAttributes;
}

export type LayerKind = keyof AttributesOf;

export interface LayerOf<K extends LayerKind> {
  readonly kind: K;
  /** Unique in the network; also the name of the tensor it produces. */
  readonly name: string;
  /** What it was added with, from which everything below follows. */
  readonly options: object;
  readonly attributes: AttributesOf[K];
  /** Names of the tensors it consumes: other layers, or `input`. */
  readonly inputs: readonly string[];
  readonly inputShapes: readonly Shape[];
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterSpec[];
  /** Arithmetic operations for one example by tensorsandbox's counting rule; see docs/architecture.md. */
  readonly operations: number;
  /** Multiply-accumulate pairs for one example: convolutions and dense layers only. */
  readonly multiplyAdds: number;
}

export type Layer = { [K in LayerKind]: LayerOf<K> }[LayerKind];

/** What a layer is called in tables: its kind, of an activation its function, of a custom layer its name. */
export function kindOf(layer: Layer): string {
  return layer.kind === 'activation' || layer.kind === 'custom' ? layer.attributes.type : layer.kind;
}

/** What a layer's file computes from its options and the shapes of its inputs. */
export interface Inferred<K extends LayerKind> {
  readonly attributes: AttributesOf[K];
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterSpec[];
  readonly operations: number;
  readonly multiplyAdds: number;
}
