/** The runner with a launcher that writes down what a training would, at once. Real trainings, killed for real, are in test/study.test.ts. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { allRuns, findRun, metricsPath, readConfig, runName, type Run } from '../runs/run-folder.ts';
import { lockFolder } from '../runs/run-lock.ts';
import { readStatus, writeStatus } from '../runs/run-status.ts';
import type { SettledConfig, TrainingConfig } from '../train/config-schema.ts';
import { AblateError } from '../util/errors.ts';
import { writeFileResult } from './file-results.ts';
import type { JobEnd, Launcher } from './launcher.ts';
import { planStudy } from './plan.ts';
import { runStudy, type RunProgress, type StudyOptions } from './runner.ts';
import { parseStudyFile } from './study-file.ts';
import { readStudyState, studyFolder } from './study-state.ts';

const facts = { shape: [3, 32, 32], train: { count: 50_000 }, classes: Array.from('abcdefghij') } as const;
const dataset = { ...facts, name: 'cifar10', fingerprint: 'images-1', synthetic: false };
const text = `
name: simulated
baseline: { model: tuto, steps: 90 }
design: one-at-a-time
factors:
  - { name: flat, set: { augment: false } }
  - { name: slow, set: { learningRate: 0.01 } }
seeds: [1, 2]
`;

const folders: string[] = [];
let runsFolder = '';
beforeEach(() => {
  runsFolder = mkdtempSync(join(tmpdir(), 'ablate-runner-'));
  folders.push(runsFolder);
});
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

const stopped: JobEnd = { how: 'stopped', detail: '' };

/** How accurate a configuration is, by its learning rate and seed alone. */
const accuracyOf = ({ learningRate, seed, augment }: TrainingConfig) =>
  0.5 + learningRate / 10 + seed / 100 + (augment ? 0 : -0.05);

/** Records steps up to `step`, with evaluations, and a checkpoint. */
function trainTo(run: Run, step: number, fingerprint = dataset.fingerprint): void {
  const config = readConfig(run) as SettledConfig;
  const before = readStatus(run).step;
  for (let at = config.evalEvery; at <= step; at += config.evalEvery) {
    if (at <= before) continue;
    const record = {
      step: at,
      time: new Date().toISOString(),
      'train/imagesPerSecond': 1000,
      'test/accuracy': accuracyOf(config),
      'test/loss': 1,
    };
    appendFileSync(metricsPath(run), `${JSON.stringify(record)}\n`);
  }
  saveCheckpoint(run, { step, tensors: new Map(), metadata: { model: run.model, datasetFingerprint: fingerprint } });
  const status = step === config.steps ? 'finished' : 'interrupted';
  writeStatus(run, { status, step, steps: config.steps, accuracy: accuracyOf(config) });
}

interface FakeLauncher extends Launcher {
  readonly launched: string[];
}

/** @param behave what becomes of a run each time it is launched; by default it finishes */
function fakeLauncher(
  behave: (run: Run, config: TrainingConfig, time: number, signal: AbortSignal) => JobEnd | Promise<JobEnd>,
  slots = 1,
): FakeLauncher {
  const launched: string[] = [];
  return {
    name: 'a test',
    slots,
    threads: 1,
    launched,
    async run({ run }, signal) {
      const time = launched.filter((name) => name === runName(run)).length;
      launched.push(runName(run));
      return await behave(run, readConfig(run) as TrainingConfig, time, signal);
    },
  };
}

const finishing = (run: Run, { steps }: TrainingConfig): JobEnd => {
  trainTo(run, steps);
  return stopped;
};

function start(launcher: Launcher, more: Partial<StudyOptions> = {}, source = text) {
  const plan = planStudy(parseStudyFile(source, 'study.yaml'), facts);
  return runStudy({ plan, dataset, launcher, runsFolder, pollMs: 20, ...more });
}

test('trains every variant with every seed, and records which run is which', async () => {
  const launcher = fakeLauncher(finishing, 2);
  const ended: string[] = [];
  const runs = await start(launcher, {
    hooks: { onRunEnd: ({ variant, seed, state }) => ended.push(`${variant} ${seed} ${state}`) },
  });
  expect(runs.map(({ variant, seed, state }) => `${variant} ${seed} ${state}`)).toEqual([
    'baseline 1 finished',
    'flat 1 finished',
    'slow 1 finished',
    'baseline 2 finished',
    'flat 2 finished',
    'slow 2 finished',
  ]);
  expect(new Set(launcher.launched).size).toBe(6);
  expect(new Set(ended)).toEqual(new Set(runs.map(({ variant, seed, state }) => `${variant} ${seed} ${state}`)));
  expect(readStudyState(runsFolder, 'simulated')!.runs).toEqual(JSON.parse(JSON.stringify(runs)));
});

