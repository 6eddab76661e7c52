/** Starts the command line on several processes with the MPI of this machine, for tests. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, program, type Finished } from '../run-cli.ts';

/** What a launcher needs before the command: Open MPI's, or MPICH's. */
export interface MpiLauncher {
  readonly name: string;
  readonly command: (processes: number) => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Open MPI refuses root, as which containers run, and more processes than cores, unless told. */
const openMpiEnvironment = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
  OMPI_MCA_hwloc_base_binding_policy: 'none',
  // Containers do not let processes read each other's memory.
  OMPI_MCA_btl_vader_single_copy_mechanism: 'none',
  // Other tests run meanwhile: a process that waits for another lets them.
  OMPI_MCA_mpi_yield_when_idle: '1',
};

export const openMpi: MpiLauncher | undefined = ['mpirun.openmpi', 'mpirun']
  .filter((command) => String(spawnSync(command, ['--version']).stdout).includes('Open MPI'))
  .map((command) => ({
    name: 'Open MPI',
    command: (processes: number) => [command, '-np', String(processes)],
    environment: openMpiEnvironment,
  }))[0];

/** `$MPICH_PREFIX/bin/mpiexec.hydra` with its library, or the one of the system. */
export const mpich: MpiLauncher | undefined = [process.env['MPICH_PREFIX']]
  .map((prefix) => ({
    command: prefix === undefined ? 'mpiexec.hydra' : `${prefix}/bin/mpiexec.hydra`,
    environment: prefix === undefined ? {} : { LD_LIBRARY_PATH: `${prefix}/lib/x86_64-linux-gnu` },
  }))
  .filter(
    ({ command, environment }) => spawnSync(command, ['--version'], { env: { ...process.env, ...environment } }).status === 0,
  )
  .map(({ command, environment }) => ({
    name: 'MPICH',
    command: (processes: number) => [command, '-np', String(processes)],
    environment,
  }))[0];

export const whyNoOpenMpi = openMpi === undefined ? 'Open MPI is not installed (Debian: apt-get install openmpi-bin)' : undefined;
export const whyNoMpich =
  mpich === undefined ? 'MPICH is not installed (Debian: apt-get install mpich, or MPICH_PREFIX=<its prefix>)' : undefined;

export interface Job {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished & { readonly seconds: number }>;
}

interface JobOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly onStderr?: (text: string) => void;
}

/** Starts `ablate` with the arguments on several processes. */
export function startJob(launcher: MpiLauncher, processes: number, args: readonly string[], options: JobOptions): Job {
  return startScript(launcher, processes, [main, ...args], options);
}

/**
 * Runs several command lines of `ablate`, one after the other, on the same processes: the time of starting is paid once. Their errors end the job.
 *
 * @returns what came of each, all processes' output together
 */
export async function runInTurn(
  launcher: MpiLauncher,
  processes: number,
  commands: readonly (readonly string[])[],
  options: JobOptions,
): Promise<Finished[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'ablate-in-turn-'));
  try {
    writeFileSync(join(scratch, 'commands.json'), JSON.stringify(commands));
    const script = join(import.meta.dirname, 'in-turn.mjs');
    const { code, stderr } = await startScript(launcher, processes, [script, program, scratch], options).finished;
    if (code !== 0) throw new Error(`the job ended with exit code ${code ?? '?'}\n${stderr}`);
    const names = readdirSync(scratch);
    return commands.map((args, number) => {
      const ends = names
        .filter((name) => name.startsWith(`${number}-`))
        .map((name) => JSON.parse(readFileSync(join(scratch, name), 'utf8')) as Finished);
      if (ends.length !== processes) throw new Error(`${ends.length} of ${processes} processes ran ${args.join(' ')}`);
      const codes = new Set(ends.map(({ code }) => code));
      if (codes.size > 1) throw new Error(`exit codes ${[...codes].join(', ')}: ${args.join(' ')}`);
      const all = (name: 'stdout' | 'stderr') => ends.map((end) => end[name]).join('');
      return { code: ends[0]!.code, stdout: all('stdout'), stderr: all('stderr') };
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function startScript(launcher: MpiLauncher, processes: number, words: readonly string[], options: JobOptions): Job {
  const [file, ...before] = launcher.command(processes) as [string, ...string[]];
  const started = performance.now();
  const child = spawn(file, [...before, process.execPath, ...words], {
    cwd: options.cwd,
    env: { ...process.env, ...launcher.environment, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    options.onStderr?.(stderr);
  });
  const finished = new Promise<Finished & { seconds: number }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, seconds: (performance.now() - started) / 1000 }));
  });
  return { child, finished };
}
