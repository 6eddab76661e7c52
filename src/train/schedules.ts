/** How the learning rate changes over a run, as data. Times are fractions of the run's steps, rates are fractions of the peak. */
export type Schedule =
  | { readonly type: 'constant' }
  /** Multiplied by `factor` at each milestone. */
  | { readonly type: 'step'; readonly milestones: readonly number[]; readonly factor: number }
  /** Linear from 0 to the peak over `warmup`, then half a cosine down to `final` (Loshchilov and Hutter, 2016, without restarts). */
  | { readonly type: 'cosine'; readonly warmup: number; readonly final: number }
  /** Linear from `initial` to the peak over `warmup`, then linear down to `final` (after Smith, 2018). */
  | { readonly type: 'oneCycle'; readonly warmup: number; readonly initial: number; readonly final: number }
  /**
   * As oneCycle, but the first step is at `initial` itself and the warm-up is a whole number of steps, rounded down (airbench94).
   */
  | { readonly type: 'triangular'; readonly warmup: number; readonly initial: number; readonly final: number };

/**
 * The learning rate of one step.
 *
 * @param peak the configured learning rate
 * @param step steps already taken, 0 to steps - 1
 * @param steps length of the run
 */
export function learningRateAt(schedule: Schedule, peak: number, step: number, steps: number): number {
  const progress = step / steps;
  switch (schedule.type) {
    case 'constant':
      return peak;
    case 'step':
      return peak * schedule.factor ** schedule.milestones.filter((milestone) => progress >= milestone).length;
    case 'cosine': {
      if (progress < schedule.warmup) return peak * warmingUp(step, steps * schedule.warmup, 0);
      const remaining = (1 + Math.cos(Math.PI * afterWarmup(progress, schedule.warmup))) / 2;
      return peak * (schedule.final + (1 - schedule.final) * remaining);
    }
    case 'oneCycle': {
      if (progress < schedule.warmup) return peak * warmingUp(step, steps * schedule.warmup, schedule.initial);
      return peak * (1 + (schedule.final - 1) * afterWarmup(progress, schedule.warmup));
    }
    case 'triangular': {
      const warmupSteps = Math.floor(steps * schedule.warmup);
      if (step < warmupSteps) return peak * (schedule.initial + (1 - schedule.initial) * (step / warmupSteps));
      return peak * (1 + (schedule.final - 1) * ((step - warmupSteps) / (steps - warmupSteps)));
    }
    default:
      return schedule satisfies never;
  }
}

/**
 * How the peak follows the batch size. `linear`: batchSize / referenceBatchSize times the learning rate, which is reached from the
 * learning rate itself over the first `warmup` of the run (Goyal et al., 2017).
 */
export type RateScaling =
  { readonly type: 'none' } | { readonly type: 'linear'; readonly referenceBatchSize: number; readonly warmup: number };

/**
 * The peak of the schedule at one step.
 *
 * @param step steps already taken, 0 to steps - 1
 */
export function scaledLearningRate(
  scaling: RateScaling,
  { learningRate, batchSize, steps }: { readonly learningRate: number; readonly batchSize: number; readonly steps: number },
  step: number,
): number {
  if (scaling.type === 'none') return learningRate;
  const factor = batchSize / scaling.referenceBatchSize;
  const risen = scaling.warmup === 0 ? 1 : Math.min(1, (step + 1) / (steps * scaling.warmup));
  return learningRate * (1 + (factor - 1) * risen);
}

/** The first step is already one part of the way up: a rate of zero would waste it. */
function warmingUp(step: number, warmupSteps: number, initial: number): number {
  return initial + (1 - initial) * Math.min(1, (step + 1) / warmupSteps);
}

/** 0 at the end of the warm-up, 1 at the end of the run. */
function afterWarmup(progress: number, warmup: number): number {
  return (progress - warmup) / (1 - warmup);
}
