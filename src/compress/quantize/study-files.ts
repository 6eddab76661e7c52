/**
 * The files of a study that asks for quantization: the network of each finished run is frozen, quantized as its variant says, and the file
 * itself evaluated. What comes out is recorded in the folder of the run, where reports find it; the files are not kept.
 */
import type { Dataset, SplitName } from '../../data/dataset.ts';
import { evaluateFrozen } from '../../deploy/evaluate.ts';
import { freeze, type Frozen } from '../../deploy/freeze.ts';
import { openSession } from '../../deploy/onnx-runtime.ts';
import type { Engine } from '../../engine/engine.ts';
import { latestCheckpoint } from '../../runs/checkpoint.ts';
import { runName, type Run } from '../../runs/run-folder.ts';
import { readFileResult, writeFileResult, type FileResult } from '../../study/file-results.ts';
import type { PlannedRun, StudyPlan } from '../../study/plan.ts';
import type { StudyQuantization } from '../../study/quantization.ts';
import { openStudyRun } from '../../study/runner.ts';
import type { StudyRun } from '../../study/study-state.ts';
import { readSavedModel } from '../../train/saved-model.ts';
import type { Evaluation } from '../../train/tally.ts';
import { preferredWeights } from '../../train/weights.ts';
import { DataError } from '../../util/errors.ts';
import { quantize, usualPercentile, type QuantizeOptions } from './quantize.ts';

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
 * Makes, evaluates and records one file.
 *
 * @returns undefined if it was stopped
 * @throws DataError if the run's weights are gone; and what freezing and quantizing throw
 */
export async function measureStudyFile(task: StudyFileTask, measuring: FileMeasuring): Promise<FileResult | undefined> {
  const { planned, quantization, run } = task;
  const { dataset } = measuring;
  const { encode, metadata } = await makeFile(task, measuring);
  const split = planned.config.val ? 'val' : 'test';
  const evaluation = await evaluate({ encode, metadata }, split, measuring);
  if (evaluation === undefined) return undefined;
  const { accuracy: value, images } = evaluation;
  const { name, fingerprint } = dataset;
  const result: FileResult = {
    quantization,
    bytes: encode({ value, split, images, dataset: name, fingerprint }).length,
    evaluation: { ...evaluation, step: planned.config.steps, weights: metadata.weights, datasetFingerprint: fingerprint },
  };
  writeFileResult(run, result);
  return result;
}

type File = Pick<Frozen, 'encode' | 'metadata'>;

/** The seed of the run draws the images that calibrate. */
async function makeFile({ planned, quantization, run }: StudyFileTask, { engine, dataset }: FileMeasuring): Promise<File> {
  const frozen = await freezeRun(run, engine);
  if (quantization.scheme === 'none') return frozen;
  const file = { bytes: frozen.encode(null), source: runName(run) };
  return await quantize({ ...settingsOf(quantization), file, keepFloat: [], seed: planned.seed, dataset });
}

function settingsOf(
  quantization: Exclude<StudyQuantization, { readonly scheme: 'none' }>,
): Pick<QuantizeOptions, 'scheme' | 'weightBits' | 'calibration'> {
  const { scheme } = quantization;
  // Weights alone are not calibrated.
  if (scheme !== 'int8') return { scheme, weightBits: 8, calibration: { method: 'mse', percentile: usualPercentile } };
  const { weightBits, calibration: method, percentile = usualPercentile } = quantization;
  return { scheme, weightBits, calibration: { method, percentile } };
}

async function freezeRun(run: Run, engine: Engine): Promise<Frozen> {
  const checkpoint = latestCheckpoint(run);
  if (checkpoint === undefined) throw new DataError(`${runName(run)} has no checkpoint any more: its network is gone`);
  const saved = readSavedModel(checkpoint.path, {});
  return await freeze({ saved, weights: preferredWeights(saved.file), engine, run: runName(run) });
}

async function evaluate(
  { encode, metadata }: File,
  split: SplitName,
  { dataset, threads, signal }: FileMeasuring,
): Promise<Evaluation | undefined> {
  const session = await openSession(encode(null), 'the file to evaluate', { threads });
  try {
    return await evaluateFrozen({ session, metadata, dataset, split }, signal);
  } finally {
    await session.dispose();
  }
}
