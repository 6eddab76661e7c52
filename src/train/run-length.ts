/** How long a training is, which may depend on how many images there are. */
import { mostSteps } from '../util/largest.ts';
import { checkConfig } from './complete-config.ts';
import type { TrainingConfig } from './config-schema.ts';

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
