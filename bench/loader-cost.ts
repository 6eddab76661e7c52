/**
 * What the input pipeline takes of a core: processor time of the whole process (the worker that crops, augments and standardizes, and the thread
 * that takes the batches) for each batch, for each recipe; and what part of a core that is while a model trains, its step being timed by
 * `ablate bench train`. Writes docs/results/loader-cost.json. The step wants a quiet machine.
 *
 *     npx tsx bench/loader-cost.ts [--model tuto] [--batches 400] [--rounds 3] [--threads 2] [--precision f32] [--out docs/results/loader-cost.json]
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createTrainingLoader } from '../src/data/loader.ts';
import { loadDataset } from '../src/user/dataset.ts';
import { splitOf } from '../src/data/image-set.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { resolveConfig } from '../src/train/config.ts';
import { createClassifier, trainingPreprocessing } from '../src/train/classifier.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'tuto' },
    batches: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    precision: { type: 'string', default: 'f32' },
    out: { type: 'string', default: 'docs/results/loader-cost.json' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const batches = Number(options.batches);
const rounds = Number(options.rounds);
const batchSize = 128;
const dataset = await loadDataset('cifar10');

/** Milliseconds of processor time a batch, workers included. */
async function batchCpuMs(recipe: string): Promise<number> {
  const config = resolveConfig({ model: options.model, recipe });
  const preprocessing = trainingPreprocessing(createClassifier(config, dataset), config);
  const images = splitOf(dataset, 'train', false);
  const loader = createTrainingLoader({ images, shape: dataset.shape, preprocessing, batchSize, seed: 1, firstStep: 0 });
  try {
    for (let i = 0; i < 50; i++) await loader.next();
    const before = process.cpuUsage();
    for (let i = 0; i < batches; i++) await loader.next();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / batches;
  } finally {
    await loader.dispose();
  }
}

/** Median milliseconds of a step. */
function stepMs(): number {
  const args = ['bin/ablate.js', 'bench', 'train', options.model, '--batch-size', String(batchSize), '--repetitions', '1'];
  const how = ['--threads', options.threads, '--precision', options.precision, '--json'];
  const output = execFileSync(process.execPath, [...args, ...how], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return (JSON.parse(output) as { msPerStep: { median: number } }).msPerStep.median;
}

const steps: number[] = [];
const cpu = new Map<string, number[]>(['2017', 'modern', 'airbench'].map((recipe) => [recipe, []]));
for (let round = 0; round < rounds; round++) {
  steps.push(stepMs());
  for (const [recipe, times] of cpu) times.push(await batchCpuMs(recipe));
}
const step = percentile(steps, 0.5);
const results = [...cpu].map(([recipe, times]) => {
  const median = percentile(times, 0.5);
  return {
    recipe,
    batchSize,
    cpuMsPerBatch: { median, min: Math.min(...times), max: Math.max(...times) },
    partOfACore: median / step,
  };
});
const record = {
  what: `processor time of the input pipeline for a batch of ${batchSize}, and what part of a core that is while ${options.model} trains`,
  command: `npx tsx bench/loader-cost.ts ${process.argv.slice(2).join(' ')}`.trim(),
  configuration: { model: options.model, precision: options.precision, threads: Number(options.threads), batches },
  n: rounds,
  environment: describeEnvironment({ threads: Number(options.threads) }),
  stepMs: { median: step, min: Math.min(...steps), max: Math.max(...steps) },
  results,
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { recipe, cpuMsPerBatch, partOfACore } of results) {
  console.log(`${recipe}: ${cpuMsPerBatch.median.toFixed(2)} ms a batch, ${(100 * partOfACore).toFixed(1)}% of a core`);
}
