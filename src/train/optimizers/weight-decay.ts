/** The rules by which weights decay: what each takes off which parameters. They are the same for every optimizer. */
import * as z from 'zod';
import type { ParameterSpec } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';

const nonNegative = z.number().min(0);

/**
 * `none`. `2017`: value / (number of elements) on regularized weights only, in the loss. `coupled`: value on all weights, in the loss (its
 * gradient passes through momentum, and through what Adam divides by). `decoupled`: each step takes learningRate * value off all weights
 * (Loshchilov and Hutter, 2017), which with Adam is AdamW. Of these, biases, scales and shifts never decay.
 *
 * `independent`: as coupled, with the coefficient value / (peak learning rate of the parameter), on every trainable parameter. So what a step
 * takes off depends neither on the learning rate nor on its multipliers; with decoupled hyperparameters the value, like the rate, is for
 * 1024 examples (airbench94).
 */
export const weightDecaySchema = z.discriminatedUnion('rule', [
  z.strictObject({ rule: z.literal('none'), value: z.literal(0, '0 for the rule "none"').default(0) }),
  z.strictObject({ rule: z.literal('2017'), value: nonNegative }),
  z.strictObject({ rule: z.literal('coupled'), value: nonNegative.default(5e-4) }),
  z.strictObject({ rule: z.literal('decoupled'), value: nonNegative.default(5e-3) }),
  z.strictObject({ rule: z.literal('independent'), value: nonNegative.default(0.0153) }),
]);

export type WeightDecay = Readonly<z.output<typeof weightDecaySchema>>;

/** Times the value of a parameter, what is added to its gradient. `peak` is its learning rate at the peak of the schedule. */
export function coupledDecay(spec: ParameterSpec, { rule, value }: WeightDecay, peak: number): number {
  switch (rule) {
    case 'none':
    case 'decoupled':
      return 0;
    case '2017':
      return spec.regularized ? value / sizeOf(spec.shape) : 0;
    case 'coupled':
      return spec.role === 'weight' ? value : 0;
    case 'independent':
      // A parameter that does not move cannot decay either.
      return peak === 0 ? 0 : value / peak;
    default:
      return rule satisfies never;
  }
}

/** Times the learning rate, the part of a parameter that each step takes off. */
export function decoupledDecay(spec: ParameterSpec, { rule, value }: WeightDecay): number {
  return rule === 'decoupled' && spec.role === 'weight' ? value : 0;
}
