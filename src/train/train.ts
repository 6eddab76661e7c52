/**
 * Trains a model: compiles it, feeds it batches, evaluates, saves and records, until the last step, an abort or a failure.
 * What one step does is in trainer.ts.
 */
import { dirname } from 'node:path';
import { fromFirst } from '../cluster/agreement.ts';
import { CommunicationError, singleProcess, type Collective } from '../cluster/collective.ts';
import type { Dataset } from '../data/dataset.ts';
import { splitOf } from '../data/image-set.ts';
import { createTrainingLoader } from '../data/loader.ts';
import { checkPreprocessing, type Preprocessing } from '../data/preprocessing.ts';
import type { Engine, SharedBatch, TrainingPlan } from '../engine/engine.ts';
import { buildModel } from '../models/registry.ts';
import type { Network } from '../nn/network.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment, writeEnvironment, type EnvironmentRecord } from '../runs/environment.ts';
import { createRun, runName, type Run } from '../runs/run-folder.ts';
import { lockRun } from '../runs/run-lock.ts';
import { readSafetensors, type Safetensors } from '../runs/safetensors.ts';
import { ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';
import { createEvaluator, type Evaluator } from './evaluate.ts';
import { letEventsIn } from './events.ts';
import { initializeParameters } from './initialize.ts';
import { requirePrunable } from './magnitude-pruning.ts';
import { withItsMasks } from './masks.ts';
import { preprocessingOf } from './preprocessing.ts';
import type { RecordedEvaluation } from './recorded-evaluation.ts';
import { finalEvaluation, resumePoint } from './resume.ts';
import { requireSameTraining } from './same-training.ts';
import { openRecorder, silentRecorder, type RunRecorder } from './run-recorder.ts';
import { findWeights, readSavedModel, type SavedModel } from './saved-model.ts';
import type { Evaluation } from './tally.ts';
import { createTeacher, requireSameTeacher, teacherChecksum, type Teacher } from './teacher.ts';
import { createTrainer, DivergenceError, type Trainer } from './trainer.ts';
import { copyParameters, loadWeights, preferredWeights, weightsKinds, type WeightsKind } from './weights.ts';
import { whitenFirstLayers } from './whitening.ts';

export interface TrainOptions {
  /** From `resolveConfig`, or `resumeConfig` for a run that is continued. */
  readonly config: TrainingConfig;
  readonly engine: Engine;
  readonly dataset: Dataset;
  /**
   * The folder of all runs: a new one is made in it, by process 0. Or the run to continue. Runs that the configuration names (to start from, as
   * a teacher) are looked for in the same folder.
   */
  readonly record:
    | {
        readonly runsFolder: string;
        /** Further records of the new run, there from its beginning: JSON by the names of their files. */
        readonly files?: Readonly<Record<string, unknown>>;
      }
    | { readonly resume: Run };
  /** Weights to start a new run from, in place of those that the configuration names as `init`. */
  readonly initialWeights?: NamedWeights;
  /** The processes that train together; default this one alone. */
  readonly collective?: Collective;
  /** When aborted, training saves after the step it is at and returns. */
  readonly signal?: AbortSignal;
  /** Versions of native libraries, for the record. */
  readonly libraries?: Readonly<Record<string, string>>;
  readonly hooks?: TrainHooks;
}

export interface NamedWeights {
  /** What to call it in errors. */
  readonly path: string;
  readonly file: Safetensors;
}

/** What is told while it happens. */
export interface TrainHooks {
  /** Once, before the first step. `run` is undefined on processes other than 0. */
  onStart?(start: TrainStart): void;
  /** After every step: keep it short. */
  onStep?(progress: TrainProgress): void;
  onEvaluation?(evaluation: WeightsEvaluation): void;
  onSave?(step: number): void;
  /** Something about a run that is continued, for the user to know. */
  onNotice?(notice: string): void;
}

export interface TrainStart {
  readonly run: Run | undefined;
  readonly network: Network;
  /** Steps already taken by the run that is continued, else 0. */
  readonly step: number;
  readonly steps: number;
  /** In the split of the evaluations. */
  readonly evaluatedImages: number;
  /** Bytes held by the compiled network. */
  readonly memoryBytes: number;
}

export interface TrainProgress {
  /** Steps taken. */
  readonly step: number;
  /** Mean loss of this step's batch. */
  readonly loss: number;
  /** Of all processes, over the steps since the last record; evaluation and saving left out. */
  readonly imagesPerSecond: number;
}

export interface WeightsEvaluation extends Evaluation {
  readonly step: number;
  readonly weights: WeightsKind;
}

export interface TrainResult {
  readonly status: 'finished' | 'interrupted';
  readonly run: Run | undefined;
  /** Steps taken, those before a resume included. */
  readonly step: number;
  /** Mean loss over the steps since the record before the last; undefined if no step was taken. */
  readonly trainLoss: number | undefined;
  /** The last evaluation of each kind of weights that is kept. */
  readonly evaluations: readonly WeightsEvaluation[];
  /** Of all processes while stepping: evaluation and saving left out. */
  readonly imagesPerSecond: number;
  /** Of everything. */
  readonly seconds: number;
}

/**
 * Trains, and records it. A run that is finished is left as it is: its result is that of its last evaluation.
 *
 * @throws ConfigurationError or DataError before anything is written, for what does not fit together
 * @throws DivergenceError if the loss explodes or a parameter is no longer finite; the last checkpoint is kept, the run's status is `failed`
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { engine, dataset, collective = singleProcess, record } = options;
  const last = () => ('resume' in record ? finalEvaluation(record.resume, options.config) : undefined);
  const known = JSON.parse(fromFirst(collective, () => JSON.stringify(last() ?? null))) as RecordedEvaluation | null;
  if (known?.datasetFingerprint === dataset.fingerprint) return finishedBefore(options, known);
  const preprocessing = preprocessingOf(options.config, dataset.shape);
  checkPreprocessing(dataset.shape, preprocessing);
  const teacherModel = readTeacher(options);
  const config: TrainingConfig = {
    ...options.config,
    inputSize: preprocessing.inputSize,
    teacherChecksum: teacherModel === undefined ? '' : teacherChecksum(teacherModel),
  };
  const input = [dataset.shape[0], preprocessing.inputSize, preprocessing.inputSize] as const;
  const network = buildModel(config.model, { settings: config.modelSettings, input, classes: dataset.classes.length });
  const batchSize = localBatchSize(config.batchSize, collective.worldSize);
  const sharedBatch: SharedBatch = { processes: collective.worldSize, sum: (values) => collective.sum(values) };
  const plan = engine.compileTraining(network, {
    batchSize,
    precision: config.precision,
    ...(config.syncBatchNorm && { sharedBatch }),
  });
  let teacher: Teacher | undefined;
  try {
    const asStudent = { preprocessing, batchSize: plan.batchSize, precision: config.precision };
    teacher = teacherModel && createTeacher({ saved: teacherModel, engine, dataset, ...asStudent });
    return await trainPlan({ ...options, config, collective }, plan, preprocessing, teacher);
  } finally {
    teacher?.dispose();
    plan.dispose();
  }
}

function finishedBefore({ record }: TrainOptions, evaluation: WeightsEvaluation): TrainResult {
  const run = 'resume' in record ? record.resume : undefined;
  const { step } = evaluation;
  return { status: 'finished', run, step, trainLoss: undefined, evaluations: [evaluation], imagesPerSecond: 0, seconds: 0 };
}

type Settled = TrainOptions & { readonly collective: Collective };

async function trainPlan(
  options: Settled,
  plan: TrainingPlan,
  preprocessing: Preprocessing,
  teacher: Teacher | undefined,
): Promise<TrainResult> {
  const { config, collective, dataset, record } = options;
  requireSameTraining(collective, config, dataset, plan);
  initializeParameters(plan.parameters, config.seed, config.initializer);
  whitenFirstLayers(plan.parameters, splitOf(dataset, 'train', config.val), dataset.shape, preprocessing);
  const resumesFrom = 'resume' in record ? latestCheckpoint(record.resume) : undefined;
  // The others get their parameters from process 0.
  const startsHere = collective.rank === 0 && resumesFrom === undefined;
  const init = startsHere ? weightsToStartFrom(options) : undefined;
  if (init !== undefined) {
    const { file, path: source } = init;
    loadWeights(plan.parameters, file, { kind: preferredWeights(file), model: config.model, source });
  }
  const trainer = createTrainer(plan, config, collective, teacher);
  if (init !== undefined) trainer.takeMasks(init.file.tensors, init.path);
  if (startsHere) preparePruning(options, plan, trainer);
  if (collective.rank !== 0) {
    trainer.synchronize();
    return await runSteps(options, plan, trainer, preprocessing, undefined, silentRecorder);
  }
  const run = 'resume' in record ? record.resume : newRun(options, record.runsFolder, record.files);
  const lock = lockRun(run);
  try {
    const restored = 'resume' in record && restoreLatest(run, trainer, options);
    trainer.synchronize();
    // A run that was only prepared, or died before its first checkpoint, starts here and now.
    if ('resume' in record && !restored) writeEnvironment(run, environmentOf(options));
    const recorder = openRecorder(run, config, metadataOf(options, preprocessing), 'resume' in record ? trainer.step : undefined);
    try {
      // What it started from may be gone or different later.
      if (init !== undefined) recorder.save(trainer.step, trainer.state(), false);
      const result = await runSteps(options, plan, trainer, preprocessing, run, recorder);
      recorder.end(result.status, result.step);
      return result;
    } catch (error) {
      const explained = explainDivergence(error, run);
      try {
        const status = error instanceof CommunicationError ? 'interrupted' : 'failed';
        recorder.end(status, trainer.step, messageOf(explained), error instanceof DivergenceError);
      } catch {
        // What ended the training is what must be told.
      }
      throw explained;
    }
  } finally {
    lock.release();
  }
}

/** The weights that a new run starts from; undefined for first values. */
function weightsToStartFrom(options: Settled): NamedWeights | undefined {
  const { config, initialWeights } = options;
  if (initialWeights !== undefined) return initialWeights;
  if (config.init === 'none') return undefined;
  const { path, file } = readNamed(config.init, options);
  return { path, file: withItsMasks(file, path) };
}

/** The weights that the configuration names by a run or a file. */
function readNamed(reference: string, options: Pick<TrainOptions, 'record'>): NamedWeights {
  const { path } = findWeights(reference, runsFolderOf(options));
  return { path, file: readSafetensors(path) };
}

/** `<folder>/<model>/<number>` is the folder of a run. */
function runsFolderOf({ record }: Pick<TrainOptions, 'record'>): string {
  return 'resume' in record ? dirname(dirname(record.resume.path)) : record.runsFolder;
}

/** Every process reads it. */
function readTeacher(options: TrainOptions): SavedModel | undefined {
  const { teacher, teacherChecksum: recorded } = options.config;
  if (teacher === 'none') return undefined;
  const saved = readSavedModel(findWeights(teacher, runsFolderOf(options)).path, {});
  requireSameTeacher(saved, recorded);
  return saved;
}

/** Checks that the network can be pruned as the configuration says, and reads the weights that pruning goes back to. */
function preparePruning(options: Settled, plan: TrainingPlan, trainer: Trainer): void {
  const { pruning } = options.config;
  if (pruning.type === 'none') return;
  requirePrunable(plan.parameters, pruning, trainer.masks());
  if (pruning.rewind === 'none' || pruning.rewind === 'rate') return;
  const { file, path } = readNamed(pruning.rewind, options);
  trainer.takeRewind(file.tensors, path);
}

function newRun(options: Settled, runsFolder: string, files: Readonly<Record<string, unknown>> = {}): Run {
  const { config } = options;
  return createRun(runsFolder, config.model, config, environmentOf(options), files);
}

function environmentOf({ config, libraries = {} }: Settled): EnvironmentRecord {
  return describeEnvironment({ threads: config.threads, libraries });
}

/** What a checkpoint says of itself, so that evaluating and freezing need nothing else. */
function metadataOf({ config, dataset }: Settled, preprocessing: Preprocessing): Readonly<Record<string, string>> {
  return {
    model: config.model,
    config: JSON.stringify(config),
    preprocessing: JSON.stringify(preprocessing),
    imageShape: JSON.stringify(dataset.shape),
    classes: JSON.stringify(dataset.classes),
    dataset: dataset.name,
    datasetFingerprint: dataset.fingerprint,
  };
}

/** Restores the newest checkpoint. A run that has none yet starts over: then false. */
function restoreLatest(run: Run, trainer: Trainer, { config, dataset, hooks = {} }: Settled): boolean {
  const { checkpoint, notice } = resumePoint(run);
  if (notice !== undefined) hooks.onNotice?.(notice);
  if (checkpoint === undefined) return false;
  const { step, tensors, metadata, path } = checkpoint;
  if (metadata['datasetFingerprint'] !== dataset.fingerprint) {
    throw new DataError(`${runName(run)} was trained on other images than ${dataset.name} has now`, {
      fix: 'Give the data set the run was started with, or start a new run',
    });
  }
  if (step > config.steps) {
    throw new ConfigurationError(`steps (=${config.steps}) must be at least ${step}: that many ${runName(run)} has taken`);
  }
  trainer.restore(tensors, step, path);
  return true;
}

function explainDivergence(error: unknown, run: Run): unknown {
  if (!(error instanceof DivergenceError)) return error;
  const latest = latestCheckpoint(run);
  const kept = latest === undefined ? 'no checkpoint had been saved' : `the checkpoint of step ${latest.step} is kept`;
  return new DivergenceError(error.what, error.step, `; ${kept} in ${runName(run)}`);
}

async function runSteps(
  options: Settled,
  plan: TrainingPlan,
  trainer: Trainer,
  preprocessing: Preprocessing,
  run: Run | undefined,
  recorder: RunRecorder,
): Promise<TrainResult> {
  const { config, dataset, collective, signal, hooks = {} } = options;
  const { steps, batchSize, evalEvery, saveEvery, saveEverySeconds, logEvery } = config;
  const started = performance.now();
  const loader = createTrainingLoader({
    images: splitOf(dataset, 'train', config.val),
    shape: dataset.shape,
    preprocessing,
    batchSize: plan.batchSize,
    seed: config.seed,
    firstStep: trainer.step,
    rank: collective.rank,
    worldSize: collective.worldSize,
  });
  const evaluation = createRunEvaluation(options, plan, trainer, preprocessing, recorder);
  const evaluatedImages = splitOf(dataset, config.val ? 'val' : 'test', config.val).count;
  hooks.onStart?.({ run, network: plan.network, step: trainer.step, steps, evaluatedImages, memoryBytes: plan.memoryBytes });

  // `window`: the steps since the last record. `stepping`: all steps of this process.
  let windowLoss = 0;
  let windowSteps = 0;
  let windowMs = 0;
  let steppingMs = 0;
  const firstStep = trainer.step;
  let trainLoss: number | undefined;
  let stop = false;
  let savedAt = performance.now();
  let savedStep = -1;

  const save = (final: boolean): void => {
    if (savedStep === trainer.step) return;
    recorder.save(trainer.step, trainer.state(), final);
    hooks.onSave?.(trainer.step);
    savedStep = trainer.step;
    savedAt = performance.now();
  };

  const evaluationIsDue = () => evalEvery > 0 && trainer.step % evalEvery === 0 && trainer.step < steps;
  try {
    // One that the interruption fell into is made up for.
    if (
      firstStep > 0 &&
      evaluationIsDue() &&
      fromFirst(collective, () => String(recorder.hasEvaluation(firstStep))) === 'false'
    ) {
      stop = !(await evaluation.run());
    }
    while (trainer.step < steps && !stop) {
      const before = performance.now();
      const batch = (await loader.next())!;
      if (trainer.step === firstStep)
        recorder.inputs(firstStep, batch, plan.network.inputShape as readonly [number, number, number]);
      const learningRate = trainer.learningRate();
      const result = trainer.train(batch, signal?.aborted === true);
      windowMs += performance.now() - before;
      windowLoss += result.loss;
      windowSteps++;
      stop = result.stop;
      const { step } = trainer;
      const imagesPerSecond = (1000 * windowSteps * batchSize) / windowMs;
      hooks.onStep?.({ step, loss: result.loss, imagesPerSecond });

      if (step % logEvery === 0 || step === steps || stop) {
        trainLoss = windowLoss / windowSteps;
        recorder.metrics(step, {
          'train/loss': trainLoss,
          'train/weightDecayLoss': trainer.weightDecayLoss(),
          'train/learningRate': learningRate,
          'train/imagesPerSecond': imagesPerSecond,
          ...collective.metrics(windowSteps),
        });
        steppingMs += windowMs;
        windowLoss = windowSteps = windowMs = 0;
      }
      recorder.alive(step);
      if (evaluationIsDue() && !stop) stop = !(await evaluation.run());
      const saveDue = saveEvery > 0 && step % saveEvery === 0;
      const timeToSave = saveEverySeconds > 0 && performance.now() - savedAt >= 1000 * saveEverySeconds;
      if ((saveDue || timeToSave) && step < steps) save(false);
      await letEventsIn();
    }
    const done = trainer.step >= steps;
    // Saved before the last evaluation, which may be long: an abort loses nothing, and a resume evaluates.
    save(done);
    // A run that ended between its last evaluation and the record of its end has only that left to do.
    const evaluated = firstStep === steps && evaluation.takeRecorded();
    const finished = evaluated || (done && (await evaluation.run()));
    collective.barrier();
    return {
      status: finished ? 'finished' : 'interrupted',
      run,
      step: trainer.step,
      trainLoss,
      evaluations: evaluation.latest(),
      imagesPerSecond: steppingMs > 0 ? (1000 * (trainer.step - firstStep) * batchSize) / steppingMs : 0,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await loader.dispose();
    await evaluation.dispose();
  }
}

/** Larger batches would be no faster, and take memory beside that of training. */
const evaluationBatchSize = 256;

interface RunEvaluation {
  /** Evaluates and records every kind of weights that is kept. Returns whether it was let finish. */
  run(): Promise<boolean>;
  /** Takes the evaluation of this step that the run has on record for its latest. Returns whether there is one. */
  takeRecorded(): boolean;
  latest(): readonly WeightsEvaluation[];
  dispose(): Promise<void>;
}

/** The evaluations during a run, compiled when the first is due. All processes share the images. */
function createRunEvaluation(
  { config, engine, dataset, collective, signal, hooks }: Settled,
  plan: TrainingPlan,
  trainer: Trainer,
  preprocessing: Preprocessing,
  recorder: RunRecorder,
): RunEvaluation {
  const split = config.val ? 'val' : 'test';
  let evaluator: Evaluator | undefined;
  let latest: readonly WeightsEvaluation[] = [];

  return {
    async run() {
      const evaluations: WeightsEvaluation[] = [];
      for (const weights of weightsKinds) {
        const values = trainer.weights(weights);
        if (values === undefined) continue;
        evaluator ??= createEvaluator({
          engine,
          network: plan.network,
          dataset,
          split,
          useVal: config.val,
          preprocessing,
          batchSize: Math.min(plan.batchSize, evaluationBatchSize),
          tta: config.tta,
          collective,
        });
        copyParameters(plan.parameters, values, evaluator.parameters);
        const evaluation = await evaluator.run(signal);
        if (evaluation === undefined) return false;
        evaluations.push({ ...evaluation, step: trainer.step, weights });
      }
      const [first] = evaluations;
      if (first === undefined) return true;
      // In full before its line in the metrics, which so says that both are there.
      recorder.evaluation(first);
      if (!recorder.hasEvaluation(trainer.step)) recorder.metrics(trainer.step, evaluationMetrics(evaluations), first.accuracy);
      latest = evaluations;
      for (const evaluation of evaluations) hooks?.onEvaluation?.(evaluation);
      return true;
    },
    takeRecorded() {
      const recorded = fromFirst(collective, () => JSON.stringify(recorder.recordedEvaluation(trainer.step) ?? null));
      const known = JSON.parse(recorded) as RecordedEvaluation | null;
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

function localBatchSize(batchSize: number, worldSize: number): number {
  if (batchSize % worldSize === 0) return batchSize / worldSize;
  throw new ConfigurationError(`batchSize (=${batchSize}) must be a multiple of the ${worldSize} processes that train together`);
}