test('a second time, and another study with runs in common, reuse what is finished', async () => {
  await start(fakeLauncher(finishing));
  const again = fakeLauncher(finishing);
  const seen: (readonly RunProgress[])[] = [];
  await start(again, { hooks: { onProgress: (runs) => seen.push(runs) } });
  expect(again.launched).toEqual([]);
  expect(seen[0]!.every(({ reused }) => reused)).toBe(true);
  const other = fakeLauncher(finishing);
  await start(
    other,
    {},
    text.replace('simulated', 'other').replace('learningRate: 0.01', 'learningRate: 0.02').replace('[1, 2]', '[2, 3]'),
  );
  // New are the changed rate with both seeds, and the others with seed 3.
  expect(other.launched).toHaveLength(4);
});

test('a finished run is reused without its checkpoints, if its evaluation says on which images it was', async () => {
  const runs = await start(fakeLauncher(finishing));
  const folders = runs.map(({ run }) => findRun(runsFolder, run!));
  for (const run of folders) rmSync(join(run.path, 'checkpoints'), { recursive: true });
  folders.forEach((run, i) => {
    const datasetFingerprint = i < 2 ? dataset.fingerprint : 'images-2';
    writeFileSync(join(run.path, 'evaluation.json'), JSON.stringify(recordedEvaluation({ datasetFingerprint })));
  });
  const again = fakeLauncher(finishing);
  await start(again);
  expect(again.launched).toHaveLength(4);
});

test('runs on other images are not reused', async () => {
  await start(fakeLauncher(finishing));
  const changed = fakeLauncher((run, { steps }) => {
    trainTo(run, steps, 'images-2');
    return stopped;
  });
  await start(changed, { dataset: { ...dataset, fingerprint: 'images-2' } });
  expect(changed.launched).toHaveLength(6);
});

test('a run that started from weights is reused by a study that starts from the same, and by no other', async () => {
  const started = text.replace('steps: 90', 'steps: 90, init: weights.safetensors');
  await start(fakeLauncher(finishing), {}, started);
  const again = fakeLauncher(finishing);
  await start(again, {}, started);
  expect(again.launched).toEqual([]);
  const fresh = fakeLauncher(finishing);
  await start(fresh);
  expect(fresh.launched).toHaveLength(6);
});

test('a run that was continued to more steps is another experiment', async () => {
  const [first] = await start(fakeLauncher(finishing));
  const run = findRun(runsFolder, first!.run!);
  writeStatus(run, { ...readStatus(run), step: 180, steps: 180 });
  const again = fakeLauncher(finishing);
  const runs = await start(again);
  expect(again.launched).toEqual([runs[0]!.run]);
  expect(runs[0]!.run).not.toBe(first!.run);
});

test('interrupted by the user, it is continued where it was', async () => {
  const controller = new AbortController();
  const first = fakeLauncher((run, config, _, signal) => {
    if (first.launched.length === 2) controller.abort();
    if (!signal.aborted) return finishing(run, config);
    trainTo(run, 40);
    return stopped;
  });
  const runs = await start(first, { signal: controller.signal });
  expect(runs.map(({ state }) => state)).toEqual(['finished', 'waiting', 'waiting', 'waiting', 'waiting', 'waiting']);
  const second = fakeLauncher((run, config) => {
    if (second.launched.length === 1) expect(readStatus(run).step).toBe(40);
    return finishing(run, config);
  });
  expect((await start(second)).every(({ state }) => state === 'finished')).toBe(true);
  expect(second.launched[0]).toBe(first.launched[1]);
  expect(allRuns(runsFolder)).toHaveLength(6);
});

test('what ends badly while the study stops has not failed', async () => {
  const controller = new AbortController();
  const launcher = fakeLauncher((_, __, ___, signal) => {
    controller.abort();
    expect(signal.aborted).toBe(true);
    return { how: 'failed', detail: 'job 1_0 is gone without having begun' };
  }, 2);
  const runs = await start(launcher, { signal: controller.signal });
  expect(runs.map(({ state }) => state)).toEqual(Array(6).fill('waiting'));
  expect(readStudyState(runsFolder, 'simulated')!.runs.map(({ state }) => state)).toEqual(Array(6).fill('waiting'));
});

test('a process that is killed is started again, while it comes further; else it is given up, and the others go on', async () => {
  const launcher = fakeLauncher((run, config, time) => {
    if (config.seed === 2 && !config.augment) return { how: 'killed', detail: 'the process was ended by SIGKILL' };
    if (config.seed === 1 && time < 4) {
      trainTo(run, 10 + 10 * time);
      return { how: 'killed', detail: 'the process was ended by SIGKILL' };
    }
    return finishing(run, config);
  });
  const runs = await start(launcher);
  expect(runs.map(({ state }) => state)).toEqual(['finished', 'finished', 'finished', 'finished', 'failed', 'finished']);
  expect(runs[4]!.reason).toBe('the process was ended by SIGKILL');
  expect(launcher.launched.filter((name) => name === runs[4]!.run)).toHaveLength(3);
});

