/** Runs as processes of this machine, its cores shared out among them. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig, runName, type Run } from '../../runs/run-folder.ts';
import { runHolder } from '../../runs/run-lock.ts';
import { readStatus } from '../../runs/run-status.ts';
import type { TrainingConfig } from '../../train/config-schema.ts';
import { defaultThreads } from '../../util/cpu.ts';
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

export function localLauncher({ jobs = 1, threads, sideBySide = false, freeProcessors = Infinity }: LocalOptions = {}): Launcher {
  const cores = defaultThreads();
  if (threads === undefined && jobs > cores) {
    throw new ConfigurationError(`jobs (=${jobs}) must be at most ${cores}, the cores of this machine`, {
      fix: 'give fewer --jobs, or say how many --threads each shall have',
    });
  }
  const threadsEach = threads ?? Math.max(1, Math.floor(Math.min(cores, Math.round(freeProcessors)) / jobs));
  const start = sideBySide
    ? gather(jobs, threadsEach)
    : (job: Job, signal: AbortSignal) => runProcess([job], threadsEach, signal);
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

/** A run that waits for others of its network. */
interface Waiting {
  readonly job: Job;
  readonly signal: AbortSignal;
  readonly end: (ended: Promise<JobEnd> | JobEnd) => void;
}

/** Starts what is asked for at the same time together: a process for each network, `processes` at a time. */
function gather(processes: number, threads: number): (job: Job, signal: AbortSignal) => Promise<JobEnd> {
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
      void runGroup(group, threads).finally(() => {
        running--;
        startNext();
      });
    }
    startNext();
  };
  const startAll = (): void => {
    const alike = new Map<string, Waiting[]>();
    for (const each of waiting) {
      const { networkChecksum, batchSize, precision } = readConfig(each.job.run) as Pick<
        TrainingConfig,
        'networkChecksum' | 'batchSize' | 'precision'
      >;
      const key = JSON.stringify([networkChecksum, batchSize, precision]);
      alike.set(key, [...(alike.get(key) ?? []), each]);
    }
    waiting = [];
    groups.push(...alike.values());
    startNext();
  };
  return (job, signal) =>
    new Promise((end) => {
      if (waiting.length === 0) setImmediate(startAll);
      waiting.push({ job, signal, end });
    });
}

/** Trains runs in one process. How it ended is that of the runs that were not over before. */
async function runGroup(group: readonly Waiting[], threads: number): Promise<void> {
  const ended = runProcess(
    group.map(({ job }) => job),
    threads,
    AbortSignal.any(group.map(({ signal }) => signal)),
  );
  const ofRun = (run: Run) => ended.then((end) => (['finished', 'failed'].includes(readStatus(run).status) ? stopped : end));
  for (const { job, end } of group) end(ofRun(job.run));
  await ended.catch(() => undefined);
}

async function runProcess(jobs: readonly Job[], threads: number, signal: AbortSignal): Promise<JobEnd> {
  const [job, ...others] = jobs as readonly [Job, ...Job[]];
  const logPath = logPathOf(job.run);
  const log = openLog(logPath);
  for (const { run } of others) {
    const own = openLog(logPathOf(run));
    writeSync(own, `trained side by side with ${runName(job.run)}, whose output.log has what was said\n`);
    closeSync(own);
  }
  const [file, ...entry] = ablateCommand();
  const runs = others.map(({ run }) => run);
  // A process group of its own: Ctrl-C on the terminal reaches only the study, which passes it on once.
  const child = spawn(file, [...entry, ...trainArguments(job, threads, runs)], {
    stdio: ['ignore', 'ignore', log],
    detached: true,
  });
  closeSync(log);
  const stop = () => {
    if (child.pid !== undefined) askToStop(child.pid);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return await new Promise((resolve) => {
    const end = (how: JobEnd['how'], problem: string) => {
      signal.removeEventListener('abort', stop);
      const said = how === 'stopped' ? '' : lastLines(logPath);
      resolve({ how, detail: how === 'stopped' ? '' : said === '' ? problem : `${problem}: ${said}` });
    };
    child.once('error', (error) => end('failed', `the process could not be started (${error.message})`));
    child.once('exit', (code, signalName) => {
      if (signalName !== null) end('killed', `the process was ended by ${signalName}`);
      // 130: interrupted, in order.
      else if (code === 0 || code === 130) end('stopped', '');
      else end('failed', `exit code ${code ?? '?'}`);
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
