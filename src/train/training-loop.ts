/** The steps of a training, from where it stands to its last, an abort or a failure: batches, updates, evaluations, checkpoints and records. */
import { fromFirst } from '../cluster/agreement.ts';
import type { Batch, BatchLoader } from '../data/batch.ts';
import { splitOf } from '../data/image-set.ts';
import { bestCheckpoint } from '../runs/checkpoint.ts';
import { trainingPreprocessing } from './classifier.ts';
import { letEventsIn } from './events.ts';
import { createLayerNorms } from './layer-norms.ts';
import { nextPatiently } from './own-augmentation.ts';
import { createRunEvaluation, type RunEvaluation } from './run-evaluation.ts';
import type { WhyStopped, TrainResult } from './train-options.ts';
import type { TrainingUnderWay } from './training-start.ts';
import { watchValidation, type Validated } from './validation-watch.ts';

/** Returns at the last step, or where the signal or a limit stopped it; all are saved. */
export async function runSteps(underWay: TrainingUnderWay): Promise<Omit<TrainResult, 'saved'>> {
  const { training, plan, trainer } = underWay;
  const { config, dataset, classifier, collective, own } = training;
  const loader = training.openLoader({
    images: splitOf(dataset, 'train', config.val),
    shape: dataset.shape,
    preprocessing: trainingPreprocessing(classifier, config),
    batchSize: plan.batchSize,
    seed: config.seed,
    firstStep: trainer.step,
    rank: collective.rank,
    worldSize: collective.worldSize,
    augmentation: own?.loader,
  });
  const evaluation = createRunEvaluation(underWay);
  try {
    return await takeSteps(underWay, loader, evaluation);
  } finally {
    await loader.dispose();
    await evaluation.dispose();
  }
}

