/**
 * Gathers finished runs of the study's tutorial model into the comparison with the study's three figures: bare, with augmentation, with
 * augmentation and moving average. The runs come first, one or more seeds of each:
 *
 *     npx ablate train tuto --steps 10000 --seed 1 --eval-every 2500 --runs-dir runs/reproduction
 *     npx ablate train tuto --steps 10000 --seed 1 --eval-every 2500 --runs-dir runs/reproduction --no-augment
 *     npx tsx bench/reproduction.ts [--runs-dir runs/reproduction] [--out docs/results/tuto-2017.json]
 */
import { parseArgs } from 'node:util';
import { metricsPath, readConfig, readEnvironment, runName, allRuns, type Run } from '../src/runs/run-folder.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';

const { values: options } = parseArgs({
  options: {
    'runs-dir': { type: 'string', default: 'runs/reproduction' },
    out: { type: 'string', default: 'docs/results/tuto-2017.json' },
  },
});

/** The study's accuracies after 10,000 steps, single runs. Raw weights are evaluated in the first two, averages in the third. */
const settings = [
  { name: 'bare', augment: false, weights: 'raw', study: 0.753 },
  { name: 'augmentation', augment: true, weights: 'raw', study: 0.788 },
  { name: 'augmentation and moving average', augment: true, weights: 'ema', study: 0.814 },
] as const;

interface FinishedRun {
  readonly run: Run;
  readonly config: TrainingConfig;
  /** Metrics of the last step. */
  readonly last: Readonly<Record<string, number>>;
}

const finished = allRuns(options['runs-dir']).flatMap((run): FinishedRun[] => {
  const config = readConfig(run) as TrainingConfig;
  const evaluated = readMetrics(metricsPath(run)).filter(
    ({ step, metrics }) => step === config.steps && 'test/accuracy' in metrics,
  );
  const last = evaluated.at(-1)?.metrics;
  return config.model === 'tuto' && last !== undefined ? [{ run, config, last }] : [];
});

const results = settings.map(({ name, augment, weights, study }) => {
  const runs = finished
    .filter(({ config }) => config.augment === augment)
    .toSorted((a, b) => a.config.seed - b.config.seed)
    .map(({ run, config, last }) => {
      const environment = readEnvironment(run);
      const accuracy = last[weights === 'raw' ? 'test/rawAccuracy' : 'test/accuracy']!;
      return { run: runName(run), seed: config.seed, accuracy, threads: config.threads, commit: environment.git?.commit };
    });
  const accuracies = runs.map(({ accuracy }) => accuracy);
  const mean = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, accuracy) => sum + (accuracy - mean) ** 2, 0);
  const standardDeviation = accuracies.length > 1 ? Math.sqrt(squares / (accuracies.length - 1)) : null;
  return { name, weights, study, n: runs.length, mean, standardDeviation, difference: mean - study, runs };
});

const first = finished[0];
if (first === undefined) throw new Error(`no finished run of tuto in ${options['runs-dir']}`);
const { cpu, memoryBytes, operatingSystem, versions } = readEnvironment(first.run);
const record = {
  what: 'test accuracy of the study’s tutorial model after 10,000 steps of its recipe, against the study’s own figures',
  command: `npx tsx bench/reproduction.ts ${process.argv.slice(2).join(' ')}`.trim(),
  configuration: first.config,
  machine: { cpu, memoryBytes, operatingSystem },
  versions,
  results,
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { name, n, mean, study } of results) {
  console.log(`${name}: ${(100 * mean).toFixed(2)}% (n = ${n}), the study ${(100 * study).toFixed(1)}%`);
}
