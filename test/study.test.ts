/** Studies as users run them: real trainings in processes of their own, killed at random moments. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { allRuns, createRun, findRun, metricsPath, runName } from '../src/runs/run-folder.ts';
import { runHolder } from '../src/runs/run-lock.ts';
import { readStatus, writeStatus } from '../src/runs/run-status.ts';
import type { Tensor } from '../src/runs/safetensors.ts';
import { readFileResult } from '../src/study/file-results.ts';
import { planStudy } from '../src/study/plan.ts';
import { parseStudyFile } from '../src/study/study-file.ts';
import { recordedConfig } from '../src/train/resume.ts';
import { streamKey, uniform } from '../src/util/random.ts';
import { writeNoiseImages } from './noise-images.ts';
import { main, runCli } from './run-cli.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-study-'));
  writeNoiseImages(join(folder, 'images'), { train: 24 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface StudyResult {
  readonly study: string;
  readonly runs: readonly {
    readonly variant: string;
    readonly seed: number;
    readonly run: string;
    readonly status: string;
    readonly accuracy: number;
  }[];
  readonly effects: readonly {
    readonly factor: string;
    readonly difference: number;
    readonly low: number;
    readonly high: number;
    readonly seeds: readonly number[];
  }[];
  readonly report: string;
}

interface VariantResult {
  readonly bytes: number;
  readonly latencyMs?: number;
  readonly device?: { readonly ramBytes: number };
}

function writeStudy(name: string, more = ''): void {
  writeFileSync(
    join(folder, `${name}.yaml`),
    `name: ${name}
dataset: images:images
baseline: { model: cs231n, steps: 120, batchSize: 8, learningRate: 0.01, dense1.features: 16, saveEvery: 10, evalEvery: 40, logEvery: 10 }
design: one-at-a-time
factors:
  - { name: faster, set: { learningRate: 0.02 } }
seeds: [1, 2]
${more}`,
  );
}

const argumentsFor = (name: string, runs: string) => [
  ...['study', `${name}.yaml`, '--runs-dir', runs, '--jobs', '2', '--threads', '1', '--no-latency'],
  ...['-o', join(runs, 'report'), '--json'],
];

/** What a study has come to: every run's tensors, its evaluations, and the effects. */
function outcome(runs: string, result: StudyResult) {
  return {
    runs: result.runs.map(({ variant, seed, run }) => {
      const found = findRun(join(folder, runs), run);
      // A run that is killed between its last evaluation and its end evaluates once more: the same values at the same step.
      const records = new Map(
        readMetrics(metricsPath(found)).map(({ step, metrics }) => [`${step} ${Object.keys(metrics)[0]!}`, metrics]),
      );
      const tensors = loadCheckpoint(latestCheckpoint(found)!.path).tensors;
      return {
        ...{ variant, seed, status: readStatus(found).status },
        steps: [...records.keys()],
        evaluations: [...records.values()].flatMap((metrics) => metrics['test/loss'] ?? []),
        tensors: digest(tensors),
      };
    }),
    effects: result.effects,
  };
}

function digest(tensors: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256');
  for (const [name, { data }] of tensors) hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}

async function finishStudy(name: string, runs: string): Promise<StudyResult> {
  const { code, stdout, stderr } = await runCli(argumentsFor(name, runs), { cwd: folder });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as StudyResult;
}

test('killed at random moments, the study and its runs, it is completed by the same command, to the same bytes', async () => {
  writeStudy('killed');
  const undisturbed = outcome('straight', await finishStudy('killed', 'straight'));

  const key = streamKey(7, 'moments of death');
  let killedStudies = 0;
  let killedRuns = 0;
  for (let life = 0; life < 3; life++) {
    const study = spawn(process.execPath, [main, ...argumentsFor('killed', 'disturbed')], {
      cwd: folder,
      stdio: 'ignore',
    });
    const ended = new Promise<void>((resolve) => study.once('exit', () => resolve()));
    await firstRun(study);
    for (let moment = 0; moment < 2; moment++) {
      await sleep(2500 * uniform(key, 10 * life + moment));
      if (killSomeRun(uniform(key, 10 * life + moment + 5))) killedRuns++;
    }
    await sleep(1500 * uniform(key, 10 * life + 9));
    if (study.exitCode === null && study.kill('SIGKILL')) killedStudies++;
    await ended;
  }
  expect(killedStudies).toBeGreaterThan(0);
  expect(killedRuns).toBeGreaterThan(0);

  const result = await finishStudy('killed', 'disturbed');
  expect(allRuns(join(folder, 'disturbed'))).toHaveLength(4);
  expect(outcome('disturbed', result)).toEqual(undisturbed);
}, 240_000);

