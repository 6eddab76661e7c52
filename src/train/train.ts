/**
 * Trains a classifier: compiles it, feeds it batches, evaluates, saves and records, until the last step, an abort or a failure. What one step
 * does is in trainer.ts.
 */
import { fromFirst } from '../cluster/agreement.ts';
import { CommunicationError, singleProcess } from '../cluster/collective.ts';
import { splitOf } from '../data/image-set.ts';
import { createTrainingLoader } from '../data/loader.ts';
import type { OpenTrainingLoader } from '../data/shared-loaders.ts';
import { DeviceError } from '../engine/device-error.ts';
import type { Engine, TrainingPlan } from '../engine/engine.ts';
import { bestCheckpoint, latestCheckpoint } from '../runs/checkpoint.ts';
import { recordContinuation, writeEnvironment, type EnvironmentRecord } from '../runs/environment.ts';
import { readEnvironment, runName, type Run } from '../runs/run-folder.ts';
import { lockRun } from '../runs/run-lock.ts';
import { DataError, messageOf } from '../util/errors.ts';
import { initializeParameters } from './initialize.ts';
import { quoted } from '../util/shell.ts';
import { ownAugmentationOf } from './own-augmentation.ts';
import { finalEvaluation } from './resume.ts';
import { recordedEvaluationSchema } from './recorded-evaluation.ts';
import { openRecorder, silentRecorder } from './run-recorder.ts';
import { settle } from './run-length.ts';
import { requireSameTraining } from './same-training.ts';
import { readSavedModel } from './saved-model.ts';
import { createTeacher, type Teacher } from './teacher.ts';
import type { WhyStopped, TrainOptions, TrainResult, WeightsEvaluation } from './train-options.ts';
import { createTrainer, DivergenceError, trainingOptions } from './trainer.ts';
import { runSteps } from './training-loop.ts';
import {
  checkGradients,
  environmentOf,
  metadataOf,
  newRun,
  preparePruning,
  prepareTraining,
  readTeacher,
  readStart,
  restoreLatest,
  type StartingWeights,
  type TrainingUnderWay,
  type TrainingWithLoader,
} from './training-start.ts';
import { requireLimits } from './validation-watch.ts';
import { loadWeights, preferredWeights } from './weights.ts';
import { whitenFirstLayers } from './whitening.ts';

/**
 * Trains, and records it; the configuration that is recorded names the images that were given. A run that is finished is left as it is: its result is that of its last evaluation.
 *
 * @throws ConfigurationError or DataError before anything is written, for what does not fit together
 * @throws DivergenceError if the loss explodes or a parameter is no longer finite; the last checkpoint is kept, the run's status is `failed`
 * @throws DeviceError if the engine's device is gone; the last checkpoint is kept, the run's status is `interrupted`
 */
export async function train(given: TrainOptions): Promise<TrainResult> {
  return await trainFrom(given, createTrainingLoader);
}

/** The same with batches that come from elsewhere. */
export async function trainFrom(given: TrainOptions, openLoader: OpenTrainingLoader): Promise<TrainResult> {
  const { dataset, collective = singleProcess, record } = given;
  const resume = record !== undefined && 'resume' in record ? record.resume : undefined;
  const engine = resume === undefined ? given.engine : tunedAsBefore(given.engine, resume);
  // A program may give images without naming them: what is recorded says which they were.
  const options = { ...given, engine, config: { ...settle(given.config, dataset), dataset: dataset.name } };
  const last = () => resume && finalEvaluation(resume, options.config);
  const known = recordedEvaluationSchema
    .nullable()
    .parse(JSON.parse(fromFirst(collective, () => JSON.stringify(last() ?? null))));
  if (known?.datasetFingerprint === dataset.fingerprint) return finishedBefore(resume, known);
  const teacherModel = readTeacher(options);
  const own = await ownAugmentationOf(options, collective);
  const start = readStart(options, collective);
  const training = { ...prepareTraining(options, collective, teacherModel, own, start), openLoader };
  const { config, classifier } = training;
  requireLimits(options, config);
  if (options.checkGradients === true) checkGradients(training);
  const plan = await engine.compileTraining(classifier.network, trainingOptions(config, collective));
  let teacher: Teacher | undefined;
  try {
    const { batchSize } = plan;
    const { precision } = config;
    teacher =
      teacherModel && (await createTeacher({ saved: teacherModel, engine, dataset, student: classifier, batchSize, precision }));
    return await trainPlan(training, plan, teacher, start);
  } finally {
    teacher?.dispose();
    plan.dispose();
  }
}

/** The engine as the run recorded it, so that its sums go on in the same order; as it is where the run recorded nothing that can be read. */
function tunedAsBefore(engine: Engine, run: Run): Engine {
  const { engine: name, tuning } = recordedEnvironment(run) ?? {};
  if (name !== engine.name || tuning === undefined) return engine;
  return engine.tunedAs?.(tuning) ?? engine;
}

