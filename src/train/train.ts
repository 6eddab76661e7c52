/**
 * Trains a classifier: compiles it, feeds it batches, evaluates, saves and records, until the last step, an abort or a failure. What one step
 * does is in trainer.ts.
 */
import { fromFirst } from '../cluster/agreement.ts';
import { CommunicationError, singleProcess } from '../cluster/collective.ts';
import { splitOf, trainingCount } from '../data/image-set.ts';
import type { TrainingPlan } from '../engine/engine.ts';
import { bestCheckpoint, latestCheckpoint } from '../runs/checkpoint.ts';
import { writeEnvironment } from '../runs/environment.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import { lockRun } from '../runs/run-lock.ts';
import { messageOf } from '../util/errors.ts';
import { initializeParameters } from './initialize.ts';
import { ownAugmentationOf } from './own-augmentation.ts';
import { finalEvaluation } from './resume.ts';
import type { RecordedEvaluation } from './recorded-evaluation.ts';
import { openRecorder, silentRecorder } from './run-recorder.ts';
import { settleLength } from './run-length.ts';
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
  restoreLatest,
  weightsToStartFrom,
  type Training,
  type TrainingUnderWay,
} from './training-start.ts';
import { requireLimits } from './validation-watch.ts';
import { loadWeights, preferredWeights } from './weights.ts';
import { whitenFirstLayers } from './whitening.ts';

/**
 * Trains, and records it. A run that is finished is left as it is: its result is that of its last evaluation.
 *
 * @throws ConfigurationError or DataError before anything is written, for what does not fit together
 * @throws DivergenceError if the loss explodes or a parameter is no longer finite; the last checkpoint is kept, the run's status is `failed`
 */
export async function train(given: TrainOptions): Promise<TrainResult> {
  const options = { ...given, config: settleLength(given.config, trainingCount(given.dataset.train.count, given.config.val)) };
  const { engine, dataset, collective = singleProcess, record } = options;
  const resume = record !== undefined && 'resume' in record ? record.resume : undefined;
  const last = () => resume && finalEvaluation(resume, options.config);
  const known = JSON.parse(fromFirst(collective, () => JSON.stringify(last() ?? null))) as RecordedEvaluation | null;
  if (known?.datasetFingerprint === dataset.fingerprint) return finishedBefore(resume, known);
  const teacherModel = readTeacher(options);
  const own = await ownAugmentationOf(options, collective);
  const training = prepareTraining(options, collective, teacherModel, own);
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
    return await trainPlan(training, plan, teacher);
  } finally {
    teacher?.dispose();
    plan.dispose();
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

async function trainPlan(training: Training, plan: TrainingPlan, teacher: Teacher | undefined): Promise<TrainResult> {
  const { config, classifier, collective, dataset, record } = training;
  const resume = record !== undefined && 'resume' in record ? record.resume : undefined;
  await requireSameTraining(collective, config, dataset, plan);
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  await whitenFirstLayers(plan.parameters, splitOf(dataset, 'train', config.val), dataset.shape, classifier.preprocessing);
  const resumesFrom = resume && latestCheckpoint(resume);
  // The others get their parameters from process 0.
  const startsHere = collective.rank === 0 && resumesFrom === undefined;
  const init = startsHere ? weightsToStartFrom(training) : undefined;
  if (init !== undefined) {
    const { file, path: source } = init;
    await loadWeights(plan.parameters, file, { kind: preferredWeights(file), model: config.model, source });
  }
  const trainer = createTrainer(plan, config, collective, teacher);
  if (init !== undefined) await trainer.takeMasks(init.file.tensors, init.path);
  if (startsHere) await preparePruning(training, plan, trainer);
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
    if (resume !== undefined && !restored) writeEnvironment(run, environmentOf(training));
    const recorder = openRecorder(run, config, metadataOf(training), resume === undefined ? undefined : trainer.step);
    try {
      // What it started from may be gone or different later.
      if (init !== undefined) recorder.save(trainer.step, await trainer.state(), false);
      const result = await resultOf({ training, plan, trainer, run, recorder });
      recorder.end(result.status, result.step, reasons[result.stopped]);
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

function explainDivergence(error: unknown, run: Run): unknown {
  if (!(error instanceof DivergenceError)) return error;
  const latest = latestCheckpoint(run);
  const kept = latest === undefined ? 'no checkpoint had been saved' : `the checkpoint of step ${latest.step} is kept`;
  return new DivergenceError(error.what, error.step, `; ${kept} in ${runName(run)}`);
}