/** Waits until the study has made its first run, or is over. */
async function firstRun(study: ChildProcess): Promise<void> {
  while (study.exitCode === null && allRuns(join(folder, 'disturbed')).length === 0) await sleep(20);
}

/** Kills a process that trains a run now, if there is one. */
function killSomeRun(draw: number): boolean {
  const holders = allRuns(join(folder, 'disturbed')).flatMap((run) => runHolder(run) ?? []);
  const chosen = holders[Math.floor(draw * holders.length)];
  if (chosen === undefined) return false;
  try {
    return process.kill(chosen.pid, 'SIGKILL');
  } catch {
    return false; // It has just ended by itself.
  }
}

test('Ctrl-C saves, says how to go on, and going on trains only the rest', async () => {
  writeStudy('stopped');
  let sent = false;
  const stopped = await runCli(argumentsFor('stopped', 'stopped'), {
    cwd: folder,
    onStderr: (text) => {
      if (sent || !/seed 1: \d/.test(text)) return undefined;
      sent = true;
      return 'SIGINT';
    },
  });
  expect(stopped.code, stopped.stderr).toBe(130);
  expect(stopped.stderr).toMatch(
    /interrupted: \d of 4 runs are not finished; all that was trained is saved\nthe same command goes on from there/,
  );
  const states = allRuns(join(folder, 'stopped')).map((run) => readStatus(run).status);
  expect(states).not.toContain('running');
  const finished = allRuns(join(folder, 'stopped')).filter((run) => readStatus(run).status === 'finished');
  const times = new Map(finished.map((run) => [runName(run), readStatus(run).updatedAt]));
  const result = await finishStudy('stopped', 'stopped');
  expect(result.runs.every(({ status }) => status === 'finished')).toBe(true);
  for (const [name, updatedAt] of times) expect(readStatus(findRun(join(folder, 'stopped'), name)).updatedAt).toBe(updatedAt);
}, 120_000);

test('runs that diverge are in the report with their reason, and the others with their effects', async () => {
  writeStudy('diverging', '');
  const path = join(folder, 'diverging.yaml');
  const withDivergence = readFileSync(path, 'utf8')
    .replace('seeds:', '  - { name: absurd, set: { learningRate: 1.0e+30 } }\nseeds:')
    .replace('[1, 2]', '[1]');
  writeFileSync(path, withDivergence.replace('steps: 120', 'steps: 20'));
  const { code, stdout, stderr } = await runCli(argumentsFor('diverging', 'diverging'), { cwd: folder });
  // That is a result, and trying again would come to the same.
  expect(code, stderr).toBe(0);
  expect(stderr).not.toContain('--retry-failed');
  expect(stderr).toMatch(/ absurd, seed 1: diverged: training diverged: the loss is /);
  const result = JSON.parse(stdout) as StudyResult;
  expect(result.effects.map(({ factor, low, seeds }) => [factor, low, seeds])).toEqual([['faster', null, [1]]]);
  const page = readFileSync(join(folder, result.report), 'utf8');
  expect(page).toContain('no interval: one seed');
  expect(page).toContain('One seed: no interval can be given');
  expect(page).toContain('training diverged');
  expect(page).toContain('1 of 3 runs diverged, which is their result: they have no accuracy.');
  expect(result.runs.map(({ status }) => status)).toEqual(['finished', 'finished', 'diverged']);
  const { run } = result.runs[2]!;
  const told = await Promise.all(
    [['list'], ['show', run]].map((args) => runCli(['runs', ...args, '--runs-dir', 'diverging'], { cwd: folder })),
  );
  for (const { stdout: text } of told) expect(text).toMatch(new RegExp(`^${run} +diverged `, 'm'));
}, 120_000);