function recordedEnvironment(run: Run): EnvironmentRecord | undefined {
  try {
    return readEnvironment(run);
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

function finishedBefore(run: Run | undefined, evaluation: WeightsEvaluation): TrainResult {
  const { step } = evaluation;
  const checkpoint = run && latestCheckpoint(run);
  const saved = checkpoint && readSavedModel(checkpoint.path, {});
  return {
    status: 'finished',
    stopped: 'steps',
    best: run && bestCheckpoint(run),
    run,
    step,
    trainLoss: undefined,
    evaluations: [evaluation],
    imagesPerSecond: 0,
    seconds: 0,
    saved,
  };
}

async function trainPlan(
  training: TrainingWithLoader,
  plan: TrainingPlan,
  teacher: Teacher | undefined,
  start: StartingWeights | undefined,
): Promise<TrainResult> {
  const { config, classifier, collective, dataset, record } = training;
  const resume = record !== undefined && 'resume' in record ? record.resume : undefined;
  await requireSameTraining(collective, config, dataset, plan);
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  await whitenFirstLayers(plan.parameters, splitOf(dataset, 'train', config.val), dataset.shape, classifier.preprocessing);
  const init = start?.init;
  if (init !== undefined) {
    const { file, path: source } = init;
    await loadWeights(plan.parameters, file, { kind: preferredWeights(file), model: config.model, source });
  }
  const trainer = createTrainer(plan, config, collective, teacher);
  if (init !== undefined) await trainer.takeMasks(init.file.tensors, init.path);
  if (start !== undefined) await preparePruning(training, plan, trainer, start.rewind);
  if (collective.rank !== 0 || record === undefined) {
    await trainer.synchronize();
    return await resultOf({ training, plan, trainer, run: undefined, recorder: silentRecorder });
  }
  const run = 'resume' in record ? record.resume : newRun(training, record.runsFolder, { ...dataset.records, ...record.files });
  const lock = lockRun(run);
  try {
    const restored = resume !== undefined && (await restoreLatest(run, trainer, training));
    await trainer.synchronize();
    // A run that was only prepared, or died before its first checkpoint, starts here and now.
    if (resume !== undefined) {
      const recorded = restored ? recordedEnvironment(run) : undefined;
      if (recorded !== undefined) recordContinuation(run, recorded, trainer.step, environmentOf(training));
      else if (!restored) writeEnvironment(run, environmentOf(training));
    }
    const changed = resume === undefined ? undefined : training.own?.recordChange?.(run);
    if (changed !== undefined) training.hooks?.onNotice?.(changed);
    const recorder = openRecorder(run, config, metadataOf(training), resume === undefined ? undefined : trainer.step);
    try {
      // What it started from may be gone or different later.
      if (init !== undefined) recorder.save(trainer.step, await trainer.state(), false);
      const result = await resultOf({ training, plan, trainer, run, recorder });
      recorder.end(result.status, result.step, reasons[result.stopped]);
      return result;
    } catch (error) {
      const explained = explain(error, run);
      try {
        // Nothing is wrong with the training, which may be continued.
        const status = error instanceof CommunicationError || error instanceof DeviceError ? 'interrupted' : 'failed';
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

async function resultOf(underWay: TrainingUnderWay): Promise<TrainResult> {
  const { training, trainer, run } = underWay;
  const { config, classifier } = training;
  const result = await runSteps(underWay);
  const path = run === undefined ? `the trained ${classifier.network.name}` : runName(run);
  // What a checkpoint of this step says, so that it does not matter whether the weights come from here or from there.
  const file = { tensors: await trainer.state(), metadata: { ...metadataOf(training), step: String(result.step) } };
  return { ...result, saved: { path, file, config, step: result.step, classifier } };
}

/** What the record of a run that can be continued says of its end. */
const reasons: Readonly<Record<WhyStopped, string | undefined>> = {
  steps: undefined,
  patience: 'no better on the validation images for as many evaluations as --patience allows',
  time: 'the time that --max-time gives was over',
  signal: undefined,
};

/** Says what is kept of a training that diverged, or whose device is gone. */
function explain(error: unknown, run: Run): unknown {
  if (!(error instanceof DivergenceError) && !(error instanceof DeviceError)) return error;
  const latest = latestCheckpoint(run);
  const kept = latest === undefined ? 'no checkpoint had been saved' : `the checkpoint of step ${latest.step} is kept`;
  const consequence = `; ${kept} in ${runName(run)}`;
  if (error instanceof DivergenceError) return new DivergenceError(error.what, error.step, error.precision, consequence);
  const fix = `ablate train --resume ${quoted(runName(run))}${error.fix === undefined ? '' : `. ${error.fix}`}`;
  return new DeviceError(error.message + consequence, { fix, cause: error });
}
