/**
 * What the input pipeline takes of a core: processor time of the whole process (the worker that crops, augments and standardizes, and the thread
 * that takes the batches) for each batch, for each recipe; and what part of a core that is while a model trains, its step being timed by
 * `ablate bench train`. With `--before`, the folder of another version with its packages, both are measured in turns, so that a change of the loader shows.
 * Writes docs/results/loader-cost.json. Two minutes, on a quiet machine.
 *
 *     npx tsx bench/loader-cost.ts [--before ../earlier] [--model tuto] [--batches 1000] [--rounds 5] [--threads 2] [--precision f32]
 *       [--out docs/results/loader-cost.json]
 */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as cifar10Module from '../src/data/cifar10.ts';
import type * as imageSetModule from '../src/data/image-set.ts';
import type * as loaderModule from '../src/data/loader.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import type * as classifierModule from '../src/train/classifier.ts';
import type * as configModule from '../src/train/config.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';

const { values: options } = parseArgs({
  options: {
    before: { type: 'string' },
    model: { type: 'string', default: 'tuto' },
    batches: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    out: { type: 'string', default: 'docs/results/loader-cost.json' },
    /** For the processes that measure: the version's folder. They print what they measured. */
    measure: { type: 'string' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const batches = Number(options.batches);
const rounds = Number(options.rounds);
const batchSize = 128;
const recipes = ['2017', 'modern', 'airbench'] as const;

type Milliseconds = Readonly<Record<(typeof recipes)[number], number>>;

if (options.measure !== undefined) {
  console.log(JSON.stringify(await measure(options.measure)));
} else {
  compare();
}

/** Milliseconds of processor time a batch, workers included, of the version in a folder. */
async function measure(version: string): Promise<Milliseconds> {
  const load = async <T>(module: string) => (await import(pathToFileURL(join(version, 'src', module)).href)) as T;
  const { loadCifar10 } = await load<typeof cifar10Module>('data/cifar10.ts');
  const { splitOf } = await load<typeof imageSetModule>('data/image-set.ts');
  const { createTrainingLoader } = await load<typeof loaderModule>('data/loader.ts');
  const { createClassifier, trainingPreprocessing } = await load<typeof classifierModule>('train/classifier.ts');
  const { resolveConfig } = await load<typeof configModule>('train/config.ts');
  const dataset = await loadCifar10();
  const times: Record<string, number> = {};
  for (const recipe of recipes) {
    const config = resolveConfig({ model: options.model, recipe });
    const preprocessing = trainingPreprocessing(createClassifier(config, dataset), config);
    const images = splitOf(dataset, 'train', false);
    const loader = createTrainingLoader({ images, shape: dataset.shape, preprocessing, batchSize, seed: 1, firstStep: 0 });
    try {
      for (let i = 0; i < 100; i++) await loader.next();
      const before = process.cpuUsage();
      for (let i = 0; i < batches; i++) await loader.next();
      const { user, system } = process.cpuUsage(before);
      times[recipe] = (user + system) / 1000 / batches;
    } finally {
      await loader.dispose();
    }
  }
  return times as Milliseconds;
}

/** In a process of its own: neither what was compiled nor what was collected of another measurement is in it. */
function measured(version: string): Milliseconds {
  const args = ['--import', 'tsx', fileURLToPath(import.meta.url), '--measure', version];
  const output = execFileSync(process.execPath, [...args, '--model', options.model, '--batches', options.batches], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output) as Milliseconds;
}

/** Median milliseconds of a step. */
function stepMs(): number {
  const args = ['--import', 'tsx', 'src/cli/main.ts', 'bench', 'train', options.model, '--batch-size', String(batchSize)];
  const length = ['--repetitions', '1', '--steps', '30', '--warm-up', '5'];
  const how = ['--threads', options.threads, '--precision', options.precision, '--json'];
  const output = execFileSync(process.execPath, [...args, ...length, ...how], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return (JSON.parse(output) as { msPerStep: { median: number } }).msPerStep.median;
}

function spread(values: readonly number[]) {
  return { median: percentile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

function compare(): void {
  const earlier = options.before === undefined ? undefined : resolve(options.before);
  const steps: number[] = [];
  const now: Milliseconds[] = [];
  const before: Milliseconds[] = [];
  for (let round = 0; round < rounds; round++) {
    steps.push(stepMs());
    // Now the one first, now the other: a machine that grows slower favours neither.
    if (round % 2 === 0) now.push(measured(root));
    if (earlier !== undefined) before.push(measured(earlier));
    if (round % 2 === 1) now.push(measured(root));
  }
  const step = spread(steps);
  const results = recipes.map((recipe) => {
    const cpuMsPerBatch = spread(now.map((times) => times[recipe]));
    return {
      ...{ recipe, batchSize, cpuMsPerBatch, partOfACore: cpuMsPerBatch.median / step.median },
      ...(earlier !== undefined && {
        before: spread(before.map((times) => times[recipe])),
        /** Of each round, this version's time divided by the earlier one's. */
        timesBefore: spread(now.map((times, round) => times[recipe] / before[round]![recipe])),
      }),
    };
  });
  const record = {
    what: `processor time of the input pipeline for a batch of ${batchSize}, and what part of a core that is while ${options.model} trains`,
    command: `npx tsx bench/loader-cost.ts ${process.argv.slice(2).join(' ')}`.trim(),
    configuration: { model: options.model, precision: options.precision, threads: Number(options.threads), batches },
    n: rounds,
    environment: describeEnvironment({ threads: Number(options.threads) }),
    ...(earlier !== undefined && { before: { commit: commitOf(earlier) } }),
    stepMs: step,
    results,
  };
  writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
  for (const { recipe, cpuMsPerBatch, partOfACore, timesBefore } of results) {
    const ratio = timesBefore && `, ${timesBefore.median.toFixed(2)} times as much as before`;
    console.log(
      `${recipe}: ${cpuMsPerBatch.median.toFixed(2)} ms a batch, ${(100 * partOfACore).toFixed(1)}% of a core${ratio ?? ''}`,
    );
  }
}

function commitOf(folder: string): string {
  return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: folder, encoding: 'utf8' }).trim();
}
