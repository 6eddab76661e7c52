/**
 * Hyperparameters that can each be tuned alone (Page, 2018, "How to train your ResNet", part 5; in the form of airbench94), and what they are
 * for a loss that is the mean over a batch.
 */
import type { OptimizerOptions } from './registry.ts';

/** Examples to which a decoupled learning rate refers. */
const referenceExamples = 1024;

/**
 * The peak learning rate for the gradient of the mean loss.
 *
 * Decoupled, `learningRate` L is for the sum over 1024 examples, whatever the batch size B and Nesterov's momentum m. The gradient of a sum
 * is B times that of a mean, and a step is taken as 1 + 1 / (1 - m) times the size of its gradient (the original's figure), hence
 *
 *     rate = L * B / 1024 / (1 + 1 / (1 - m))
 */
export function meanLossLearningRate({
  optimizer,
  learningRate,
  batchSize,
}: {
  readonly optimizer: OptimizerOptions;
  readonly learningRate: number;
  readonly batchSize: number;
}): number {
  // Stryker disable next-line ConditionalExpression: no other type has `decoupled`, which only the compiler must be told
  if (optimizer.type !== 'sgd' || !optimizer.decoupled) return learningRate;
  return (learningRate * batchSize) / referenceExamples / (1 + 1 / (1 - optimizer.momentum));
}
