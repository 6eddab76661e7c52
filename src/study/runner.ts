/**
 * Runs a study to its end, whatever happened before. All that decides what is left to do is on the disk: which runs exist (found by what
 * they compute), how far each is, and which accuracies they have. So the same call, after any interruption, completes the study, and
 * trains nothing twice:
 *
 * - A run's folder is made before its process is started: a study that is killed in between finds it again.
 * - Only the process that holds a run's lock trains it, and launchers wait for one that is left from an earlier study.
 * - One study of a name runs at a time.
 */
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { readMetrics } from '../runs/metrics.ts';
import { createRun, findRun, metricsPath, readConfig, runName, type Run } from '../runs/run-folder.ts';
import { lockFolder, runHolder } from '../runs/run-lock.ts';
import { readStatus, writeStatus, type RunStatus } from '../runs/run-status.ts';
import { AblateError, ConfigurationError, DataError } from '../util/errors.ts';
import { makeFolder } from '../util/make-folder.ts';
import { processState } from '../util/process-identity.ts';
import { readFileResult } from './file-results.ts';
import { roundEnds, survivors } from './halving.ts';
import type { Job, JobEnd, Launcher } from './launcher.ts';
import type { PlannedRun, StudyPlan } from './plan.ts';
import { createRunFinder } from './run-finder.ts';
import { readRunResults } from './run-results.ts';
import { isOver, studyFolder, writeStudyState, type RecordedDataset, type StudyRun, type StudyRunState } from './study-state.ts';

export interface StudyOptions {
  readonly plan: StudyPlan;
  /** The images of the study: `loadDataset(plan.dataset)`. */
  readonly dataset: Omit<RecordedDataset, 'name'>;
  readonly launcher: Launcher;
  /** The folder of all runs. */
  readonly runsFolder: string;
  /** How all runs are trained: where their images are, what computes. */
  readonly how?: Omit<Job, 'run'>;
  /** Whether runs that failed are tried again, from their last checkpoint. */
  readonly retryFailed?: boolean;
  /** When aborted, the runs save and stop, and the study can be continued. */
  readonly signal?: AbortSignal;
  readonly hooks?: StudyHooks;
  /** How often the folders of running runs are looked at. */
  readonly pollMs?: number;
}

export interface StudyHooks {
  /** About once a second, and when a run starts or ends: of the trainings of the plan. */
  onProgress?(runs: readonly RunProgress[]): void;
  /** There is nothing more to do about a run. */
  onRunEnd?(run: RunProgress): void;
}

export interface RunProgress extends StudyRun {
  readonly steps: number;
  /** Steps taken. */
  readonly step: number;
  /** Of the latest evaluation. */
  readonly accuracy: number | undefined;
  /** While it runs, once there is a record. */
  readonly imagesPerSecond: number | undefined;
  /** Whether its result was there before this study looked. */
  readonly reused: boolean;
}

/** A training of the study while it is worked on. */
interface Entry {
  readonly planned: PlannedRun;
  run: Run | undefined;
  state: StudyRunState;
  reason: string | undefined;
  readonly reused: boolean;
}

/** What there is to record of a run. */
type Result = Pick<Entry, 'state' | 'reason'>;

/** A process that is killed again and again without coming any further is given up. */
const killsWithoutProgress = 3;

/**
 * @returns every run of the study as it is now; complete unless the signal was aborted
 * @throws ConfigurationError for other images than those that the study was planned for; AblateError if it is being run by another process, or if runs
 *   cannot be trained at all
 */
export async function runStudy(options: StudyOptions): Promise<readonly StudyRun[]> {
  const { plan, dataset, runsFolder, hooks = {}, pollMs = 1000 } = options;
  const folder = studyFolder(runsFolder, plan.name);
  requirePlannedImages(plan, dataset);
  makeFolder(folder);
  const lock = lockFolder(folder, `the study ${plan.name}`);
  try {
    const finder = createRunFinder(runsFolder);
    const find: Find = (planned) => finder.find(planned.identity, dataset.fingerprint, isUsefulFor(planned, plan));
    const entries = plan.trainings.map((planned) => entryOf(planned, find(planned), options.retryFailed));
    const runner = createRunner({ ...options, pollMs }, entries, find);
    runner.save();
    const report = () => hooks.onProgress?.(entries.map(progressOf));
    report();
    const timer = setInterval(report, pollMs);
    try {
      const { halving } = plan.design;
      if (halving !== undefined) await runner.halve(halving.factor, (entry) => roundEnds(entry.planned.config.steps, halving));
      await runner.advanceAll();
    } finally {
      clearInterval(timer);
    }
    report();
    return studyRuns(plan, entries);
  } finally {
    lock.release();
  }
}

