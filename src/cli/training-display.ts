/** What commands that train show on stderr meanwhile. */
import { relative } from 'node:path';
import type { Collective } from '../cluster/collective.ts';
import { countParameters } from '../nn/network.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { TrainHooks, TrainStart, WeightsEvaluation } from '../train/train.ts';
import { formatAccuracy, formatBytes } from '../util/format.ts';
import { formatCount } from '../util/text-table.ts';
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
export function trainingDisplay(config: TrainingConfig, collective: Collective): Display {
  let progress: Progress | undefined;
  let loss: number | undefined;
  let accuracy: number | undefined;
  const hooks: TrainHooks = {
    onStart(start) {
      for (const line of introduction(start, config, collective)) note(line);
      progress = createProgress({ unit: 'step', total: start.steps, start: start.step, lineEvery: config.logEvery });
    },
    onStep(step) {
      loss = loss === undefined ? step.loss : loss + lossSmoothing * (step.loss - loss);
      const parts = [`loss ${loss.toFixed(3)}`, `${formatCount(Math.round(step.imagesPerSecond))} images/s`];
      if (accuracy !== undefined) parts.push(`accuracy ${formatAccuracy(accuracy)}`);
      if (step.step === config.steps) parts.push('evaluating');
      progress?.update(step.step, parts.join('  '));
    },
    onEvaluation(evaluation) {
      accuracy = Math.max(accuracy ?? 0, evaluation.accuracy);
      progress?.log(`step ${evaluation.step}: ${describeEvaluation(evaluation)}, loss ${evaluation.loss.toFixed(3)}`);
    },
  };
  return { hooks, finish: () => progress?.finish() };
}

function introduction(
  { run, network, step, memoryBytes }: TrainStart,
  config: TrainingConfig,
  { worldSize }: Collective,
): string[] {
  const parameters = formatCount(countParameters(network.parameters));
  const { model, dataset, recipe, batchSize, seed, threads } = config;
  const processes = worldSize === 1 ? '' : `${worldSize} processes with `;
  return [
    `${model} (${parameters} parameters) on ${dataset}, input ${network.inputShape.join('x')}`,
    `recipe ${recipe}, batch ${batchSize}, seed ${seed}, ${processes}${threads} ${threads === 1 ? 'thread' : 'threads'}, ${formatBytes(memoryBytes)} for the network`,
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
