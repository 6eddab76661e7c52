/**
 * Where the runs of a study are trained: processes on this machine (launchers/local.ts), or the jobs of a cluster.
 *
 * A launcher knows nothing of studies. It is given a run whose folder exists, with its configuration in it, and starts
 * `ablate train --resume <folder>` somewhere that sees that folder. How far the run is, and how it ended, is read from the folder
 * (status.json, metrics.jsonl), never from the launcher.
 */
import type { EngineChoice } from '../engine/registry.ts';
import type { Run } from '../runs/run-folder.ts';

export const launcherNames = ['local', 'slurm', 'command'] as const;
export type LauncherName = (typeof launcherNames)[number];

export interface Job {
  readonly run: Run;
  /** Where the images are, as given on the command line; undefined: where `ablate train` finds them by itself. */
  readonly dataDir?: string | undefined;
  readonly dataUrl?: string | undefined;
  /** What computes; default: `auto`. */
  readonly engine?: EngineChoice | undefined;
}

/** How the process or job ended. `stopped`: in order, finished or as asked. `killed`: by a signal, a crash or a lost machine. */
export interface JobEnd {
  readonly how: 'stopped' | 'killed' | 'failed';
  /** What is known of it, for people: the exit code, the last thing it said. Empty for `stopped`. */
  readonly detail: string;
}

export interface Launcher {
  /** For people: `local processes`. */
  readonly name: string;
  /** Runs trained at the same time. */
  readonly slots: number;
  /** OpenMP threads of each run. */
  readonly threads: number;
  /**
   * Trains a run until its process or job is gone. If an earlier one of the same run still exists, started by a process that is gone
   * itself, waits for that instead: a run is never trained twice at once.
   *
   * @param signal when aborted, the run is asked to save and stop, and is waited for
   */
  run(job: Job, signal: AbortSignal): Promise<JobEnd>;
}

/** The arguments of `ablate` that train a job; with `others`, further runs in the same process. */
export function trainArguments({ run, dataDir, dataUrl, engine }: Job, threads: number, others: readonly Run[] = []): string[] {
  const data = [
    ...(dataDir === undefined ? [] : ['--data-dir', dataDir]),
    ...(dataUrl === undefined ? [] : ['--data-url', dataUrl]),
  ];
  const computes = engine === undefined ? [] : ['--engine', engine];
  const runs = [run, ...others].flatMap(({ path }) => ['--resume', path]);
  return ['train', ...runs, '--threads', String(threads), ...computes, ...data];
}
