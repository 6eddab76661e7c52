/**
 * Work that is killed and resumed: a training that saves every other step, a study, a pruning, a compression. What must not be lost on the
 * way, and what the end must be, is what the same work left behind that nobody killed.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listCheckpoints, loadCheckpoint } from '../../src/runs/checkpoint.ts';
import { readMetrics } from '../../src/runs/metrics.ts';
import { allRuns, metricsPath, readConfig, runName, type Run } from '../../src/runs/run-folder.ts';
import { copyFixtures, tinyNetwork, type Fixtures } from '../hostile/fixtures.ts';

export interface Work {
  readonly name: string;
  /** Puts what the work needs into an empty folder. */
  prepare(folder: string): void;
  /** The command line to go on with, or to begin with. */
  command(folder: string): readonly string[];
  /** What is left at the end: the same, bit for bit, however often the work was killed. */
  result(folder: string): unknown;
}

const network = tinyNetwork.flatMap((setting) => ['--set', setting]);
const common = ['--data', 'images:pictures', '--threads', '1'];
/** A record of the loss is a mean since the last one, or since the resumption: so there is one with each checkpoint. */
const everyOther = ['--set', 'saveEvery=2', '--set', 'logEvery=2'];

export function works(
  fixtures: Pick<Fixtures, 'folder'>,
): Readonly<Record<'training' | 'study' | 'pruning' | 'compression', Work>> {
  return {
    training: {
      name: 'training',
      prepare: (folder) => copyFixtures(fixtures, folder, 'pictures'),
      command: (folder) =>
        exists(folder, 'runs/tuto/1')
          ? ['train', '--resume', 'tuto/1']
          : [
              'train',
              'tuto',
              ...common,
              ...network,
              '--batch-size',
              '4',
              '--steps',
              '200',
              '--save-every',
              '2',
              '--eval-every',
              '100',
              '--log-every',
              '2',
            ],
      result: (folder) => runsOf(folder, 'runs'),
    },
    study: {
      name: 'study',
      prepare: (folder) => copyFixtures(fixtures, folder, 'pictures', 'killed.yaml'),
      command: () => ['study', 'killed.yaml', '--threads', '1', '--no-latency'],
      result: (folder) => ({
        runs: runsOf(folder, 'runs'),
        effects: readFileSync(join(folder, 'reports/killed/effects.csv'), 'utf8'),
      }),
    },
    pruning: {
      name: 'pruning',
      prepare: (folder) => copyFixtures(fixtures, folder, 'pictures', 'runs'),
      command: (folder) =>
        exists(folder, 'runs/tuto/2')
          ? ['prune', '--resume', 'tuto/2', '-o', 'pruned.safetensors', ...common]
          : [
              'prune',
              'tuto/1',
              '--sparsity',
              '0.6',
              '--rounds',
              '3',
              '--steps',
              '60',
              '-o',
              'pruned.safetensors',
              ...common,
              ...everyOther,
            ],
      result: (folder) => ({ runs: runsOf(folder, 'runs'), file: digest(join(folder, 'pruned.safetensors')) }),
    },
    compression: {
      name: 'compression',
      prepare: (folder) => copyFixtures(fixtures, folder, 'pictures', 'runs'),
      command: () => {
        const goal = ['--operations', '0.5', '--max-drop', '100', '--shrink', '0.7', '--rounds', '3', '--steps', '40'];
        return ['compress', 'tuto/1', ...goal, '-o', 'small.onnx', ...common, ...everyOther];
      },
      result: (folder) => ({ runs: runsOf(folder, 'runs'), file: digest(join(folder, 'small.onnx')) }),
    },
  };
}

/** What is known of the runs in a folder: the more, the later. */
export interface Progress {
  /** Steps of the newest checkpoint, by run. */
  readonly steps: ReadonlyMap<string, number>;
}

/**
 * Looks at what a killed process left.
 *
 * @param before what was there when it started
 * @returns what is there now, and what is wrong with it
 */
export function inspect(folder: string, before: Progress): { readonly now: Progress; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const steps = new Map<string, number>();
  for (const run of runsIn(folder)) {
    const name = runName(run);
    try {
      const checkpoints = listCheckpoints(run);
      // Each that bears the name of a checkpoint is one.
      for (const { path, step } of checkpoints) {
        if (!holds(run, path, step)) problems.push(`${path} is of another step`);
      }
      const newest = checkpoints.at(-1)?.step ?? 0;
      const records = readMetrics(metricsPath(run)).filter((record) => record.step <= newest);
      const logEvery = (readConfig(run) as { logEvery: number }).logEvery;
      const logged = new Set(records.map(({ step }) => step));
      for (let step = logEvery; step <= newest; step += logEvery) {
        if (!logged.has(step)) problems.push(`${name} has a checkpoint of step ${newest}, and no record of step ${step}`);
      }
      steps.set(name, newest);
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  for (const [name, step] of before.steps) {
    const now = steps.get(name);
    if (now === undefined) problems.push(`${name} is gone`);
    else if (now < step) problems.push(`${name} was at step ${step}, and is at ${now}`);
  }
  return { now: { steps }, problems };
}

/** A training that was not killed with what started it goes on, and replaces its checkpoints by newer ones while they are read. */
function holds(run: Run, path: string, step: number): boolean {
  try {
    return loadCheckpoint(path).step === step;
  } catch (error) {
    if (!existsSync(path) && (listCheckpoints(run).at(-1)?.step ?? 0) > step) return true;
    throw error;
  }
}

function exists(folder: string, path: string): boolean {
  return existsSync(join(folder, path, 'config.json'));
}

function runsIn(folder: string): Run[] {
  return allRuns(join(folder, 'runs'));
}

/** Of each run, by what it computes: the last checkpoint, and the record without the times. */
function runsOf(folder: string, name: string): Readonly<Record<string, unknown>> {
  const described = allRuns(join(folder, name)).map((run) => {
    const records = readMetrics(metricsPath(run)).map(({ step, metrics }) => {
      const timeless = Object.entries(metrics).filter(([key]) => !/second/i.test(key));
      return { step, ...Object.fromEntries(timeless) };
    });
    const newest = listCheckpoints(run).at(-1);
    const status = (JSON.parse(readFileSync(join(run.path, 'status.json'), 'utf8')) as { status: string }).status;
    const checkpoint = newest === undefined ? 'none' : digest(newest.path);
    return [JSON.stringify(readConfig(run)), { status, step: newest?.step, checkpoint, records }] as const;
  });
  // Numbers may differ: which of two variants is trained first says nothing.
  return Object.fromEntries(described.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
