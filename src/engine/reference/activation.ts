/** Activations: each function and its derivative, for layers of their own and inside others. */
import type { Activation, ActivationOf, ActivationType } from '../../nn/activation.ts';
import { erf } from '../../util/erf.ts';
import { only, type ReferenceLayer } from './layer.ts';

interface Rule<T extends ActivationType> {
  value(x: number, activation: ActivationOf<T>): number;
  derivative(x: number, activation: ActivationOf<T>): number;
}

/** 1 / (1 + e^-x) */
function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** min(max(0, x / 6 + 1/2), 1) */
function hardLogistic(x: number): number {
  return Math.min(Math.max(0, x / 6 + 0.5), 1);
}

/** The standard normal distribution function Phi. */
function normalDistribution(x: number): number {
  return 0.5 * (1 + erf(x / Math.SQRT2));
}

/** Its density phi, the derivative of Phi. */
function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

const rules: { readonly [T in ActivationType]: Rule<T> } = {
  // y = max(0, x); dy/dx = 1 where x > 0, else 0
  relu: { value: (x) => Math.max(0, x), derivative: (x) => (x > 0 ? 1 : 0) },
  // y = min(max(0, x), 6); dy/dx = 1 where 0 < x < 6, else 0
  relu6: { value: (x) => Math.min(Math.max(0, x), 6), derivative: (x) => (x > 0 && x < 6 ? 1 : 0) },
  // y = x where x > 0, else slope * x; dy/dx = 1 where x > 0, else slope
  leakyRelu: { value: (x, { slope }) => (x > 0 ? x : slope * x), derivative: (x, { slope }) => (x > 0 ? 1 : slope) },
  // y = x * Phi(x); dy/dx = Phi(x) + x * phi(x)
  gelu: { value: (x) => x * normalDistribution(x), derivative: (x) => normalDistribution(x) + x * normalDensity(x) },
  // y = s(x) = 1 / (1 + e^-x); dy/dx = s * (1 - s)
  sigmoid: { value: logistic, derivative: (x) => logistic(x) * (1 - logistic(x)) },
  // y = x * s(x); dy/dx = s * (1 + x * (1 - s))
  silu: { value: (x) => x * logistic(x), derivative: (x) => logistic(x) * (1 + x * (1 - logistic(x))) },
  // y = min(max(0, x / 6 + 1/2), 1); dy/dx = 1/6 where -3 < x < 3, else 0
  hardSigmoid: { value: hardLogistic, derivative: (x) => (Math.abs(x) < 3 ? 1 / 6 : 0) },
  // y = x * min(max(0, x / 6 + 1/2), 1); dy/dx = 0 where x <= -3, 1 where x >= 3, else x / 3 + 1/2
  hardSwish: { value: (x) => x * hardLogistic(x), derivative: (x) => (Math.abs(x) < 3 ? x / 3 + 0.5 : x > 0 ? 1 : 0) },
};

function ruleOf<T extends ActivationType>(activation: Activation & ActivationOf<T>): Rule<T> {
  return rules[activation.type];
}

/** y = f(x), element by element; `y` may be `x`. Without an activation f is the identity. */
export function activate(x: Float64Array, y: Float64Array, activation: Activation | null): void {
  if (activation === null) {
    y.set(x);
    return;
  }
  const { value } = ruleOf(activation);
  for (let i = 0; i < x.length; i++) y[i] = value(x[i]!, activation);
}

/** dx = dy * f'(x) */
export function activationGradient(dy: Float64Array, x: Float64Array, activation: Activation): Float64Array {
  const { derivative } = ruleOf(activation);
  return dy.map((gradient, i) => gradient * derivative(x[i]!, activation));
}

export const activation: ReferenceLayer<'activation'> = {
  /** y = f(x) */
  forward({ layer, inputs, output }) {
    activate(only(inputs), output, layer.attributes);
  },

  /** dx = dy * f'(x) */
  backward({ layer, inputs, outputGradient, inputGradients }) {
    const dx = only(inputGradients);
    activationGradient(outputGradient, only(inputs), layer.attributes).forEach((gradient, i) => (dx[i]! += gradient));
  },
};
