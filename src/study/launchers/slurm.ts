/** Slurm: a study's runs as a job array. */
import { messageOf } from '../../util/errors.ts';
import { runProgram } from './run-program.ts';
import type { Scheduler, TaskState } from './scheduler.ts';

/** What is asked of Slurm for each run; the study file's `slurm`. */
export interface SlurmOptions {
  readonly partition?: string | undefined;
  readonly account?: string | undefined;
  /** Time limit in Slurm's notation: minutes, or `hours:minutes:seconds`, `days-hours`. */
  readonly time?: string | undefined;
  /** CPUs of each run. */
  readonly cpus?: number | undefined;
  /** Memory of each run in Slurm's notation: `4G`. */
  readonly memory?: string | undefined;
  /** Runs at the same time; Slurm's own limits by default. */
  readonly concurrent?: number | undefined;
  /** Further options of sbatch, one word each. */
  readonly options?: readonly string[] | undefined;
}

const controllerFix = 'check with sinfo that the controller is up and this machine belongs to the cluster';

export function slurm(jobName: string, options: SlurmOptions): Scheduler {
  return {
    name: 'Slurm',
    async submit({ array, tasks }) {
      const limit = options.concurrent === undefined ? '' : `%${options.concurrent}`;
      const args = ['--parsable', `--job-name=${jobName}`, `--array=0-${tasks.length - 1}${limit}`, ...requests(options), array];
      const answer = await runProgram('sbatch', args, `${controllerFix}; or correct "slurm" in the study file`);
      // `123`, or `123;cluster`.
      const id = answer.split(';', 1)[0]!;
      return tasks.map((_, task) => `${id}_${task}`);
    },
    async states() {
      const lines = await runProgram('squeue', ['--me', '--noheader', '--array', '--format=%i %T'], controllerFix);
      return parseQueue(lines);
    },
    async stop(id, state) {
      // The signal goes to the script, which passes it on; a task that has not begun has nothing to save.
      const how = state === 'running' ? ['--batch', '--signal=TERM'] : [];
      await runProgram('scancel', [...how, id], controllerFix);
    },
    async explain(id) {
      try {
        const state = await runProgram(
          'sacct',
          ['--noheader', '--parsable2', '--allocations', '--format=State', `--jobs=${id}`],
          '',
        );
        return state === '' ? undefined : state.split('\n').at(-1);
      } catch (error) {
        // Accounting is optional, and many clusters have none.
        return /disabled|not found/.test(messageOf(error)) ? undefined : messageOf(error);
      }
    },
  };
}

function requests({ partition, account, time, cpus, memory, options = [] }: SlurmOptions): string[] {
  return [
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...(account === undefined ? [] : [`--account=${account}`]),
    ...(time === undefined ? [] : [`--time=${time}`]),
    ...(cpus === undefined ? [] : [`--cpus-per-task=${cpus}`]),
    ...(memory === undefined ? [] : [`--mem=${memory}`]),
    // What the batch script itself says is of no interest: the runs have their own logs.
    '--output=/dev/null',
    ...options,
  ];
}

/** States in which a task has not begun; in the others of squeue it runs or is about to end. */
const waitingStates: ReadonlySet<string> = new Set([
  'PENDING',
  'CONFIGURING',
  'REQUEUED',
  'REQUEUE_HOLD',
  'REQUEUE_FED',
  'SPECIAL_EXIT',
]);
/** squeue shows tasks for a while after their end. */
const endedStates: ReadonlySet<string> = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY', 'PREEMPTED', 'TIMEOUT'],
]);

/** Lines of `12_3 RUNNING`. */
export function parseQueue(lines: string): Map<string, TaskState> {
  const states = new Map<string, TaskState>();
  for (const line of lines.split('\n')) {
    const [id, state] = line.trim().split(/\s+/);
    if (id === undefined || state === undefined || endedStates.has(state)) continue;
    states.set(id, waitingStates.has(state) ? 'waiting' : 'running');
  }
  return states;
}
