import * as z from 'zod';
import type { DeviceArray, VectorMath } from '../../engine/engine.ts';
import { defineOptimizer, type Optimizer, type Updated } from './optimizer.ts';
import { decayedParameters, segmentsOf, type Segment } from './segments.ts';

export interface AdamwOptions {
  /** How much of the mean gradient stays, in [0, 1). */
  readonly beta1: number;
  /** How much of the mean squared gradient stays, in (0, 1). */
  readonly beta2: number;
  /** Added to the root of the mean squared gradient, above 0. */
  readonly epsilon: number;
}

export const adamw = defineOptimizer({
  schema: z.strictObject({
    type: z.literal('adamw'),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().gt(0).lt(1).default(0.999),
    epsilon: z.number().positive().default(1e-8),
  }),
  usual: { learningRate: 1e-3, weightDecay: { rule: 'decoupled', value: 0.01 } },
  create: createAdamw,
});

/**
 * Adam (Kingma and Ba, 2014), which with the decoupled rule of weight decay is AdamW (Loshchilov and Hutter, 2017). With gradient g, parameter
 * w, learning rate r (times the segment's multiplier), in step t, 1 being the first:
 *
 *     g = g + coupledDecay * w
 *     m = beta1 * m + (1 - beta1) * g
 *     v = beta2 * v + (1 - beta2) * g^2
 *     w = (1 - r * decoupledDecay) * w - r * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *
 * Padding of blocked layouts stays zero, as its gradient and its value are zero.
 */
export function createAdamw({ plan, rules }: Updated, options: AdamwOptions): Optimizer {
  const { parameters: arena, vectorMath } = plan;
  const first = arena.allocate();
  const second = arena.allocate();
  const updates = segmentsOf(arena, rules).map((segment) => {
    const part = (array: DeviceArray): DeviceArray => array.part(segment.start, segment.end);
    const arrays = { w: part(arena.values), g: part(arena.gradients), m: part(first), v: part(second) };
    return { segment, update: createUpdate(vectorMath, segment, options, arrays) };
  });
  return {
    slots: { firstMoment: first, secondMoment: second },
    decayed: decayedParameters(arena, rules),
    step(learningRate, taken, steps, earlyRate = learningRate) {
      for (const { segment, update } of updates) {
        const rate = segment.trainedUntil < 1 ? earlyRate : learningRate;
        if (taken / steps < segment.trainedUntil) update(rate * segment.rateMultiplier, taken + 1);
      }
    },
  };
}

/** A pass each over the moments and the parameters, and one over the gradients where a decay is part of them. */
function createUpdate(
  { multiplyAdd, approach, approachSquare, addOverRoot }: VectorMath,
  { coupledDecay, decoupledDecay }: Segment,
  { beta1, beta2, epsilon }: AdamwOptions,
  { w, g, m, v }: Readonly<Record<'w' | 'g' | 'm' | 'v', DeviceArray>>,
): (rate: number, t: number) => void {
  const addDecay = coupledDecay > 0 ? multiplyAdd(w, [g], g) : undefined;
  const followGradient = approach(g, m);
  const followSquare = approachSquare(g, v);
  const descend = addOverRoot(m, v, w);
  return (rate, t) => {
    addDecay?.([coupledDecay, 1]);
    followGradient(1 - beta1);
    followSquare(1 - beta2);
    const step = -rate / (1 - beta1 ** t);
    descend({ scale: 1 / (1 - beta2 ** t), epsilon, step, keep: 1 - rate * decoupledDecay });
  };
}
