/** Runs as processes of this machine, its cores shared out among them. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Run } from '../../runs/run-folder.ts';
import { runHolder } from '../../runs/run-lock.ts';
import { readStatus } from '../../runs/run-status.ts';
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
  /** Processors that other processes leave free: with more threads than these, threads wait for each other. Default: all. */
  readonly freeProcessors?: number | undefined;
}

/** How often a process that was not started here is looked after. */
const pollMs = 500;

export function localLauncher({ jobs = 1, threads, freeProcessors = Infinity }: LocalOptions = {}): Launcher {
  const cores = defaultThreads();
  if (threads === undefined && jobs > cores) {
    throw new ConfigurationError(`jobs (=${jobs}) must be at most ${cores}, the cores of this machine`, {
      fix: 'give fewer --jobs, or say how many --threads each shall have',
    });
  }
  const threadsEach = threads ?? Math.max(1, Math.floor(Math.min(cores, Math.round(freeProcessors)) / jobs));
  return {
    name: jobs === 1 ? 'one local process' : `${jobs} local processes`,
    slots: jobs,
    threads: threadsEach,
    async run(job, signal) {
      const waited = await orphanGone(job.run, signal);
      const isOver = waited && ['finished', 'failed'].includes(readStatus(job.run).status);
      return signal.aborted || isOver ? stopped : await runProcess(job, threadsEach, signal);
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

function runProcess(job: Job, threads: number, signal: AbortSignal): Promise<JobEnd> {
  const logPath = logPathOf(job.run);
  const log = openLog(logPath);
  const [file, ...entry] = ablateCommand();
  // A process group of its own: Ctrl-C on the terminal reaches only the study, which passes it on once.
  const child = spawn(file, [...entry, ...trainArguments(job, threads)], { stdio: ['ignore', 'ignore', log], detached: true });
  closeSync(log);
  const stop = () => {
    if (child.pid !== undefined) askToStop(child.pid);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return new Promise((resolve) => {
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
