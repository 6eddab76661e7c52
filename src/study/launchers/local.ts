/** Runs as processes of this machine, its cores shared out among them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig, runName, type Run } from '../../runs/run-folder.ts';
import { runHolder } from '../../runs/run-lock.ts';
import { readStatus } from '../../runs/run-status.ts';
import type { TrainingConfig } from '../../train/config-schema.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { delay } from '../../util/delay.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { fileError } from '../../util/file-error.ts';
import { processState } from '../../util/process-identity.ts';
import { trainArguments, type Job, type JobEnd, type Launcher } from '../launcher.ts';
import { ablateCommand } from './ablate-command.ts';
import { lastLines } from './last-lines.ts';

export interface LocalOptions {
  /** Processes at a time; default 1. */
  readonly jobs?: number | undefined;
  /** OpenMP threads of each; default: the physical cores shared out, as far as they are free. */
  readonly threads?: number | undefined;
  /** Whether runs of one network are trained by one process, side by side: of an engine that does that. */
  readonly sideBySide?: boolean | undefined;
  /** Processors that other processes leave free: with more threads than these, threads wait for each other. Default: all. */
  readonly freeProcessors?: number | undefined;
}

/** How often a process that was not started here is looked after. */
const pollMs = 500;

/** Runs that a process trains side by side at most: all that are there are wanted, but each has files open. */
const mostSideBySide = 64;

export function localLauncher(options: LocalOptions = {}): Launcher {
  return launcherOf(ablateCommand, options);
}

/** @param command what is started to train runs, with the arguments of `ablate` behind it */
export function launcherOf(
  command: typeof ablateCommand,
  { jobs = 1, threads, sideBySide = false, freeProcessors = Infinity }: LocalOptions,
): Launcher {
  const cores = defaultThreads();
  if (!(Number.isInteger(jobs) && jobs >= 1)) throw new ConfigurationError(`jobs (=${jobs}) must be a positive integer`);
  if (threads === undefined && jobs > cores) {
    throw new ConfigurationError(`jobs (=${jobs}) must be at most ${cores}, the cores of this machine`, {
      fix: 'give fewer --jobs, or say how many --threads each shall have',
    });
  }
  const threadsEach = threads ?? sharedThreads(cores, jobs, freeProcessors);
  const train: Train = (together, signal) => runProcess(command(), together, threadsEach, signal);
  const start = sideBySide ? gather(jobs, train) : (job: Job, signal: AbortSignal) => train([job], signal);
  return {
    name: sideBySide ? 'side by side in local processes' : jobs === 1 ? 'one local process' : `${jobs} local processes`,
    slots: sideBySide ? mostSideBySide : jobs,
    threads: threadsEach,
    async run(job, signal) {
      const waited = await orphanGone(job.run, signal);
      const isOver = waited && ['finished', 'failed'].includes(readStatus(job.run).status);
      return signal.aborted || isOver ? stopped : await start(job, signal);
    },
  };
}

/** Threads of each job: the cores shared out, as far as they are free. */
export function sharedThreads(cores: number, jobs: number, freeProcessors: number): number {
  return Math.max(1, Math.floor(Math.min(cores, Math.round(freeProcessors)) / jobs));
}

const stopped: JobEnd = { how: 'stopped', detail: '' };

/**
 * Waits until no process of this machine trains the run: one may be left from a study that was killed, and is stopped with this one. One that
 * no study has started is not for a study to stop.
 *
 * @returns whether there was one
 */
async function orphanGone(run: Run, signal: AbortSignal): Promise<boolean> {
  for (let waited = false; ; waited = true) {
    const holder = runHolder(run);
    if (holder === undefined || processState(holder) !== 'alive') return waited;
    if (signal.aborted) {
      if (existsSync(logPathOf(run))) askToStop(holder.pid);
      return waited;
    }
    await delay(pollMs);
  }
}

/** Trains runs in one process until it is gone. */
type Train = (jobs: readonly [Job, ...Job[]], signal: AbortSignal) => Promise<JobEnd>;

