import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { compiledFolder } from './compile-sources.ts';
import { SharedProcess } from './shared-process.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  /** A process that ends after the command: for tests of how it ends, and of what a user's code may do to it. */
  readonly ownProcess?: boolean;
  /** A program, with arguments, that runs it. */
  readonly within?: readonly string[];
  /** Added to the environment; undefined removes. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Called with all of stderr so far, as it grows; what it returns is sent as a signal. */
  readonly onStderr?: (text: string) => NodeJS.Signals | undefined;
}

/** The program, for Node to run. */
export const main = join(compiledFolder, 'cli', 'main.js');
/** The module that takes command lines within a process. */
export const program = join(compiledFolder, 'cli', 'program.js');

/** As if installed: commands in errors then begin with `ablate`. */
const installed = join(import.meta.dirname, 'bin');

/** Processes that wait for a command line. */
const waiting: SharedProcess[] = [];

/**
 * Runs the command line, as `ablate` would: in a process that takes one after the other, which saves most of the time of a short command; or, where `options` ask
 * for what such a process cannot have, in one of its own.
 */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const { cwd = process.cwd(), ownProcess = false, within, environment, onStderr } = options;
  if (ownProcess || within !== undefined || environment !== undefined || onStderr !== undefined)
    return await runAlone(args, options);
  const shared = waiting.pop() ?? new SharedProcess(program);
  const scratch = mkdtempSync(join(tmpdir(), 'ablate-cli-'));
  const [stdout, stderr] = [join(scratch, 'stdout'), join(scratch, 'stderr')];
  try {
    const code = await shared.run({ args, cwd, environment: ownEnvironment(), stdout, stderr });
    return {
      code: typeof code === 'number' ? code : null,
      stdout: readFileSync(stdout, 'utf8'),
      stderr: readFileSync(stderr, 'utf8'),
    };
  } finally {
    waiting.push(shared);
    rmSync(scratch, { recursive: true });
  }
}

function runAlone(args: readonly string[], { cwd, within = [], environment, onStderr }: CliOptions): Promise<Finished> {
  const [command, ...words] = [...within, process.execPath, main, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(command!, words, {
      cwd,
      env: { ...ownEnvironment(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      const signal = onStderr?.(stderr);
      if (signal !== undefined) child.kill(signal);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function ownEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${installed}${delimiter}${process.env['PATH'] ?? ''}` };
}
