/** A short training after which a network loses less when its weights are quantized. */
import type { Dataset } from '../../data/dataset.ts';
import type { Engine } from '../../engine/engine.ts';
import { changeConfig } from '../../train/config.ts';
import { requireExportable } from '../../deploy/onnx/export.ts';
import type { TrainingConfig } from '../../train/config-schema.ts';
import { withItsMasks } from '../../train/masks.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import type { TrainHooks } from '../../train/train-options.ts';
import { train } from '../../train/train.ts';
import { withRoundedWeights } from './rounded-weights.ts';
import type { WeightBits } from '../../deploy/integers/weights.ts';

/** Of the learning rate that the network was trained with. */
const learningRateShare = 0.1;

export interface FineTuneSettings {
  readonly steps: number;
  readonly threads: number;
  readonly dataset: string;
  /** Absolute path of the weights that it learns from beside the labels; default none, whatever the network itself was trained with. */
  readonly teacher?: string | undefined;
}

/**
 * The configuration of the fine-tuning: that of the network, with a tenth of its learning rate, which falls to zero along a cosine. It is in
 * float32, in which what is frozen computes, so that a network that was trained in bf16 is tuned on any processor.
 *
 * @throws ConfigurationError if `steps` or `threads` is not a positive integer
 */
export function fineTuneConfig({ config }: SavedModel, settings: FineTuneSettings): TrainingConfig {
  const { steps, threads, dataset, teacher = 'none' } = settings;
  return changeConfig(
    { ...config, init: 'none', initChecksum: '', teacher, teacherChecksum: '', pruning: { type: 'none' }, precision: 'f32' },
    { learningRate: learningRateShare * config.learningRate, schedule: { type: 'cosine', warmup: 0, final: 0 } },
    { steps, threads, dataset, evalEvery: 0, saveEvery: 0, saveEverySeconds: 0 },
  );
}

export interface FineTuneWork {
  readonly bits: WeightBits;
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly signal?: AbortSignal;
  readonly hooks?: TrainHooks;
}

/**
 * Trains on with rounded weights. Weights that are pruned stay pruned. Nothing of the training is kept but its result.
 *
 * @param config from `fineTuneConfig`
 * @returns the network with its exact weights after the training; undefined if it was stopped
 */
export async function fineTune(
  source: SavedModel,
  config: TrainingConfig,
  { bits, engine, ...work }: FineTuneWork,
): Promise<SavedModel | undefined> {
  if (source.classifier !== undefined) requireExportable(source.classifier.network);
  const { status, saved } = await train({
    ...work,
    config,
    ...(source.classifier !== undefined && { classifier: source.classifier }),
    engine: withRoundedWeights(engine, bits),
    initialWeights: { path: source.path, file: withItsMasks(source.file, source.path) },
  });
  return status === 'interrupted' ? undefined : { ...source, classifier: saved!.classifier, file: saved!.file };
}