/** A run that waits for others of its network. */
interface Waiting {
  readonly job: Job;
  /** Alike for runs that one process can train. */
  readonly kind: string;
  readonly signal: AbortSignal;
  readonly end: (ended: Promise<JobEnd> | JobEnd) => void;
}

/** Starts what is asked for at the same time together: a process for each network, `processes` at a time. */
function gather(processes: number, train: Train): (job: Job, signal: AbortSignal) => Promise<JobEnd> {
  let waiting: Waiting[] = [];
  const groups: Waiting[][] = [];
  let running = 0;
  const startNext = (): void => {
    if (running === processes) return;
    const group = groups.shift()?.filter(({ signal, end }) => {
      if (signal.aborted) end(stopped);
      return !signal.aborted;
    });
    if (group === undefined) return;
    if (group.length > 0) {
      running++;
      void runGroup(group, train).finally(() => {
        running--;
        startNext();
      });
    }
    startNext();
  };
  const startAll = (): void => {
    const alike = new Map<string, Waiting[]>();
    for (const each of waiting) alike.set(each.kind, [...(alike.get(each.kind) ?? []), each]);
    waiting = [];
    groups.push(...alike.values());
    startNext();
  };
  return (job, signal) =>
    new Promise((end) => {
      waiting.push({ job, kind: kindOf(job.run), signal, end });
      // The first of these starts all.
      setImmediate(startAll);
    });
}

function kindOf(run: Run): string {
  const { networkChecksum, batchSize, precision } = readConfig(run) as Pick<
    TrainingConfig,
    'networkChecksum' | 'batchSize' | 'precision'
  >;
  return JSON.stringify([networkChecksum, batchSize, precision]);
}

/** Trains runs in one process. How it ended is that of the runs that were not over before. */
async function runGroup(group: readonly Waiting[], train: Train): Promise<void> {
  const ended = train(group.map(({ job }) => job) as [Job, ...Job[]], AbortSignal.any(group.map(({ signal }) => signal)));
  const ofRun = (run: Run) => ended.then((end) => (['finished', 'failed'].includes(readStatus(run).status) ? stopped : end));
  for (const { job, end } of group) end(ofRun(job.run));
  await ended.catch(() => undefined);
}

async function runProcess(
  [file, ...entry]: readonly [string, ...string[]],
  [job, ...others]: readonly [Job, ...Job[]],
  threads: number,
  signal: AbortSignal,
): Promise<JobEnd> {
  const logPath = logPathOf(job.run);
  const log = openLog(logPath);
  for (const { run } of others) {
    const own = openLog(logPathOf(run));
    writeSync(own, `trained side by side with ${runName(job.run)}, whose output.log has what was said\n`);
    closeSync(own);
  }
  const runs = others.map(({ run }) => run);
  // A process group of its own: Ctrl-C on the terminal reaches only the study, which passes it on once.
  const child = spawn(file, [...entry, ...trainArguments(job, threads, runs)], {
    stdio: ['ignore', 'ignore', log],
    detached: true,
  });
  closeSync(log);
  const stop = () => void child.kill();
  signal.addEventListener('abort', stop);
  try {
    return await endOf(child, logPath);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function endOf(child: ChildProcess, logPath: string): Promise<JobEnd> {
  return new Promise((resolve) => {
    const end = (how: 'killed' | 'failed', problem: string) => {
      const said = lastLines(logPath);
      resolve({ how, detail: said === '' ? problem : `${problem}: ${said}` });
    };
    child.once('error', (error) => end('failed', `the process could not be started (${error.message})`));
    child.once('exit', (code, signalName) => {
      if (signalName !== null) end('killed', `the process was ended by ${signalName}`);
      // 130: interrupted, in order.
      else if (code === 0 || code === 130) resolve(stopped);
      else end('failed', `exit code ${String(code)}`);
    });
  });
}

/** What a process that a study starts says; other processes say it to the terminal. */
function logPathOf(run: Run): string {
  return join(run.path, 'output.log');
}

function askToStop(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has just ended by itself.
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a');
  } catch (error) {
    throw fileError('write', path, error);
  }
}
