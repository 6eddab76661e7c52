/**
 * The runner with a launcher that writes down what a training would, at once. Time stands still but for what a test lets pass. Real trainings,
 * killed for real, are in test/study.test.ts.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { told } from '../../test/told.ts';
import { skipSync, watchFs } from '../../test/watched-fs.ts';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import {
  allRuns,
  createRun,
  findRun,
  metricsPath,
  openRun,
  readConfig,
  readEnvironment,
  runName,
  type Run,
} from '../runs/run-folder.ts';
import { lockFolder, lockRun, type RunLock } from '../runs/run-lock.ts';
import { readStatus, writeStatus } from '../runs/run-status.ts';
import type { SettledConfig } from '../train/config-schema.ts';
import { AblateError } from '../util/errors.ts';
import { thisProcess } from '../util/process-identity.ts';
import { writeFileResult } from './file-results.ts';
import type { Job, JobEnd, Launcher } from './launcher.ts';
import { planStudy, type PlannedRun, type StudyPlan } from './plan.ts';
import { isUsefulFor, openStudyRun, runStudy, type RunProgress, type StudyOptions } from './runner.ts';
import { parseStudyFile } from './study-file.ts';
import { readStudyState, studyFolder, type StudyRun } from './study-state.ts';

const facts = { shape: [3, 32, 32], classes: Array.from('abcdefghij'), train: { count: 50_000 } } as const;
const dataset = { ...facts, fingerprint: 'images-1', synthetic: false };

const root = mkdtempSync(join(tmpdir(), 'ablate-runner-'));
afterAll(() => rmSync(root, { recursive: true }));

let runsFolder = '';
beforeEach(() => {
  runsFolder = mkdtempSync(join(root, 'runs-'));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  skipSync(true);
  // Asking git for the commit that a run was made with would take most of the time: it is not found.
  vi.stubEnv('PATH', '');
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllEnvs();
  skipSync(false);
});

/** Two variants, and one seed unless a test asks for more. */
const text = `
name: simulated
baseline: { model: tuto, steps: 90 }
design: one-at-a-time
factors:
  - { name: slow, set: { learningRate: 0.01 } }
seeds: [1]
`;
const twoSeeds = text.replace('[1]', '[1, 2]');

/** Their trainings are the first two. */
const quantized = text.replace('seeds', '  - { name: int8, set: { quantization: int8 } }\nseeds');

/** Four variants with the rates 0.1 to 0.4, compared after 10 steps and after 20. */
const search = `
name: search
baseline: { model: tuto, steps: 40 }
design: grid
halving: { factor: 2, rounds: 2 }
factors:
  - { name: rate, levels: [{ learningRate: 0.1 }, { learningRate: 0.2 }, { learningRate: 0.3 }, { learningRate: 0.4 }] }
seeds: [1]
`;

/** Plans, by their texts: they take longer to make than a study of them. */
const plans = new Map<string, StudyPlan>();

function planOf(source: string): StudyPlan {
  const plan = plans.get(source) ?? planStudy(parseStudyFile(source, 'study.yaml'), dataset);
  plans.set(source, plan);
  return plan;
}

function start(launcher: Launcher, source = text, more: Partial<StudyOptions> = {}): Promise<readonly StudyRun[]> {
  return runStudy({ plan: planOf(source), dataset, launcher, runsFolder, ...more });
}

/** Other work of this process goes first. */
const pause = () => new Promise((resolve) => setImmediate(resolve));

/** Waits for a signal that comes soon. */
async function aborted(signal: AbortSignal): Promise<void> {
  for (let turn = 0; turn < 1000 && !signal.aborted; turn++) await pause();
  expect(signal.aborted).toBe(true);
}

/** How a study that must fail does. */
async function failureOf(study: Promise<unknown>): Promise<unknown> {
  const failure = await study.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  return failure instanceof AblateError
    ? told(() => {
        throw failure;
      })
    : failure;
}

const stopped: JobEnd = { how: 'stopped', detail: '' };
const killed: JobEnd = { how: 'killed', detail: 'the process was ended by SIGKILL' };
const broken: JobEnd = { how: 'failed', detail: 'exit code 1: no library' };

interface FakeLauncher extends Launcher {
  /** Names of runs, in the order in which they were started. */
  readonly launched: string[];
}

/** @param behave what becomes of a run, the `time`th time that it is launched */
function fakeLauncher(
  behave: (run: Run, signal: AbortSignal, time: number, job: Job) => JobEnd | Promise<JobEnd>,
  slots = 1,
): FakeLauncher {
  const launched: string[] = [];
  return {
    ...{ name: 'a test', slots, threads: 3, launched },
    async run(job, signal) {
      if (launched.length === 30) throw new Error('launched again and again');
      launched.push(runName(job.run));
      const time = launched.filter((name) => name === runName(job.run)).length;
      return await behave(job.run, signal, time, job);
    },
  };
}

const configOf = (run: Run) => readConfig(run) as SettledConfig;

function writeMetrics(run: Run, step: number, metrics: Readonly<Record<string, number>>): void {
  appendFileSync(metricsPath(run), `${JSON.stringify({ step, time: '2026-01-31T12:00:00.000Z', ...metrics })}\n`);
}

