/** The launchers by name. */
import { ConfigurationError } from '../../util/errors.ts';
import type { Launcher, LauncherName } from '../launcher.ts';
import type { StudySource } from '../study-schema.ts';
import { batchLauncher } from './batch.ts';
import { commandScheduler } from './command.ts';
import { localLauncher, type LocalOptions } from './local.ts';
import { slurm } from './slurm.ts';

export interface LauncherOptions extends LocalOptions {
  /** For the records of jobs; on a file system that the cluster's machines share. */
  readonly folder: string;
}

/** Jobs handed to a scheduler at a time, where the study sets no limit: it has its own. */
const manyJobs = 100;

/** @throws ConfigurationError for options of another launcher */
export function createLauncher(name: LauncherName, source: StudySource, { folder, ...local }: LauncherOptions): Launcher {
  if (name === 'local') return localLauncher(local);
  if (local.jobs !== undefined) {
    throw new ConfigurationError(
      `--jobs is for local processes; with --launcher ${name}, set ${name}.concurrent in the study file`,
    );
  }
  if (name === 'slurm') {
    const { cpus = 1, concurrent = manyJobs } = source.slurm ?? {};
    const scheduler = slurm(`ablate-${source.name}`, source.slurm ?? {});
    return batchLauncher(scheduler, { folder, threads: local.threads ?? cpus, slots: concurrent });
  }
  if (source.command === undefined) {
    throw new ConfigurationError('--launcher command needs the commands of the scheduler', {
      fix: 'command: { submit: "qsub {script}", status: "qstat {id}", cancel: "qdel {id}" }    in the study file',
    });
  }
  const { threads = 1, concurrent = manyJobs } = source.command;
  return batchLauncher(commandScheduler(source.command), { folder, threads: local.threads ?? threads, slots: concurrent });
}
