/**
 * Training where there is no Node: in a web page. The steps are those of `train`, with the same batches, first values and draws; what needs files, threads or other
 * processes is refused or absent. Batches are prepared in between, by the thread that trains.
 */
import { singleProcess } from '../cluster/collective.ts';
import type { Batch } from '../data/batch.ts';
import type { Dataset } from '../data/dataset.ts';
import { batchesPerPass, createFill, evaluationCount, type FillSettings } from '../data/fill.ts';
import { splitOf } from '../data/image-set.ts';
import { isMixed } from '../data/mixing.ts';
import type { DeviceArray, Engine, TrainingPlan } from '../engine/engine.ts';
import { modelDefinition } from '../models/registry.ts';
import { sizeOf } from '../nn/shape.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { ConfigurationError } from '../util/errors.ts';
import { createClassifier, trainingPreprocessing, type Classifier } from './classifier.ts';
import { completeConfig, isDefinition } from './complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { initializeParameters } from './initialize.ts';
import { settle } from './run-length.ts';
import { createTally, type Evaluation } from './tally.ts';
import { createTrainer, trainingOptions } from './trainer.ts';
import { viewsOf } from './test-time-augmentation.ts';
import { copyParameters, tensorsOf, weightsKinds, type WeightsKind } from './weights.ts';
import { whitenFirstLayers } from './whitening.ts';

/** Images that a page has: as a `Dataset`, in memory of any kind. */
export type PageDataset = Pick<Dataset, 'name' | 'classes' | 'shape' | 'train' | 'test'>;

export interface PageTrainingOptions {
  /** What a configuration file says; `model` is the name of one of the lab's, or what `defineModel` returns. */
  readonly config: ConfigOverrides;
  readonly engine: Engine;
  readonly dataset: PageDataset;
  /** When aborted, training ends after the step it is at. */
  readonly signal?: AbortSignal;
  /** After every step, its loss known: keep it short. */
  readonly onStep?: (progress: { readonly step: number; readonly steps: number; readonly loss: number }) => void;
  /** Every `evalEvery` steps and at the end. */
  readonly onEvaluation?: (evaluation: PageEvaluation) => void;
}

/** Of every test image (with the key `val`, of every validation image). */
export interface PageEvaluation extends Evaluation {
  readonly step: number;
  readonly weights: WeightsKind;
}

export interface PageTrainingResult {
  /** Complete. */
  readonly config: TrainingConfig;
  readonly classifier: Classifier;
  /** Steps taken: fewer than the configuration's where the signal was aborted. */
  readonly step: number;
  /** The last one; undefined if the signal was aborted before. */
  readonly evaluation: PageEvaluation | undefined;
  /** Parameters by name, in plain layout: the moving averages, where those are kept. */
  readonly weights: ReadonlyMap<string, Tensor>;
}

/**
 * Trains a network in a page. With the same configuration, images and engine, the losses are those of `train` in Node.
 *
 * @throws ConfigurationError for a key that is wrong, or that needs files
 * @throws DivergenceError if the loss explodes or a parameter is no longer finite
 */
