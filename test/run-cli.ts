import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { compiledFolder } from './compile-sources.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
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

/** Runs the command line in a process of its own. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const { cwd, within = [], environment = {}, onStderr } = options;
  const [command, ...words] = [...within, process.execPath, main, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(command!, words, {
      cwd,
      env: { ...process.env, PATH: `${installed}${delimiter}${process.env['PATH'] ?? ''}`, ...environment },
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
