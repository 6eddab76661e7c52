/** What a run's folder says of its results. */
import { readMetrics, type MetricsRecord } from '../runs/metrics.ts';
import { metricsPath, type Run } from '../runs/run-folder.ts';

export interface CurvePoint {
  readonly step: number;
  /** A fraction in [0, 1]. */
  readonly accuracy: number;
}

export interface LossPoint {
  readonly step: number;
  /** Mean cross-entropy of the training batches, over the steps since the point before. */
  readonly loss: number;
}

export interface RunResults {
  /** Evaluations by step, ascending. */
  readonly curve: readonly CurvePoint[];
  /** The training loss in at most `lossPoints` points, the same steps for runs that are recorded alike. */
  readonly lossCurve: readonly LossPoint[];
  /** Mean cross-entropy of the last evaluation. */
  readonly loss: number | undefined;
  /** Seconds of stepping, evaluation, saving and interruptions left out. */
  readonly trainingSeconds: number;
  /** While stepping; undefined before the first record. */
  readonly imagesPerSecond: number | undefined;
  readonly trainLoss: number | undefined;
}

/** As many as a figure can show. */
const lossPoints = 50;

/** @param batchSize examples per step */
export function readRunResults(run: Run, batchSize: number): RunResults {
  return resultsOf(readMetrics(metricsPath(run)), batchSize);
}

export function resultsOf(records: readonly MetricsRecord[], batchSize: number): RunResults {
  const curve = new Map<number, CurvePoint>();
  let loss: number | undefined;
  let trainLoss: number | undefined;
  let trainingSeconds = 0;
  let trainedSteps = 0;
  let lastStep = 0;
  for (const { step, metrics } of records) {
    const accuracy = metrics['test/accuracy'] ?? metrics['val/accuracy'];
    if (accuracy !== undefined) curve.set(step, { step, accuracy });
    loss = metrics['test/loss'] ?? metrics['val/loss'] ?? loss;
    trainLoss = metrics['train/loss'] ?? trainLoss;
    const imagesPerSecond = metrics['train/imagesPerSecond'] ?? 0;
    if (imagesPerSecond > 0) {
      // None for steps that are done again.
      const steps = Math.max(0, step - lastStep);
      trainingSeconds += (steps * batchSize) / imagesPerSecond;
      trainedSteps += steps;
      lastStep += steps;
    }
  }
  return {
    curve: [...curve.values()].sort((a, b) => a.step - b.step),
    lossCurve: lossCurveOf(records),
    loss,
    trainLoss,
    trainingSeconds,
    imagesPerSecond: trainingSeconds > 0 ? (trainedSteps * batchSize) / trainingSeconds : undefined,
  };
}

/** Each record stands for as many steps as the others: neighbours are averaged where there are more than are shown. */
function lossCurveOf(records: readonly MetricsRecord[]): LossPoint[] {
  const recorded = records.flatMap(({ step, metrics: { 'train/loss': loss } }) =>
    Number.isFinite(loss) ? [{ step, loss: loss! }] : [],
  );
  const together = Math.max(1, Math.ceil(recorded.length / lossPoints));
  return Array.from({ length: Math.ceil(recorded.length / together) }, (_, i) => {
    const part = recorded.slice(i * together, (i + 1) * together);
    return { step: part.at(-1)!.step, loss: part.reduce((sum, { loss }) => sum + loss, 0) / part.length };
  });
}
