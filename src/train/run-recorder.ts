/**
 * What a training leaves behind: metrics.jsonl, TensorBoard events, checkpoints and status in the run's folder. With several
 * processes only process 0 has a folder; the others record nothing, by the same interface.
 */
import type { Batch } from '../data/batch.ts';
import { latestCheckpoint, saveBestCheckpoint, saveCheckpoint } from '../runs/checkpoint.ts';
import { openEvents, type Hyperparameters } from '../runs/event-file.ts';
import { imageGrid } from '../runs/image-grid.ts';
import { openMetrics, readMetrics, type Metrics } from '../runs/metrics.ts';
import { metricsPath, type Run } from '../runs/run-folder.ts';
import { writeStatus, type RunState } from '../runs/run-status.ts';
import type { Tensor } from '../runs/safetensors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { writePredictions, type PredictionCollector, type PredictionsRecord } from './predictions.ts';
import { readEvaluation, writeEvaluation, type RecordedEvaluation } from './recorded-evaluation.ts';

export interface RunRecorder {
  /** Shows some inputs as an image. `shape` is `[C, H, W]`. */
  inputs(step: number, batch: Batch, shape: readonly [number, number, number]): void;
  /** Adds values to the metrics and the curves. An `accuracy` is also shown as the run's. */
  metrics(step: number, values: Metrics, accuracy?: number): void;
  /** Keeps an evaluation in full (classes, confusions) as the run's latest. */
  evaluation(evaluation: Omit<RecordedEvaluation, 'datasetFingerprint'>): void;
  /** Keeps what an evaluation says of each image, as the run's latest. */
  predictions(predictions: PredictionCollector, evaluation: Omit<PredictionsRecord, 'datasetFingerprint'>): void;
  /** Whether the metrics have an evaluation of that step, which a run that is continued may have been at. */
  hasEvaluation(step: number): boolean;
  /** The evaluation of that step in full; undefined if it or its line in the metrics is missing. */
  recordedEvaluation(step: number): RecordedEvaluation | undefined;
  /** Saves a checkpoint; a final one is never pruned. */
  save(step: number, tensors: ReadonlyMap<string, Tensor>, final: boolean): void;
  /** Keeps a checkpoint as the best by validation, in place of the one before. */
  saveBest(step: number, tensors: ReadonlyMap<string, Tensor>, accuracy: number): void;
  /** The evaluations that the metrics have, those before the run was continued too. */
  evaluations(): readonly { readonly step: number; readonly accuracy: number }[];
  /** Reports that the run goes on, at most every few seconds. Cheap. */
  alive(step: number): void;
  /**
   * Records how the run ended and closes its files, even if one of them cannot be written. The first call decides, others do nothing.
   *
   * @param diverged whether it failed because its training diverged
   */
  end(status: RunState, step: number, reason?: string, diverged?: boolean): void;
}

export const silentRecorder: RunRecorder = {
  inputs: () => undefined,
  metrics: () => undefined,
  evaluation: () => undefined,
  predictions: () => undefined,
  hasEvaluation: () => false,
  recordedEvaluation: () => undefined,
  save: () => undefined,
  saveBest: () => undefined,
  evaluations: () => [],
  alive: () => undefined,
  end: () => undefined,
};

/** Inputs shown in the grid. */
const gridImages = 64;
const statusEveryMs = 5000;

/**
 * Opens the files of a run.
 *
 * @param metadata what each checkpoint says beside its step
 * @param resumedFrom the step a resumed run continues from: later records are removed, as those steps will be done again
 */
