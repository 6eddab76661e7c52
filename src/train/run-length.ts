/** How long a training is and how often it is evaluated, which may depend on how many images there are. */
import type { Dataset } from '../data/dataset.ts';
import { trainingCount, validationCount } from '../data/image-set.ts';
import { mostSteps } from '../util/largest.ts';
import { checkConfig } from './complete-config.ts';
import type { SettledConfig, TrainingConfig } from './config-schema.ts';
import { workLeft } from './work.ts';

/** Where nobody says how long a training is, it passes over the images no more often than this ... */
const mostEpochs = 200;
/** ... but takes so many steps at least, where the recipe does: no schedule does its work in fewer. */
const fewestSteps = 500;

/**
 * The configuration with its length in steps. `epochs` are rounded up to whole steps, and to equal rounds of pruning. Without a length, it is
 * the recipe's, but no more than 200 passes over the images, or 500 steps where those are more.
 *
 * @param trainImages images of a pass
 */
export function settleLength(config: TrainingConfig, trainImages: number): TrainingConfig {
  const { epochs, steps, batchSize, pruning } = config;
  if (epochs === 'none') return config;
  const stepsOf = (passes: number): number => Math.ceil((passes * trainImages) / batchSize);
  const wanted = epochs === 'auto' ? Math.min(steps, Math.max(fewestSteps, stepsOf(mostEpochs))) : stepsOf(epochs);
  const rounds = pruning.type === 'none' ? 1 : pruning.rounds;
  const settled = Math.min(Math.ceil(wanted / rounds) * rounds, mostSteps);
  return checkConfig({ ...config, steps: settled, epochs: 'none' });
}

/** The configuration of a training on these images: its length and its evaluations. */
export function settle(config: TrainingConfig, { train, test }: Pick<Dataset, 'train' | 'test'>): SettledConfig {
  const evaluated = config.val ? validationCount(train.count) : test.count;
  return settleEvaluations(settleLength(config, trainingCount(train.count, config.val)), evaluated);
}

/** Evaluations of a run where nobody says how often: enough for a curve ... */
const mostEvaluations = 20;
/** ... that together compute no more than this part of what the steps do ... */
const mostOfSteps = 0.05;
/** ... except that this many steps are always evaluated at least once. */
const rarest = 2000;

/**
 * The configuration with the steps between evaluations, where it leaves them open: as many evaluations as cost little beside the steps, 20 at most. The
 * weights that are trained do not depend on it.
 *
 * @param config one whose length is settled
 * @param evaluatedImages in the split that it is evaluated on
 */
export function settleEvaluations(config: TrainingConfig, evaluatedImages: number): SettledConfig {
  const { evalEvery, steps } = config;
  if (evalEvery !== 'auto') return { ...config, evalEvery };
  const { trainingPasses, evaluationPasses } = workLeft({ ...config, steps: 1, evalEvery: 0 }, evaluatedImages);
  const cheapest = Math.ceil(evaluationPasses / (mostOfSteps * trainingPasses));
  return { ...config, evalEvery: Math.min(rarest, Math.max(cheapest, Math.ceil(steps / mostEvaluations))) };
}

/**
 * For people: what was chosen where nobody gave a length, if that is not the recipe's.
 *
 * @param asked the configuration before it was settled
 */
export function describeChoice(asked: TrainingConfig, settled: TrainingConfig, trainImages: number): string | undefined {
  if (asked.epochs !== 'auto' || asked.steps === settled.steps) return undefined;
  const passes = ({ steps, batchSize }: TrainingConfig): number => Math.round((steps * batchSize) / trainImages);
  const number = (value: number): string => value.toLocaleString('en-US');
  return (
    `${number(settled.steps)} steps are chosen for ${number(trainImages)} images, ${number(passes(settled))} epochs: ` +
    `the recipe's ${number(asked.steps)} would be ${number(passes(asked))} (--epochs or --steps says otherwise)`
  );
}
