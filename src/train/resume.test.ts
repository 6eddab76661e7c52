import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { bestCheckpoint, checkpointPath, listCheckpoints } from '../runs/checkpoint.ts';
import { readMetrics } from '../runs/metrics.ts';
import { metricsPath, openRun, type Run } from '../runs/run-folder.ts';
import { readStatus, writeStatus } from '../runs/run-status.ts';
import { DataError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { readEvaluation } from './recorded-evaluation.ts';
import { resumeConfig } from './resume.ts';
import { findWeights } from './saved-model.ts';
import { train } from './train.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-resume-'));
afterAll(() => rmSync(folder, { recursive: true }));

const dataset = noiseDataset(12, { train: 16, test: 9 });
const small: ConfigOverrides = {
  ...{
    model: 'tuto',
    dataset: 'noise',
    batchSize: 4,
    steps: 4,
    inputSize: 10,
    evalEvery: 0,
    saveEvery: 1,
    logEvery: 1,
    threads: 1,
  },
  ...{ 'conv1.filters': 2, 'conv1.kernel': 3, 'conv2.filters': 2, 'conv2.kernel': 3, 'dense1.features': 4, dense2: false },
};

/** Trained to its end, with a checkpoint of every step. Each test has a copy. */
let finished: Run;

beforeAll(async () => {
  const config = resolveConfig(small);
  const { run } = await train({ config, engine: referenceEngine, dataset, record: { runsFolder: join(folder, 'original') } });
  finished = run!;
});

let copies = 0;

function copy(): Run {
  const path = join(folder, `copy-${++copies}`, 'tuto', '1');
  cpSync(finished.path, path, { recursive: true });
  return openRun(path);
}

async function resume(run: Run, overrides: ConfigOverrides = {}, images = dataset) {
  const notices: string[] = [];
  const result = await train({
    ...{ config: resumeConfig(run, overrides), engine: referenceEngine, dataset: images, record: { resume: run } },
    hooks: { onNotice: (notice) => notices.push(notice) },
  });
  return { result, notices };
}

/** All files of a run that are its record, with their content. */
function contentOf(run: Run): Readonly<Record<string, string>> {
  const names = readdirSync(run.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.includes('/lock/'))
      .map((path) => [path, readFileSync(path, 'latin1')]),
  );
}

const accuracyOf = (run: Run) => ({ accuracy: readEvaluation(run)!.accuracy });
const stepsOf = (run: Run) => readMetrics(metricsPath(run)).map(({ step }) => step);

test('a finished run is left as it is, and told by its last evaluation', async () => {
  const run = copy();
  const before = contentOf(run);
  const { result } = await resume(run);
  expect(result).toMatchObject({ status: 'finished', step: 4, imagesPerSecond: 0, evaluations: [{ step: 4, images: 9 }] });
  expect(contentOf(run)).toEqual(before);
  // More steps go on.
  expect((await resume(run, { steps: 6 })).result).toMatchObject({ status: 'finished', step: 6 });
  expect(stepsOf(run)).toEqual([1, 2, 3, 4, 4, 5, 6, 6]);
});

test('killed between the record of its last evaluation and its end, a run ends, and neither evaluates nor records again', async () => {
  const run = copy();
  writeStatus(run, { ...readStatus(finished), status: 'running' });
  const before = contentOf(run);
  const { result } = await resume(run);
  expect(result).toMatchObject({ status: 'finished', step: 4, evaluations: [{ step: 4, images: 9, ...accuracyOf(finished) }] });
  const changed = Object.entries(contentOf(run)).filter(([path, content]) => before[path] !== content);
  // TensorBoard's files are new for each session.
  expect(changed.map(([path]) => path).filter((path) => !path.includes('tfevents'))).toEqual([join(run.path, 'status.json')]);
  expect(readStatus(run)).toMatchObject({ status: 'finished', step: 4, ...accuracyOf(finished) });
});