/** Its last step, with what a training leaves; in halves of its learning rate: 0.05 of 0.1. */
function finish(run: Run, fingerprint: string = dataset.fingerprint): JobEnd {
  const { steps, learningRate } = configOf(run);
  writeMetrics(run, steps, { 'test/accuracy': learningRate / 2 });
  saveCheckpoint(run, { step: steps, tensors: new Map(), metadata: { model: run.model, datasetFingerprint: fingerprint } });
  writeStatus(run, { status: 'finished', step: steps, steps, accuracy: learningRate / 2 });
  return stopped;
}

const finishing = (slots = 1) => fakeLauncher((run) => finish(run), slots);

function interrupt(run: Run, step: number, end: JobEnd = stopped): JobEnd {
  writeStatus(run, { status: 'interrupted', step, steps: configOf(run).steps });
  return end;
}

function fail(run: Run, status: object = {}): JobEnd {
  writeStatus(run, { status: 'failed', step: 0, steps: configOf(run).steps, reason: 'the disk is full', ...status });
  return broken;
}

/** A run that was trained outside of the study, as far as `become` says. */
function trainElsewhere({ config, records }: PlannedRun, become: (run: Run) => unknown): Run {
  const run = createRun(runsFolder, config.model, config, describeEnvironment({ threads: 1 }), records);
  become(run);
  return run;
}

/** Finishes a run, and leaves its evaluation alone. */
function finishWithoutWeights(run: Run): void {
  finish(run);
  rmSync(join(run.path, 'checkpoints'), { recursive: true });
  const evaluation = recordedEvaluation({ datasetFingerprint: dataset.fingerprint });
  writeFileSync(join(run.path, 'evaluation.json'), JSON.stringify(evaluation));
}

const namesAndStates = (runs: readonly StudyRun[]) => runs.map(({ run, state }) => `${run} ${state}`);

/** Of the study as it is recorded, its runs. */
const recordedRuns = (name = 'simulated') => readStudyState(runsFolder, name)!.runs;

/** What is told of runs, while they are trained and at their ends. */
function watching() {
  const progress: (readonly RunProgress[])[] = [];
  const ended: RunProgress[] = [];
  return {
    progress,
    ended,
    hooks: { onProgress: (runs: readonly RunProgress[]) => progress.push(runs), onRunEnd: (run: RunProgress) => ended.push(run) },
  };
}

test('images of other classes or channels than it was planned for are refused', async () => {
  const launcher = fakeLauncher(() => broken);
  const channels = dataset.shape[0];
  const refusal = (classes: string, given: number) => ({
    kind: 'ConfigurationError',
    message: `the study was planned for images of ${channels} channels and the classes ${dataset.classes.join(', ')}; these have ${given} and ${classes}`,
    fix: 'plan it for the images that it is run with: planStudy(file, dataset)',
  });
  const others = { ...dataset, classes: ['a', 'b'] };
  expect(await failureOf(start(launcher, text, { dataset: others }))).toEqual(refusal('a, b', channels));
  const grey = { ...dataset, shape: [channels + 1, 32, 32] as const };
  expect(await failureOf(start(launcher, text, { dataset: grey }))).toEqual(refusal(dataset.classes.join(', '), channels + 1));
  expect(launcher.launched).toEqual([]);
});