function requirePlannedImages({ runs }: StudyPlan, { classes, shape }: StudyOptions['dataset']): void {
  const { classes: planned, network } = runs[0]!.classifier;
  const isPlanned = classes.join('\n') === planned.join('\n') && shape[0] === network.inputShape[0];
  if (isPlanned) return;
  throw new ConfigurationError(
    `the study was planned for images of ${network.inputShape[0]} channels and the classes ${planned.join(', ')}; these have ${shape[0]} and ${classes.join(', ')}`,
    { fix: 'plan it for the images that it is run with: planStudy(file, dataset)' },
  );
}

/**
 * The rounds of a search need an evaluation at their ends, and files that are not measured yet need weights: not every run that was trained
 * elsewhere has them.
 */
export function isUsefulFor({ config, identity }: PlannedRun, { design, runs }: StudyPlan): (run: Run) => boolean {
  const asked = runs.flatMap((other) => (other.identity === identity ? (other.quantization ?? []) : []));
  return (run) => {
    const needsWeights = asked.some((quantization) => readFileResult(run, quantization) === undefined);
    if (needsWeights && readStatus(run).status === 'finished' && latestCheckpoint(run) === undefined) return false;
    if (design.halving === undefined) return true;
    const { evalEvery } = readConfig(run) as { readonly evalEvery: number };
    // Not where it is 0, for none: the remainder is NaN.
    return config.evalEvery % evalEvery === 0;
  };
}

/** The run that there is for what was planned. */
type Find = (planned: PlannedRun) => Run | undefined;

/** What is known of a planned run before anything is started. */
function entryOf(planned: PlannedRun, run: Run | undefined, retryFailed = false): Entry {
  const result = run && resultOf(readStatus(run), retryFailed);
  const reused = result !== undefined && result.state !== 'failed';
  return { planned, run, ...(result ?? { state: 'waiting', reason: undefined }), reused };
}