export function openRecorder(
  run: Run,
  config: TrainingConfig,
  metadata: Readonly<Record<string, string>>,
  resumedFrom?: number,
): RunRecorder {
  const metricsFile = openMetrics(metricsPath(run), resumedFrom);
  const events = openEvents(run.path, resumedFrom);
  if (resumedFrom === undefined || resumedFrom === 0) events.hyperparameters(hyperparametersOf(config));
  const keep = config.keepCheckpoints === 0 ? {} : { keep: config.keepCheckpoints };
  const evaluations = resumedFrom === undefined ? [] : recordedEvaluations(run);
  const evaluatedSteps = new Set(evaluations.map(({ step }) => step));
  let latestAccuracy = evaluations.at(-1)?.accuracy;
  let saved = latestCheckpoint(run) !== undefined;
  let reportedAt = 0;
  let ended = false;

  function report(status: RunState, step: number, reason?: string, diverged = false): void {
    const accuracy = latestAccuracy === undefined ? {} : { accuracy: latestAccuracy };
    const why = { ...(reason !== undefined && { reason }), ...(diverged && { diverged }) };
    writeStatus(run, { status, step, steps: config.steps, saved, ...accuracy, ...why });
    reportedAt = performance.now();
  }

  report('running', resumedFrom ?? 0);
  return {
    inputs(step, { inputs, count }, [channels, height, width]) {
      if (channels !== 1 && channels !== 3) return;
      const shown = Math.min(count, gridImages);
      const images = inputs.subarray(0, shown * channels * height * width);
      events.image(step, 'train/inputs', imageGrid(images, [shown, channels, height, width]));
    },
    metrics(step, values, accuracy = latestAccuracy) {
      metricsFile.append({ step, time: new Date().toISOString(), metrics: values });
      events.scalars(step, values);
      if (accuracyIn(values) !== undefined) evaluatedSteps.add(step);
      const changed = accuracy !== latestAccuracy;
      latestAccuracy = accuracy;
      if (changed) report('running', step);
    },
    evaluation: (evaluation) => writeEvaluation(run, { ...evaluation, datasetFingerprint: metadata['datasetFingerprint'] ?? '' }),
    predictions(predictions, { split, tta, step, weights }) {
      const datasetFingerprint = metadata['datasetFingerprint'] ?? '';
      writePredictions(run, predictions, { split, tta, step, weights, datasetFingerprint });
    },
    hasEvaluation: (step) => evaluatedSteps.has(step),
    recordedEvaluation(step) {
      const evaluation = evaluatedSteps.has(step) ? readEvaluation(run) : undefined;
      return evaluation?.step === step ? evaluation : undefined;
    },
    save(step, tensors, final) {
      // A checkpoint is never ahead of the metrics that led to it.
      metricsFile.sync();
      saveCheckpoint(run, { step, tensors, metadata }, { ...keep, final });
      saved = true;
      report('running', step);
    },
    saveBest(step, tensors, accuracy) {
      saveBestCheckpoint(run, { step, tensors, metadata }, accuracy);
    },
    evaluations: () => evaluations,
    alive(step) {
      if (performance.now() - reportedAt >= statusEveryMs) report('running', step);
    },
    end(status, step, reason, diverged) {
      if (ended) return;
      ended = true;
      try {
        if (status !== 'interrupted') events.ended(status === 'finished' ? 'finished' : 'failed');
      } finally {
        try {
          events.close();
          metricsFile.close();
        } finally {
          report(status, step, reason, diverged);
        }
      }
    },
  };
}

/** The evaluations that are in the metrics. */
function recordedEvaluations(run: Run): { readonly step: number; readonly accuracy: number }[] {
  return readMetrics(metricsPath(run)).flatMap(({ step, metrics }) => {
    const accuracy = accuracyIn(metrics);
    return accuracy === undefined ? [] : [{ step, accuracy }];
  });
}

/** That of an evaluation; undefined for other records. */
function accuracyIn(metrics: Metrics): number | undefined {
  return metrics['test/accuracy'] ?? metrics['val/accuracy'];
}

/** The configuration as one flat table: `schedule.type`, `model.lrn`; lists as text. */
function hyperparametersOf(config: TrainingConfig): Hyperparameters {
  const flat: Record<string, string | number | boolean> = {};
  const add = (key: string, value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') flat[key] = value;
    else if (Array.isArray(value)) flat[key] = JSON.stringify(value);
    else for (const [name, inner] of Object.entries(value as object)) add(`${key}.${name}`, inner);
  };
  for (const [key, value] of Object.entries(config)) add(key === 'modelSettings' ? 'model' : key, value);
  return flat;
}