describe('all runs', () => {
  test('are made, recorded as running, trained, told of, and recorded as finished', async () => {
    const { progress, ended, hooks } = watching();
    const plan = planOf(text);
    const waiting = (variant: string) => ({
      ...{ variant, seed: 1, run: undefined, state: 'waiting', reason: undefined },
      ...{ steps: 90, step: 0, accuracy: undefined, imagesPerSecond: undefined, reused: false },
    });
    const running = { ...waiting('baseline'), run: 'tuto/1', state: 'running' };
    const first = { ...running, state: 'finished', step: 90, accuracy: 0.05 };
    const second = { ...first, variant: 'slow', run: 'tuto/2', accuracy: 0.005 };
    const launcher = fakeLauncher((run, signal, _, job) => {
      expect(job).toEqual({ run, dataDir: 'images', engine: 'reference' });
      expect(signal.aborted).toBe(false);
      if (launcher.launched.length === 2) return finish(run);
      expect(readConfig(run)).toEqual(JSON.parse(JSON.stringify({ ...plan.runs[0]!.config, threads: 3 })));
      expect(readEnvironment(run).threads).toBe(3);
      expect(readStatus(run)).toEqual({
        ...{ status: 'interrupted', step: 0, steps: 90, reason: 'not started yet' },
        ...{ ...thisProcess(), updatedAt: expect.any(String) as string },
      });
      for (const [name, record] of Object.entries(plan.runs[0]!.records)) {
        expect(JSON.parse(readFileSync(join(run.path, name), 'utf8'))).toEqual(JSON.parse(JSON.stringify(record)));
      }
      expect(recordedRuns()).toEqual([
        { variant: 'baseline', seed: 1, run: 'tuto/1', state: 'running' },
        { variant: 'slow', seed: 1, state: 'waiting' },
      ]);
      // One of its own for what it tells, as nothing is looked for in the run.
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(999);
      expect(progress).toEqual([[waiting('baseline'), waiting('slow')]]);
      vi.advanceTimersByTime(1);
      expect(progress.slice(1)).toEqual([[running, waiting('slow')]]);
      writeMetrics(run, 5, { 'train/imagesPerSecond': 900 });
      writeMetrics(run, 10, { 'train/imagesPerSecond': 1000 });
      writeMetrics(run, 10, { 'test/accuracy': 0.3 });
      writeStatus(run, { status: 'running', step: 10, steps: 90, accuracy: 0.3 });
      vi.advanceTimersByTime(1000);
      expect(progress.slice(2)).toEqual([[{ ...running, step: 10, accuracy: 0.3, imagesPerSecond: 1000 }, waiting('slow')]]);
      return finish(run);
    });
    const recorded = { ...dataset, fingerprint: 'images-1', train: { ...dataset.train, images: 'many' }, test: 'images' };
    const runs = await runStudy({
      ...{ plan, launcher, runsFolder, hooks, dataset: recorded },
      how: { dataDir: 'images', engine: 'reference' },
    });
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
    expect(runs).toEqual([
      { variant: 'baseline', seed: 1, run: 'tuto/1', state: 'finished', reason: undefined },
      { variant: 'slow', seed: 1, run: 'tuto/2', state: 'finished', reason: undefined },
    ]);
    expect(ended).toEqual([first, second]);
    expect(progress.slice(3)).toEqual([[first, second]]);
    expect(readStudyState(runsFolder, 'simulated')).toEqual({
      ...{ format: 'ablate-study-1', name: 'simulated', file: { path: 'study.yaml', text } },
      dataset: {
        ...{ name: 'cifar10', fingerprint: 'images-1', synthetic: false, shape: [3, 32, 32] },
        ...{ classes: Array.from('abcdefghij'), train: { count: 50_000 } },
      },
      runs: JSON.parse(JSON.stringify(runs)) as unknown,
      updatedAt: expect.any(String) as string,
    });
  });

  test('have not failed where another study has trained them meanwhile', async () => {
    const launcher = fakeLauncher((run) => {
      finish(run);
      return broken;
    });
    expect((await start(launcher)).map(({ state, reason }) => [state, reason])).toEqual(Array(2).fill(['finished', undefined]));
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
  });

  test('are trained in the order of the plan, as many at a time as there are slots', async () => {
    let active = 0;
    const seen: string[] = [];
    const launcher = fakeLauncher(async (run) => {
      const { seed, learningRate } = configOf(run);
      seen.push(`${++active} active: ${seed} ${learningRate}`);
      await pause();
      active--;
      return finish(run);
    }, 3);
    await start(launcher, twoSeeds);
    expect(seen).toEqual(['1 active: 1 0.1', '2 active: 1 0.01', '3 active: 2 0.1', '3 active: 2 0.01']);
  });

  test('of one study of a name at a time', async () => {
    const folder = studyFolder(runsFolder, 'simulated');
    mkdirSync(folder, { recursive: true });
    const lock = lockFolder(folder, 'the study simulated');
    expect(await failureOf(start(finishing()))).toEqual({
      kind: 'AblateError',
      message: `the study simulated is in use by process ${process.pid} on ${hostname()}`,
      fix: `wait until it ends, or stop it: kill -INT ${process.pid}`,
    });
    lock.release();
    expect(allRuns(runsFolder)).toEqual([]);
    expect(readStudyState(runsFolder, 'simulated')).toBeUndefined();
  });
});

describe('finished runs are reused', () => {
  test('a second time, and by another study', async () => {
    const runs = await start(finishing());
    const again = finishing();
    const { progress, ended, hooks } = watching();
    expect(await start(again, text, { hooks })).toEqual(runs);
    expect([again.launched, ended]).toEqual([[], []]);
    const reused = (variant: string, run: string, accuracy: number) => ({
      ...{ variant, seed: 1, run, state: 'finished', reason: undefined },
      ...{ steps: 90, step: 90, accuracy, imagesPerSecond: undefined, reused: true },
    });
    const seen = [reused('baseline', 'tuto/1', 0.05), reused('slow', 'tuto/2', 0.005)];
    expect(progress).toEqual([seen, seen]);
    const other = finishing();
    const source = text
      .replace('simulated', 'other')
      .replace('name: slow, set: { learningRate: 0.01 }', 'name: fast, set: { learningRate: 0.2 }');
    expect(namesAndStates(await start(other, source))).toEqual(['tuto/1 finished', 'tuto/3 finished']);
    expect(other.launched).toEqual(['tuto/3']);
  });

  test('on the same images alone, without their checkpoints too', async () => {
    const [first, second] = planOf(text).trainings;
    trainElsewhere(first!, finishWithoutWeights);
    trainElsewhere(second!, (run) => finish(run, 'images-2'));
    const launcher = finishing();
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 finished', 'tuto/3 finished']);
    expect(launcher.launched).toEqual(['tuto/3']);
  });

  test('that another study made meanwhile, and trained no further than is missing', async () => {
    const [, second, third] = planOf(twoSeeds).trainings;
    const launcher = fakeLauncher((run) => {
      if (launcher.launched.length === 1) {
        trainElsewhere(second!, (other) => finish(other));
        trainElsewhere(third!, (other) => interrupt(other, 40));
      }
      return finish(run);
    });
    const { ended, hooks } = watching();
    const runs = await start(launcher, twoSeeds, { hooks });
    expect(namesAndStates(runs)).toEqual(['tuto/1 finished', 'tuto/2 finished', 'tuto/3 finished', 'tuto/4 finished']);
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/3', 'tuto/4']);
    expect(ended.map(({ run, reused }) => [run, reused])).toEqual([
      ['tuto/1', false],
      ['tuto/2', false],
      ['tuto/3', false],
      ['tuto/4', false],
    ]);
  });

  test('shown with no more steps than the study has, if somebody goes on with one', async () => {
    const { progress, hooks } = watching();
    const launcher = fakeLauncher((run) => {
      if (launcher.launched.length === 2)
        writeStatus(findRun(runsFolder, 'tuto/1'), { status: 'running', step: 100, steps: 180 });
      return finish(run);
    });
    await start(launcher, text, { hooks });
    expect(progress.at(-1)!.map(({ step, steps }) => [step, steps])).toEqual([
      [90, 90],
      [90, 90],
    ]);
  });
});

