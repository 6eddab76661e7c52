/** How the learning rate changes over a run, as data. Times are fractions of the run's steps, rates are fractions of the peak. */
export type Schedule =
  | { readonly type: 'constant' }
  /** Multiplied by `factor` at each milestone. */
  | { readonly type: 'step'; readonly milestones: readonly number[]; readonly factor: number }
  /** Linear from 0 to the peak over `warmup`, then half a cosine down to `final` (Loshchilov and Hutter, 2016, without restarts). */
  | { readonly type: 'cosine'; readonly warmup: number; readonly final: number }
  /** Linear from `initial` to the peak over `warmup`, then linear down to `final` (after Smith, 2018). */
  | { readonly type: 'oneCycle'; readonly warmup: number; readonly initial: number; readonly final: number };

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
    default:
      return schedule satisfies never;
  }
}

/** The first step is already one part of the way up: a rate of zero would waste it. */
function warmingUp(step: number, warmupSteps: number, initial: number): number {
  return initial + (1 - initial) * Math.min(1, (step + 1) / warmupSteps);
}

/** 0 at the end of the warm-up, 1 at the end of the run. */
function afterWarmup(progress: number, warmup: number): number {
  return (progress - warmup) / (1 - warmup);
}
