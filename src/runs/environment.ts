/** What a run ran on: a number without its hardware and versions is not a result. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, hostname, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { cpuInfo, type CpuInfo } from '../util/cpu.ts';
import { DataError } from '../util/errors.ts';
import { packageRoot, packageVersion } from '../util/package.ts';

export interface EnvironmentRecord {
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly host: string;
  /** Kernel and its release, and the distribution where it is known. */
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cpu: CpuInfo;
  readonly memoryBytes: number;
  /** Threads of the engine. */
  readonly threads: number;
  readonly commandLine: readonly string[];
  readonly versions: {
    readonly ablate: string;
    readonly node: string;
    /** Native libraries by name: `onednn`, `mpi`, ... */
    readonly [library: string]: string;
  };
  /** The checkout that ablate runs from; undefined if it is installed as a package. */
  readonly git?: GitState;
}

export interface GitState {
  readonly commit: string;
  /** Whether files were changed or added since the commit. */
  readonly dirty: boolean;
}

/**
 * Describes this machine and process.
 *
 * @param options.threads Threads of the engine.
 * @param options.libraries Versions of native libraries by name, as those who load them know them.
 */
export function describeEnvironment(options: {
  readonly threads: number;
  readonly libraries?: Readonly<Record<string, string>>;
}): EnvironmentRecord {
  const root = packageRoot();
  const git = gitState(root);
  return {
    date: new Date().toISOString(),
    host: hostname(),
    operatingSystem: operatingSystem(),
    architecture: arch(),
    cpu: cpuInfo(),
    memoryBytes: totalmem(),
    threads: options.threads,
    commandLine: process.argv.map(withoutSecrets),
    versions: { ...options.libraries, ablate: packageVersion(), node: process.versions.node },
    ...(git && { git }),
  };
}

const schema = z.looseObject({
  date: z.string(),
  host: z.string(),
  operatingSystem: z.string(),
  architecture: z.string(),
  cpu: z.looseObject({ model: z.string(), physicalCores: z.number() }),
  memoryBytes: z.number(),
  threads: z.number(),
  commandLine: z.array(z.string()),
  versions: z.looseObject({ ablate: z.string(), node: z.string() }),
});

/**
 * @param source What to call the record in errors, usually its path.
 * @throws DataError if it is not what `describeEnvironment` makes: people edit files
 */
export function checkEnvironment(value: unknown, source: string): EnvironmentRecord {
  const { success, error } = schema.safeParse(value);
  if (success) return value as EnvironmentRecord;
  const keys = [...new Set(error.issues.map(({ path }) => path.join('.')))];
  throw new DataError(`${source} is damaged: ${keys.join(', ')}`, { fix: 'restore the file, or use another run' });
}

/** An argument as it may be recorded and shown to others: of an address no more than its host, as the rest may hold a password or a token. */
export function withoutSecrets(argument: string): string {
  return argument.replace(/([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#\s]*@)?([^/?#\s]*)[^\s]*/gi, '$1$2/...');
}

/** Replaces the environment recorded in a run's folder. */
export function writeEnvironment(run: { readonly path: string }, environment: EnvironmentRecord): void {
  writeFileAtomic(join(run.path, 'environment.json'), `${JSON.stringify(environment, undefined, 2)}\n`);
}

/** The commit of a folder that is the top of a git checkout; undefined elsewhere, as within another project's node_modules. */
export function gitState(folder: string): GitState | undefined {
  if (git(folder, 'rev-parse', '--show-prefix') !== '') return undefined;
  const commit = git(folder, 'rev-parse', '--verify', 'HEAD');
  const changes = git(folder, 'status', '--porcelain');
  return commit === undefined || changes === undefined ? undefined : { commit, dirty: changes !== '' };
}

/** The trimmed output of a git command; undefined if it fails: no git, or no checkout. */
function git(folder: string, ...command: readonly string[]): string | undefined {
  try {
    return execFileSync('git', ['--no-optional-locks', '-C', folder, ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).trim();
  } catch {
    return undefined;
  }
}

function operatingSystem(): string {
  const kernel = `${type()} ${release()}`;
  const distribution = linuxDistribution();
  return distribution === undefined ? kernel : `${kernel}, ${distribution}`;
}

function linuxDistribution(): string | undefined {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  } catch {
    return undefined; // Only Linux has the file.
  }
}
