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

const described = z.object({
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

const schema = described.extend({
  /** Where a training went on from a step in another way than before: on other hardware, with another engine or other versions. */
  continued: z
    .array(
      described
        .pick({ date: true, host: true, cpu: true, engine: true, tuning: true, threads: true, versions: true, git: true })
        .extend({ step: z.int() }),
    )
    .readonly()
    .exactOptional(),
});

export type EnvironmentRecord = Readonly<z.output<typeof schema>>;

/** Asked once: the code that runs is what was loaded, whatever becomes of the files meanwhile. */
let ownCheckout: Pick<EnvironmentRecord, 'git'> | undefined;

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
  const { libraries, ...given } = options;
  return {
    date: new Date().toISOString(),
    host: hostname(),
    operatingSystem: operatingSystem('/etc/os-release'),
    architecture: arch(),
    cpu: cpuInfo(),
    memoryBytes: totalmem(),
    ...given,
    commandLine: process.argv.map(withoutSecrets),
    versions: { ...libraries, ablate: packageVersion(), node: process.versions.node },
    ...(ownCheckout ??= gitState(packageRoot())),
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
  return argument.replace(/:\/\/(?:[^/?#\s]*@)?([^/?#\s]*)[^\s]*/g, '://$1/...');
}

/** Replaces the environment recorded in a run's folder. */
export function writeEnvironment(run: { readonly path: string }, environment: EnvironmentRecord): void {
  writeFileAtomic(join(run.path, 'environment.json'), `${JSON.stringify(environment, undefined, 2)}\n`);
}

/** Adds to the environment recorded in a run's folder that the run went on from `step` in this one, where that is another than before. */
export function recordContinuation(
  run: { readonly path: string },
  recorded: EnvironmentRecord,
  step: number,
  { date, host, cpu, engine, tuning, threads, versions, git }: EnvironmentRecord,
): void {
  const { continued = [] } = recorded;
  const optional = { ...(engine !== undefined && { engine }), ...(tuning !== undefined && { tuning }), ...(git && { git }) };
  const now = { step, date, host, cpu, threads, versions, ...optional };
  if (wayOf(continued.at(-1) ?? recorded) === wayOf(now)) return;
  writeEnvironment(run, { ...recorded, continued: [...continued, now] });
}

/** What may decide the last bits and the time of a training. */
function wayOf({
  host,
  cpu,
  engine,
  tuning,
  threads,
  versions,
  git,
}: Omit<EnvironmentRecord, 'commandLine' | 'memoryBytes' | 'operatingSystem' | 'architecture'>): string {
  return JSON.stringify([host, cpu.model, cpu.instructionSets, engine, tuning, threads, Object.entries(versions).sort(), git]);
}

/** All environments of a run: that of its start, and those in which it went on. */
export function environmentsOf({ continued = [], ...first }: EnvironmentRecord): readonly EnvironmentRecord[] {
  return [first, ...continued.map((later) => ({ ...first, ...later }))];
}

/** The commit of a folder that is the top of a git checkout; nothing elsewhere, as within another project's node_modules. */
export function gitState(folder: string): Pick<EnvironmentRecord, 'git'> {
  if (!existsSync(join(folder, '.git'))) return {};
  const status = gitStatus(folder);
  // The first line, before the first commit: `(initial)`.
  const commit = /^# branch\.oid ([\da-f]+)/.exec(status)?.[1];
  return commit === undefined ? {} : { git: { commit, dirty: /^[^#]/m.test(status) } };
}

/** Commit, branch and changes of a checkout; empty if git fails, or there is none. One process: starting it takes longer than its work. */
function gitStatus(folder: string): string {
  try {
    return execFileSync('git', ['--no-optional-locks', '-C', folder, 'status', '--porcelain=v2', '--branch'], {
      encoding: 'utf8',
      // What git complains of is not shown.
      stdio: 'pipe',
      timeout: 10_000,
    });
  } catch {
    return '';
  }
}

/**
 * Kernel and its release, and the distribution where it is known.
 *
 * @param distributionFile where Linux says which it is: os-release(5)
 */
export function operatingSystem(distributionFile: string): string {
  const kernel = `${type()} ${release()}`;
  if (!existsSync(distributionFile)) return kernel;
  const distribution = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync(distributionFile, 'utf8'))?.[1];
  return distribution === undefined ? kernel : `${kernel}, ${distribution}`;
}
