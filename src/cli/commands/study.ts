import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { StudyFilesOptions } from '../../compress/quantize/study-files.ts';
import type { Dataset } from '../../data/dataset.ts';
import { validationCount } from '../../data/image-set.ts';
import type { RunStatus } from '../../runs/run-status.ts';
import type { Predictor } from '../../study/predict.ts';
import type { StudyPlan } from '../../study/plan.ts';
import { launcherNames, type LauncherName } from '../../study/launcher.ts';
import type { ImageFacts } from '../../study/predict.ts';
import type { RunProgress } from '../../study/runner.ts';
import type { StudyFile } from '../../study/study-file.ts';
import type { StudyModels } from '../../study/study-models.ts';
import { isOver, type StudyRun } from '../../study/study-state.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { AblateError, DataError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes, formatCount, formatCounted, formatDuration } from '../../util/format.ts';
import { devicesOf } from '../device.ts';
import { addDataOptions, loadImages, type DataOptions } from '../dataset.ts';
import type { EngineName } from '../../engine/registry.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { uiOption, withLivePage, type UiOption } from '../live-page.ts';
import { jsonOption, oneOf, parseThreads, runsDirOption } from '../options.ts';
import { note, print, printTable, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import {
  claimStudyReport,
  describeReport,
  makeStudyReport,
  printReport,
  reportOptions,
  type ReportOptions,
} from '../study-report.ts';

interface Options extends DataOptions, EngineOption, ReportOptions, UiOption {
  readonly dryRun?: true;
  readonly jobs?: number;
  readonly launcher: LauncherName;
  readonly threads?: number;
  readonly retryFailed?: true;
  readonly json?: true;
}

export function addStudyCommand(program: Command): void {
  const command = program
    .command('study')
    .description('train every variant of a study with every seed, and say what each change buys')
    .argument('<study.yaml>', 'the study file; docs/studies.md says what may be in it')
    .option('--dry-run', 'list the runs and how long each will take; train nothing')
    .option('--jobs <n>', 'runs trained at a time on this machine, which share its cores (default: 1)', parseThreads)
    .option(
      '--launcher <name>',
      'where runs are trained: local, slurm or command (docs/cluster.md)',
      oneOf(launcherNames),
      'local',
    )
    .option(...engineOption)
    .option('--threads <n>', 'OpenMP threads of each run (default: the free physical cores, shared)', parseThreads)
    .option('--retry-failed', 'try runs that failed again');
  addDataOptions(command, 'data set to train on, instead of the one in the file')
    .option(...uiOption)
    .option(...runsDirOption)
    .option('-o, --output <folder>', 'folder of the report (default: reports/<name of the study>)');
  for (const option of reportOptions) command.option(...option);
  command.option(...jsonOption).action(study);
}

async function study(path: string, options: Options): Promise<void> {
  const { readStudyFile } = await import('../../study/study-file.ts');
  const { createLauncher } = await import('../../study/launchers/registry.ts');
  const file = readStudyFile(path, options.data);
  // Wrong names of cores are told now, not when all is trained.
  if (options.device !== undefined) await devicesOf(options.device);
  const { loadStudyModels } = await import('../../study/study-models.ts');
  const models = await loadStudyModels(file, { runsFolder: options.runsDir, watched: true });
  const { studyFolder } = await import('../../study/study-state.ts');
  const { engineNamed } = await import('../../engine/registry.ts');
  const engine = await engineNamed(options.engine);
  const launcher = createLauncher(options.launcher, file.source, {
    folder: join(resolve(studyFolder(options.runsDir, file.source.name)), 'jobs'),
    jobs: options.jobs,
    threads: options.threads,
    freeProcessors: await freeForJobs(options),
    sideBySide: options.dryRun !== true && sideBySide(file, options, engine),
  });
  if (options.dryRun === true) {
    await dryRun(file, models, options, { slots: launcher.slots, threads: launcher.threads, engine });
    return;
  }
  const { planStudy } = await import('../../study/plan.ts');
  // A file that is wrong is refused before images are looked for or downloaded.
  planStudy(file, await knownFacts(file.source.dataset), models);
  claimStudyReport(file.source.name, options);
  await tellOtherFile(file, path, options);
  const dataset = await imagesOf(file, options);
  const plan = planStudy(file, dataset, models);
  const { createPredictor } = await import('../../study/predict.ts');
  const predictor = createPredictor(options.runsDir, factsOf(dataset), { engine });
  const display = studyDisplay(plan, launcher, predictor);
  const { runStudy } = await import('../../study/runner.ts');
  let runs;
  try {
    runs = await withLivePage(options, options.runsDir, () =>
      interruptible('stopping the runs after their steps, and saving', (signal) =>
        runStudy({
          plan,
          dataset,
          launcher,
          runsFolder: options.runsDir,
          how: { dataDir: options.dataDir, dataUrl: options.dataUrl, engine: options.engine },
          retryFailed: options.retryFailed === true,
          signal,
          hooks: display.hooks,
        }),
      ),
    );
  } finally {
    display.finish();
  }
  const open = runs.filter(({ state }) => !isOver(state)).length;
  if (open > 0) {
    throw new Interruption(`${open} of ${runs.length} runs are not finished; all that was trained is saved`, {
      fix: 'the same command goes on from there',
    });
  }
  const left = await measureFiles(plan, runs, dataset, options);
  if (left > 0) {
    throw new Interruption(`${left} files of trained networks are not measured; all that was done is saved`, {
      fix: 'the same command goes on from there',
    });
  }
  const { data, report } = await makeStudyReport(plan.name, options);
  if (options.json === true) printJson(describeReport(data, report));
  else await printReport(data, report);
  const failed = runs.filter(({ state }) => state === 'failed');
  if (failed.length > 0) {
    const first = failed[0]!;
    throw new AblateError(
      `${failed.length} of ${runs.length} runs failed: ${first.variant}, seed ${first.seed}: ${first.reason ?? ''}`,
      {
        fix: 'the same command with --retry-failed tries them again',
      },
    );
  }
}

/** The images of a study; what is wrong with those that its file names is told with the line. */
async function imagesOf({ source, error: errorAt }: StudyFile, options: Options): Promise<Dataset> {
  try {
    return await loadImages(source.dataset, options);
  } catch (error) {
    if (options.data !== undefined || !(error instanceof DataError)) throw error;
    throw errorAt(['dataset'], error.message, error.fix);
  }
}

/** Two files with one name are told: the record and the report of the first are replaced. */
async function tellOtherFile({ source: { name } }: StudyFile, path: string, { runsDir }: Options): Promise<void> {
  const { readStudyState } = await import('../../study/study-state.ts');
  const before = readStudyState(runsDir, name)?.file.path;
  if (before === undefined || resolve(before) === resolve(path) || !existsSync(before)) return;
  note(`the study ${name} was run from ${before} so far: its record and report are replaced, its runs stay`);
}

/**
 * Quantizes and measures what the study asks for, as far as that was not done before.
 *
 * @returns how many files are left, if it was stopped
 */
async function measureFiles(plan: StudyPlan, runs: readonly StudyRun[], dataset: Dataset, options: Options): Promise<number> {
  const { measureStudyFiles, unmeasuredFiles } = await import('../../compress/quantize/study-files.ts');
  const tasks = unmeasuredFiles(plan, runs, options.runsDir);
  if (tasks.length === 0) return 0;
  const threads = options.threads ?? defaultThreads();
  const work = { engine: await openChosen(options, threads), dataset, threads };
  const progress = createProgress({ unit: 'file', total: tasks.length });
  try {
    return await interruptible('stopping', async (signal) => {
      const onFile: StudyFilesOptions['onFile'] = ({ planned: { variant, seed } }, done, total, result) => {
        const what = `${variant}, seed ${seed}`;
        progress.update(done, done === total ? '' : what);
        if (result !== undefined) {
          progress.log(`${what}: ${formatAccuracy(result.evaluation.accuracy)}, ${formatBytes(result.bytes)}`);
        }
      };
      return await measureStudyFiles(plan, runs, { ...work, runsFolder: options.runsDir, onFile, signal });
    });
  } finally {
    progress.finish();
  }
}

/** Where the images are not needed yet: as those of CIFAR-10, of the shape that their name tells. */
async function knownFacts(dataset: string) {
  const { cifar10Classes: classes } = await import('../../data/cifar10.ts');
  const { shapeByName } = await import('../../data/registry.ts');
  const shape = shapeByName(dataset) ?? ([3, 32, 32] as const);
  return { shape, classes, train: { count: 50_000 }, testImages: 10_000, validationImages: 5_000 } as const;
}

function factsOf({ shape, classes, train, test }: Dataset): ImageFacts {
  return { shape, classes, train, testImages: test.count, validationImages: validationCount(train.count) };
}

/** Only WebGPU trains networks side by side, and a search stops each of its runs by itself: those cannot share a process. */
function sideBySide({ source }: StudyFile, { launcher }: Options, engine: EngineName | undefined): boolean {
  return engine === 'webgpu' && launcher === 'local' && source.halving === undefined;
}

/** Measured where it decides something: for processes of this machine whose threads the user did not give. */
async function freeForJobs({ launcher, threads, dryRun }: Options): Promise<number | undefined> {
  if (launcher !== 'local' || threads !== undefined || dryRun === true) return undefined;
  const { measureFreeProcessors } = await import('../../util/processor-time.ts');
  return await measureFreeProcessors();
}

interface Computer {
  /** Runs at a time. */
  readonly slots: number;
  /** Of each run. */
  readonly threads: number;
  readonly engine: EngineName | undefined;
}

async function dryRun(file: StudyFile, models: StudyModels, options: Options, computer: Computer): Promise<void> {
  const { slots, threads, engine } = computer;
  const { planStudy } = await import('../../study/plan.ts');
  const { createPredictor, secondsInAll } = await import('../../study/predict.ts');
  const { isUsefulFor } = await import('../../study/runner.ts');
  const { createRunFinder } = await import('../../study/run-finder.ts');
  const { readStatus, shownState } = await import('../../runs/run-status.ts');
  const { runName } = await import('../../runs/run-folder.ts');
  // CIFAR-10 is known without a download; of other images their number, size and classes decide how long training takes.
  const known = await knownFacts(file.source.dataset);
  planStudy(file, known, models);
  const { dataset } = file.source;
  const images = dataset === 'cifar10' ? undefined : await imagesOf(file, options);
  const facts = images === undefined ? known : factsOf(images);
  const plan = planStudy(file, facts, models);
  const predictor = createPredictor(options.runsDir, facts, { engine });
  const finder = createRunFinder(options.runsDir);
  plan.notes.forEach(note);
  const runs = plan.runs.map((planned) => {
    const { variant, seed, config, identity } = planned;
    const found = finder.find(identity, images?.fingerprint, isUsefulFor(planned, plan));
    const status = found && readStatus(found);
    const nothingLeft = !plan.trainings.includes(planned) || (status !== undefined && isDone(status, options));
    const seconds = nothingLeft ? 0 : predictor.seconds(planned, threads, Math.min(status?.step ?? 0, config.steps));
    return {
      variant,
      seed,
      model: config.model,
      steps: config.steps,
      run: found ? runName(found) : null,
      status: status === undefined ? null : shownState(status),
      seconds,
    };
  });
  const totalSeconds = secondsInAll(
    runs.map(({ seconds }) => seconds),
    slots,
  );
  if (options.json === true) {
    printJson({ study: plan.name, runs, totalSeconds, basis: predictor.basis });
    return;
  }
  const rows = runs.map(({ variant, seed, model, steps, run, status, seconds }) => [
    variant,
    String(seed),
    model,
    formatCount(steps),
    run === null ? '' : `${run} (${status ?? ''})`,
    formatDuration(seconds),
  ]);
  printTable(
    [['variant', 'seed', 'model', 'steps', 'exists', 'time'], ...rows],
    ['left', 'right', 'left', 'right', 'left', 'right'],
  );
  print('');
  const atATime = slots === 1 ? 'one at a time' : `${slots} at a time`;
  const threadsEach = `${formatCounted(threads, 'thread')} each`;
  print(
    `${formatCounted(plan.trainings.length, 'run')}, ${formatDuration(totalSeconds)} in all, ${atATime} with ${threadsEach}; times from ${predictor.basis}`,
  );
  if (plan.design.halving !== undefined) print('Fewer steps in truth: the search stops trials early.');
}

/** Whether nothing more is trained of a run. */
function isDone({ status, diverged }: RunStatus, { retryFailed }: Options): boolean {
  return status === 'finished' || (status === 'failed' && (diverged === true || retryFailed !== true));
}

/** Progress on stderr: a bar over the predicted time of all runs, and a line for each run that ends. */
function studyDisplay(plan: StudyPlan, launcher: { readonly name: string; readonly threads: number }, predictor: Predictor) {
  const secondsLeft = (i: number, step = 0) => predictor.seconds(plan.trainings[i]!, launcher.threads, step);
  const weights = plan.trainings.map((_, i) => secondsLeft(i));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const doneOf = ({ state, step }: RunProgress, i: number) => {
    if (isOver(state)) return weights[i]!;
    return step === 0 ? 0 : weights[i]! - (secondsLeft(i, step) - predictor.startSeconds);
  };
  note(
    `${plan.title}: ${formatCounted(plan.design.variants.length, 'variant')} x ${formatCounted(plan.design.seeds.length, 'seed')}, ${launcher.name}, ${formatCounted(launcher.threads, 'thread')} each`,
  );
  plan.notes.forEach(note);
  let progress: ReturnType<typeof createProgress> | undefined;
  const hooks = {
    onProgress(runs: readonly RunProgress[]) {
      const done = runs.reduce((sum, run, i) => sum + doneOf(run, i), 0);
      if (progress === undefined) {
        const reused = runs.filter((run) => run.reused).length;
        if (reused > 0) note(`${reused} of ${runs.length} runs are finished already`);
        progress = createProgress({
          unit: 'done',
          total,
          start: done,
          format: (value) => `${Math.floor((100 * value) / total)}%`,
          showTotal: false,
        });
      }
      progress.update(Math.min(done, total), describeRunning(runs));
    },
    onRunEnd(run: RunProgress) {
      if (run.reused) return;
      const what = run.state === 'finished' ? formatAccuracy(run.accuracy) : `${run.state}: ${run.reason ?? ''}`;
      const line = `${run.run ?? ''}  ${run.variant}, seed ${run.seed}: ${what}`;
      if (progress === undefined) note(line);
      else progress.log(line);
    },
  };
  return { hooks, finish: () => progress?.finish() };
}

/** `5/24 runs  no-lrn, seed 1: step 400/2000, 45.1%, 812 images/s` */
function describeRunning(runs: readonly RunProgress[]): string {
  const running = runs.filter(({ state }) => state === 'running');
  const details = running.map(({ variant, seed, step, steps, accuracy, imagesPerSecond }) =>
    [
      `${variant}, seed ${seed}: step ${formatCount(step)}/${formatCount(steps)}`,
      ...(accuracy === undefined ? [] : [formatAccuracy(accuracy)]),
      ...(imagesPerSecond === undefined ? [] : [`${formatCount(Math.round(imagesPerSecond))} images/s`]),
    ].join(', '),
  );
  return [`${runs.filter(({ state }) => isOver(state)).length}/${runs.length} runs`, ...details].join('  ');
}
