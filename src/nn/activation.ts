/** The functions of one number that may follow a layer, element by element: one list, for layers of their own and for those inside others. */
import { requireThat } from './checks.ts';

/** With the name under which a layer asks for it, the formula, and its source. */
export type Activation =
  /** max(0, x) */
  | { readonly type: 'relu' }
  /** min(max(0, x), 6): Krizhevsky (2010), as in MobileNetV2 (Sandler et al., 2018). */
  | { readonly type: 'relu6' }
  /** x where x > 0, else slope * x: Maas et al. (2013). */
  | { readonly type: 'leakyRelu'; readonly slope: number }
  /** x * Phi(x) with the normal distribution function Phi, exact (with erf): Hendrycks and Gimpel (2016). */
  | { readonly type: 'gelu' }
  /** 1 / (1 + exp(-x)) */
  | { readonly type: 'sigmoid' }
  /** x * sigmoid(x), also called swish: Hendrycks and Gimpel (2016), Ramachandran et al. (2017). */
  | { readonly type: 'silu' }
  /** min(max(0, x / 6 + 1/2), 1): Howard et al. (2019), "Searching for MobileNetV3". */
  | { readonly type: 'hardSigmoid' }
  /** x * hardSigmoid(x): Howard et al. (2019). */
  | { readonly type: 'hardSwish' };

export type ActivationType = Activation['type'];

export type ActivationOf<T extends ActivationType> = Extract<Activation, { readonly type: T }>;

export interface ActivationOptions {
  readonly type: ActivationType;
  /** Of a leaky ReLU, in (0, 1); default 0.01. */
  readonly slope?: number;
}

/** What layers take: a name, or a name with what the function needs. */
export type ActivationOption = ActivationType | ActivationOptions;

const usualSlope = 0.01;

/**
 * Operations for one element. Tensorsandbox counts 2 for a ReLU: a comparison and a choice. So each end at which a function is cut counts 2, each other step
 * 1, and an exponential is one step, as the error function is in GELU's 8.
 */
const operations: Readonly<Record<ActivationType, number>> = {
  relu: 2,
  relu6: 4,
  leakyRelu: 3,
  gelu: 8,
  sigmoid: 4,
  silu: 5,
  hardSigmoid: 6,
  hardSwish: 7,
};

export const activationTypes = Object.keys(operations) as readonly ActivationType[];

/** For messages. */
export const allowedActivations = `one of ${activationTypes.join(', ')}`;

/** @throws ConfigurationError with the layer's name for a function that there is not, for a slope outside (0, 1) and for one of another function */
export function resolveActivation(option: ActivationOption, layer: string): Activation {
  const { type, slope } = typeof option === 'object' ? option : { type: option };
  requireThat(activationTypes.includes(type), layer, 'activation', type, allowedActivations);
  if (type === 'leakyRelu') {
    requireThat(slope === undefined || (slope > 0 && slope < 1), layer, 'slope', slope, 'in (0, 1)');
    return { type, slope: slope ?? usualSlope };
  }
  requireThat(slope === undefined, layer, 'slope', slope, `left out of ${type}: leakyRelu has one`);
  return { type };
}

/** What a layer has inside. */
export function resolveFused(option: ActivationOption | null | undefined, layer: string): Activation | null {
  return option === undefined || option === null ? null : resolveActivation(option, layer);
}

/** For one element, by tensorsandbox's counting rule; 0 without an activation. */
export function activationOperations(activation: Activation | null): number {
  return activation === null ? 0 : operations[activation.type];
}
