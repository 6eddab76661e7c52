/**
 * The files of a study that asks for quantization: the network of each finished run is frozen, quantized as its variant says, and the file
 * itself evaluated. What comes out is recorded in the folder of the run, where reports find it; the files are not kept.
 */
import type { Dataset } from '../../data/dataset.ts';
import { accuracyRecord, evaluateFile } from '../../deploy/evaluate.ts';
import { freeze, type Frozen } from '../../deploy/freeze.ts';
import type { Engine } from '../../engine/engine.ts';
import { latestCheckpoint } from '../../runs/checkpoint.ts';
import { runName, type Run } from '../../runs/run-folder.ts';
import { readFileResult, writeFileResult, type FileResult } from '../../study/file-results.ts';
import type { PlannedRun, StudyPlan } from '../../study/plan.ts';
import type { StudyQuantization } from '../../study/quantization.ts';
import { openStudyRun } from '../../study/runner.ts';
import type { StudyRun } from '../../study/study-state.ts';
import { readSavedModel } from '../../train/saved-model.ts';
import { DataError } from '../../util/errors.ts';
import { quantize } from './quantize.ts';

/** A file that is not measured yet. */
export interface StudyFileTask {
  readonly planned: PlannedRun;
  readonly quantization: StudyQuantization;
  readonly run: Run;
}

export interface FileMeasuring {
  readonly engine: Engine;
  readonly dataset: Dataset;
  /** Of ONNX Runtime. */
  readonly threads: number;
  /** When aborted, the file at hand is left out. */
  readonly signal?: AbortSignal;
}

/**
 * What is left to measure of a study.
 *
 * @param runs from `runStudy`, in the order of the plan
 */
export function unmeasuredFiles(plan: StudyPlan, runs: readonly StudyRun[], runsFolder: string): StudyFileTask[] {
  return plan.runs.flatMap((planned, i) => {
    const { quantization } = planned;
    const run = runs[i]!.state === 'finished' ? openStudyRun(runsFolder, runs[i]!) : undefined;
    if (quantization === undefined || run === undefined) return [];
    return readFileResult(run, quantization) === undefined ? [{ planned, quantization, run }] : [];
  });
}

/**
 * Makes, evaluates and records every file that is left to measure of a study; none, where it asks for no quantization.
 *
 * @param runs from `runStudy`
 * @returns how many are left: more than 0 only if it was stopped
 * @throws what `measureStudyFile` throws
 */
export async function measureStudyFiles(
  plan: StudyPlan,
  runs: readonly StudyRun[],
  { runsFolder, onFile, ...measuring }: FileMeasuring & StudyFilesOptions,
): Promise<number> {
  const tasks = unmeasuredFiles(plan, runs, runsFolder);
  for (const [done, task] of tasks.entries()) {
    onFile?.(task, done, tasks.length);
    const result = await measureStudyFile(task, measuring);
    if (result === undefined) return tasks.length - done;
    onFile?.(task, done + 1, tasks.length, result);
  }
  return 0;
}

export interface StudyFilesOptions {
  readonly runsFolder: string;
  /** Before and after each file, then with its result; `done` of `total` are measured. */
  readonly onFile?: (task: StudyFileTask, done: number, total: number, result?: FileResult) => void;
}

/**
 * Makes, evaluates and records one file.
 *
 * @returns undefined if it was stopped
 * @throws DataError if the run's weights are gone; and what freezing and quantizing throw
 */
export async function measureStudyFile(task: StudyFileTask, measuring: FileMeasuring): Promise<FileResult | undefined> {
  const { planned, quantization, run } = task;
  const { dataset, threads, signal } = measuring;
  let made: File;
  try {
    made = await makeFile(task, measuring);
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return undefined;
    throw error;
  }
  const { encode, metadata } = made;
  const split = planned.config.val ? 'val' : 'test';
  const evaluation = await evaluateFile(encode(null), { metadata, dataset, split, threads }, signal);
  if (evaluation === undefined) return undefined;
  const { fingerprint: datasetFingerprint } = dataset;
  const result: FileResult = {
    quantization,
    bytes: encode(accuracyRecord(evaluation, dataset)).length,
    evaluation: { ...evaluation, step: planned.config.steps, weights: metadata.weights, datasetFingerprint },
  };
  writeFileResult(run, result);
  return result;
}

type File = Pick<Frozen, 'encode' | 'metadata'>;

/** The seed of the run draws the images that calibrate. */
async function makeFile(
  { planned, quantization, run }: StudyFileTask,
  { engine, dataset, signal }: FileMeasuring,
): Promise<File> {
  const frozen = await freezeRun(run, engine);
  if (quantization.scheme === 'none') return frozen;
  const file = { bytes: frozen.encode(null), source: runName(run) };
  return await quantize({ quantization, file, seed: planned.seed, dataset, signal });
}

async function freezeRun(run: Run, engine: Engine): Promise<Frozen> {
  const checkpoint = latestCheckpoint(run);
  if (checkpoint === undefined) throw new DataError(`${runName(run)} has no checkpoint any more: its network is gone`);
  const saved = readSavedModel(checkpoint.path, {});
  return await freeze({ saved, engine, run: runName(run) });
}