test('pruning and a teacher are factors like any other, also together', async () => {
  const settings = ['--data', 'images:images', '--batch-size', '8', '--set', 'learningRate=0.01', '--threads', '1'];
  const teacher = ['train', 'cs231n', '--steps', '4', '--seed', '9', ...settings, '--runs-dir', 'pruned'];
  const trained = await runCli([...teacher, '--set', 'dense1.features=8'], { cwd: folder });
  expect(trained.code, trained.stderr).toBe(0);
  writeFileSync(
    join(folder, 'pruned.yaml'),
    `name: pruned
dataset: images:images
baseline: { model: cs231n, steps: 6, batchSize: 8, learningRate: 0.01, dense1.features: 16 }
design: factorial
factors:
  - { name: sparsity, set: { pruning: magnitude, pruning.sparsity: 0.9, pruning.rounds: 2 } }
  - { name: taught, set: { teacher: cs231n/1, teacherWeight: 0.7 } }
seeds: [1]
`,
  );
  const result = await finishStudy('pruned', 'pruned');
  const outcomes = result.runs.map(({ status, run }) => {
    const found = findRun(join(folder, 'pruned'), run);
    const { tensors } = loadCheckpoint(latestCheckpoint(found)!.path);
    const { pruning, teacher: taughtBy, teacherChecksum } = recordedConfig(found);
    const asked = pruning.type === 'none' ? 0 : pruning.sparsity;
    const weights = [...tensors].filter(([name]) => /^\w+\.weight$/.test(name)).flatMap(([, { data }]) => [...data]);
    expect(weights.filter((value) => value === 0)).toHaveLength(Math.round(asked * weights.length));
    expect([status, teacherChecksum.length]).toEqual(['finished', taughtBy === 'none' ? 0 : 64]);
    return { asked, taughtBy, tensors: digest(tensors) };
  });
  const combinations = outcomes.map(({ asked, taughtBy }) => `${asked} ${taughtBy}`);
  expect(combinations.sort()).toEqual([0, 0.9].flatMap((asked) => [`${asked} cs231n/1`, `${asked} none`]));
  expect(new Set(outcomes.map(({ tensors }) => tensors)).size).toBe(4);
  expect(new Set(result.effects.map(({ factor }) => factor))).toEqual(new Set(['sparsity', 'taught', 'sparsity x taught']));
  // A second time, all of them are found again.
  expect((await finishStudy('pruned', 'pruned')).runs).toEqual(result.runs);
  expect(allRuns(join(folder, 'pruned'))).toHaveLength(5);
}, 240_000);

test('quantization is a factor whose levels share a training, each measured on its file', async () => {
  writeFileSync(
    join(folder, 'quantized.yaml'),
    `name: quantized
dataset: images:images
baseline: { model: cs231n, steps: 30, batchSize: 8, learningRate: 0.01, dense1.features: 16, lrn: false, standardization: channel }
design: one-at-a-time
factors:
  - name: quantization
    levels:
      - { label: int8, set: { quantization: int8, quantization.calibration: min-max } }
      - { label: float16, set: { quantization: float16-weights } }
seeds: [1, 2]
`,
  );
  const result = await finishStudy('quantized', 'quantized');
  expect(allRuns(join(folder, 'quantized'))).toHaveLength(2);
  const rows = result.runs.map(({ variant, seed, run, status }) => [variant, seed, run, status]);
  expect(rows).toEqual([
    ['baseline', 1, 'cs231n/1', 'finished'],
    ['baseline', 2, 'cs231n/2', 'finished'],
    ['quantization: int8', 1, 'cs231n/1', 'finished'],
    ['quantization: int8', 2, 'cs231n/2', 'finished'],
    ['quantization: float16', 1, 'cs231n/1', 'finished'],
    ['quantization: float16', 2, 'cs231n/2', 'finished'],
  ]);
  expect(result.effects.map(({ seeds }) => seeds)).toEqual([
    [1, 2],
    [1, 2],
  ]);

  // What a variant is, ablate quantize makes of the run.
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCli([...args, '--runs-dir', 'quantized', '--json'], { cwd: folder });
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  const same = ['--calibration', 'min-max', '--seed', '2', '-o', 'same.onnx'];
  const alone = (await json('quantize', 'cs231n/2', ...same)) as { bytes: number; test: { accuracy: number } };
  expect(result.runs[3]!.accuracy).toBe(alone.test.accuracy);
  const quantization = { scheme: 'int8', calibration: 'min-max', weightBits: 7 } as const;
  const recorded = readFileResult(findRun(join(folder, 'quantized'), 'cs231n/2'), quantization);
  expect(recorded).toMatchObject({ bytes: alone.bytes, evaluation: { split: 'test', images: 22, step: 30 } });

  // A file that is not measured yet is missing in the report; the study measures it, and trains nothing.
  rmSync(join(folder, 'quantized/cs231n/1/quantized'), { recursive: true });
  const made = ['-o', join('quantized', 'report'), '--latency', '--device', 'm4@100'];
  const partial = (await json('report', 'quantized', ...made)) as StudyResult & { readonly variants: readonly VariantResult[] };
  expect(partial.runs.map(({ status }) => status)).toEqual(Array(3).fill(['unfinished', 'finished']).flat());
  const [baseline, int8, float16] = partial.variants;
  expect(baseline!.bytes).toBeGreaterThan(1.9 * float16!.bytes);
  expect(float16!.bytes).toBeGreaterThan(int8!.bytes);
  expect(partial.variants.map(({ latencyMs }) => typeof latencyMs)).toEqual(Array(3).fill('number'));
  expect(partial.variants.map(({ device }) => typeof device?.ramBytes)).toEqual(Array(3).fill('number'));
  expect(readFileSync(join(folder, 'quantized/report/report.md'), 'utf8')).toContain('quantization.calibration min-max');
  expect(await finishStudy('quantized', 'quantized')).toEqual(result);
  expect(allRuns(join(folder, 'quantized'))).toHaveLength(2);
}, 240_000);

