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
 * Each line is a pass of the engine's vector arithmetic, in place: the decay goes into the plan's gradients. Padding of blocked layouts
 * stays zero, as its gradient and its value are zero.
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

/** The passes over one segment, as a function of the learning rate. Those that would change nothing are left out. */
function createUpdate(
  { addScaled, scaleAndAdd }: VectorMath,
  { coupledDecay, decoupledDecay }: Segment,
  { momentum, nesterov }: SgdOptions,
  { w, g, m }: { readonly w: Float32Array; readonly g: Float32Array; readonly m: Float32Array | undefined },
): (rate: number) => void {
  const decayGradient = coupledDecay > 0 ? addScaled(w, g) : undefined;
  const decayValue = decoupledDecay > 0 ? addScaled(w, w) : undefined;
  const roll = m && scaleAndAdd(g, m);
  const followGradient = m === undefined || nesterov ? addScaled(g, w) : undefined;
  const followVelocity = m && addScaled(m, w);
  return (rate) => {
    decayGradient?.(coupledDecay);
    roll?.(momentum);
    decayValue?.(-rate * decoupledDecay);
    followGradient?.(-rate);
    followVelocity?.(nesterov ? -rate * momentum : -rate);
  };
}