function createRunner(options: StudyOptions & { readonly pollMs: number }, entries: readonly Entry[], find: Find) {
  const { plan, launcher, runsFolder, dataset, how = {}, retryFailed = false, hooks = {}, pollMs } = options;
  const { shape, classes, synthetic, fingerprint, train } = dataset;
  const recorded = { name: plan.dataset, shape, synthetic, fingerprint, classes, train: { count: train.count } };
  // Aborted by the user, or when going on makes no sense.
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const launched = new Set<Entry>();
  let failuresInARow = 0;

  // Asked anew each time: it changes while runs are waited for.
  const isStopped = (): boolean => signal.aborted;

  function save(): void {
    writeStudyState(runsFolder, { name: plan.name, file: plan.file, dataset: recorded, runs: studyRuns(plan, entries) });
  }

  function setState(entry: Entry, state: StudyRunState, reason?: string): void {
    entry.state = state;
    entry.reason = reason;
    save();
    if (isOver(state)) hooks.onRunEnd?.(progressOf(entry));
  }

  /** Works through the runs that wait, as many at a time as the launcher has slots. */
  async function advanceAll(until?: (entry: Entry) => number): Promise<void> {
    const queue = entries.filter(({ state }) => state === 'waiting');
    const worker = async (): Promise<void> => {
      for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) await advance(entry, until?.(entry));
    };
    const results = await Promise.allSettled(
      Array.from({ length: launcher.slots }, () =>
        worker().catch((error: unknown) => {
          // The others save and stop before this is thrown on.
          stop.abort();
          throw error;
        }),
      ),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Trains one run to its end, or until it is evaluated at step `until`. */
  async function advance(entry: Entry, until?: number): Promise<void> {
    let kills = 0;
    while (!signal.aborted) {
      const run = (entry.run ??= runFor(entry.planned));
      const before = readStatus(run);
      const result = resultOf(before, retryFailed && !launched.has(entry));
      if (result !== undefined) {
        setState(entry, result.state, result.reason);
        return;
      }
      if (until !== undefined && accuracyAt(entry, until) !== undefined) return;
      launched.add(entry);
      const end = await launch(entry, run, until);
      const after = readStatus(run);
      const isDone = resultOf(after, false) !== undefined;
      if (after.step > before.step || isDone) failuresInARow = 0;
      // What ends while the study stops has not failed of itself, nor what another study that has the same run has trained meanwhile.
      if (isStopped() || end.how === 'stopped' || isDone || isHeld(run)) continue;
      kills = after.step > before.step ? 0 : kills + 1;
      if (end.how === 'killed' && kills < killsWithoutProgress) continue;
      setState(entry, 'failed', end.detail);
      // Nothing was trained: if that goes on, it is not the run's fault.
      if (++failuresInARow >= Math.max(2, launcher.slots)) {
        throw new AblateError(`the runs of ${plan.name} cannot be trained: ${end.detail}`, {
          fix: `${run.path}/output.log has all that was said; once it is solved, run the study again`,
        });
      }
      return;
    }
  }

  async function launch(entry: Entry, run: Run, until: number | undefined): Promise<JobEnd> {
    setState(entry, 'running');
    const enough = new AbortController();
    const timer =
      until === undefined
        ? undefined
        : setInterval(() => {
            if (ifReadable(() => accuracyAt(entry, until)) !== undefined) enough.abort();
          }, pollMs / 2);
    try {
      return await launcher.run({ run, ...how }, AbortSignal.any([signal, enough.signal]));
    } finally {
      clearInterval(timer);
      setState(entry, 'waiting');
    }
  }

  /** The folder for a run: one that another study has made meanwhile, else a new one. */
  function runFor(planned: PlannedRun): Run {
    const found = find(planned);
    if (found !== undefined) return found;
    const config = { ...planned.config, threads: launcher.threads };
    const environment = describeEnvironment({ threads: launcher.threads });
    const run = createRun(runsFolder, config.model, config, environment, planned.records);
    writeStatus(run, { status: 'interrupted', step: 0, steps: config.steps, reason: 'not started yet' });
    return run;
  }

  /** Rounds of successive halving over the variants, each with the mean accuracy over its seeds. */
  async function halve(factor: number, endsOf: (entry: Entry) => readonly number[]): Promise<void> {
    let alive: ReadonlySet<string> = new Set(entries.map(({ planned }) => planned.variant));
    const rounds = Math.max(...entries.map((entry) => endsOf(entry).length));
    for (let round = 0; round < rounds; round++) {
      const end = (entry: Entry) => endsOf(entry)[round] ?? entry.planned.config.steps;
      await advanceAll(end);
      if (isStopped()) return;
      const accuracies = new Map(
        Array.from(alive, (variant) => {
          const seeds = entries.filter(({ planned }) => planned.variant === variant);
          // As all variants have the same seeds, their sums compare as their means.
          return [variant, sum(seeds.map((entry) => accuracyAt(entry, end(entry))))];
        }),
      );
      const best = survivors(accuracies, factor);
      for (const entry of entries) {
        if (best.has(entry.planned.variant) || entry.state !== 'waiting') continue;
        setState(entry, 'stopped', `not among the best ${best.size} of ${alive.size} after ${end(entry)} steps`);
      }
      alive = best;
    }
  }

  return { save, advanceAll, halve };
}

/** What a run has come to; undefined if there is more to train. */
function resultOf(
  { status, diverged, reason = 'the reason was not recorded' }: RunStatus,
  retryFailed: boolean,
): Result | undefined {
  if (status === 'finished') return { state: 'finished', reason: undefined };
  if (status !== 'failed') return undefined;
  if (diverged === true) return { state: 'diverged', reason };
  return retryFailed ? undefined : { state: 'failed', reason };
}

/** Accuracy of the evaluation at a step, once there is one; of an entry that has its run. */
function accuracyAt({ run, planned }: Entry, step: number): number | undefined {
  return readRunResults(run!, planned.config.batchSize).curve.find((point) => point.step === step)?.accuracy;
}

/** Whether a living process of this machine trains the run. */
function isHeld(run: Run): boolean {
  const holder = runHolder(run);
  return holder !== undefined && processState(holder) === 'alive';
}

/** Undefined if one is missing. */
function sum(values: readonly (number | undefined)[]): number | undefined {
  let total = 0;
  for (const value of values) {
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

/** Every run of the plan, with what has become of its training. */
function studyRuns({ runs }: StudyPlan, entries: readonly Entry[]): StudyRun[] {
  const trainings = new Map(entries.map((entry) => [entry.planned.identity, studyRunOf(entry)]));
  return runs.map(({ variant, seed, identity }) => ({ ...trainings.get(identity)!, variant, seed }));
}

function studyRunOf({ planned, run, state, reason }: Entry): StudyRun {
  return { variant: planned.variant, seed: planned.seed, run: run && runName(run), state, reason };
}

function progressOf(entry: Entry): RunProgress {
  const { planned, run, state, reused } = entry;
  const { steps } = planned.config;
  const status = run && readStatus(run);
  // It may be more: a user can continue a run to more steps at any time.
  const step = Math.min(status?.step ?? 0, steps);
  const imagesPerSecond = state === 'running' ? ifReadable(() => latestSpeed(run!)) : undefined;
  return { ...studyRunOf(entry), steps, step, accuracy: status?.accuracy, imagesPerSecond, reused };
}

function latestSpeed(run: Run): number | undefined {
  return readMetrics(metricsPath(run))
    .flatMap(({ metrics }) => metrics['train/imagesPerSecond'] ?? [])
    .at(-1);
}

/** Undefined where a file cannot be read now: what looks again and again may know it the next time. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

/** The run of a name, in the state of a study. Throws DataError if it was removed since. */
export function openStudyRun(runsFolder: string, { run, variant, seed }: StudyRun): Run | undefined {
  if (run === undefined) return undefined;
  try {
    return findRun(runsFolder, run);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(`${run}, the run of "${variant}" with seed ${seed}, is gone`, {
      fix: 'run the study again: it trains what is missing',
      cause: error,
    });
  }
}
