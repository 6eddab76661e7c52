/** What commands that train show on stderr meanwhile. */
import { relative } from 'node:path';
import type { Collective } from '../cluster/collective.ts';
import type { Engine } from '../engine/engine.ts';
import { countParameters } from '../nn/network.ts';
import { sameShape } from '../nn/shape.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { watchContention } from '../train/thread-contention.ts';
import type { TrainHooks, TrainProgress, TrainStart, WeightsEvaluation } from '../train/train-options.ts';
import { settleEvaluations } from '../train/run-length.ts';
import { workLeft } from '../train/work.ts';
import { formatAccuracy, formatBytes, formatCount, formatCounted } from '../util/format.ts';
import { note } from './output.ts';
import { createProgress, type Progress } from './progress.ts';

/** Weight of one step in the loss shown, which is smoothed over about the last twenty. */
const lossSmoothing = 0.05;

export interface Display {
  readonly hooks: TrainHooks;
  readonly finish: () => void;
}

/** Of the processes other than 0. */
export const silentDisplay: Display = { hooks: {}, finish: () => undefined };

/** What is shown on stderr while a model trains. */
export function trainingDisplay(config: TrainingConfig, collective: Collective, engine: Engine): Display {
  let progress: Progress | undefined;
  const line = stepLine(config.steps);
  // Processes that train together use the processors of a machine, too.
  const contention = watchContention(collective.worldSize === 1 ? engine.threads : 1);
  const hooks: TrainHooks = {
    onStart(start) {
      for (const text of introduction(start, config, collective, engine)) note(text);
      const settled = settleEvaluations(config, start.evaluatedImages);
      progress = createProgress({
        ...{ unit: 'step', total: start.steps, start: start.step, lineEvery: config.logEvery },
        left(step) {
          const { trainingPasses, evaluationPasses } = workLeft(settled, start.evaluatedImages, step);
          return trainingPasses + evaluationPasses;
        },
      });
    },
    onStep(step) {
      progress?.update(step.step, line.afterStep(step));
      const advice = contention();
      if (advice !== undefined) progress?.log(advice);
    },
    onNotice: note,
    onEvaluation(evaluation) {
      line.afterEvaluation(evaluation);
      progress?.log(`step ${evaluation.step}: ${describeEvaluation(evaluation)}, loss ${evaluation.loss.toFixed(3)}`);
    },
  };
  return { hooks, finish: () => progress?.finish() };
}

export interface StepLine {
  /** What is shown behind the number of the step. */
  afterStep(progress: TrainProgress): string;
  afterEvaluation(evaluation: WeightsEvaluation): void;
}

/**
 * What the line of a training says: the smoothed loss, the speed, and the accuracy of the last evaluation; where moving averages are kept, theirs,
 * which is the one that the run is listed with.
 *
 * @param steps of the whole run
 */
export function stepLine(steps: number): StepLine {
  let loss: number | undefined;
  let latest: WeightsEvaluation | undefined;
  return {
    afterStep({ step, loss: newest, imagesPerSecond }) {
      loss = loss === undefined ? newest : loss + lossSmoothing * (newest - loss);
      const parts = [`loss ${loss.toFixed(3)}`, `${formatCount(Math.round(imagesPerSecond))} images/s`];
      if (latest !== undefined) parts.push(shortEvaluation(latest));
      if (step === steps) parts.push('evaluating');
      return parts.join('  ');
    },
    afterEvaluation(evaluation) {
      // Of one step, the averages come first.
      if (latest?.step !== evaluation.step) latest = evaluation;
    },
  };
}

/** `test 81.60% (average)`: in a line of 80 columns there is no room for more words. */
function shortEvaluation({ split, weights, accuracy }: WeightsEvaluation): string {
  return `${split} ${formatAccuracy(accuracy)} (${weights === 'ema' ? 'average' : 'raw'})`;
}

function introduction(
  { run, network, imageShape, step, memoryBytes }: TrainStart,
  config: TrainingConfig,
  { worldSize }: Collective,
  { description, threads }: Engine,
): string[] {
  const parameters = formatCount(countParameters(network.parameters));
  const { model, dataset, recipe, batchSize, seed, augment, augmentation } = config;
  const processes = worldSize === 1 ? '' : `${worldSize} processes with `;
  const cropped = sameShape(network.inputShape, imageShape)
    ? ''
    : ` (cropped from ${imageShape.slice(1).join('x')}${augment && augmentation.randomCrop ? ', at random places while training' : ''})`;
  return [
    `${model} (${parameters} parameters) on ${dataset}, input ${network.inputShape.join('x')}${cropped}`,
    `recipe ${recipe}, batch ${batchSize}, seed ${seed}, ${processes}${formatCounted(threads, 'thread')}, ${formatBytes(memoryBytes)} for the network`,
    `computing with ${description}`,
    ...(run === undefined ? [] : [`${step > 0 ? `continuing after step ${step}` : 'recording'} in ${shortPath(run.path)}`]),
  ];
}

export function describeEvaluation({ split, weights, accuracy }: WeightsEvaluation): string {
  return `${split} accuracy ${formatAccuracy(accuracy)} (${weights === 'ema' ? 'moving average' : 'raw weights'})`;
}

/** As a user in the working directory would write it. */
export function shortPath(path: string): string {
  const fromHere = relative('', path);
  return fromHere.startsWith('..') ? path : fromHere;
}