describe('the study is stopped', () => {
  test('before it begins', async () => {
    const launcher = finishing();
    const runs = await start(launcher, search, { signal: AbortSignal.abort() });
    expect(namesAndStates(runs)).toEqual(Array(4).fill('undefined waiting'));
    expect([launcher.launched, allRuns(runsFolder)]).toEqual([[], []]);
    expect(recordedRuns('search')).toEqual(JSON.parse(JSON.stringify(runs)));
  });

  test('in the middle, and goes on where it was', async () => {
    const controller = new AbortController();
    const first = fakeLauncher((run, signal) => {
      if (first.launched.length === 1) return finish(run);
      controller.abort();
      expect(signal.aborted).toBe(true);
      return interrupt(run, 40);
    });
    const { ended, progress, hooks } = watching();
    const runs = await start(first, twoSeeds, { signal: controller.signal, hooks });
    const states = ['tuto/1 finished', 'tuto/2 waiting', 'undefined waiting', 'undefined waiting'];
    expect(namesAndStates(runs)).toEqual(states);
    expect(namesAndStates(recordedRuns())).toEqual(states);
    expect(ended.map(({ run }) => run)).toEqual(['tuto/1']);
    expect(progress.at(-1)!.map(({ step }) => step)).toEqual([90, 40, 0, 0]);
    const second = fakeLauncher((run) => {
      if (second.launched.length === 1) expect(readStatus(run).step).toBe(40);
      return finish(run);
    });
    expect(namesAndStates(await start(second, twoSeeds))).toEqual([1, 2, 3, 4].map((number) => `tuto/${number} finished`));
    expect(second.launched).toEqual(['tuto/2', 'tuto/3', 'tuto/4']);
  });

  test('and what ends badly meanwhile has not failed', async () => {
    const controller = new AbortController();
    const launcher = fakeLauncher(async ({ number }, signal) => {
      if (number === 1) await aborted(signal);
      controller.abort();
      return { how: 'failed', detail: 'job 1_0 is gone without having begun' };
    }, 2);
    const { ended, hooks } = watching();
    const runs = await start(launcher, text, { signal: controller.signal, hooks });
    expect(namesAndStates(runs)).toEqual(['tuto/1 waiting', 'tuto/2 waiting']);
    expect(recordedRuns()).toEqual(JSON.parse(JSON.stringify(runs)));
    expect(ended).toEqual([]);
  });
});

describe('a run whose process', () => {
  test('is killed is started again, and given up after three times without a step; the others go on', async () => {
    const launcher = fakeLauncher((run) => (run.number === 1 ? killed : finish(run)));
    const { ended, hooks } = watching();
    const runs = await start(launcher, text, { hooks });
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/1', 'tuto/1', 'tuto/2']);
    const given = {
      ...{ variant: 'baseline', seed: 1, run: 'tuto/1', state: 'failed' },
      reason: 'the process was ended by SIGKILL',
    };
    expect(runs).toEqual([given, { ...given, variant: 'slow', run: 'tuto/2', state: 'finished', reason: undefined }]);
    expect(ended[0]).toEqual({ ...given, steps: 90, step: 0, accuracy: undefined, imagesPerSecond: undefined, reused: false });
  });

  test('is killed is started as often as it comes further', async () => {
    // Steps at the ends of its processes: twice none further, then some.
    const steps = [0, 0, 10, 10, 10, 20, 20, 20];
    const launcher = fakeLauncher((run, _, time) =>
      time > steps.length ? finish(run) : interrupt(run, steps[time - 1]!, killed),
    );
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 finished', 'tuto/2 finished']);
    expect(launcher.launched.filter((name) => name === 'tuto/1')).toHaveLength(9);
  });

  test('stops in order before its end is started again', async () => {
    const launcher = fakeLauncher((run, _, time) => (time < 5 ? stopped : finish(run)));
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 finished', 'tuto/2 finished']);
    expect(launcher.launched).toHaveLength(10);
  });

  test('fails because another process trains it is waited for', async () => {
    let lock: RunLock | undefined;
    const launcher = fakeLauncher((run, _, time) => {
      if (time === 1) {
        lock = lockRun(run);
        return broken;
      }
      lock!.release();
      return finish(run);
    });
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 finished', 'tuto/2 finished']);
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/1', 'tuto/2', 'tuto/2']);
  });

  test('fails and leaves it held on another host has failed', async () => {
    const launcher = fakeLauncher((run) => {
      if (run.number === 2) return finish(run);
      mkdirSync(join(run.path, 'lock'));
      writeFileSync(join(run.path, 'lock', 'held.12.34.a.elsewhere'), '');
      return broken;
    });
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 failed', 'tuto/2 finished']);
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
  });

  test('fails without a step is tried again the next time', async () => {
    const launcher = fakeLauncher((run) => (run.number === 1 ? broken : finish(run)));
    const [run] = await start(launcher);
    expect(run).toEqual({ variant: 'baseline', seed: 1, run: 'tuto/1', state: 'failed', reason: 'exit code 1: no library' });
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
    expect(namesAndStates(await start(finishing()))).toEqual(['tuto/1 finished', 'tuto/2 finished']);
  });
});