test('a run that fails is recorded with its reason, and tried again only on request', async () => {
  let works = false;
  const launcher = fakeLauncher((run, config) => {
    if (works || config.learningRate !== 0.01) return finishing(run, config);
    writeStatus(run, { status: 'failed', step: 5, steps: config.steps, reason: 'the disk is full' });
    return { how: 'failed', detail: 'exit code 1' };
  });
  const failures = (runs: Awaited<ReturnType<typeof start>>) =>
    runs.filter(({ state }) => state === 'failed').map(({ variant, reason }) => `${variant}: ${reason}`);
  expect(failures(await start(launcher))).toEqual(['slow: the disk is full', 'slow: the disk is full']);
  expect(launcher.launched).toHaveLength(6);
  works = true;
  expect(failures(await start(launcher))).toHaveLength(2);
  expect(launcher.launched).toHaveLength(6);
  expect(failures(await start(launcher, { retryFailed: true }))).toEqual([]);
  expect(launcher.launched).toHaveLength(8);
});

test('a run that diverged has its result: it is not tried again, and stands in the way of nothing', async () => {
  const reason = 'training diverged: the loss is 2e+6 at step 5';
  const launcher = fakeLauncher((run, config) => {
    if (config.learningRate !== 0.01) return finishing(run, config);
    writeStatus(run, { status: 'failed', step: 4, steps: config.steps, reason, diverged: true });
    return { how: 'failed', detail: 'exit code 1' };
  });
  const ended: RunProgress[] = [];
  const runs = await start(launcher, { hooks: { onRunEnd: (run) => ended.push(run) }, retryFailed: true });
  const expected = ['finished', 'finished', 'diverged', 'finished', 'finished', 'diverged'];
  expect(runs.map(({ state }) => state)).toEqual(expected);
  expect(runs.map((run) => run.reason)).toEqual(expected.map((state) => (state === 'diverged' ? reason : undefined)));
  expect(ended.map(({ state }) => state)).toEqual(expected);
  expect(launcher.launched).toHaveLength(6);
  const again = fakeLauncher(finishing);
  const seen: (readonly RunProgress[])[] = [];
  expect(await start(again, { retryFailed: true, hooks: { onProgress: (each) => seen.push(each) } })).toEqual(runs);
  expect(again.launched).toEqual([]);
  expect(seen[0]!.every(({ reused }) => reused)).toBe(true);
});

test('where nothing can be trained at all, it stops and says why', async () => {
  const launcher = fakeLauncher(() => ({ how: 'failed', detail: 'exit code 1: the oneDNN library is missing' }));
  const failure = await start(launcher).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(AblateError);
  expect((failure as AblateError).message).toBe(
    'the runs of simulated cannot be trained: exit code 1: the oneDNN library is missing',
  );
  expect(launcher.launched).toHaveLength(2);
  // What was not trained is not failed: the next time it is tried again.
  expect((await start(fakeLauncher(finishing))).every(({ state }) => state === 'finished')).toBe(true);
  expect(allRuns(runsFolder)).toHaveLength(6);
});

test('one study of a name runs at a time', async () => {
  await start(fakeLauncher(finishing));
  const lock = lockFolder(studyFolder(runsFolder, 'simulated'), 'the study simulated');
  await expect(start(fakeLauncher(finishing))).rejects.toThrow(/the study simulated is in use by process \d+/);
  lock.release();
});

const quantized = text.replace(
  '  - { name: slow, set: { learningRate: 0.01 } }',
  '  - { name: int8, set: { quantization: int8 } }',
);

test('variants that differ in quantization alone share a training', async () => {
  const launcher = fakeLauncher(finishing, 2);
  const progress: (readonly RunProgress[])[] = [];
  const runs = await start(launcher, { hooks: { onProgress: (each) => progress.push(each) } }, quantized);
  expect(launcher.launched).toHaveLength(4);
  expect(progress.at(-1)!.map(({ variant, seed }) => [variant, seed])).toEqual([
    ['baseline', 1],
    ['flat', 1],
    ['baseline', 2],
    ['flat', 2],
  ]);
  expect(runs.map(({ variant, state }) => `${variant} ${state}`).slice(0, 3)).toEqual([
    'baseline finished',
    'flat finished',
    'int8 finished',
  ]);
  const runOf = (variant: string) => runs.filter((each) => each.variant === variant).map(({ run }) => run);
  expect(runOf('int8')).toEqual(runOf('baseline'));
  expect(readStudyState(runsFolder, 'simulated')!.runs).toEqual(JSON.parse(JSON.stringify(runs)));
});