async function takeSteps(
  { training, plan, trainer, run, recorder }: TrainingUnderWay,
  loader: BatchLoader,
  evaluation: RunEvaluation,
): Promise<Omit<TrainResult, 'saved'>> {
  const { config, dataset, collective, signal, own, hooks = {}, patience, maxSeconds = Infinity } = training;
  const { steps, batchSize, evalEvery, saveEvery, saveEverySeconds, logEvery } = config;
  const started = performance.now();
  const layerNorms = collective.rank === 0 ? createLayerNorms(plan) : undefined;
  const evaluatedImages = splitOf(dataset, config.val ? 'val' : 'test', config.val).count;
  const { network, memoryBytes } = plan;
  const { imageShape } = training.classifier;
  hooks.onStart?.({ run, network, imageShape, step: trainer.step, steps, evaluatedImages, memoryBytes });

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

  /** Steps whose losses are not known yet: they may still be computed. */
  let underway = 0;

  /** Waits for the steps that are under way: what is evaluated or saved has not diverged. */
  const finishSteps = async (): Promise<Float64Array> => {
    underway = 0;
    return await trainer.losses();
  };

  const tell = (losses: Float64Array): void => {
    const imagesPerSecond = (1000 * windowSteps * batchSize) / windowMs;
    losses.forEach((loss, i) => {
      windowLoss += loss;
      hooks.onStep?.({ step: trainer.step - losses.length + 1 + i, loss, imagesPerSecond });
    });
  };

  const save = async (final: boolean): Promise<void> => {
    if (savedStep === trainer.step) return;
    if (underway > 0) tell(await finishSteps());
    recorder.save(trainer.step, await trainer.state(), final);
    hooks.onSave?.(trainer.step);
    savedStep = trainer.step;
    savedAt = performance.now();
  };

  /** Undefined if the user's own augmentation never ended, and the signal was aborted. */
  const nextBatch = async (): Promise<Batch | undefined> => {
    if (own === undefined) return await loader.next();
    try {
      // Processes that train together stop together.
      const onNotice = hooks.onNotice?.bind(hooks);
      const patient = { name: own.name, signal: collective.worldSize === 1 ? signal : undefined, ...(onNotice && { onNotice }) };
      return await nextPatiently(loader, patient);
    } catch (error) {
      // It is not the fault of what has been trained.
      if (trainer.step > firstStep) await save(false);
      throw error;
    }
  };

  const recorded = () => JSON.parse(fromFirst(collective, () => JSON.stringify(recorder.evaluations()))) as Validated[];
  const validation = watchValidation(patience, config.val ? recorded() : []);
  /** After each evaluation: the best weights by validation are kept, never by test images. */
  const judge = async (): Promise<void> => {
    const [latest] = evaluation.latest();
    if (config.val && latest?.step === trainer.step && validation.add(latest)) {
      recorder.saveBest(latest.step, await trainer.state(), latest.accuracy);
    }
  };
  const evaluate = async (): Promise<boolean> => {
    const finished = await evaluation.run();
    if (finished) await judge();
    return finished;
  };
  /** Takes the evaluation of this step that is on record, if there is one: then only what came after it is to be done. */
  const takeRecorded = async (): Promise<boolean> => {
    if (!evaluation.takeRecorded()) return false;
    const best = validation.best();
    const kept = fromFirst(collective, () => String(run && bestCheckpoint(run)?.step));
    if (config.val && best?.step === trainer.step && kept !== String(best.step)) {
      recorder.saveBest(best.step, await trainer.state(), best.accuracy);
    }
    return true;
  };
  const outOfTime = (): boolean => performance.now() - started >= 1000 * maxSeconds;
  /** Why it stopped before its last step: as process 0 sees it. */
  const reasonToStop = (): WhyStopped =>
    fromFirst(collective, () => {
      if (signal?.aborted === true) return 'signal';
      if (validation.isOver()) return 'patience';
      return outOfTime() ? 'time' : 'signal';
    }) as WhyStopped;

  const evaluationIsDue = () => evalEvery > 0 && trainer.step % evalEvery === 0 && trainer.step < steps;
  // One that the interruption fell into is made up for.
  if (firstStep > 0 && evaluationIsDue() && fromFirst(collective, () => String(recorder.hasEvaluation(firstStep))) === 'false') {
    stop = !(await evaluate());
  }
  stop ||= validation.isOver();
  while (trainer.step < steps && !stop) {
    const before = performance.now();
    const batch = await nextBatch();
    if (batch === undefined) break;
    if (trainer.step === firstStep)
      recorder.inputs(firstStep, batch, plan.network.inputShape as readonly [number, number, number]);
    const learningRate = trainer.learningRate();
    stop = await trainer.train(batch, signal?.aborted === true || outOfTime());
    const { step } = trainer;
    const logDue = step % logEvery === 0 || step === steps || stop;
    const saveDue = saveEvery > 0 && step % saveEvery === 0;
    windowSteps++;
    underway++;
    const mustWait = underway >= plan.stepsInFlight || logDue || saveDue || evaluationIsDue();
    const losses = mustWait ? await finishSteps() : undefined;
    windowMs += performance.now() - before;
    if (losses !== undefined) tell(losses);

    if (logDue) {
      trainLoss = windowLoss / windowSteps;
      const scale = await trainer.lossScale();
      recorder.metrics(step, {
        'train/loss': trainLoss,
        'train/weightDecayLoss': await trainer.weightDecayLoss(),
        'train/learningRate': learningRate,
        'train/imagesPerSecond': (1000 * windowSteps * batchSize) / windowMs,
        ...(scale && { 'train/lossScale': scale.scale, 'train/skippedSteps': scale.skippedSteps }),
        ...collective.metrics(windowSteps),
        ...(await layerNorms?.()),
      });
      steppingMs += windowMs;
      windowLoss = windowSteps = windowMs = 0;
    }
    recorder.alive(step);
    if (evaluationIsDue() && !stop) stop = !(await evaluate()) || validation.isOver();
    const timeToSave = saveEverySeconds > 0 && performance.now() - savedAt >= 1000 * saveEverySeconds;
    if ((saveDue || timeToSave) && step < steps) {
      await save(false);
    }
    await letEventsIn();
  }
  const done = trainer.step >= steps;
  const stopped = done ? 'steps' : reasonToStop();
  // Saved before the last evaluation, which may be long: an abort loses nothing, and a resume evaluates.
  await save(done);
  // A run that ended between its last evaluation and the record of its end has only that left to do.
  const evaluated = firstStep === steps && (await takeRecorded());
  const finished = evaluated || (done && (await evaluate()));
  if (
    (stopped === 'patience' || stopped === 'time') &&
    evaluation.latest()[0]?.step !== trainer.step &&
    !(await takeRecorded())
  ) {
    await evaluate();
  }
  collective.barrier();
  return {
    status: finished ? 'finished' : 'interrupted',
    stopped: finished || !done ? stopped : 'signal',
    best: validation.best(),
    run,
    step: trainer.step,
    trainLoss,
    evaluations: evaluation.latest(),
    imagesPerSecond: steppingMs > 0 ? (1000 * (trainer.step - firstStep) * batchSize) / steppingMs : 0,
    seconds: (performance.now() - started) / 1000,
  };
}
