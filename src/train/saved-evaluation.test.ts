import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { checkpointPath, latestCheckpoint, listCheckpoints } from '../runs/checkpoint.ts';
import { runName, type Run } from '../runs/run-folder.ts';
import { writeStatus } from '../runs/run-status.ts';
import { DataError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import { evaluateSaved, watchRun, type SavedEvaluation } from './saved-evaluation.ts';
import { readSavedModel } from './saved-model.ts';
import { train } from './train.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-saved-evaluation-'));
afterAll(() => rmSync(root, { recursive: true }));

const dataset = noiseDataset(8, { train: 40, test: 12 });
const engine = referenceEngine;
const config = resolveConfig({
  ...{ model: 'cs231n', 'conv1.filters': 2, 'dense1.features': 4, inputSize: 8, dataset: 'noise', threads: 1 },
  ...{ batchSize: 4, steps: 3, saveEvery: 1, keepCheckpoints: 0, evalEvery: 1 },
});

let run: Run;
let trained: readonly { readonly step: number; readonly weights: string; readonly accuracy: number }[];
beforeEach(async () => {
  const seen: SavedEvaluation[] = [];
  const onEvaluation = (evaluation: object) => void seen.push(evaluation as SavedEvaluation);
  run = (await train({ config, engine, dataset, record: { runsFolder: root }, hooks: { onEvaluation } })).run!;
  trained = seen as typeof trained;
});

const accuracies = (evaluations: readonly SavedEvaluation[]) => evaluations.map(({ step, accuracy }) => [step, accuracy]);
const during = (weights: string) =>
  trained.filter((each) => each.weights === weights).map(({ step, accuracy }) => [step, accuracy]);

test('saved weights are evaluated as they were while they were trained: the averages where there are any, or as asked', async () => {
  const { path } = latestCheckpoint(run)!;
  const saved = readSavedModel(path, {});
  const evaluation = await evaluateSaved(saved, { engine, dataset });
  expect(evaluation).toMatchObject({ model: 'cs231n', weights: 'ema', precision: 'f32', step: 3, file: path, split: 'test' });
  expect([[3, evaluation!.accuracy]]).toEqual(during('ema').slice(-1));
  const raw = await evaluateSaved(saved, { engine, dataset, weights: 'raw', batchSize: 5 });
  expect([[3, raw!.accuracy]]).toEqual(during('raw').slice(-1));
  expect(await evaluateSaved(saved, { engine, dataset, split: 'train' })).toMatchObject({ split: 'train', images: 40 });
});

test('what was compiled is let go', async () => {
  let open = 0;
  const counting: Engine = {
    ...engine,
    compileInference: async (...args) => {
      open++;
      return Object.assign(await engine.compileInference(...args), { dispose: () => open-- });
    },
  };
  await evaluateSaved(readSavedModel(latestCheckpoint(run)!.path, {}), { engine: counting, dataset });
  expect(open).toBe(0);
  expect(await watchRun(run, { engine: counting, dataset })).toHaveLength(3);
  expect(open).toBe(0);
});

test('images of other classes are refused; a signal stops it', async () => {
  const saved = readSavedModel(latestCheckpoint(run)!.path, {});
  const others = { ...dataset, classes: ['a', 'b', 'c', 'z'] };
  await expect(evaluateSaved(saved, { engine, dataset: others })).rejects.toThrow('noise has the classes a, b, c, z');
  expect(await evaluateSaved(saved, { engine, dataset, signal: AbortSignal.abort() })).toBeUndefined();
});

test('each checkpoint of a run that is trained, in order, until it ends', async () => {
  writeStatus(run, { status: 'running', step: 3, steps: 3 });
  const told: SavedEvaluation[] = [];
  const watching = watchRun(run, {
    ...{ engine, dataset, pollMs: 5 },
    onEvaluation(evaluation) {
      told.push(evaluation);
      if (told.length === 3) setTimeout(() => writeStatus(run, { status: 'finished', step: 3, steps: 3 }), 20);
    },
  });
  const evaluations = await watching;
  expect(accuracies(evaluations)).toEqual(during('ema'));
  expect(evaluations).toEqual(told);
});

test('a checkpoint that is gone when it is read is passed over; a damaged one is an error', async () => {
  rmSync(checkpointPath(run, 2));
  symlinkSync('gone', checkpointPath(run, 2));
  const steps = (await watchRun(run, { engine, dataset })).map(({ step }) => step);
  expect(steps).toEqual([1, 3]);
  writeFileSync(checkpointPath(run, 3), 'junk');
  await expect(watchRun(run, { engine, dataset })).rejects.toThrow(DataError);
});

test('a run without checkpoints that nobody trains; and one that is watched until it is enough', async () => {
  for (const { path } of listCheckpoints(run)) rmSync(path);
  await expect(watchRun(run, { engine, dataset })).rejects.toThrow(
    expect.objectContaining({
      message: `${runName(run)} has no checkpoint, and is not being trained`,
      fix: `ablate train --resume ${runName(run)}`,
    }) as Error,
  );
  writeStatus(run, { status: 'running', step: 0, steps: 3 });
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 30);
  expect(await watchRun(run, { engine, dataset, signal: controller.signal, pollMs: 100_000 })).toEqual([]);
});
