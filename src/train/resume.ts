import { listCheckpoints, loadNewestCheckpoint, type WholeCheckpoint } from '../runs/checkpoint.ts';
import { readMetrics } from '../runs/metrics.ts';
import { checkpointsFolder, metricsPath, readConfig, runName, type Run } from '../runs/run-folder.ts';
import { readStatus, recordedStatus } from '../runs/run-status.ts';
import { readWeightsMetadata, type WeightsMetadata } from '../runs/weights-metadata.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { isCodeFile } from '../util/file-names.ts';
import { quoted } from '../util/shell.ts';
import { changeConfig } from './config.ts';
import { checkConfig, checkRecordedConfig } from './complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { readEvaluation, type RecordedEvaluation } from './recorded-evaluation.ts';

/** Keys that do not change what a step computes: a resumed run may change them. */
export const resumableKeys = [
  'steps',
  'epochs',
  'evalEvery',
  'saveEvery',
  'saveEverySeconds',
  'logEvery',
  'keepCheckpoints',
  'threads',
] as const satisfies readonly (keyof TrainingConfig)[];

/**
 * The configuration to continue a run with: that of its newest checkpoint (of its start, if there is none), with the changes asked for.
 * Another thread count changes the order of sums, so the run then continues well but not bit by bit; other `steps` change
 * schedules that depend on the length of the run.
 *
 * @throws ConfigurationError for a change of anything but `resumableKeys`
 */
export function resumeConfig(run: Run, overrides: ConfigOverrides): TrainingConfig {
  const recorded = recordedConfig(run);
  // Images may have moved: whether they are the same is known by their fingerprint, which train() compares.
  const mayMove = newestMetadata(run) !== undefined;
  // Resolved as any configuration, so that short forms and unknown keys mean what they always mean.
  const asked = changeConfig(recorded, overrides);
  const resumed: Record<string, unknown> = { ...recorded };
  const isMended =
    [recorded, asked].every(({ augmentWith }) => isCodeFile(augmentWith)) && asked.augmentWith !== recorded.augmentWith;
  for (const key of Object.keys(recorded) as (keyof TrainingConfig)[]) {
    if (JSON.stringify(asked[key]) === JSON.stringify(recorded[key])) continue;
    // A file of augmentation that was mended counts from here on, which is recorded. It has the settings of the one before.
    if (isMended && (key === 'augmentWithSettings' || key === 'augmentationChecksum')) continue;
    const mayChange =
      (resumableKeys as readonly string[]).includes(key) || (key === 'dataset' && mayMove) || (key === 'augmentWith' && isMended);
    if (!mayChange) {
      throw new ConfigurationError(
        `${key} (=${JSON.stringify(asked[key])}) must be ${JSON.stringify(recorded[key])}, as ${runName(run)} was started with`,
        { fix: `A resumed run may change: ${resumableKeys.join(', ')}. For anything else start a new run` },
      );
    }
    if ((key === 'steps' || key === 'epochs') && recorded.pruning.type !== 'none') {
      throw new ConfigurationError(
        `steps (=${asked.steps}) must be ${recorded.steps}, which the rounds of pruning of ${runName(run)} divide into equal parts`,
        { fix: `Prune ${runName(run)} further in a new run: ablate prune ${quoted(runName(run))}` },
      );
    }
    resumed[key] = asked[key];
  }
  return checkConfig(resumed);
}

/** The configuration a run was last trained with. */
export function recordedConfig(run: Run): TrainingConfig {
  const newest = newestMetadata(run);
  return newest === undefined ? checkConfig(readConfig(run)) : checkRecordedConfig(newest.metadata.config, newest.path);
}

/** What the newest checkpoint that can be read says of itself. */
function newestMetadata(run: Run): { readonly path: string; readonly metadata: WeightsMetadata } | undefined {
  for (const { path } of listCheckpoints(run).reverse()) {
    try {
      const metadata = readWeightsMetadata(path);
      if (metadata !== undefined) return { path, metadata };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
    }
  }
  return undefined;
}

/** Where a run goes on. */
export interface ResumePoint {
  /** Undefined where it starts at step 0. */
  readonly checkpoint: WholeCheckpoint | undefined;
  /** What the user should know. */
  readonly notice: string | undefined;
}

/**
 * Finds where a run goes on: at its newest checkpoint that is whole; at step 0 if it was only prepared, or ended before its first.
 *
 * @throws DataError if its checkpoints are gone or damaged: starting over would replace the records of the steps that it has taken
 */
export function resumePoint(run: Run): ResumePoint {
  const name = runName(run);
  const { checkpoint, damaged } = loadNewestCheckpoint(run);
  if (checkpoint !== undefined) {
    const notice = `${damaged.join(', ')} is damaged: continuing from the checkpoint before, of step ${checkpoint.step}`;
    return { checkpoint, notice: damaged.length === 0 ? undefined : notice };
  }
  const fix = `restore a checkpoint, or start a new run (in a study, by removing ${run.path}): ablate train ${quoted(run.model)}`;
  if (damaged.length > 0) throw new DataError(`no checkpoint of ${name} can be read: ${damaged.join(', ')}`, { fix });
  const { step, saved } = recordedStatus(run);
  const taken = Math.max(step, readMetrics(metricsPath(run)).at(-1)?.step ?? 0);
  if (taken === 0) return { checkpoint, notice: undefined };
  if (saved === false) return { checkpoint, notice: `${name} ended before its first checkpoint: it starts at step 0 again` };
  throw new DataError(
    `${name} has taken ${taken} steps, and has no checkpoint to continue from: ${checkpointsFolder(run)} has none`,
    {
      fix,
    },
  );
}

/** The evaluation at the end of a run that has nothing left to do; undefined if it has. */
export function finalEvaluation(run: Run, { steps }: Pick<TrainingConfig, 'steps'>): RecordedEvaluation | undefined {
  const evaluation = readEvaluation(run);
  if (readStatus(run).status !== 'finished' || evaluation?.step !== steps) return undefined;
  // A damaged last checkpoint is made again.
  return loadNewestCheckpoint(run).checkpoint?.step === steps ? evaluation : undefined;
}
