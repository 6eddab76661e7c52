import type { TrainingPlan, VectorMath } from '../../engine/engine.ts';
import type { Optimizer } from './optimizer.ts';
import type { Segment } from './segments.ts';

export interface SgdOptions {
  /** 0 for plain gradient descent, otherwise below 1. */
  readonly momentum: number;
  /** Looks one step ahead along the momentum (Nesterov, 1983, in the form of Sutskever et al., 2013). */
  readonly nesterov: boolean;
}

/**
 * Stochastic gradient descent. With gradient g, parameter w, velocity m, learning rate r (times the segment's multiplier):
 *
 *     g = g + coupledDecay * w
 *     m = momentum * m + g
 *     d = nesterov ? g + momentum * m : m
 *     w = (1 - r * decoupledDecay) * w - r * d
 *     average = average + (1 - averageDecay) * (w - average)
 *
 * Padding of blocked layouts stays zero, as its gradient and its value are zero.
 *
 * @param average moving average of the parameters in the arena's layout, or undefined to keep none
 */
export function createSgd(
  { parameters: arena, vectorMath }: Pick<TrainingPlan, 'parameters' | 'vectorMath'>,
  segments: readonly Segment[],
  options: SgdOptions,
  average: Float32Array | undefined,
): Optimizer {
  const velocity = options.momentum > 0 ? arena.allocate() : undefined;
  const updates = segments.map((segment) => {
    const part = (array: Float32Array): Float32Array => array.subarray(segment.start, segment.end);
    const arrays = { w: part(arena.values), g: part(arena.gradients), m: velocity && part(velocity) };
    return { segment, update: createUpdate(vectorMath, segment, options, arrays) };
  });
  const trainable = (array: Float32Array): Float32Array => array.subarray(0, arena.trainableLength);
  const follow = average && vectorMath.approach(trainable(arena.values), trainable(average));
  return {
    slots: velocity === undefined ? {} : { momentum: velocity },
    step(learningRate, averageDecay, progress) {
      for (const { segment, update } of updates) {
        if (progress < segment.trainedUntil) update(learningRate * segment.rateMultiplier);
      }
      follow?.(1 - averageDecay);
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
  { w, g, m }: { readonly w: Float32Array; readonly g: Float32Array; readonly m: Float32Array | undefined },
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
