/**
 * Gathers finished runs of the study's tutorial model into the comparison with the study's three figures: bare, with augmentation, with
 * augmentation and moving average. The runs come first, one or more seeds of each:
 *
 *     npx ablate train tuto --steps 10000 --seed 1 --eval-every 2500 --runs-dir runs/reproduction
 *     npx ablate train tuto --steps 10000 --seed 1 --eval-every 2500 --runs-dir runs/reproduction --no-augment
 *     npx tsx bench/reproduction.ts [--runs-dir runs/reproduction] [--out docs/results/tuto-2017.json]
 *
 * Runs that the record already has, perhaps of another machine, stay in it; runs that diverged are listed with the step at which they did.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { metricsPath, readConfig, readEnvironment, runName, allRuns, type Run } from '../src/runs/run-folder.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { readStatus } from '../src/runs/run-status.ts';
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

interface RecordedRun {
  readonly run: string;
  readonly seed: number;
  readonly accuracy: number;
  readonly threads: number;
  readonly processor: string | undefined;
  readonly commit: string | undefined;
}

interface Result {
  readonly name: string;
  readonly runs: readonly RecordedRun[];
}

interface FailedRun {
  readonly run: string;
  readonly seed: number;
  readonly augment: boolean;
  readonly step: number;
  readonly reason: string | undefined;
  readonly evaluations: readonly { readonly step: number; readonly average: number; readonly raw: number | undefined }[];
}

interface EarlierRecord {
  readonly machine: { readonly cpu: { readonly model: string } };
  readonly results: readonly Result[];
  readonly failed: readonly FailedRun[];
}

const before = existsSync(options.out) ? (JSON.parse(readFileSync(options.out, 'utf8')) as EarlierRecord) : undefined;

interface FinishedRun {
  readonly run: Run;
  readonly config: TrainingConfig;
  /** Metrics of the last step. */
  readonly last: Readonly<Record<string, number>>;
}

const runs = allRuns(options['runs-dir']).filter(({ model }) => model === 'tuto');
const finished = runs.flatMap((run): FinishedRun[] => {
  const config = readConfig(run) as TrainingConfig;
  const evaluated = readMetrics(metricsPath(run)).filter(
    ({ step, metrics }) => step === config.steps && 'test/accuracy' in metrics,
  );
  const last = evaluated.at(-1)?.metrics;
  return last === undefined ? [] : [{ run, config, last }];
});
const failedNow = runs.flatMap((run): FailedRun[] => {
  const { status, step, reason } = readStatus(run);
  if (status !== 'failed') return [];
  const { seed, augment } = readConfig(run) as TrainingConfig;
  // The accuracies on the way there.
  const evaluations = readMetrics(metricsPath(run)).flatMap((record) => {
    const { 'test/accuracy': average, 'test/rawAccuracy': raw } = record.metrics;
    return average === undefined ? [] : [{ step: record.step, average, raw }];
  });
  return [{ run: runName(run), seed, augment, step, reason, evaluations }];
});
const failedEarlier = (before?.failed ?? []).filter(
  ({ seed, augment }) => !failedNow.some((run) => run.seed === seed && run.augment === augment),
);

const results = settings.map(({ name, augment, weights, study }) => {
  const now = finished
    .filter(({ config }) => config.augment === augment)
    .map(({ run, config, last }): RecordedRun => {
      const { git, cpu } = readEnvironment(run);
      const accuracy = last[weights === 'raw' ? 'test/rawAccuracy' : 'test/accuracy']!;
      const { seed, threads } = config;
      return { run: runName(run), seed, accuracy, threads, processor: cpu.model, commit: git?.commit };
    });
  const earlier = before?.results.find((result) => result.name === name)?.runs ?? [];
  const kept = earlier
    .filter(({ seed }) => !now.some((run) => run.seed === seed))
    .map((run) => ({ ...run, processor: run.processor ?? before?.machine.cpu.model }));
  const all = [...kept, ...now].sort((a, b) => a.seed - b.seed);
  const accuracies = all.map(({ accuracy }) => accuracy);
  const mean = accuracies.reduce((sum, accuracy) => sum + accuracy, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, accuracy) => sum + (accuracy - mean) ** 2, 0);
  const standardDeviation = accuracies.length > 1 ? Math.sqrt(squares / (accuracies.length - 1)) : null;
  return { name, weights, study, n: all.length, mean, standardDeviation, difference: mean - study, runs: all };
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
  failed: [...failedEarlier, ...failedNow],
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { name, n, mean, study } of results) {
  console.log(`${name}: ${(100 * mean).toFixed(2)}% (n = ${n}), the study ${(100 * study).toFixed(1)}%`);
}
