import * as z from 'zod';
import type { ArenaEntry, DeviceArray, VectorMath } from '../../engine/engine.ts';
import { defineOptimizer, type Optimizer, type Updated } from './optimizer.ts';
import { decayedParameters, segmentsOf, type Segment } from './segments.ts';

export interface SgdOptions {
  /** 0 for plain gradient descent, otherwise below 1. */
  readonly momentum: number;
  /** Looks one step ahead along the momentum (Nesterov, 1983, in the form of Sutskever et al., 2013). */
  readonly nesterov: boolean;
}

export const sgd = defineOptimizer({
  schema: z.strictObject({
    type: z.literal('sgd'),
    momentum: z.number().min(0).lt(1).default(0),
    nesterov: z.boolean().default(false),
    /** Whether `learningRate` is per 1024 examples and the same for every momentum: optimizers/decoupling.ts. */
    decoupled: z.boolean().default(false),
  }),
  usual: { learningRate: 0.1, weightDecay: { rule: 'coupled', value: 5e-4 } },
  create: createSgd,
});

/**
 * Stochastic gradient descent. With gradient g, parameter w, velocity m, learning rate r (times the segment's multiplier):
 *
 *     g = g + coupledDecay * w
 *     m = momentum * m + g
 *     d = nesterov ? g + momentum * m : m
 *     w = (1 - r * decoupledDecay) * w - r * d
 *
 * Padding of blocked layouts stays zero, as its gradient and its value are zero.
 *
 * @param entries the parameters to update; default: all that are trainable
 */
export function createSgd({ plan, rules }: Updated, options: SgdOptions, entries?: ArenaEntry[]): Optimizer {
  const { parameters: arena, vectorMath } = plan;
  const velocity = options.momentum > 0 ? arena.allocate() : undefined;
  const updates = segmentsOf(arena, rules, entries).map((segment) => {
    const part = (array: DeviceArray): DeviceArray => array.part(segment.start, segment.end);
    const arrays = { w: part(arena.values), g: part(arena.gradients), m: velocity && part(velocity) };
    return { segment, update: createUpdate(vectorMath, segment, options, arrays) };
  });
  return {
    slots: velocity === undefined ? {} : { momentum: velocity },
    decayed: decayedParameters(arena, rules, entries),
    step(learningRate, taken, steps, earlyRate = learningRate) {
      for (const { segment, update } of updates) {
        const rate = segment.trainedUntil < 1 ? earlyRate : learningRate;
        if (taken / steps < segment.trainedUntil) update(rate * segment.rateMultiplier);
      }
    },
  };
}

/**
 * The passes over one segment, as a function of the learning rate: one for the velocity, one for the parameters. A decay is no pass of its
 * own, but is added before the sum is rounded: taken off a parameter by itself it would often be too small to change it.
 */
function createUpdate(
  { multiplyAdd }: VectorMath,
  { coupledDecay, decoupledDecay }: Segment,
  { momentum, nesterov }: SgdOptions,
  { w, g, m }: { readonly w: DeviceArray; readonly g: DeviceArray; readonly m: DeviceArray | undefined },
): (rate: number) => void {
  const decay = coupledDecay + decoupledDecay;
  if (m === undefined) {
    const descend = multiplyAdd(w, [g, w], w);
    return (rate) => {
      descend([decay, -rate, 1]);
    };
  }
  const roll = multiplyAdd(w, [m, g], m);
  const descend = multiplyAdd(w, nesterov ? [m, g, w] : [m, w], w);
  return (rate) => {
    roll([coupledDecay / momentum, momentum, 1]);
    descend(nesterov ? [decay / momentum, momentum, -rate, 1] : [decoupledDecay, -rate, 1]);
  };
}
