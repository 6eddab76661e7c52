/**
 * Runs as jobs of a scheduler. Jobs that are asked for together are submitted together, as one array. What they need and say is in a
 * folder that all machines see: the script with the list of runs, and for each task the processes that it began and its exit code; so
 * that nothing depends on how long a scheduler remembers.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { Run } from '../../runs/run-folder.ts';
import { breakLock, runHolder } from '../../runs/run-lock.ts';
import { readStatus, recordedStatus } from '../../runs/run-status.ts';
import { writeFileAtomic } from '../../util/atomic-file.ts';
import { delay } from '../../util/delay.ts';
import { AblateError, messageOf } from '../../util/errors.ts';
import { fileError } from '../../util/file-error.ts';
import { recordAt } from '../../util/json-file.ts';
import { makeFolder } from '../../util/make-folder.ts';
import type { ProcessIdentity } from '../../util/process-identity.ts';
import { readTextFile } from '../../util/regular-file.ts';
import { trainArguments, type Job, type JobEnd, type Launcher } from '../launcher.ts';
import { ablateCommand } from './ablate-command.ts';
import { lastLines } from './last-lines.ts';
import type { Scheduler, TaskState } from './scheduler.ts';
import { quoted } from '../../util/shell.ts';

export interface BatchOptions {
  /** For the scripts and their records; it must be on a file system that the cluster's machines share. Made if it is missing. */
  readonly folder: string;
  /** OpenMP threads of each run. */
  readonly threads: number;
  /** Jobs in the scheduler at a time. */
  readonly slots: number;
  /** How often a job that failed is submitted again; default 1. */
  readonly resubmissions?: number;
  /** How often the scheduler is asked; default 5 s. About a task whose exit code is there it is asked each second. */
  readonly pollMs?: number;
  /** How long files written on one machine may take to be seen on another; default 20 s. */
  readonly visibleMs?: number;
  /** How long the scheduler may not answer before the study gives up; default 10 minutes. Jobs go on meanwhile. */
  readonly patienceMs?: number;
}

/** A task of the scheduler, as recorded in the folder of the run that it trains. */
const ticketSchema = z.object({
  scheduler: z.string(),
  id: z.string(),
  /** Folder of the submission. */
  folder: z.string(),
  task: z.int(),
});

type Ticket = Readonly<z.output<typeof ticketSchema>>;

const stopped: JobEnd = { how: 'stopped', detail: '' };

export function batchLauncher(scheduler: Scheduler, options: BatchOptions): Launcher {
  const { threads, slots, resubmissions = 1, pollMs = 5000 } = options;
  const submit = gatherJobs(scheduler, options);
  const stateOf = watch(scheduler, options);

  /** Waits for the end of a task, which is asked to stop when the signal is aborted. */
  async function follow(run: Run, ticket: Ticket, signal: AbortSignal): Promise<JobEnd> {
    let askedWhile: TaskState | undefined;
    const exit = exitPath(ticket);
    const soonMs = Math.min(pollMs, 1000);
    for (;;) {
      const state = await stateOf(ticket.id, existsSync(exit) ? soonMs : pollMs);
      if (state === undefined) {
        // It had not begun, and leaves nothing to wait for.
        if (askedWhile === 'waiting') return stopped;
        const end = await endOf(scheduler, run, ticket, options);
        if (end !== undefined) {
          const left = lockLeftBy(run, ticket);
          if (left !== undefined) breakLock(run, left);
          return askedWhile === undefined ? end : stopped;
        }
      } else if (signal.aborted && askedWhile === undefined && (await askToStop(scheduler, ticket.id, state))) {
        askedWhile = state;
      }
      await delay(soonMs, signal.aborted ? undefined : signal);
    }
  }

  return {
    name: `jobs of ${scheduler.name}`,
    slots,
    threads,
    async run(job, signal) {
      const earlier = readTicket(job.run);
      if (earlier?.scheduler === scheduler.name) {
        const isOpen = (await stateOf(earlier.id, pollMs)) !== undefined || lockLeftBy(job.run, earlier) !== undefined;
        if (isOpen) return await follow(job.run, earlier, signal);
      }
      for (let again = 0; ; again++) {
        if (signal.aborted) return stopped;
        const end = await follow(job.run, await submit(job), signal);
        // A training that recorded its own failure fails again.
        const isOver = end.how === 'stopped' || signal.aborted || readStatus(job.run).status === 'failed';
        if (isOver || again >= resubmissions) return end;
      }
    },
  };
}

