/**
 * Lookahead (Zhang et al., 2019): slow weights that follow the trained ones, and from which these go on. Every `every` steps
 *
 *     slow = slow + (1 - d) * (fast - slow),   fast = slow,   d = decay * (steps taken / steps) ^ power
 *
 * so that the slow weights first follow at once and later average over many rounds; after the last step the slow weights are the result.
 * The form, with a decay that grows, is that of hlb-CIFAR10 and airbench94. It covers all parameters and the running statistics of batch
 * normalization alike; momentum is left as it is.
 */
import type { DeviceArray, TrainingPlan } from '../engine/engine.ts';

export interface LookaheadOptions {
  /** Steps between updates. */
  readonly every: number;
  /** Weight of the old slow weights at the end of the run, in [0, 1). */
  readonly decay: number;
  /** How late the weight of the old grows; 0 for a constant. */
  readonly power: number;
}

export interface Lookahead {
  /** The slow weights in the arena's layout: part of a checkpoint. */
  readonly slow: DeviceArray;
  /** To be called after every step, with the number of steps taken and the length of the run. */
  update(step: number, steps: number): void;
}

/** The name of its state in checkpoints, beside the optimizer's slots. */
export const lookaheadSlot = 'lookahead';

/** The slow weights start at the parameters that the arena has now. */
export function createLookahead(
  { parameters: arena, vectorMath }: Pick<TrainingPlan, 'parameters' | 'vectorMath'>,
  { every, decay, power }: LookaheadOptions,
): Lookahead {
  const { values } = arena;
  const slow = arena.allocate();
  vectorMath.copy(values, slow)();
  const follow = vectorMath.approach(values, slow, 'once');
  const goOn = vectorMath.copy(slow, values);
  return {
    slow,
    update(step, steps) {
      if (step % every === 0) follow(1 - decay * (step / steps) ** power);
      if (step % every === 0 || step === steps) goOn();
    },
  };
}