describe('where nothing can be trained at all', () => {
  const failure = (run: string) => ({
    kind: 'AblateError',
    message: 'the runs of simulated cannot be trained: exit code 1: no library',
    fix: `${join(runsFolder, run)}/output.log has all that was said; once it is solved, run the study again`,
  });

  test('the study ends after two failures in a row', async () => {
    const launcher = fakeLauncher(() => broken);
    expect(await failureOf(start(launcher, twoSeeds))).toEqual(failure('tuto/2'));
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
    expect(namesAndStates(recordedRuns())).toEqual(['tuto/1 failed', 'tuto/2 failed', 'undefined waiting', 'undefined waiting']);
  });

  test('it ends after as many as are trained at a time', async () => {
    const launcher = fakeLauncher(async ({ number }, signal) => {
      if (number === 4) await aborted(signal);
      return broken;
    }, 3);
    expect(await failureOf(start(launcher, twoSeeds))).toEqual(failure('tuto/3'));
    expect(namesAndStates(recordedRuns())).toEqual(['tuto/1 failed', 'tuto/2 failed', 'tuto/3 failed', 'tuto/4 waiting']);
  });

  test('but not where one of them comes further', async () => {
    const launcher = fakeLauncher((run) =>
      run.number === 1 ? broken : run.number === 2 ? interrupt(run, 10, broken) : finish(run),
    );
    expect(namesAndStates(await start(launcher, twoSeeds))).toEqual([
      'tuto/1 failed',
      'tuto/2 failed',
      'tuto/3 finished',
      'tuto/4 finished',
    ]);
  });

  test('nor where one of them says by itself why it failed', async () => {
    const launcher = fakeLauncher((run) => (run.number === 2 ? fail(run) : run.number === 4 ? finish(run) : broken));
    expect(namesAndStates(await start(launcher, twoSeeds))).toEqual([
      'tuto/1 failed',
      'tuto/2 failed',
      'tuto/3 failed',
      'tuto/4 finished',
    ]);
  });

  test('an error of the launcher stops the other runs, and is thrown when they have saved', async () => {
    const saved: string[] = [];
    const thrown = new Error('no such command: sbatch');
    const launcher = fakeLauncher(async (run, signal) => {
      if (run.number === 2) {
        await pause();
        throw thrown;
      }
      await aborted(signal);
      saved.push(runName(run));
      return interrupt(run, 40);
    }, 2);
    const { progress, hooks } = watching();
    // Also where the user could stop it.
    const { signal } = new AbortController();
    expect(await failureOf(start(launcher, twoSeeds, { hooks, signal }))).toBe(thrown);
    expect([launcher.launched, saved]).toEqual([['tuto/1', 'tuto/2'], ['tuto/1']]);
    expect(namesAndStates(recordedRuns())).toEqual([
      'tuto/1 waiting',
      'tuto/2 waiting',
      'undefined waiting',
      'undefined waiting',
    ]);
    expect(progress).toHaveLength(1);
    // The study is free again.
    expect(namesAndStates(await start(finishing()))).toEqual(['tuto/1 finished', 'tuto/2 finished']);
  });
});

