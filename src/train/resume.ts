import { latestCheckpoint } from '../runs/checkpoint.ts';
import { readConfig, runName, type Run } from '../runs/run-folder.ts';
import { readWeightsMetadata } from '../runs/weights-metadata.ts';
import { ConfigurationError } from '../util/errors.ts';
import { quoted } from '../util/shell.ts';
import { checkConfig, checkRecordedConfig, resolveConfig } from './config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';

/** Keys that do not change what a step computes: a resumed run may change them. */
export const resumableKeys = [
  'steps',
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
  // Resolved as any configuration, so that short forms and unknown keys mean what they always mean.
  const asked = resolveConfig(recorded, overrides);
  const resumed: Record<string, unknown> = { ...recorded };
  for (const key of Object.keys(recorded) as (keyof TrainingConfig)[]) {
    if (JSON.stringify(asked[key]) === JSON.stringify(recorded[key])) continue;
    if (!(resumableKeys as readonly string[]).includes(key)) {
      throw new ConfigurationError(
        `${key} (=${JSON.stringify(asked[key])}) must be ${JSON.stringify(recorded[key])}, as ${runName(run)} was started with`,
        { fix: `A resumed run may change: ${resumableKeys.join(', ')}. For anything else start a new run` },
      );
    }
    if (key === 'steps' && recorded.pruning.type !== 'none') {
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
  const checkpoint = latestCheckpoint(run);
  const metadata = checkpoint && readWeightsMetadata(checkpoint.path);
  return metadata === undefined ? checkConfig(readConfig(run)) : checkRecordedConfig(metadata.config, checkpoint!.path);
}