/** Whether the scheduler took it. One that does not answer, or whose job has just ended, is asked again. */
async function askToStop(scheduler: Scheduler, id: string, state: TaskState): Promise<boolean> {
  try {
    await scheduler.stop(id, state);
    return true;
  } catch (error) {
    if (error instanceof AblateError) return false;
    throw error;
  }
}

/** Jobs asked for within this time are one submission. */
const gatherMs = 300;

/** Collects jobs for a moment and submits them as one array. */
function gatherJobs(scheduler: Scheduler, { folder, threads }: BatchOptions): (job: Job) => Promise<Ticket> {
  let waiting: { readonly job: Job; readonly resolve: (ticket: Ticket) => void; readonly reject: (error: unknown) => void }[] =
    [];

  async function submitAll(): Promise<void> {
    const batch = waiting;
    waiting = [];
    try {
      const jobs = batch.map(({ job }) => job);
      const place = writeSubmission(folder, jobs, threads);
      const tasks = jobs.map((_, task) => join(place, `${task}.sh`));
      const ids = await scheduler.submit({ array: join(place, 'job.sh'), tasks });
      batch.forEach(({ job, resolve }, task) => {
        const ticket = { scheduler: scheduler.name, id: ids[task]!, folder: place, task };
        writeFileAtomic(ticketPath(job.run), `${JSON.stringify(ticket)}\n`);
        resolve(ticket);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return (job) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setTimeout(() => void submitAll(), gatherMs);
      waiting.push({ job, resolve, reject });
    });
}

/** The state of tasks, asked for all together, and not again while the answer is no older than asked. Undefined for one that is gone. */
function watch(
  scheduler: Scheduler,
  { pollMs = 5000, patienceMs = 600_000 }: BatchOptions,
): (id: string, oldestMs: number) => Promise<TaskState | undefined> {
  type Answer = ReadonlyMap<string, TaskState>;
  const followed = new Set<string>();
  /** The last answer, or question that is not answered yet. */
  let answer: Promise<Answer> | undefined;
  let about: ReadonlySet<string> = new Set();
  let askedAt = 0;
  let silentSince: number | undefined;

  async function put(): Promise<Answer> {
    askedAt = performance.now();
    // The tasks of a submission become known one after the other, in one turn: they are asked about together.
    about = followed;
    await Promise.resolve();
    about = new Set(followed);
    return await scheduler.states([...about]);
  }

  return async (id, oldestMs) => {
    followed.add(id);
    for (;;) {
      try {
        if (!about.has(id) || performance.now() - askedAt >= oldestMs) answer = put();
        const states = await answer!;
        silentSince = undefined;
        const state = states.get(id);
        if (state === undefined) followed.delete(id);
        return state;
      } catch (error) {
        silentSince ??= performance.now();
        if (performance.now() - silentSince > patienceMs) {
          throw new AblateError(`${scheduler.name} does not answer: ${messageOf(error)}`, {
            fix: 'Jobs that run go on. Once it answers again, the same ablate study finds them',
            cause: error,
          });
        }
        await delay(pollMs);
      }
    }
  };
}

/**
 * How a task that is gone has ended, from what it left in its folder. Undefined if it is not gone, whatever the scheduler says: its training
 * goes on reporting.
 */
async function endOf(
  scheduler: Scheduler,
  run: Run,
  ticket: Ticket,
  { visibleMs = 20_000 }: BatchOptions,
): Promise<JobEnd | undefined> {
  const { id, folder, task } = ticket;
  const exitFile = exitPath(ticket);
  const { updatedAt } = recordedStatus(run);
  const deadline = performance.now() + visibleMs;
  while (!existsSync(exitFile) && performance.now() < deadline) await delay(Math.min(500, visibleMs));
  if (existsSync(exitFile)) {
    const code = Number(readTextFile(exitFile));
    // 130: interrupted, in order.
    if (code === 0 || code === 130) return stopped;
    const said = lastLines(join(run.path, 'output.log'));
    const detail = `job ${id} ended with exit code ${code}${said === '' ? '' : `: ${said}`}`;
    // Above 128: ended by a signal.
    return { how: code > 128 ? 'killed' : 'failed', detail };
  }
  const now = recordedStatus(run);
  if (now.status === 'running' && now.updatedAt !== updatedAt) return undefined;
  const explanation = await scheduler.explain(id);
  const because = explanation === undefined ? '' : ` (${explanation})`;
  if (existsSync(join(folder, `${task}.begun`))) {
    return {
      how: 'killed',
      detail: `job ${id} was ended from outside${because}: cancelled, out of time, or its machine was lost`,
    };
  }
  return {
    how: 'failed',
    detail: `job ${id} is gone without having begun${because}: it was cancelled, or its machine does not see ${folder}, which must be on a shared file system`,
  };
}

/** Writes the script of a submission and what each of its tasks runs; returns its folder. */
function writeSubmission(folder: string, jobs: readonly Job[], threads: number): string {
  const place = join(folder, `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${process.pid}`);
  try {
    makeFolder(place);
    jobs.forEach((job, task) => {
      const command = [...ablateCommand(), ...trainArguments(job, threads)].map(quoted).join(' ');
      const settings = `log=${quoted(join(job.run.path, 'output.log'))}\ncommand=(${command})\n`;
      writeFileSync(join(place, `${task}.run`), settings);
      const script = `#!/bin/bash\nSLURM_ARRAY_TASK_ID=${task} exec bash ${quoted(join(place, 'job.sh'))}\n`;
      writeFileSync(join(place, `${task}.sh`), script, { mode: 0o755 });
    });
    writeFileSync(join(place, 'job.sh'), jobScript(place, process.cwd()), { mode: 0o755 });
  } catch (error) {
    throw fileError('write', place, error);
  }
  return place;
}

/** A request to end is passed on, and the exit code is recorded whatever it is. */
function jobScript(place: string, workingFolder: string): string {
  return `#!/bin/bash
# Trains one run of a study: that of this task's number.
task=$SLURM_ARRAY_TASK_ID
place=${quoted(place)}
cd ${quoted(workingFolder)} || exit 1
source "$place/$task.run" || exit 1
"\${command[@]}" >> "$log" 2>&1 < /dev/null &
child=$!
trap 'kill -TERM "$child"' TERM INT
# Added, as a scheduler may begin a task again on another machine. HOSTNAME may be that of the submission.
echo "$(uname -n) $child" >> "$place/$task.begun"
wait "$child"
code=$?
# A request to end ends the wait, not yet the training.
while [ "$code" -gt 128 ] && kill -0 "$child" 2> /dev/null; do
  wait "$child"
  code=$?
done
echo "$code" > "$place/$task.exit.new" && mv "$place/$task.exit.new" "$place/$task.exit"
exit "$code"
`;
}

/** Where a task writes its exit code. */
function exitPath({ folder, task }: Ticket): string {
  return join(folder, `${task}.exit`);
}

function ticketPath(run: Run): string {
  return join(run.path, 'job.json');
}

/** Undefined if it was never submitted. */
function readTicket(run: Run): Ticket | undefined {
  return recordAt(ticketPath(run), ticketSchema);
}

/** The holder of the run, if it is a process of a task on another machine: once the task is gone, nothing there gives the run free. */
function lockLeftBy(run: Run, { folder, task }: Ticket): ProcessIdentity | undefined {
  const holder = runHolder(run);
  if (holder === undefined || holder.host === hostname()) return undefined;
  return begunProcesses(folder, task).includes(`${holder.host} ${holder.pid}`) ? holder : undefined;
}

/** The processes that a task has begun, one after the other, as machine and number. */
function begunProcesses(folder: string, task: number): readonly string[] {
  try {
    return readTextFile(join(folder, `${task}.begun`)).split('\n');
  } catch {
    return []; // None yet.
  }
}
