/** How much there is to compute in a training: what predicts how long it takes. Counted in passes of an image forward through the network. */
import type { SettledConfig } from './config-schema.ts';
import { viewsOf } from './test-time-augmentation.ts';

/** An image of a step takes a forward pass, and a backward pass of twice the operations. */
export const passesOfTraining = 3;

export interface Work {
  readonly steps: number;
  /** Forward passes of images in steps. */
  readonly trainingPasses: number;
  readonly evaluations: number;
  readonly evaluationPasses: number;
}

type Keys = 'steps' | 'batchSize' | 'evalEvery' | 'movingAverage' | 'tta';

/**
 * What is left of a training that has taken `step` steps, and not done the evaluation that may follow them.
 *
 * @param evaluatedImages in the split that it evaluates on
 */
export function workLeft(config: Pick<SettledConfig, Keys>, evaluatedImages: number, step = 0): Work {
  const { steps, batchSize, evalEvery, movingAverage, tta } = config;
  // Evaluations after steps 1 to n - 1: that after the last step is always due.
  const before = (n: number) => (evalEvery > 0 ? Math.max(0, Math.ceil(n / evalEvery) - 1) : 0);
  const evaluations = before(steps) - before(step) + 1;
  const kinds = movingAverage.type === 'none' ? 1 : 2;
  return {
    steps: steps - step,
    trainingPasses: (steps - step) * batchSize * passesOfTraining,
    evaluations,
    evaluationPasses: evaluations * kinds * viewsOf(tta).length * evaluatedImages,
  };
}
