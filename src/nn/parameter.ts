import { normal, streamKey, uniform } from '../util/random.ts';
import { sizeOf } from './shape.ts';

/** How a parameter gets its first values. Fans count the kernel's area, as in Glorot and Bengio (2010). */
export type Initializer =
  | { readonly type: 'constant'; readonly value: number }
  /** Normal with standard deviation sqrt(1.3 * 2 / (fanIn + fanOut)), draws beyond two deviations redrawn (TensorFlow 1's Xavier). */
  | { readonly type: 'xavierTruncatedNormal' }
  /** Normal with standard deviation sqrt(2 / fanIn): He et al. (2015). */
  | { readonly type: 'heNormal' }
  /** Uniform in +-sqrt(6 / (fanIn + fanOut)): Glorot and Bengio (2010). */
  | { readonly type: 'xavierUniform' }
  /** Uniform in +-1/sqrt(fanIn): PyTorch's default for convolutions and dense layers. */
  | { readonly type: 'uniformFanIn' }
  /** As uniformFanIn, then the first inChannels filters pass their channel through unchanged. */
  | { readonly type: 'dirac' }
  /**
   * Principal axes of image patches, scaled so that what the filters give is uncorrelated and of like size (Page, 2018). The trainer takes
   * them from the first `examples` training images; `epsilon` is added to each variance. `initialValues` knows no images: uniformFanIn.
   */
  | { readonly type: 'whitening'; readonly examples: number; readonly epsilon: number }
  /** Normal with a given standard deviation, draws beyond two deviations redrawn. */
  | { readonly type: 'truncatedNormal'; readonly standardDeviation: number };

/** What each initializer says of itself beside its type: numbers. */
const initializerFields: Readonly<Record<Initializer['type'], readonly string[]>> = {
  constant: ['value'],
  xavierTruncatedNormal: [],
  heNormal: [],
  xavierUniform: [],
  uniformFanIn: [],
  dirac: [],
  whitening: ['examples', 'epsilon'],
  truncatedNormal: ['standardDeviation'],
};

/** What makes sense of a matrix or of filters alone. */
const notForBiases: ReadonlySet<string> = new Set<Initializer['type']>(['dirac', 'whitening']);

/** For messages. */
export function describeInitializers(kinds: 'all' | 'forBiases' = 'all'): string {
  const possible = Object.entries(initializerFields).filter(([type]) => kinds === 'all' || !notForBiases.has(type));
  const types = possible.map(([type, fields]) => [`type: '${type}'`, ...fields].join(', '));
  return `one of ${types.map((type) => `{ ${type} }`).join(', ')}`;
}

export function isInitializer(value: unknown): value is Initializer {
  if (typeof value !== 'object' || value === null) return false;
  const { type, ...fields } = value as Record<string, unknown>;
  if (typeof type !== 'string' || !Object.hasOwn(initializerFields, type)) return false;
  const wanted = initializerFields[type as Initializer['type']];
  return wanted.length === Object.keys(fields).length && wanted.every((field) => Number.isFinite(fields[field]));
}

export function isBiasInitializer(value: unknown): value is Initializer {
  return isInitializer(value) && !notForBiases.has(value.type);
}

/**
 * `trainable`: updated by the optimizer. `frozen`: kept as initialized or loaded; no gradient is computed for it.
 * `statistic`: updated by the forward pass in training (the running mean and variance of batch normalization).
 */
export type ParameterKind = 'trainable' | 'frozen' | 'statistic';

/** What a parameter is to its layer: decides weight decay, learning-rate groups and export. */
export type ParameterRole = 'weight' | 'bias' | 'scale' | 'shift' | 'mean' | 'variance';

export interface ParameterSpec {
  /** `<layer>.<role>`, for example `conv1.weight`; of a custom layer `<layer>.<name>`. Unique in a network. */
  readonly name: string;
  readonly layer: string;
  readonly role: ParameterRole;
  readonly kind: ParameterKind;
  /** Weights: `[outChannels, inChannels / groups, kH, kW]` or `[out, in]` (inputs flattened in C, H, W order). */
  readonly shape: readonly number[];
  readonly fanIn: number;
  readonly fanOut: number;
  readonly initializer: Initializer;
  /** Whether weight decay of the rule `2017`, which is for some layers alone, is for this parameter. */
  readonly regularized: boolean;
}

/** What a layer calls its parameter: the part of the name behind that of the layer. */
export function ownName({ name, layer }: ParameterSpec): string {
  return name.slice(layer.length + 1);
}

/**
 * The first values of a parameter in plain layout: a function of the seed and the parameter's name alone, so that two models
 * sharing a layer's name and shape start it alike.
 */
export function initialValues(spec: ParameterSpec, seed: number, initializer: Initializer = spec.initializer): Float32Array {
  const values = new Float32Array(sizeOf(spec.shape));
  const key = streamKey(seed, `initialize:${spec.name}`);
  switch (initializer.type) {
    case 'constant':
      return values.fill(initializer.value);
    case 'xavierTruncatedNormal':
      return fillTruncatedNormal(values, key, Math.sqrt((1.3 * 2) / (spec.fanIn + spec.fanOut)));
    case 'truncatedNormal':
      return fillTruncatedNormal(values, key, initializer.standardDeviation);
    case 'heNormal': {
      const deviation = Math.sqrt(2 / spec.fanIn);
      for (let i = 0; i < values.length; i++) values[i] = deviation * normal(key, i);
      return values;
    }
    case 'xavierUniform':
      return fillUniform(values, key, Math.sqrt(6 / (spec.fanIn + spec.fanOut)));
    case 'uniformFanIn':
    case 'whitening':
      return fillUniform(values, key, 1 / Math.sqrt(spec.fanIn));
    case 'dirac':
      return passThrough(fillUniform(values, key, 1 / Math.sqrt(spec.fanIn)), spec);
    default:
      return initializer satisfies never;
  }
}

function fillUniform(values: Float32Array, key: number, bound: number): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = (2 * uniform(key, i) - 1) * bound;
  return values;
}

function fillTruncatedNormal(values: Float32Array, key: number, deviation: number): Float32Array {
  let draw = 0;
  for (let i = 0; i < values.length; i++) {
    let z = normal(key, draw++);
    while (Math.abs(z) > 2) z = normal(key, draw++);
    values[i] = deviation * z;
  }
  return values;
}

/** Filter i < inChannels becomes: one at the kernel's centre of channel i, zero elsewhere. */
function passThrough(values: Float32Array, spec: ParameterSpec): Float32Array {
  const [filters, channels, height, width] = spec.shape as readonly [number, number, number, number];
  const area = height * width;
  const centre = Math.floor(height / 2) * width + Math.floor(width / 2);
  for (let filter = 0; filter < Math.min(filters, channels); filter++) {
    const start = filter * channels * area;
    values.fill(0, start, start + channels * area);
    values[start + filter * area + centre] = 1;
  }
  return values;
}