test('killed between the record of its best evaluation and the weights of it, a run keeps these', async () => {
  const config = resolveConfig({ ...small, val: true, evalEvery: 2 });
  const { run } = await train({ config, engine: referenceEngine, dataset, record: { runsFolder: join(folder, 'best') } });
  const path = bestCheckpoint(run!)!.path;
  // As if the last evaluation had been the best.
  const lines = readFileSync(metricsPath(run!), 'utf8').split('\n');
  const better = lines.map((line) => line.replace(/("step":4,.*"val\/accuracy":)[\d.]+/, '$11'));
  expect(better).not.toEqual(lines);
  writeFileSync(metricsPath(run!), better.join('\n'));
  writeStatus(run!, { status: 'interrupted', step: 4, steps: 4 });
  rmSync(path);
  const { result } = await resume(run!);
  expect(result.best).toMatchObject({ step: 4, accuracy: 1 });
  expect(bestCheckpoint(run!)).toMatchObject({ step: 4, accuracy: 1 });
});

test('a run evaluates where its last evaluation is missing or torn, and has one line of it in the end', async () => {
  const evaluation = (run: Run) => join(run.path, 'evaluation.json');
  const lines = (run: Run) => readFileSync(metricsPath(run), 'utf8').split('\n').slice(0, -1);
  for (const spoil of [
    (run: Run) => rmSync(evaluation(run)),
    (run: Run) => truncateSync(evaluation(run), 20),
    // Of an evaluation before, as where the line was written and the file was not.
    (run: Run) => writeFileSync(evaluation(run), JSON.stringify({ ...readEvaluation(run), step: 2 })),
    (run: Run) => writeFileSync(evaluation(run), JSON.stringify({ ...readEvaluation(run), accuracy: 'much' })),
    (run: Run) => writeFileSync(evaluation(run), JSON.stringify({ ...readEvaluation(run), confusion: [[1]] })),
    // Killed while it wrote the line, or before.
    (run: Run) => writeFileSync(metricsPath(run), lines(run).join('\n').slice(0, -9)),
    (run: Run) => writeFileSync(metricsPath(run), `${lines(run).slice(0, -1).join('\n')}\n`),
  ]) {
    const run = copy();
    spoil(run);
    writeStatus(run, { status: 'interrupted', step: 4, steps: 4 });
    await resume(run);
    expect(stepsOf(run)).toEqual([1, 2, 3, 4, 4]);
    expect(readMetrics(metricsPath(run)).at(-1)!.metrics).toEqual(readMetrics(metricsPath(finished)).at(-1)!.metrics);
    expect(readEvaluation(run)).toMatchObject({ step: 4, images: 9, ...accuracyOf(finished) });
    expect(readStatus(run)).toMatchObject({ status: 'finished', ...accuracyOf(finished) });
  }
});

test('a damaged newest checkpoint: it goes on from the one before, says so, and ends in the same weights', async () => {
  const run = copy();
  for (const step of [4, 3]) truncateSync(checkpointPath(run, step), step === 4 ? 5 : 1000);
  const { notices, result } = await resume(run);
  expect(notices).toEqual([
    `${checkpointPath(run, 4)}, ${checkpointPath(run, 3)} is damaged: continuing from the checkpoint before, of step 2`,
  ]);
  expect(result).toMatchObject({ status: 'finished', step: 4 });
  expect(stepsOf(run)).toEqual([1, 2, 3, 4, 4]);
  const weights = (of: Run) => readFileSync(checkpointPath(of, 4));
  expect(weights(run).equals(weights(finished))).toBe(true);
});