describe('a run that failed', () => {
  test('is recorded with its reason, and trained again only on request', async () => {
    const failing = fakeLauncher((run) => (run.number === 2 ? fail(run, { step: 5, diverged: false }) : finish(run)));
    const runs = await start(failing);
    const failed = { variant: 'slow', seed: 1, run: 'tuto/2', state: 'failed', reason: 'the disk is full' };
    expect(runs[1]).toEqual(failed);
    const again = finishing();
    const { progress, ended, hooks } = watching();
    expect(await start(again, text, { hooks })).toEqual(runs);
    expect([again.launched, ended]).toEqual([[], []]);
    expect(progress[0]![1]).toEqual({
      ...failed,
      steps: 90,
      step: 5,
      accuracy: undefined,
      imagesPerSecond: undefined,
      reused: false,
    });
    // It fails again: once is enough.
    const vain = fakeLauncher((run) => fail(run, { reason: 'still full' }));
    expect((await start(vain, text, { retryFailed: true }))[1]).toEqual({ ...failed, reason: 'still full' });
    expect(vain.launched).toEqual(['tuto/2']);
    const retried = watching();
    expect(namesAndStates(await start(again, text, { retryFailed: true, hooks: retried.hooks }))).toEqual([
      'tuto/1 finished',
      'tuto/2 finished',
    ]);
    expect(retried.progress[0]![1]).toMatchObject({ state: 'waiting', reason: undefined, reused: false });
    expect(again.launched).toEqual(['tuto/2']);
  });

  test('in the hands of another study meanwhile is recorded as that, without a try', async () => {
    const [, second] = planOf(text).trainings;
    const launcher = fakeLauncher((run) => {
      trainElsewhere(second!, (other) => fail(other));
      return finish(run);
    });
    expect(namesAndStates(await start(launcher))).toEqual(['tuto/1 finished', 'tuto/2 failed']);
    expect(launcher.launched).toEqual(['tuto/1']);
  });

  test('without a reason is said to have none', async () => {
    const [first] = planOf(text).trainings;
    trainElsewhere(first!, (run) => writeStatus(run, { status: 'failed', step: 5, steps: 90 }));
    expect((await start(finishing()))[0]!.reason).toBe('the reason was not recorded');
  });

  test('because it diverged has its result, and is not trained again', async () => {
    const reason = 'training diverged: the loss is 2e+6 at step 5';
    const launcher = fakeLauncher((run) => (run.number === 2 ? fail(run, { reason, diverged: true }) : finish(run)));
    const { ended, hooks } = watching();
    const runs = await start(launcher, text, { hooks, retryFailed: true });
    const diverged = { variant: 'slow', seed: 1, run: 'tuto/2', state: 'diverged', reason };
    expect(runs[1]).toEqual(diverged);
    expect(ended[1]).toEqual({ ...diverged, steps: 90, step: 0, accuracy: undefined, imagesPerSecond: undefined, reused: false });
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
    const again = finishing();
    const seen = watching();
    expect(await start(again, text, { retryFailed: true, hooks: seen.hooks })).toEqual(runs);
    expect(again.launched).toEqual([]);
    expect(seen.progress[0]!.map(({ reused }) => reused)).toEqual([true, true]);
  });
});

describe('a run is of use', () => {
  /** Whether a run of a training of a plan is, by default of the first. */
  const isUseful = (plan: StudyPlan, become: (run: Run) => unknown, training = 0) => {
    const planned = plan.trainings[training]!;
    return isUsefulFor(planned, plan)(trainElsewhere(planned, become));
  };

  test('without weights, where no file is to be measured', () => {
    expect(isUseful(planOf(text), finishWithoutWeights)).toBe(true);
  });

  test('to be quantized, if it has weights or may get them, or all its files are measured', () => {
    const plan = planOf(quantized);
    const measured = (schemes: readonly string[]) => (run: Run) => {
      finishWithoutWeights(run);
      for (const { quantization } of plan.runs.filter(({ identity }) => identity === plan.trainings[0]!.identity)) {
        if (!schemes.includes(quantization!.scheme)) continue;
        writeFileResult(run, { quantization: quantization!, bytes: 1, evaluation: recordedEvaluation() });
      }
    };
    expect(isUseful(plan, (run) => finish(run))).toBe(true);
    expect(isUseful(plan, finishWithoutWeights)).toBe(false);
    expect(isUseful(plan, (run) => interrupt(run, 40))).toBe(true);
    expect(isUseful(plan, measured(['int8']))).toBe(false);
    expect(isUseful(plan, measured(['none']))).toBe(false);
    expect(isUseful(plan, measured(['int8', 'none']))).toBe(true);
    expect(isUseful(plan, measured(['none']), 1)).toBe(true);
  });

  test('in a search, if it is evaluated at the ends of all rounds', () => {
    const isUsefulEvaluated = (plan: StudyPlan, evalEvery: number) =>
      isUseful(plan, (run) => {
        writeFileSync(join(run.path, 'config.json'), JSON.stringify({ ...plan.trainings[0]!.config, evalEvery }));
      });
    const every = [1, 5, 10, 20, 4, 0];
    expect(every.map((steps) => isUsefulEvaluated(planOf(search), steps))).toEqual([true, true, true, false, false, false]);
    expect(isUsefulEvaluated(planOf(text), 20)).toBe(true);
  });

  test('where it is not, another is trained', async () => {
    const plan = planOf(quantized);
    const [first, second] = plan.trainings;
    trainElsewhere(first!, finishWithoutWeights);
    trainElsewhere(second!, (run) => finish(run));
    const launcher = finishing();
    const runs = await start(launcher, quantized);
    expect(namesAndStates(runs)).toEqual(['tuto/3 finished', 'tuto/2 finished', 'tuto/3 finished']);
    expect(launcher.launched).toEqual(['tuto/3']);
  });
});

test('variants that differ in quantization alone share a training', async () => {
  const launcher = finishing();
  const { progress, ended, hooks } = watching();
  const runs = await start(launcher, quantized, { hooks });
  expect(launcher.launched).toEqual(['tuto/1', 'tuto/2']);
  const finished = { seed: 1, state: 'finished', reason: undefined };
  expect(runs).toEqual([
    { ...finished, variant: 'baseline', run: 'tuto/1' },
    { ...finished, variant: 'slow', run: 'tuto/2' },
    { ...finished, variant: 'int8', run: 'tuto/1' },
  ]);
  expect(recordedRuns()).toEqual(JSON.parse(JSON.stringify(runs)));
  expect(progress.at(-1)!.map(({ variant }) => variant)).toEqual(['baseline', 'slow']);
  expect(ended.map(({ variant }) => variant)).toEqual(['baseline', 'slow']);
});

