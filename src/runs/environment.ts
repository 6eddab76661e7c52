/** What a run ran on: a number without its hardware and versions is not a result. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, hostname, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { cpuInfo, instructionSets } from '../util/cpu.ts';
import { packageRoot, packageVersion } from '../util/package.ts';
import { check, damaged } from '../util/schema.ts';

const schema = z.object({
  /** ISO 8601, UTC. */
  date: z.string(),
  host: z.string(),
  /** Kernel and its release, and the distribution where it is known. */
  operatingSystem: z.string(),
  architecture: z.string(),
  cpu: z.object({
    model: z.string(),
    logicalCores: z.number(),
    physicalCores: z.number(),
    availableCores: z.number(),
    instructionSets: z.array(z.enum(instructionSets)).readonly(),
  }),
  memoryBytes: z.number(),
  /** The engine's name; absent where nothing was trained by one. */
  engine: z.string().exactOptional(),
  /** What the engine had measured to choose how it computes, where it does. */
  tuning: z.string().exactOptional(),
  /** Threads of the engine. */
  threads: z.number(),
  commandLine: z.array(z.string()).readonly(),
  /** Of ablate, Node.js and native libraries by name: `onednn`, `mpi`, ... */
  versions: z.object({ ablate: z.string(), node: z.string() }).catchall(z.string()),
  /** The checkout that ablate runs from, and whether files were changed or added since the commit; absent if it is installed as a package. */
  git: z.object({ commit: z.string(), dirty: z.boolean() }).exactOptional(),
});

export type EnvironmentRecord = Readonly<z.output<typeof schema>>;

/**
 * Describes this machine and process.
 *
 * @param options.threads Threads of the engine.
 * @param options.engine The engine's name.
 * @param options.tuning What the engine has measured to choose how it computes.
 * @param options.libraries Versions of native libraries by name, as those who load them know them.
 */
export function describeEnvironment(options: {
  readonly threads: number;
  readonly engine?: string;
  readonly tuning?: string;
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
    ...(options.engine !== undefined && { engine: options.engine }),
    ...(options.tuning !== undefined && { tuning: options.tuning }),
    threads: options.threads,
    commandLine: process.argv.map(withoutSecrets),
    versions: { ...options.libraries, ablate: packageVersion(), node: process.versions.node },
    ...(git && { git }),
  };
}

/**
 * @param source What to call the record in errors, usually its path.
 * @throws DataError if it is not what `describeEnvironment` makes: people edit files
 */
export function checkEnvironment(value: unknown, source: string): EnvironmentRecord {
  return check(schema, value, damaged(`${source} is damaged`, 'restore the file, or use another run'));
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
export function gitState(folder: string): EnvironmentRecord['git'] {
  if (!existsSync(join(folder, '.git'))) return undefined;
  const lines = gitStatus(folder)
    ?.split('\n')
    .filter((line) => line !== '');
  const commit = lines?.map((line) => /^# branch\.oid ([\da-f]+)$/.exec(line)?.[1]).find((oid) => oid !== undefined);
  return commit === undefined ? undefined : { commit, dirty: lines!.some((line) => !line.startsWith('#')) };
}

/** Commit, branch and changes of a checkout; undefined if git fails, or there is none. One process: starting it takes longer than its work. */
function gitStatus(folder: string): string | undefined {
  try {
    return execFileSync('git', ['--no-optional-locks', '-C', folder, 'status', '--porcelain=v2', '--branch'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    });
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
