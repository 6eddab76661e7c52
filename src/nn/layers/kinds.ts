/** Every kind of layer: the options it is added with, and what follows from them. */
import { ConfigurationError } from '../../util/errors.ts';
import { didYouMean } from '../../util/suggest.ts';
import { allowedActivations, type ActivationOptions } from '../activation.ts';
import { requireThat } from '../checks.ts';
import type { Inferred, LayerKind, NoOptions } from '../layer.ts';
import { describeInitializers, isBiasInitializer, isInitializer } from '../parameter.ts';
import type { Shape } from '../shape.ts';
import { inferConv, type ConvOptions } from './conv.ts';
import { inferCustom, type CustomLayerOptions } from './custom.ts';
import { inferDense, type DenseOptions } from './dense.ts';
import {
  inferActivation,
  inferAdd,
  inferDropout,
  inferMultiply,
  inferScale,
  type DropoutOptions,
  type ScaleOptions,
} from './elementwise.ts';
import { inferBatchNorm, inferLrn, type BatchNormOptions, type LrnOptions } from './normalization.ts';
import { inferAvgPool, inferGlobalAvgPool, inferMaxPool, type PoolOptions } from './pool.ts';
import { inferConcat, inferFlatten } from './structure.ts';

/** What the value of an option is; the functions that infer check its range. */
interface OptionType {
  readonly allowed: string;
  readonly isValid: (value: unknown) => boolean;
}

const number: OptionType = { allowed: 'a number', isValid: (value) => typeof value === 'number' };
const flag: OptionType = { allowed: 'true or false', isValid: (value) => typeof value === 'boolean' };
/** A name alone, or with what the function needs; the name itself is checked with the rest. */
const activation: OptionType = {
  allowed: allowedActivations,
  isValid: (value) =>
    value === null ||
    typeof value === 'string' ||
    (typeof value === 'object' && Object.keys(value).every((key) => key === 'type' || key === 'slope')),
};
const initializer: OptionType = { allowed: describeInitializers(), isValid: isInitializer };
const biasInitializer: OptionType = { allowed: describeInitializers('forBiases'), isValid: isBiasInitializer };
const extent: OptionType = {
  allowed: 'a number or two, [height, width]',
  isValid: (value) => typeof value === 'number' || (Array.isArray(value) && value.length === 2),
};
const padding: OptionType = {
  allowed: '"same", "valid" or [top, left, bottom, right]',
  isValid: (value) => typeof value === 'string' || Array.isArray(value),
};

interface KindOfLayer<K extends LayerKind, Options extends object> {
  readonly infer: (name: string, options: Options, inputs: readonly Shape[]) => Inferred<K>;
  readonly options: { readonly [O in keyof Required<Options>]: OptionType };
}

interface OptionsOf {
  conv: ConvOptions;
  dense: DenseOptions;
  maxPool: PoolOptions;
  avgPool: PoolOptions;
  globalAvgPool: NoOptions;
  lrn: LrnOptions;
  batchNorm: BatchNormOptions;
  activation: ActivationOptions;
  dropout: DropoutOptions;
  concat: NoOptions;
  add: NoOptions;
  multiply: NoOptions;
  scale: ScaleOptions;
  flatten: NoOptions;
  custom: CustomLayerOptions;
}

const text: OptionType = { allowed: 'text', isValid: (value) => typeof value === 'string' };
const object: OptionType = {
  allowed: 'an object',
  isValid: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};
const list: OptionType = { allowed: 'a list', isValid: (value) => Array.isArray(value) };
const window = { kernel: extent, stride: extent, padding };
const weights = { bias: flag, activation, initializer, biasInitializer, regularized: flag };

const kinds: { readonly [K in LayerKind]: KindOfLayer<K, OptionsOf[K]> } = {
  conv: { infer: inferConv, options: { ...window, ...weights, filters: number, groups: number, frozen: flag } },
  dense: { infer: inferDense, options: { ...weights, features: number } },
  maxPool: { infer: inferMaxPool, options: window },
  avgPool: { infer: inferAvgPool, options: window },
  globalAvgPool: { infer: inferGlobalAvgPool, options: {} },
  lrn: { infer: inferLrn, options: { depthRadius: number, bias: number, alpha: number, beta: number } },
  batchNorm: { infer: inferBatchNorm, options: { epsilon: number, momentum: number, scale: flag, shift: flag } },
  activation: {
    infer: inferActivation,
    options: { type: { ...text, allowed: allowedActivations }, slope: number },
  },
  dropout: { infer: inferDropout, options: { rate: number } },
  concat: { infer: inferConcat, options: {} },
  add: { infer: inferAdd, options: {} },
  multiply: { infer: inferMultiply, options: {} },
  scale: { infer: inferScale, options: { factor: number } },
  flatten: { infer: inferFlatten, options: {} },
  custom: {
    infer: inferCustom,
    options: { type: text, options: object, outputShape: list, parameters: list, operations: number },
  },
};

/** Whether a network can have layers of a kind of this name. */
export function isLayerKind(name: unknown): name is LayerKind {
  return typeof name === 'string' && Object.hasOwn(kinds, name);
}

/**
 * What a layer is, by its options and the shapes of its inputs.
 *
 * @throws ConfigurationError naming the layer, for an option that its kind does not have and a value that is not allowed
 */
export function inferLayer(kind: LayerKind, name: string, options: object, inputs: readonly Shape[]): Inferred<LayerKind> {
  // A kind's rule is for options of that kind, which the compiler cannot see through the union.
  const { infer, options: types } = kinds[kind] as unknown as KindOfLayer<LayerKind, Record<string, unknown>>;
  for (const [option, value] of Object.entries(options) as [string, unknown][]) {
    if (!Object.hasOwn(types, option)) {
      const known = Object.keys(types);
      throw new ConfigurationError(
        `layer "${name}" (${kind}) has no option "${option}".${didYouMean(option, known)}`,
        known.length === 0 ? {} : { fix: `its options are: ${known.join(', ')}` },
      );
    }
    const { allowed, isValid } = types[option]!;
    if (value !== undefined) requireThat(isValid(value), name, option, value, allowed);
  }
  return infer(name, options as Record<string, unknown>, inputs);
}
