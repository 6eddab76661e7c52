/** The evaluations during a run: of every image, shared by all processes, recorded with the step. */
import { fromFirst } from '../cluster/agreement.ts';
import { splitOf } from '../data/image-set.ts';
import { createEvaluator, type Evaluator } from './evaluate.ts';
import { collectPredictions } from './predictions.ts';
import { recordedEvaluationSchema } from './recorded-evaluation.ts';
import type { WeightsEvaluation } from './train-options.ts';
import type { TrainingUnderWay } from './training-start.ts';
import { copyParameters, weightsKinds } from './weights.ts';

/** Larger batches would be no faster, and take memory beside that of training. */
const evaluationBatchSize = 256;

export interface RunEvaluation {
  /** Evaluates and records every kind of weights that is kept. Returns whether it was let finish. */
  run(): Promise<boolean>;
  /** Takes the evaluation of this step that the run has on record for its latest. Returns whether there is one. */
  takeRecorded(): boolean;
  latest(): readonly WeightsEvaluation[];
  dispose(): Promise<void>;
}

/** The evaluations during a run, compiled when the first is due. All processes share the images. */
export function createRunEvaluation({
  training: { config, engine, dataset, collective, classifier, signal, hooks },
  plan,
  trainer,
  recorder,
}: TrainingUnderWay): RunEvaluation {
  const split = config.val ? 'val' : 'test';
  let evaluator: Evaluator | undefined;
  let latest: readonly WeightsEvaluation[] = [];

  return {
    async run() {
      const evaluations: WeightsEvaluation[] = [];
      const predictions = collectPredictions(splitOf(dataset, split, config.val).count);
      for (const weights of weightsKinds) {
        const values = trainer.weights(weights);
        if (values === undefined) continue;
        evaluator ??= await createEvaluator({
          engine,
          classifier,
          dataset,
          split,
          useVal: config.val,
          batchSize: Math.min(plan.batchSize, evaluationBatchSize),
          tta: config.tta,
          collective,
        });
        await copyParameters(plan.parameters, values, evaluator.parameters);
        // The first kind of weights is the one that counts.
        const evaluation = await evaluator.run(signal, evaluations.length === 0 ? predictions.add : undefined);
        if (evaluation === undefined) return false;
        evaluations.push({ ...evaluation, step: trainer.step, weights });
      }
      const [first] = evaluations;
      if (first === undefined) return true;
      collective.sum(predictions.rows);
      // In full before its line in the metrics, which so says that all is there.
      recorder.predictions(predictions, first);
      recorder.evaluation(first);
      if (!recorder.hasEvaluation(trainer.step)) recorder.metrics(trainer.step, evaluationMetrics(evaluations), first.accuracy);
      latest = evaluations;
      for (const evaluation of evaluations) hooks?.onEvaluation?.(evaluation);
      return true;
    },
    takeRecorded() {
      const recorded = fromFirst(collective, () => JSON.stringify(recorder.recordedEvaluation(trainer.step) ?? null));
      const known = recordedEvaluationSchema.nullable().parse(JSON.parse(recorded));
      if (known !== null) latest = [known];
      return known !== null;
    },
    latest: () => latest,
    dispose: async () => await evaluator?.dispose(),
  };
}

/** `test/accuracy` and `test/loss` are of the averages where those are kept; `test/rawAccuracy` then is of the parameters as trained. */
function evaluationMetrics(evaluations: readonly WeightsEvaluation[]): Record<string, number> {
  const metrics: Record<string, number> = {};
  evaluations.forEach(({ split, accuracy, loss }, position) => {
    metrics[position === 0 ? `${split}/accuracy` : `${split}/rawAccuracy`] = accuracy;
    metrics[position === 0 ? `${split}/loss` : `${split}/rawLoss`] = loss;
  });
  return metrics;
}
