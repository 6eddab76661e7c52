import type { TrainingConfig } from './config-schema.ts';

export type Schedule = TrainingConfig['schedule'];

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
 * The peak of the schedule at one step.
 *
 * @param step steps already taken, 0 to steps - 1
 */
export function scaledLearningRate(
  scaling: TrainingConfig['learningRateScaling'],
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