export async function trainInPage(options: PageTrainingOptions): Promise<PageTrainingResult> {
  const { engine, dataset, signal, onStep, onEvaluation } = options;
  requireImages(dataset);
  const asked = completeConfig(modelDefinition, [options.config, { dataset: dataset.name }], () => engine.threads);
  const config = settle(asked, dataset);
  refuseFiles(config);
  const { model } = options.config;
  const classifier = createClassifier(config, dataset, isDefinition(model) ? model : undefined);
  const images = splitOf(dataset, 'train', config.val);
  const plan = await engine.compileTraining(classifier.network, trainingOptions(config, singleProcess));
  let evaluator: PageEvaluator | undefined;
  try {
    await initializeParameters(plan.parameters, config.seed, config.initializer);
    await whitenFirstLayers(plan.parameters, images, dataset.shape, classifier.preprocessing);
    const trainer = createTrainer(plan, config, singleProcess);
    const preprocessing = trainingPreprocessing(classifier, config);
    const task = { type: 'training', seed: config.seed, firstStep: 0, rank: 0, worldSize: 1 } as const;
    const batchOf = createBatches({ images, shape: dataset.shape, preprocessing, batchSize: plan.batchSize, task }, classifier);
    let evaluation: PageEvaluation | undefined;
    let underway = 0;
    /** Weights that count, first: those that are evaluated. */
    const best = () =>
      weightsKinds.map((kind) => [kind, trainer.weights(kind)] as const).find(([, values]) => values !== undefined)!;
    const takeLosses = async (): Promise<void> => {
      underway = 0;
      const losses = await trainer.losses();
      losses.forEach((loss, i) => onStep?.({ step: trainer.step - losses.length + 1 + i, steps: config.steps, loss }));
    };
    while (trainer.step < config.steps && signal?.aborted !== true) {
      await trainer.train(batchOf(trainer.step), false);
      underway++;
      const isLast = trainer.step === config.steps;
      const evaluationIsDue = isLast || (config.evalEvery > 0 && trainer.step % config.evalEvery === 0);
      if (underway >= plan.stepsInFlight || evaluationIsDue) await takeLosses();
      if (evaluationIsDue) {
        const [kind, values] = best();
        evaluator ??= await createPageEvaluator(options, config, classifier);
        const counted = await evaluator.run(plan, values!);
        evaluation = { ...counted, step: trainer.step, weights: kind };
        onEvaluation?.(evaluation);
      }
      // Waiting for a device lets the page do its work; where work is done when it is asked for, nothing else would.
      if (plan.stepsInFlight === 1) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (underway > 0) await takeLosses();
    const weights = await tensorsOf(plan.parameters, best()[1]!, '');
    return { config, classifier, step: trainer.step, evaluation, weights };
  } finally {
    evaluator?.dispose();
    plan.dispose();
  }
}

/** Checks what a loader in Node would have checked, or read. */
function requireImages({ name, classes, shape, train, test }: PageDataset): void {
  for (const [split, { count, images, labels }] of Object.entries({ train, test })) {
    const what = `the ${split} images of ${name}`;
    if (!Number.isInteger(count) || count < 1) throw new ConfigurationError(`${what} (=${count}) must be at least one`);
    const length = count * sizeOf(shape);
    if (images.length !== length) {
      throw new ConfigurationError(
        `${what} must be ${length} bytes, ${count} of [${shape.join(', ')}], and are ${images.length}`,
      );
    }
    if (labels.length !== count) throw new ConfigurationError(`${what} must have ${count} labels, and have ${labels.length}`);
    const wrong = labels.find((label) => label >= classes.length);
    if (wrong !== undefined) {
      throw new ConfigurationError(
        `a label (=${wrong}) of ${what} must be the place of one of ${classes.length} classes, from 0`,
      );
    }
  }
}

/** Keys that name files or runs, which a page has none of. */
function refuseFiles({ init, teacher, augmentWith, pruning }: TrainingConfig): void {
  const rewind = pruning.type === 'none' ? 'none' : pruning.rewind;
  const named = { init, teacher, augmentWith, 'pruning.rewind': rewind === 'rate' ? 'none' : rewind };
  for (const [key, value] of Object.entries(named)) {
    if (value === 'none') continue;
    throw new ConfigurationError(`${key} (=${value}) must be none in a page, which has no files and no runs`, { key });
  }
}

/** Batches of which each is made when it is asked for, in the memory of the one before. */
function createBatches(settings: FillSettings, { network }: Classifier): (n: number) => Batch {
  const { batchSize, preprocessing, task } = settings;
  const isTraining = task.type === 'training';
  const slot = {
    inputs: new Float32Array(batchSize * sizeOf(network.inputShape)),
    labels: new Uint16Array(batchSize),
    ...(isTraining &&
      isMixed(preprocessing.augmentation) && { mixed: { labels: new Uint16Array(batchSize), share: new Float64Array(1) } }),
  };
  const fill = createFill(settings);
  return (n) => {
    fill(n, slot);
    const { inputs, labels, mixed } = slot;
    const count = isTraining ? batchSize : evaluationCount(n, settings.images.count, batchSize);
    return { inputs, labels, count, ...(mixed && { mixed: { labels: mixed.labels, share: mixed.share[0]! } }) };
  };
}

interface PageEvaluator {
  /** One pass over all images, with weights of the plan that trains. */
  run(plan: TrainingPlan, weights: DeviceArray): Promise<Evaluation>;
  dispose(): void;
}

async function createPageEvaluator(
  { engine, dataset }: PageTrainingOptions,
  config: TrainingConfig,
  classifier: Classifier,
): Promise<PageEvaluator> {
  const split = config.val ? 'val' : 'test';
  const images = splitOf(dataset, split, config.val);
  const batchSize = Math.min(config.batchSize, images.count);
  const { network, preprocessing } = classifier;
  const plan = await engine.compileInference(network, { batchSize, precision: 'f32' });
  const views = viewsOf(config.tta).map(({ view, weight }) => {
    const task = { type: 'evaluation', view } as const;
    return { weight, batchOf: createBatches({ images, shape: dataset.shape, preprocessing, batchSize, task }, classifier) };
  });
  const classes = dataset.classes.length;
  /** `[batchSize, classes]`: the weighted mean over the views. */
  const mean = new Float32Array(batchSize * classes);
  return {
    async run(trained, weights) {
      await copyParameters(trained.parameters, weights, plan.parameters);
      const tally = createTally(dataset.classes);
      for (let n = 0; n < batchesPerPass(images.count, batchSize); n++) {
        mean.fill(0);
        let batch: Batch | undefined;
        for (const { weight, batchOf } of views) {
          batch = batchOf(n);
          plan.bindInput(batch.inputs);
          plan.forward();
          const logits = await plan.output.read();
          for (let k = 0; k < mean.length; k++) mean[k] = mean[k]! + weight * logits[k]!;
        }
        for (let i = 0; i < batch!.count; i++) tally.add(batch!.labels[i]!, mean.subarray(i * classes, (i + 1) * classes));
      }
      return tally.evaluation(split, config.tta);
    },
    dispose: () => plan.dispose(),
  };
}
