/**
 * The trainings of compression's rounds: ordinary runs, each with a `compression.json` that says what it computes. The same command finds
 * them again by it, so that what is finished is not trained twice, and what was interrupted goes on.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { Dataset } from '../data/dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { allRuns, createRun, runName, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { runIdentity } from '../study/identity.ts';
import { wasExtended } from '../study/run-finder.ts';
import type { Classifier } from '../train/classifier.ts';
import { networkChecksum, recordOfClassifier } from '../train/classifier-record.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { recordedConfig } from '../train/resume.ts';
import type { NamedWeights, TrainHooks } from '../train/train-options.ts';
import { environmentOf } from '../train/training-start.ts';
import { train } from '../train/train.ts';
import { weightsChecksum } from '../train/weights-checksum.ts';
import { recordAt } from '../util/json-file.ts';

export interface RoundTraining {
  readonly config: TrainingConfig;
  /** The network without the filters that were removed. */
  readonly classifier: Classifier;
  /** Of that network. */
  readonly initialWeights: NamedWeights;
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly runsFolder: string;
  readonly signal?: AbortSignal;
  /** Asked for when something is to be trained. */
  readonly hooks?: () => TrainHooks | undefined;
}

export interface TrainedRound {
  readonly status: 'finished' | 'interrupted';
  readonly run: Run;
  readonly step: number;
  /** Whether it was finished before. */
  readonly reused: boolean;
}

/** Trains a round, as far as that has not been done before. Throws what `train` throws. */
export async function trainRound(training: RoundTraining): Promise<TrainedRound> {
  const { hooks, ...asked } = training;
  const { config, runsFolder } = asked;
  const identity = roundIdentity(training);
  const found = findRound(runsFolder, config.model, identity);
  if (found !== undefined && readStatus(found).status === 'finished') {
    return { status: 'finished', run: found, step: config.steps, reused: true };
  }
  const run =
    found ??
    createRun(runsFolder, config.model, config, environmentOf(asked), {
      [recordName]: { format, identity },
      ...recordOfClassifier(training.classifier),
    });
  // What it was started with must still be the same.
  const { initChecksum, teacherChecksum } = recordedConfig(run);
  const trainHooks = hooks?.();
  const { status, step } = await train({
    ...asked,
    config: { ...config, initChecksum, teacherChecksum },
    record: { resume: run },
    ...(trainHooks !== undefined && { hooks: trainHooks }),
  });
  return { status, run, step, reused: false };
}

/** What a round computes: its configuration, the very weights that it starts from, and the images. Where those weights come from is no matter. */
function roundIdentity({ config, classifier, initialWeights, dataset }: RoundTraining): string {
  const experiment = { ...config, init: 'none', networkChecksum: networkChecksum(classifier.network) };
  const parts = [runIdentity(experiment), weightsChecksum(initialWeights.file.tensors), dataset.fingerprint];
  return createHash('sha256').update(parts.join(' ')).digest('hex').slice(0, 32);
}

/** A finished run before the one that came furthest. One whose checkpoints were removed is of no use, nor one continued to other steps. */
function findRound(runsFolder: string, model: string, identity: string): Run | undefined {
  const candidates = allRuns(runsFolder, [model])
    .filter((run) => recordedIdentity(run) === identity && !wasExtended(run))
    .map((run) => ({ run, ...readStatus(run) }))
    .filter(({ run, status }) => status !== 'finished' || latestCheckpoint(run) !== undefined);
  const rank = ({ status }: (typeof candidates)[number]) => (status === 'finished' ? 0 : 1);
  return candidates.sort((a, b) => rank(a) - rank(b) || b.step - a.step)[0]?.run;
}

const format = 'ablate-compression-1';

/** In the folder of a run from its beginning: what the round computes. */
const recordName = 'compression.json';

const recordSchema = z.object({ format: z.literal(format), identity: z.string() });

/** Undefined for a run that is no round of compression, or whose record is damaged: that round is trained again. */
function recordedIdentity(run: Run): string | undefined {
  return recordAt(join(run.path, recordName), recordSchema)?.identity;
}

/**
 * A model's name stands for its newest run. Here it is the newest that is no round of compression: else the same command would start
 * from its own result.
 *
 * @returns the reference, if it is of another kind or there is no such run
 */
export function sourceReference(reference: string, runsFolder: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(reference)) return reference;
  const run = allRuns(runsFolder, [reference]).findLast((each) => !existsSync(join(each.path, recordName)));
  return run === undefined ? reference : runName(run);
}