test('without a checkpoint, nothing of a run that has taken steps is replaced', async () => {
  const gone = copy();
  for (const { path } of listCheckpoints(gone)) rmSync(path);
  const damaged = copy();
  for (const { path } of listCheckpoints(damaged)) truncateSync(path, 3);
  const unknown = copy();
  for (const { path } of listCheckpoints(unknown)) rmSync(path);
  rmSync(join(unknown.path, 'status.json'));
  for (const [run, problem] of [
    [gone, /tuto\/1 has taken 4 steps, and has no checkpoint to continue from: .*checkpoints has none/],
    [damaged, /no checkpoint of tuto\/1 can be read: .*step-000000004.safetensors, .*step-000000003/],
    [unknown, /tuto\/1 has taken 4 steps/],
  ] as const) {
    const before = contentOf(run);
    const error = await resume(run, { steps: 5 }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message).toMatch(problem);
    expect((error as DataError).fix).toBe(
      `restore a checkpoint, or start a new run (in a study, by removing ${run.path}): ablate train tuto`,
    );
    expect(contentOf(run)).toEqual(before);
  }
});

test('a run that ended before its first checkpoint starts over, and says so; one that was only prepared says nothing', async () => {
  const died = copy();
  for (const { path } of listCheckpoints(died)) rmSync(path);
  writeStatus(died, { status: 'running', step: 3, steps: 4, saved: false });
  expect((await resume(died)).notices).toEqual(['tuto/1 ended before its first checkpoint: it starts at step 0 again']);
  expect(stepsOf(died)).toEqual([1, 2, 3, 4, 4]);
  const prepared = copy();
  for (const { path } of listCheckpoints(prepared)) rmSync(path);
  writeFileSync(metricsPath(prepared), '');
  writeStatus(prepared, { status: 'interrupted', step: 0, steps: 4 });
  expect((await resume(prepared)).notices).toEqual([]);
  expect(stepsOf(prepared)).toEqual([1, 2, 3, 4, 4]);
});

test('what has no checkpoint is not waited for unless it is being trained', () => {
  const weightsOf = (run: Run) => findWeights(run.path, 'runs');
  const run = copy();
  for (const { path } of listCheckpoints(run)) rmSync(path);
  const problemOf = (status: Parameters<typeof writeStatus>[1]) => {
    writeStatus(run, status);
    try {
      return weightsOf(run);
    } catch (error) {
      return [(error as DataError).message, (error as DataError).fix];
    }
  };
  expect(problemOf({ status: 'running', step: 3, steps: 4, saved: false })).toEqual([
    'tuto/1 has no checkpoint yet',
    'wait for the first, as ablate eval tuto/1 --watch does',
  ]);
  const untrained = ['tuto/1 has no checkpoint', 'train it: ablate train --resume tuto/1'];
  expect(problemOf({ status: 'interrupted', step: 0, steps: 4 })).toEqual(untrained);
  expect(problemOf({ status: 'interrupted', step: 3, steps: 4, saved: false })).toEqual(untrained);
  expect(problemOf({ status: 'finished', step: 4, steps: 4, saved: true })).toEqual([
    'tuto/1 has no checkpoint',
    `restore one in ${join(run.path, 'checkpoints')}, or take another run`,
  ]);
});

test('the status says from the first checkpoint on that there is one', () => {
  expect(readStatus(finished)).toMatchObject({ status: 'finished', saved: true });
});

test('images that have moved: their new place is taken if they are the same, and kept', async () => {
  const run = copy();
  await resume(run, { dataset: 'elsewhere', steps: 5 }, { ...dataset, name: 'elsewhere' });
  expect(resumeConfig(run, {}).dataset).toBe('elsewhere');
  const others = { ...dataset, fingerprint: 'other' };
  await expect(resume(run, { dataset: 'noise', steps: 6 }, others)).rejects.toThrow('tuto/1 was trained on other images');
  // Nothing tells which images a run without a checkpoint is to be trained on.
  for (const { path } of listCheckpoints(run)) rmSync(path);
  expect(() => resumeConfig(run, { dataset: 'third' })).toThrow('dataset (="third") must be "noise"');
});
