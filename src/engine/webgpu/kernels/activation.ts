/** Activations in WGSL, for one number or four at once: `T` is the type. */
import type { Activation, ActivationOf, ActivationType } from '../../../nn/activation.ts';
import { float } from './shader.ts';

interface Rule<T extends ActivationType> {
  /** The text of f(x). */
  value(activation: ActivationOf<T>): string;
  /** The text of f'(x) by y = f(x), where it follows from it. */
  ofOutput?(activation: ActivationOf<T>): string;
  /** The text of f'(x) by x, else. */
  ofInput?(activation: ActivationOf<T>): string;
}

const logistic = '(T(1.0) / (T(1.0) + exp(-clamp(x, T(-80.0), T(80.0)))))';
const hardLogistic = 'clamp(x / 6.0 + T(0.5), T(0.0), T(1.0))';

/**
 * Phi(x) = (1 + erf(x / sqrt(2))) / 2 with Abramowitz and Stegun (1964), 7.1.26, whose error is below 1.5e-7.
 */
const normalDistribution = `fn normalDistribution(x: T) -> T {
  let z = abs(x) * ${float(Math.SQRT1_2)};
  let t = T(1.0) / (T(1.0) + 0.3275911 * z);
  let tail = t * (T(0.254829592) + t * (T(-0.284496736) + t * (T(1.421413741) + t * (T(-1.453152027) + t * 1.061405429)))) * exp(-z * z);
  return select(T(1.0) - 0.5 * tail, 0.5 * tail, x < T(0.0));
}`;

const rules: { readonly [T in ActivationType]: Rule<T> } = {
  relu: { value: () => 'max(x, T(0.0))', ofOutput: () => 'select(T(0.0), T(1.0), y > T(0.0))' },
  relu6: {
    value: () => 'clamp(x, T(0.0), T(6.0))',
    ofOutput: () => 'select(T(0.0), T(1.0), (y > T(0.0)) & (y < T(6.0)))',
  },
  leakyRelu: {
    value: ({ slope }) => `select(${float(slope)} * x, x, x > T(0.0))`,
    ofOutput: ({ slope }) => `select(T(${float(slope)}), T(1.0), y > T(0.0))`,
  },
  gelu: {
    value: () => 'x * normalDistribution(x)',
    ofInput: () => `normalDistribution(x) + x * exp(-0.5 * x * x) * ${float(1 / Math.sqrt(2 * Math.PI))}`,
  },
  sigmoid: { value: () => logistic, ofOutput: () => 'y * (T(1.0) - y)' },
  silu: { value: () => `x * ${logistic}`, ofInput: () => `${logistic} * (T(1.0) + x * (T(1.0) - ${logistic}))` },
  hardSigmoid: {
    value: () => hardLogistic,
    ofOutput: () => `select(T(0.0), T(${float(1 / 6)}), (y > T(0.0)) & (y < T(1.0)))`,
  },
  hardSwish: {
    value: () => `x * ${hardLogistic}`,
    ofInput: () => 'select(select(T(0.0), T(1.0), x > T(0.0)), x / 3.0 + T(0.5), abs(x) < T(3.0))',
  },
};

function ruleOf<T extends ActivationType>(activation: Activation & ActivationOf<T>): Rule<T> {
  return rules[activation.type];
}

/** Whether the derivative follows from the output, so that the input need not be kept. */
export function followsFromOutput(activation: Activation): boolean {
  return ruleOf(activation).ofOutput !== undefined;
}

function withType(text: string, type: 'f32' | 'vec4f'): string {
  return text.replaceAll(/\bT\b/g, type);
}

function helpers({ type }: Activation): string {
  return type === 'gelu' ? normalDistribution : '';
}

/** `fn activate(x: T) -> T`, the identity without an activation. */
export function activateText(activation: Activation | null, type: 'f32' | 'vec4f'): string {
  const [helper, value] = activation === null ? ['', 'x'] : [helpers(activation), ruleOf(activation).value(activation)];
  return withType(`${helper}\nfn activate(x: T) -> T { return ${value}; }`, type);
}

/** `fn derivative(kept: T) -> T`, of the output where it follows from it, else of the input. */
export function derivativeText(activation: Activation, type: 'f32' | 'vec4f'): string {
  const rule = ruleOf(activation);
  const text = rule.ofOutput?.(activation) ?? rule.ofInput!(activation);
  const kept = followsFromOutput(activation) ? 'y' : 'x';
  return withType(`${helpers(activation)}\nfn derivative(${kept}: T) -> T { return ${text}; }`, type);
}
