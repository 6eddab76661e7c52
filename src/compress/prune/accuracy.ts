import type { Dataset } from '../../data/dataset.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import type { Classifier } from '../../train/classifier.ts';
import type { TrainingConfig } from '../../train/config-schema.ts';
import { createEvaluator } from '../../train/evaluate.ts';
import type { Evaluation } from '../../train/tally.ts';
import { loadInto } from '../../train/weights.ts';

const evaluationBatchSize = 100;

export interface AccuracyOptions {
  readonly engine: Engine;
  readonly classifier: Classifier;
  /** Of all parameters, by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Whether validation images were kept out of training: then they are what is evaluated. */
  readonly config: TrainingConfig;
  readonly dataset: Dataset;
  readonly signal?: AbortSignal | undefined;
}

/** Evaluates weights on all test images, or on the validation images. Undefined if it was stopped. */
export async function measureAccuracy(options: AccuracyOptions): Promise<Evaluation | undefined> {
  const { engine, classifier, tensors, config, dataset, signal } = options;
  const evaluator = await createEvaluator({
    engine,
    classifier,
    dataset,
    split: config.val ? 'val' : 'test',
    useVal: config.val,
    batchSize: evaluationBatchSize,
    tta: config.tta,
  });
  try {
    await loadInto(evaluator.parameters, evaluator.parameters.values, tensors, '', 'the pruned network');
    return await evaluator.run(signal);
  } finally {
    await evaluator.dispose();
  }
}
