/**
 * Where the time of a training step goes, and how near it is to the sum of oneDNN's kernels, for several models; and what a second thread
 * brings. Each measurement is `ablate bench train` in a process of its own, the models in turn, several rounds; of each figure the
 * median over the rounds is recorded. Prints besides what the steps were in those rounds before and after which the cores were near each other.
 *
 * $ABLATE_ONEDNN chooses another oneDNN than the one that is found. Rows that were measured anew take the place of those before.
 *
 *     npx tsx bench/step-breakdown.ts [--models tuto,alex2,...] [--rounds 3] [--steps 20] [--scaling nin2] [--precision f32]
 *                                 [--out docs/results/step-breakdown.json] [--scaling-out docs/results/thread-scaling.json]
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeEnvironment } from '../src/runs/environment.ts';
import type { TrainingBenchmark } from '../src/train/benchmark.ts';
import { percentile } from '../src/util/percentile.ts';
import { exchangeNs } from './core-exchange.ts';
import { measuredOn, recordRows } from './records/rows.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'tuto,alex2,alex4,squeeze1,nin2,air94' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '20' },
    scaling: { type: 'string', default: 'nin2' },
    precision: { type: 'string', default: 'f32' },
    out: { type: 'string', default: 'docs/results/step-breakdown.json' },
    'scaling-out': { type: 'string', default: 'docs/results/thread-scaling.json' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(options.rounds);
const threads = Math.min(2, availableParallelism());
const models = options.models.split(',');

let onednn = '';

function measure(model: string, threadCount: number): TrainingBenchmark {
  // A step of air94's own batch takes seconds.
  const large = model === 'air94';
  const steps = large ? Math.ceil(Number(options.steps) / 5) : Number(options.steps);
  const training = large ? ['--recipe', 'airbench', '--batch-size', '512'] : ['--batch-size', '128'];
  const timing = ['--steps', String(steps), '--warm-up', large ? '1' : '5', '--repetitions', large ? '3' : '10'];
  const how = ['--threads', String(threadCount), '--precision', options.precision, '--json'];
  const args = ['bin/ablate.js', 'bench', 'train', model, ...training, ...timing, ...how];
  const output = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const result = JSON.parse(output) as TrainingBenchmark & { readonly onednn: string };
  onednn = result.onednn;
  return result;
}

const median = (values: readonly number[]) => percentile(values, 0.5);
const spread = (values: readonly number[]) => ({ median: median(values), min: Math.min(...values), max: Math.max(...values) });

/** Two threads that share a cache exchange a number in about 100 ns, others in 300 to 500. */
const nearNs = 200;

interface Round extends TrainingBenchmark {
  /** Before and after. */
  readonly exchangeNs: readonly [number, number];
}

const measured = new Map<string, Round[]>(models.map((model) => [model, []]));
const singleThread: number[] = [];
const allThreads: number[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const [model, results] of measured) {
    const before = await exchangeNs();
    const result = measure(model, threads);
    results.push({ ...result, exchangeNs: [before, await exchangeNs()] });
  }
  singleThread.push(measure(options.scaling, 1).msPerStep.median);
  allThreads.push(measure(options.scaling, threads).msPerStep.median);
  process.stderr.write(`${round}/${rounds}\n`);
}

const steps = (each: readonly Round[]) => ({
  n: each.length,
  msPerStep: spread(each.map(({ msPerStep }) => msPerStep.median)),
  ceilingMs: median(each.map(({ ceilingMs }) => ceilingMs)),
  ceilingFraction: spread(each.map(({ ceilingFraction }) => ceilingFraction)),
});

const isNear = (round: Round) => round.exchangeNs.every((ns) => ns < nearNs);
const isFar = (round: Round) => round.exchangeNs.every((ns) => ns >= nearNs);

const results = [...measured].map(([model, each]) => ({
  model,
  batchSize: model === 'air94' ? 512 : 128,
  ...steps(each),
  coresNear: each.some(isNear) ? steps(each.filter(isNear)) : undefined,
  coresFar: each.some(isFar) ? steps(each.filter(isFar)) : undefined,
  gflops: median(each.map(({ gflops }) => gflops)),
  breakdownMs: Object.fromEntries(
    Object.keys(each[0]!.breakdown).map((part) => [part, median(each.map(({ breakdown }) => breakdown[part]!))]),
  ),
  networkMegabytes: each[0]!.memoryBytes / 1e6,
  residentMegabytes: Math.max(...each.map(({ residentBytes }) => residentBytes)) / 1e6,
  /** Operations of at least 2% of the step. */
  layers: each[0]!.layers.filter(({ ms }) => ms >= 0.02 * each[0]!.msPerStep.median),
}));
const scaling = {
  model: options.scaling,
  singleThreadMs: spread(singleThread),
  allThreadsMs: spread(allThreads),
  speedup: spread(singleThread.map((ms, round) => ms / allThreads[round]!)),
};
const library = `oneDNN ${onednn}`;
const environment = describeEnvironment({ threads, libraries: { onednn } });
const on = measuredOn(environment, { library, precision: options.precision, threads });
const command = 'npx tsx bench/step-breakdown.ts';
recordRows(options.out, {
  what: 'milliseconds of a training step by what they are spent on, and the sum of its kernels alone and hot (ceiling)',
  command,
  rows: results.map(({ model, ...figures }) => ({ model, ...on, ...figures })),
});
recordRows(options['scaling-out'], {
  what: 'how many times as fast a training step is with all threads as with one',
  command,
  rows: [{ ...on, ...scaling, n: rounds }],
});
for (const { model, coresNear, coresFar, ...all } of results) {
  const groups = Object.entries({ 'all rounds': all, 'cores near': coresNear, 'cores far': coresFar });
  for (const [group, found] of groups) {
    if (found === undefined) continue;
    const share = `${(100 * found.ceilingFraction.median).toFixed(1)}% of the ceiling`;
    console.log(`${model}, ${group} (${found.n}): ${found.msPerStep.median.toFixed(1)} ms, ${share}`);
  }
}
console.log(`${options.scaling}: ${threads} threads are ${scaling.speedup.median.toFixed(2)} times as fast as one`);
