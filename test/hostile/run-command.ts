/** Runs command lines under watch: each in a process of its own, or several in turn in one. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

/** What a shared process is told to do. */
export interface Order {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdout: string;
  readonly stderr: string;
}

/** Commands that one process takes before the next one starts: what a command leaves in memory adds up. */
const commandsPerProcess = 25;

/** A process for many commands, one after the other: the time of starting is paid once. It is started anew after one that ended it. */
export class SharedProcess {
  #child: ChildProcess | undefined;
  #taken = 0;
  readonly #program: string;

  /** @param program the module whose `run` takes the command lines, in JavaScript */
  constructor(program: string) {
    this.#program = program;
  }

  readonly run: RunCommand = async (task, limits) => {
    const { stdout, stderr, environment } = prepare(task);
    closeSync(stdout);
    closeSync(stderr);
    const child = await this.#process();
    this.#taken++;
    const startedAt = performance.now();
    const watching = watch(child, limits);
    const order: Order = {
      args: task.args,
      cwd: task.cwd,
      environment,
      stdout: join(task.scratch, 'stdout'),
      stderr: join(task.scratch, 'stderr'),
    };
    const code = await new Promise<number | NodeJS.Signals | null>((resolve) => {
      const finish = (how: number | NodeJS.Signals | null) => {
        child.off('message', onMessage).off('exit', onExit);
        resolve(how);
      };
      const onMessage = (message: unknown) => finish(message as number);
      const onExit = (exit: number | null, signal: NodeJS.Signals | null) => {
        if (this.#child === child) this.#child = undefined;
        finish(signal ?? exit);
      };
      child.once('message', onMessage).once('exit', onExit);
      child.send(order);
    });
    watching.stop();
    if (this.#taken >= commandsPerProcess) this.dispose();
    return {
      code,
      ...said(task.scratch),
      problem: watching.problem(),
      peakBytes: watching.peakBytes(),
      seconds: (performance.now() - startedAt) / 1000,
    };
  };

  async #process(): Promise<ChildProcess> {
    if (this.#child === undefined) {
      const module = fileURLToPath(new URL('./shared-process.mjs', import.meta.url));
      const child = fork(module, [this.#program], {
        execArgv: [],
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      this.#child = child;
      this.#taken = 0;
      await new Promise((resolve, reject) => {
        child.once('message', resolve).once('error', reject);
        child.once('exit', () => reject(new Error('the process for the commands did not start')));
      });
    }
    return this.#child;
  }

  dispose(): void {
    this.#child?.disconnect();
    this.#child = undefined;
  }
}

export function removeScratch(scratch: string): void {
  rmSync(scratch, { recursive: true, force: true });
}
