/**
 * Layers of the user's own: what they compute and how they are differentiated, as functions over plain arrays. A network refers to them by
 * name, in plain data; the functions themselves are in a table beside its layers.
 */
import { requireDefinition } from '../util/definition.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { Initializer } from './parameter.ts';
import type { Shape } from './shape.ts';

/** Plain layout, row by row. Float64 in the reference engine and where gradients are checked, float32 elsewhere. */
export type Values = Float32Array | Float64Array;

export type PlainData = string | number | boolean | null | readonly PlainData[] | { readonly [key: string]: PlainData };

/** What one layer is added with beside its inputs: plain data that JSON can hold. */
export type CustomOptions = Readonly<Record<string, PlainData>>;

/** What is known of a layer before it computes. */
export interface CustomFacts {
  /** Of one example: `[C, H, W]` or `[F]`, for each input. */
  readonly inputShapes: readonly Shape[];
  readonly options: CustomOptions;
}

export interface CustomParameter {
  /** Unique in the layer; the parameter is called `<layer>.<name>`. */
  readonly name: string;
  /** One to five dimensions. */
  readonly shape: Shape;
  /** The number that all elements start at, or how they are drawn. */
  readonly initial: number | Initializer;
  /** Whether it is a weight to the optimizer: weight decay and pruning by magnitude are for weights. Default false. */
  readonly decay?: boolean;
}

export interface CustomForward extends CustomFacts {
  readonly batchSize: number;
  readonly outputShape: Shape;
  readonly training: boolean;
  /** `[N, ...shape]`, for each input. Only to be read. */
  readonly inputs: readonly Values[];
  /** By name. Only to be read. */
  readonly parameters: Readonly<Record<string, Values>>;
  /** `[N, ...outputShape]`, zeroed: to be filled. */
  readonly output: Values;
}

export interface CustomBackward extends Omit<CustomForward, 'training'> {
  /** What `forward` made of these inputs. */
  readonly output: Values;
  /** d loss / d output. Only to be read. */
  readonly outputGradient: Values;
  /** d loss / d input, for each input, zeroed: to be filled. */
  readonly inputGradients: readonly Values[];
  /** d loss / d parameter, by name, summed over the batch, zeroed: to be filled. */
  readonly parameterGradients: Readonly<Record<string, Values>>;
}

export interface CustomLayer {
  /** By which networks refer to it. */
  readonly name: string;
  /** Of one example. Default: that of the first input. */
  outputShape?(facts: CustomFacts): Shape;
  /** Default: none. */
  parameters?(facts: CustomFacts): readonly CustomParameter[];
  /** For one example, beside multiply-adds; default 0. */
  operations?(facts: CustomFacts): number;
  /** A function of its arguments alone: it may be called for any batch, in any order. */
  forward(pass: CustomForward): void;
  backward(pass: CustomBackward): void;
}

/** By name. */
export type CustomLayers = ReadonlyMap<string, CustomLayer>;

const optionalParts = { outputShape: 'outputShape(facts)', parameters: 'parameters(facts)', operations: 'operations(facts)' };

/**
 * Defines a layer of one's own.
 *
 * @throws ConfigurationError for a name that is none, a key that is unknown, and where a function is missing
 */
export function defineLayer(layer: CustomLayer): CustomLayer {
  const { name } = layer;
  if (typeof name !== 'string' || !/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) {
    throw new ConfigurationError(
      `the name of a custom layer (=${JSON.stringify(name)}) must start with a letter, and have only letters, digits, "_" and "-"`,
    );
  }
  requireDefinition('custom layer', layer, { forward: 'forward(pass)', backward: 'backward(pass)' }, optionalParts);
  return layer;
}