describe('a search', () => {
  /**
   * Trains from evaluation to evaluation until it is asked to stop: what is asked is seen half a second later. The accuracy is the learning
   * rate, unless a test says otherwise.
   */
  function searching(
    accuracyAt: (config: SettledConfig) => number = ({ learningRate }) => learningRate,
  ): FakeLauncher & { readonly said: string[] } {
    const said: string[] = [];
    const launcher = fakeLauncher((run, signal) => {
      const config = configOf(run);
      let { step } = readStatus(run);
      const from = step;
      while (step < config.steps && !signal.aborted) {
        vi.advanceTimersByTime(499);
        step += config.evalEvery;
        writeMetrics(run, step, { 'test/accuracy': accuracyAt(config) });
        writeStatus(run, { status: 'interrupted', step, steps: config.steps });
        vi.advanceTimersByTime(1);
      }
      const end = `${runName(run)} from ${from} to ${step}`;
      said.push(signal.aborted ? `${end}, stopped` : end);
      return step < config.steps ? stopped : finish(run);
    });
    return Object.assign(launcher, { said });
  }

  const reasons = (runs: readonly StudyRun[]) => runs.map(({ run, state, reason }) => `${run} ${state} ${reason}`);
  const outcome = [
    'tuto/1 stopped not among the best 2 of 4 after 10 steps',
    'tuto/2 stopped not among the best 2 of 4 after 10 steps',
    'tuto/3 stopped not among the best 1 of 2 after 20 steps',
    'tuto/4 finished undefined',
  ];

  test('trains all a little, half of them twice as long, and the best to its end', async () => {
    const launcher = searching();
    const { ended, hooks } = watching();
    const runs = await start(launcher, search, { hooks });
    expect(reasons(runs)).toEqual(outcome);
    expect(reasons(recordedRuns('search'))).toEqual(outcome);
    expect(launcher.said).toEqual([
      ...[
        'tuto/1 from 0 to 10, stopped',
        'tuto/2 from 0 to 10, stopped',
        'tuto/3 from 0 to 10, stopped',
        'tuto/4 from 0 to 10, stopped',
      ],
      ...['tuto/3 from 10 to 20, stopped', 'tuto/4 from 10 to 20, stopped'],
      'tuto/4 from 20 to 40',
    ]);
    expect(ended.map(({ run, state, step }) => `${run} ${state} ${step}`)).toEqual([
      ...['tuto/1 stopped 10', 'tuto/2 stopped 10', 'tuto/3 stopped 20', 'tuto/4 finished 40'],
    ]);
  });

  test('after its only round, trains all that are left to their ends', async () => {
    const launcher = searching();
    const runs = await start(launcher, search.replace('rounds: 2', 'rounds: 1'));
    expect(runs.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'finished', 'finished']);
    expect(launcher.said.slice(4)).toEqual(['tuto/3 from 20 to 40', 'tuto/4 from 20 to 40']);
  });

  test('decides the same after an interruption', async () => {
    const controller = new AbortController();
    const interrupted = searching(({ learningRate }) => {
      // At the second evaluation of the third run.
      if (interrupted.launched.length === 5) controller.abort();
      return learningRate;
    });
    const first = await start(interrupted, search, { signal: controller.signal });
    expect(reasons(first)).toEqual([...outcome.slice(0, 2), 'tuto/3 waiting undefined', 'tuto/4 waiting undefined']);
    const launcher = searching();
    expect(reasons(await start(launcher, search))).toEqual(outcome);
    expect(launcher.said).toEqual(['tuto/4 from 10 to 20, stopped', 'tuto/4 from 20 to 40']);
  });

  test('compares means over seeds, and stops a variant of which a run has failed', async () => {
    // By rate, of both seeds: the first has the best sum even without its second, which fails; the second a better run than the third.
    const accuracies: Readonly<Record<string, readonly number[]>> = { '0.1': [0.9], '0.2': [0.5, 0.1], '0.3': [0.4, 0.4] };
    const source = search
      .replace(', { learningRate: 0.4 }', '')
      .replace('[1]', '[1, 2]')
      .replace('factor: 2', 'factor: 3')
      .replace('rounds: 2', 'rounds: 1');
    const launcher = searching(({ learningRate, seed }) => accuracies[String(learningRate)]![seed - 1]!);
    const failing: Launcher = {
      ...launcher,
      run: (job, signal) => (job.run.number === 4 ? Promise.resolve(fail(job.run)) : launcher.run(job, signal)),
    };
    expect(reasons(await start(failing, source))).toEqual([
      'tuto/1 stopped not among the best 1 of 3 after 13 steps',
      'tuto/2 stopped not among the best 1 of 3 after 13 steps',
      'tuto/3 finished undefined',
      'tuto/4 failed the disk is full',
      'tuto/5 stopped not among the best 1 of 3 after 13 steps',
      'tuto/6 finished undefined',
    ]);
  });

  test('with runs of different lengths compares each at its own ends, the last of them where it has no more', async () => {
    const source = `
name: search
baseline: { model: tuto, steps: 40 }
design: grid
halving: { factor: 2, rounds: 2 }
factors:
  - { name: rate, levels: [{ steps: 2, learningRate: 0.1 }, { learningRate: 0.2 }, { steps: 2, learningRate: 0.3 }, { learningRate: 0.4 }] }
seeds: [1]
`;
    const launcher = searching();
    expect(reasons(await start(launcher, source))).toEqual([
      'tuto/1 stopped not among the best 2 of 4 after 1 steps',
      'tuto/2 stopped not among the best 2 of 4 after 10 steps',
      'tuto/3 finished undefined',
      'tuto/4 finished undefined',
    ]);
    expect(launcher.said.slice(4)).toEqual([
      'tuto/3 from 1 to 2, stopped',
      'tuto/4 from 10 to 20, stopped',
      'tuto/4 from 20 to 40',
    ]);
  });

  test('leaves runs that are finished already as they are, whatever their accuracy', async () => {
    const [first] = planOf(search).trainings;
    trainElsewhere(first!, (run) => {
      for (let step = 10; step < 40; step += 10) writeMetrics(run, step, { 'test/accuracy': 0.1 });
      finish(run);
    });
    const launcher = searching();
    expect(reasons(await start(launcher, search))).toEqual(['tuto/1 finished undefined', ...outcome.slice(1)]);
    expect(launcher.launched).not.toContain('tuto/1');
  });

  test('goes on while records cannot be read for a moment', async () => {
    const { progress, hooks } = watching();
    const launcher = fakeLauncher((run, signal) => {
      const { steps } = configOf(run);
      writeFileSync(metricsPath(run), 'damaged\n\n');
      vi.advanceTimersByTime(1000);
      expect(progress.at(-1)!.map(({ imagesPerSecond }) => imagesPerSecond)).toEqual(Array(4).fill(undefined));
      expect(signal.aborted).toBe(false);
      // An error that is not about files is a defect.
      const defect = new RangeError('a defect');
      const look = () => {
        watchFs(
          ({ name, path }) => {
            if (name === 'openSync' && path === metricsPath(run)) throw defect;
          },
          () => vi.advanceTimersByTime(500),
        );
      };
      expect(look).toThrow(defect);
      writeFileSync(metricsPath(run), '');
      writeMetrics(run, 10, { 'test/accuracy': 0.1, 'train/imagesPerSecond': 800 });
      vi.advanceTimersByTime(500);
      expect(signal.aborted).toBe(true);
      expect(progress.at(-1)!.map(({ imagesPerSecond }) => imagesPerSecond)).toContain(800);
      writeStatus(run, { status: 'interrupted', step: 10, steps });
      return stopped;
    });
    const controller = new AbortController();
    const onRunEnd = () => controller.abort();
    await start(launcher, search, { hooks: { ...hooks, onRunEnd }, signal: controller.signal });
    expect(launcher.launched).toEqual(['tuto/1', 'tuto/2', 'tuto/3', 'tuto/4']);
  });

  test('ends where the record of a run is damaged', async () => {
    const [first] = planOf(search).trainings;
    const run = trainElsewhere(first!, (each) => {
      writeFileSync(metricsPath(each), 'damaged\n\n');
      interrupt(each, 10);
    });
    const damaged = {
      kind: 'DataError',
      message: `${metricsPath(run)}, line 1, is not a record of metrics`,
      fix: 'remove the line, or restore the file',
    };
    expect(await failureOf(start(searching(), search))).toEqual(damaged);
    // Without rounds it is not asked for.
    const source = search.replace(/^halving.*\n/m, '');
    const runs = await start(finishing(), source);
    expect(runs.map(({ state }) => state)).toEqual(Array(4).fill('finished'));
  });
});

