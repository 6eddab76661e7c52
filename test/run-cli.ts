import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { delimiter } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  /** Added to the environment; undefined removes. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Called with all of stderr so far, as it grows; what it returns is sent as a signal. */
  readonly onStderr?: (text: string) => NodeJS.Signals | undefined;
}

export const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
/** The module that takes command lines within a process. */
export const program = fileURLToPath(new URL('../src/cli/program.ts', import.meta.url));
/** An address, so that it is found whatever the working directory. */
export const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** As if installed: commands in errors then begin with `ablate`. */
const installed = fileURLToPath(new URL('bin', import.meta.url));

/** Runs the command line from source, in a process of its own. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  const { cwd, environment = {}, onStderr } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
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
