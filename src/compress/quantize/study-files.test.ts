/** The files of a study of two variants, one of them quantized, on a network of a few hundred weights. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { toldLater } from '../../../test/told.ts';
import type { Dataset } from '../../data/dataset.ts';
import { accuracyRecord, evaluateFile } from '../../deploy/evaluate.ts';
import { freeze } from '../../deploy/freeze.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { latestCheckpoint } from '../../runs/checkpoint.ts';
import type { Run } from '../../runs/run-folder.ts';
import { readFileResult } from '../../study/file-results.ts';
import { planStudy, type StudyPlan } from '../../study/plan.ts';
import { parseStudyFile } from '../../study/study-file.ts';
import type { StudyRun } from '../../study/study-state.ts';
import { readSavedModel } from '../../train/saved-model.ts';
import { train } from '../../train/train.ts';
import { quantize } from './quantize.ts';
import { measureStudyFile, measureStudyFiles, unmeasuredFiles, type StudyFileTask } from './study-files.ts';

let runsFolder: string;
beforeEach(() => {
  runsFolder = mkdtempSync(join(tmpdir(), 'ablate-study-files-'));
});
afterEach(() => rmSync(runsFolder, { recursive: true }));

const none = { scheme: 'none' } as const;
const int8 = { scheme: 'int8', calibration: 'mse', weightBits: 7 } as const;

function planOf(dataset: Dataset, factor: string, more = ''): StudyPlan {
  const network = 'model: cs231n, conv1.filters: 4, dense1.features: 8, inputSize: 8, batchSize: 8';
  const text = `name: files\nbaseline: { ${network}, steps: 2${more} }\ndesign: one-at-a-time\nfactors: [${factor}]\nseeds: [5]\n`;
  return planStudy(parseStudyFile(text, 'study.yaml'), dataset);
}

/** Trains what the plan trains, and says of each of its runs what a finished study would. */
async function trained(plan: StudyPlan, dataset: Dataset): Promise<{ run: Run; runs: StudyRun[] }> {
  const config = { ...plan.trainings[0]!.config, threads: 1 };
  const { run } = await train({ config, engine: referenceEngine, dataset, record: { runsFolder } });
  const ofRun = (state: StudyRun['state']) => ({ run: 'cs231n/1', state }) as Partial<StudyRun>;
  const runs = plan.runs.map(({ variant, seed }) => ({ variant, seed, ...ofRun('finished') }) as StudyRun);
  return { run: run!, runs };
}

test('each file is made of the run, quantized with images that its seed draws, evaluated on the test images, and recorded', async () => {
  const dataset = noiseDataset(8, { train: 40, test: 12 });
  const plan = planOf(dataset, '{ name: int8, set: { quantization: int8 } }');
  expect(plan.trainings).toHaveLength(1);
  const { run, runs } = await trained(plan, dataset);
  const tasks = unmeasuredFiles(plan, runs, runsFolder);
  expect(tasks.map(({ planned, quantization, run: { path } }) => [planned.variant, quantization, path])).toEqual([
    ['baseline', none, run.path],
    ['int8', int8, run.path],
  ]);

  const told: unknown[][] = [];
  const measuring = { engine: referenceEngine, dataset, threads: 1, runsFolder };
  const onFile = ({ planned }: StudyFileTask, ...more: unknown[]) => told.push([planned.variant, ...more]);
  expect(await measureStudyFiles(plan, runs, { ...measuring, onFile })).toBe(0);

  const saved = readSavedModel(latestCheckpoint(run)!.path, {});
  const frozen = await freeze({ saved, engine: referenceEngine, run: 'cs231n/1' });
  const file = { bytes: frozen.encode(null), source: 'cs231n/1' };
  const quantized = await quantize({ quantization: int8, file, seed: 5, dataset });
  const results = [];
  for (const [quantization, { encode, metadata }] of [
    [none, frozen],
    [int8, quantized],
  ] as const) {
    const evaluation = (await evaluateFile(encode(null), { metadata, dataset, split: 'test', threads: 1 }))!;
    const bytes = encode(accuracyRecord(evaluation, dataset)).length;
    const imagesPerSecond = expect.any(Number) as number;
    const recorded = { ...evaluation, imagesPerSecond, step: 2, weights: metadata.weights, datasetFingerprint: 'noise-8' };
    expect(readFileResult(run, quantization)).toEqual({ quantization, bytes, evaluation: recorded });
    results.push({ quantization, bytes, evaluation: recorded });
  }
  expect(results[1]!.bytes).not.toBe(results[0]!.bytes);
  expect(told).toEqual([
    ['baseline', 0, 2],
    ['baseline', 1, 2, results[0]],
    ['int8', 1, 2],
    ['int8', 2, 2, results[1]],
  ]);
  expect(unmeasuredFiles(plan, runs, runsFolder)).toEqual([]);
  // Nobody need listen.
  rmSync(join(run.path, 'quantized'), { recursive: true });
  expect(await measureStudyFiles(plan, runs, measuring)).toBe(0);
  expect(readdirSync(join(run.path, 'quantized'))).toHaveLength(2);
});

test('runs that are not finished have no file, nor have those of a study that asks for none', async () => {
  const dataset = noiseDataset(8, { train: 40, test: 12 });
  const plan = planOf(dataset, '{ name: int8, set: { quantization: int8 } }');
  const { runs } = await trained(plan, dataset);
  const [first, second] = runs as [StudyRun, StudyRun];
  const waiting = [{ ...first, state: 'running' } as StudyRun, second];
  expect(unmeasuredFiles(plan, waiting, runsFolder).map(({ planned }) => planned.variant)).toEqual(['int8']);
  const plain = planOf(dataset, '{ name: slow, set: { learningRate: 0.01 } }');
  expect(unmeasuredFiles(plain, runs, runsFolder)).toEqual([]);
});

test('a study on validation images has them evaluated; stopped, it records nothing and says how many are left', async () => {
  const dataset = noiseDataset(8, { train: 40, test: 12 });
  const plan = planOf(dataset, '{ name: int8, set: { quantization: int8 } }', ', val: true');
  const { run, runs } = await trained(plan, dataset);
  const measuring = { engine: referenceEngine, dataset, threads: 1, runsFolder };
  expect(await measureStudyFiles(plan, runs, { ...measuring, signal: AbortSignal.abort() })).toBe(2);
  const [task] = unmeasuredFiles(plan, runs, runsFolder) as [StudyFileTask];
  expect(await measureStudyFile(task, { ...measuring, signal: AbortSignal.abort() })).toBeUndefined();
  expect(readFileResult(run, none)).toBeUndefined();
  // The last tenth of the training images.
  expect((await measureStudyFile(task, measuring))!.evaluation).toMatchObject({ split: 'val', images: 4 });
});

test('a run whose weights are gone is told', async () => {
  const dataset = noiseDataset(8, { train: 40, test: 12 });
  const plan = planOf(dataset, '{ name: int8, set: { quantization: int8 } }');
  const { run, runs } = await trained(plan, dataset);
  rmSync(join(run.path, 'checkpoints'), { recursive: true });
  const options = { engine: referenceEngine, dataset, threads: 1, runsFolder };
  expect(await toldLater(measureStudyFiles(plan, runs, options))).toEqual({
    kind: 'DataError',
    message: 'cs231n/1 has no checkpoint any more: its network is gone',
    fix: undefined,
  });
});
