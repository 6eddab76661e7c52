/** Evaluation of saved weights: of one file, or of the checkpoints of a run while another process trains it. */
import { existsSync } from 'node:fs';
import type { Dataset, SplitName } from '../data/dataset.ts';
import type { Engine, Precision } from '../engine/engine.ts';
import { listCheckpoints } from '../runs/checkpoint.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { delay } from '../util/delay.ts';
import { DataError } from '../util/errors.ts';
import { quoted } from '../util/shell.ts';
import { requireFits } from './classifier.ts';
import { createEvaluator, type Evaluator, type OnImage } from './evaluate.ts';
import { classifierFor, readSavedModel, type SavedModel, type TrainedModelOptions } from './saved-model.ts';
import type { Evaluation } from './tally.ts';
import type { TtaLevel } from './test-time-augmentation.ts';
import { loadWeights, preferredWeights, type WeightsKind } from './weights.ts';

export interface SavedEvaluationOptions {
  readonly engine: Engine;
  readonly dataset: Dataset;
  /** Default `test`. */
  readonly split?: SplitName | undefined;
  /** Default: the moving averages, where there are any. */
  readonly weights?: WeightsKind | undefined;
  /** Default: that of the configuration. */
  readonly tta?: TtaLevel | undefined;
  /** In which the network computes; default `f32`, whatever it was trained in. */
  readonly precision?: Precision | undefined;
  /** Images at a time; does not change the result. Default 100. */
  readonly batchSize?: number | undefined;
  /** Stops the evaluation. */
  readonly signal?: AbortSignal | undefined;
  /** Is given what the network says of each image. */
  readonly onImage?: OnImage | undefined;
}

export interface SavedEvaluation extends Evaluation {
  readonly model: string;
  readonly weights: WeightsKind;
  readonly precision: Precision;
  /** Steps trained; null for weights from elsewhere. */
  readonly step: number | null;
  /** Path of the weights. */
  readonly file: string;
}

/**
 * Evaluates saved weights on every image of a split.
 *
 * @returns undefined if it was stopped
 * @throws ConfigurationError if the data set is not for the classifier, or has no such split; DataError if the weights do not fit it
 */
export async function evaluateSaved(saved: SavedModel, options: SavedEvaluationOptions): Promise<SavedEvaluation | undefined> {
  const evaluator = await compile(saved, options);
  try {
    return await evaluateWith(evaluator, saved, options);
  } finally {
    await evaluator.dispose();
  }
}

export interface WatchOptions extends SavedEvaluationOptions, Pick<TrainedModelOptions, 'given' | 'definition'> {
  readonly onEvaluation?: ((evaluation: SavedEvaluation) => void) | undefined;
  /** How often a new checkpoint is looked for; default 1000. */
  readonly pollMs?: number;
}

/**
 * Evaluates the checkpoints of a run as they appear, in order, until it no longer trains; one that the training removes before it is read is
 * passed over.
 *
 * @returns the evaluations until then, or until it was stopped
 * @throws DataError if the run has no checkpoint, and is not being trained; and what `evaluateSaved` throws
 */
export async function watchRun(run: Run, options: WatchOptions): Promise<SavedEvaluation[]> {
  const { signal, onEvaluation, pollMs = 1000, given, definition } = options;
  const evaluations: SavedEvaluation[] = [];
  let evaluator: Evaluator | undefined;
  let evaluatedStep = -1;
  try {
    while (signal?.aborted !== true) {
      // Asked before looking for checkpoints: what was saved before the end is then not missed.
      const { status } = readStatus(run);
      const next = listCheckpoints(run).find(({ step }) => step > evaluatedStep);
      if (next !== undefined) {
        evaluatedStep = next.step;
        const saved = unlessRemoved(next.path, () => readSavedModel(next.path, given, definition));
        if (saved === undefined) continue;
        const evaluation = await evaluateWith((evaluator ??= await compile(saved, options)), saved, options);
        if (evaluation === undefined) break;
        evaluations.push(evaluation);
        onEvaluation?.(evaluation);
      } else if (status !== 'running') {
        if (evaluatedStep >= 0) break;
        throw new DataError(`${runName(run)} has no checkpoint, and is not being trained`, {
          fix: `ablate train --resume ${quoted(runName(run))}`,
        });
      } else {
        await delay(pollMs, signal);
      }
    }
  } finally {
    await evaluator?.dispose();
  }
  return evaluations;
}

async function compile(saved: SavedModel, options: SavedEvaluationOptions): Promise<Evaluator> {
  const { engine, dataset, split = 'test', tta = saved.config.tta, precision = 'f32', batchSize = 100 } = options;
  const classifier = classifierFor(saved, dataset);
  requireFits(classifier, dataset, saved.path);
  return await createEvaluator({ engine, classifier, dataset, split, useVal: saved.config.val, tta, precision, batchSize });
}

async function evaluateWith(
  evaluator: Evaluator,
  { file, path, config: { model }, step }: SavedModel,
  { weights = preferredWeights(file), precision = 'f32', signal, onImage }: SavedEvaluationOptions,
): Promise<SavedEvaluation | undefined> {
  await loadWeights(evaluator.parameters, file, { kind: weights, model, source: path });
  const evaluation = await evaluator.run(signal, onImage);
  return evaluation && { model, weights, precision, step: step ?? null, file: path, ...evaluation };
}

function unlessRemoved<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (existsSync(path)) throw error;
    return undefined;
  }
}