test('to be quantized, a finished run without checkpoints is of use only if its files were measured', async () => {
  const runs = await start(fakeLauncher(finishing), {}, quantized);
  const { runs: planned } = planStudy(parseStudyFile(quantized, 'study.yaml'), facts);
  for (const [i, { run, seed }] of runs.entries()) {
    const found = findRun(runsFolder, run!);
    rmSync(join(found.path, 'checkpoints'), { recursive: true, force: true });
    const evaluation = recordedEvaluation({ datasetFingerprint: dataset.fingerprint });
    writeFileSync(join(found.path, 'evaluation.json'), JSON.stringify(evaluation));
    if (seed === 1) writeFileResult(found, { quantization: planned[i]!.quantization!, bytes: 1, evaluation });
  }
  const again = fakeLauncher(finishing);
  const next = await start(again, {}, quantized);
  expect(again.launched).toHaveLength(2);
  expect(next.filter(({ seed }) => seed === 1)).toEqual(runs.filter(({ seed }) => seed === 1));
});

const search = `
name: search
baseline: { model: tuto, steps: 90 }
design: grid
halving: { factor: 3, rounds: 2 }
factors:
  - { name: rate, levels: [{ learningRate: 0.1 }, { learningRate: 0.2 }, { learningRate: 0.3 }, { learningRate: 0.4 }, { learningRate: 0.5 }, { learningRate: 0.6 }, { learningRate: 0.7 }, { learningRate: 0.8 }, { learningRate: 0.9 }] }
seeds: [1]
`;

/** Trains ten steps at a time until it is asked to stop. */
async function stepByStep(run: Run, { steps }: TrainingConfig, _: number, signal: AbortSignal): Promise<JobEnd> {
  for (let step = readStatus(run).step + 10; step <= steps && !signal.aborted; step += 10) {
    trainTo(run, step);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  return stopped;
}

test('a search with halving trains all a little, a third three times as long, and only the best to the end', async () => {
  const runs = await start(fakeLauncher(stepByStep, 3), {}, search);
  expect(runs.map(({ state }) => state)).toEqual([...Array<string>(8).fill('stopped'), 'finished']);
  expect(runs.map(({ reason }) => reason)).toEqual([
    ...Array<string>(6).fill('not among the best 3 of 9 after 10 steps'),
    ...Array<string>(2).fill('not among the best 1 of 3 after 30 steps'),
    undefined,
  ]);
  const steps = allRuns(runsFolder).map((run) => readStatus(run).step);
  expect(steps.reduce((sum, step) => sum + step, 0)).toBeLessThan(400);
});

test('a record that cannot be read for a while ends neither a study nor a round of a search', async () => {
  const seen: RunProgress[] = [];
  const hooks = { onProgress: (runs: readonly RunProgress[]) => seen.push(...runs) };
  const launcher = fakeLauncher(async (run, config, time, signal) => {
    const record = readFileSync(metricsPath(run), 'utf8');
    writeFileSync(metricsPath(run), 'damaged\n\n');
    const before = seen.length;
    while (seen.length < before + 18) await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(metricsPath(run), record);
    return await stepByStep(run, config, time, signal);
  }, 9);
  const runs = await start(launcher, { hooks }, search);
  expect(runs.map(({ state }) => state)).toEqual([...Array<string>(8).fill('stopped'), 'finished']);
  expect(seen.filter(({ state }) => state === 'running').map(({ imagesPerSecond }) => imagesPerSecond)).toContain(undefined);
  expect(seen.some(({ imagesPerSecond }) => imagesPerSecond === 1000)).toBe(true);
});

test('runs without evaluations at the ends of rounds are of no use to a search', async () => {
  const rare = search.replace('steps: 90', 'steps: 90, evalEvery: 45').replace(/^halving.*\n/m, '');
  await start(fakeLauncher(finishing), {}, rare);
  const runs = await start(fakeLauncher(stepByStep, 3), {}, search);
  expect(runs.map(({ state }) => state)).toEqual([...Array<string>(8).fill('stopped'), 'finished']);
});

test('a search continued after an interruption decides the same', async () => {
  const controller = new AbortController();
  const interrupted = fakeLauncher((run, config, time, signal) => {
    if (interrupted.launched.length === 11) controller.abort();
    return stepByStep(run, config, time, signal);
  });
  await start(interrupted, { signal: controller.signal }, search);
  const runs = await start(fakeLauncher(stepByStep), {}, search);
  expect(runs.map(({ state }) => state)).toEqual([...Array<string>(8).fill('stopped'), 'finished']);
  expect(allRuns(runsFolder)).toHaveLength(9);
});
