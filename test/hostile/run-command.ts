/** Runs command lines under watch: each in a process of its own, or several in turn in one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SharedProcess } from '../shared-process.ts';
import { watch, type Limits } from './watch.ts';

export interface Ended {
  /** Exit code, or the signal's name. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What went beyond the limits. */
  readonly problem: string | undefined;
  readonly peakBytes: number;
  readonly seconds: number;
  /** What is left in the folder for temporary files. */
  readonly leftOver: readonly string[];
}

export interface Task {
  readonly args: readonly string[];
  /** Where the command runs. */
  readonly cwd: string;
  /** For what it says and for its temporary files; outside `cwd`. */
  readonly scratch: string;
  /** Is sent SIGINT once it says something. */
  readonly serves: boolean;
}

export type RunCommand = (task: Task, limits: Limits) => Promise<Ended>;

interface Scratch {
  readonly stdout: number;
  readonly stderr: number;
  readonly environment: Readonly<Record<string, string>>;
}

function prepare({ cwd, scratch }: Pick<Task, 'cwd' | 'scratch'>): Scratch {
  const temporary = join(scratch, 'tmp');
  mkdirSync(temporary, { recursive: true });
  return {
    stdout: openSync(join(scratch, 'stdout'), 'a'),
    stderr: openSync(join(scratch, 'stderr'), 'a'),
    environment: {
      TMPDIR: temporary,
      HOME: join(scratch, 'home'),
      XDG_CACHE_HOME: join(scratch, 'cache'),
      // Nothing is downloaded, nothing large is read.
      ABLATE_DATA_DIR: join(cwd, 'no-data'),
    },
  };
}

function said(scratch: string): Pick<Ended, 'stdout' | 'stderr' | 'leftOver'> {
  return {
    stdout: readFileSync(join(scratch, 'stdout'), 'utf8'),
    stderr: readFileSync(join(scratch, 'stderr'), 'utf8'),
    leftOver: readdirSync(join(scratch, 'tmp')),
  };
}

/**
 * A process for each command.
 *
 * @param entry Node's arguments before those of the command
 */
export function inOwnProcess(entry: readonly string[]): RunCommand {
  return async (task, limits) => {
    const { stdout, stderr, environment } = prepare(task);
    const startedAt = performance.now();
    const child = spawn(process.execPath, [...entry, ...task.args], {
      cwd: task.cwd,
      stdio: ['ignore', stdout, stderr],
      env: { ...process.env, ...environment },
    });
    closeSync(stdout);
    closeSync(stderr);
    const watching = watch(child, limits);
    const interrupting = task.serves ? interruptOnceItSpeaks(child, join(task.scratch, 'stdout')) : undefined;
    const code = await ended(child);
    clearInterval(interrupting);
    watching.stop();
    return {
      code,
      ...said(task.scratch),
      problem: watching.problem(),
      peakBytes: watching.peakBytes(),
      seconds: (performance.now() - startedAt) / 1000,
    };
  };
}

function interruptOnceItSpeaks(child: ChildProcess, stdout: string): NodeJS.Timeout {
  return setInterval(() => {
    if (readFileSync(stdout, 'utf8').includes('\n')) child.kill('SIGINT');
  }, 100);
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? code));
  });
}

/** One process for many commands, one after the other. */
export function inTurn(shared: SharedProcess): RunCommand {
  return async (task, limits) => {
    const { stdout, stderr, environment } = prepare(task);
    closeSync(stdout);
    closeSync(stderr);
    const watching = watch(await shared.start(), limits);
    const startedAt = performance.now();
    const code = await shared.run({
      args: task.args,
      cwd: task.cwd,
      environment: { ...process.env, ...environment },
      stdout: join(task.scratch, 'stdout'),
      stderr: join(task.scratch, 'stderr'),
    });
    watching.stop();
    return {
      code,
      ...said(task.scratch),
      problem: watching.problem(),
      peakBytes: watching.peakBytes(),
      seconds: (performance.now() - startedAt) / 1000,
    };
  };
}

export function removeScratch(scratch: string): void {
  rmSync(scratch, { recursive: true, force: true });
}