describe('openStudyRun', () => {
  const named = { variant: 'no LRN', seed: 2, run: 'tuto/1', state: 'finished' } as const;

  test('opens the run of that name, if there is one', () => {
    const run = trainElsewhere(planOf(text).trainings[0]!, () => undefined);
    expect(openStudyRun(runsFolder, named)).toEqual(openRun(run.path));
    expect(openStudyRun(runsFolder, { ...named, run: undefined })).toBeUndefined();
  });

  test('says what to do where it is gone', () => {
    expect(told(() => openStudyRun(runsFolder, named))).toEqual({
      kind: 'DataError',
      message: 'tuto/1, the run of "no LRN" with seed 2, is gone',
      fix: 'run the study again: it trains what is missing',
    });
    let cause: unknown;
    try {
      openStudyRun(runsFolder, named);
    } catch (error) {
      ({ cause } = error as Error);
    }
    expect(cause).toMatchObject({ message: `there is no run "tuto/1" in ${runsFolder}: it holds no runs` });
  });

  test('passes on what is no matter of data', () => {
    const defect = new RangeError('a defect');
    const look = () => {
      watchFs(
        () => {
          throw defect;
        },
        () => openStudyRun(runsFolder, named),
      );
    };
    expect(look).toThrow(defect);
  });
});