test('a dry run lists what would be trained, and trains nothing', async () => {
  writeStudy('dry');
  const { code, stdout, stderr } = await runCli(['study', 'dry.yaml', '--dry-run', '--runs-dir', 'dry'], { cwd: folder });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^variant +seed +model +steps +exists +time\n/);
  expect(stdout).toMatch(/4 runs, .* in all, one at a time with \d+ threads? each; times from a guess/);
  expect(allRuns(join(folder, 'dry'))).toEqual([]);
  const path = join(folder, 'dry.yaml');
  const text = readFileSync(path, 'utf8');
  const secondsWith = async (steps: number, evalEvery: number) => {
    writeFileSync(path, text.replace('steps: 120', `steps: ${steps}`).replace('evalEvery: 40', `evalEvery: ${evalEvery}`));
    const args = ['study', 'dry.yaml', '--dry-run', '--runs-dir', 'dry', '--json'];
    // What a process takes to start is guessed from its own.
    const { stdout } = await runCli(args, { cwd: folder, ownProcess: true });
    return (JSON.parse(stdout) as { runs: { seconds: number }[] }).runs[0]!.seconds;
  };
  const seconds = await secondsWith(120, 40);
  // A process that starts, beside which so few steps take no time.
  expect(seconds).toBeGreaterThan(0.5);
  expect(seconds).toBeLessThan(10);
  expect((await secondsWith(1_200_000, 400_000)) / (await secondsWith(600_000, 200_000))).toBeCloseTo(2, 1);
  // Evaluations are of the 22 images that there are, not of as many as CIFAR-10 has: 117 more of them take a few seconds.
  const more = (await secondsWith(120, 1)) - seconds;
  expect(more).toBeGreaterThan(2);
  expect(more).toBeLessThan(6);
}, 60_000);

test('a dry run counts on the runs that a search can use, and on as many at a time as there are', async () => {
  writeStudy('search');
  const path = join(folder, 'search.yaml');
  const text = readFileSync(path, 'utf8')
    .replace('one-at-a-time', 'grid\nhalving: { factor: 3, rounds: 1 }')
    .replace('[1, 2]', '[1, 2, 3]');
  writeFileSync(path, text);
  const { runs } = planStudy(parseStudyFile(text, 'search.yaml'), {
    shape: [3, 32, 32],
    train: { count: 50_000 },
    classes: ['a', 'b'],
  });
  const runsFolder = join(folder, 'search');
  for (const [run, evalEvery] of [[runs[0]!, runs[0]!.config.evalEvery] as const, [runs[1]!, 50] as const]) {
    const config = { ...run.config, evalEvery };
    const made = createRun(runsFolder, config.model, config, describeEnvironment({ threads: 1 }));
    writeStatus(made, { status: 'interrupted', step: 0, steps: config.steps });
  }
  const args = ['study', 'search.yaml', '--dry-run', '--json', '--runs-dir', 'search', '--jobs', '4', '--threads', '1'];
  const { code, stdout, stderr } = await runCli(args, { cwd: folder });
  expect(code, stderr).toBe(0);
  const plan = JSON.parse(stdout) as { runs: { run: string | null; seconds: number }[]; totalSeconds: number };
  expect(plan.runs.map(({ run }) => run)).toEqual(['cs231n/1', ...Array<null>(5).fill(null)]);
  // Six of the same length, four at a time.
  expect(plan.totalSeconds).toBeCloseTo(2 * plan.runs[0]!.seconds);
}, 60_000);

test('a wrong file is refused with its line and exit code 2', async () => {
  writeFileSync(
    join(folder, 'wrong.yaml'),
    'name: wrong\nbaseline: { model: tuto }\ndesign: one-at-a-time\nfactors: [{ name: x, set: { lern: false } }]\nseeds: 2\n',
  );
  const { code, stdout, stderr } = await runCli(['study', 'wrong.yaml'], { cwd: folder });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: wrong\.yaml:4: there is no key "lern"\. Did you mean "lrn"\?\nThe keys are: /);
}, 60_000);
