/**
 * Gathers finished runs of tensorsandbox's models into the comparison with its figures after 10,000 steps: moving averages with augmentation
 * for every model, for the tutorial model also raw weights, with and without augmentation. The runs come first, one or more seeds of each:
 *
 *     npx ablate study studies/models-2017.yaml --runs-dir runs/reproduction
 *     npx ablate train tuto --steps 10000 --seed 2 --eval-every 2500 --runs-dir runs/reproduction --no-augment
 *     npx tsx bench/reproduction.ts [--runs-dir runs/reproduction] [--out docs/results/tensorsandbox.json]
 *
 * Runs that the record already has, perhaps of another machine, stay in it; runs that diverged are listed with the step at which they did.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { metricsPath, readConfig, readEnvironment, runName, allRuns, type Run } from '../src/runs/run-folder.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { readStatus } from '../src/runs/run-status.ts';
import { runIdentity } from '../src/study/identity.ts';
import { estimateMean } from '../src/study/statistics.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { mergeRuns, recordRun, type RecordedRun } from './records/recorded-runs.ts';

const { values: options } = parseArgs({
  options: {
    'runs-dir': { type: 'string', default: 'runs/reproduction' },
    out: { type: 'string', default: 'docs/results/tensorsandbox.json' },
  },
});

/** A published figure: a single run's accuracy after 10,000 steps, in percent. */
interface Setting {
  readonly model: string;
  readonly name: string;
  readonly augment: boolean;
  readonly weights: 'raw' | 'ema';
  readonly published: number;
}

const everything = 'augmentation and moving average';
const figures = {
  ...{ tuto: 81.4, alex0: 82.2, alex1: 81.8, alex2: 81.4, alex3: 81.2, alex4: 81.2 },
  ...{ nin0: 70.9, nin1: 69.7, nin2: 74.2, squeeze0: 63.9, squeeze1: 66.0 },
};
const settings: readonly Setting[] = [
  { model: 'tuto', name: 'bare', augment: false, weights: 'raw', published: 75.3 },
  { model: 'tuto', name: 'augmentation', augment: true, weights: 'raw', published: 78.8 },
  ...Object.entries(figures).map(
    ([model, published]) => ({ model, name: everything, augment: true, weights: 'ema', published }) as const,
  ),
];

interface FailedRun {
  readonly model: string;
  readonly run: string;
  readonly seed: number;
  readonly augment: boolean;
  readonly step: number;
  readonly reason: string | undefined;
  readonly evaluations: readonly Evaluation[];
}

/** Accuracies on the way, of averages and of the weights themselves. */
interface Evaluation {
  readonly step: number;
  readonly average: number;
  readonly raw: number | undefined;
}

function evaluationsOf(run: Run): Evaluation[] {
  return readMetrics(metricsPath(run)).flatMap(({ step, metrics }) => {
    const { 'test/accuracy': average, 'test/rawAccuracy': raw } = metrics;
    return average === undefined ? [] : [{ step, average, raw }];
  });
}

interface EarlierRecord {
  readonly machine: object;
  readonly versions: object;
  readonly results: readonly { readonly model: string; readonly name: string; readonly runs: readonly RecordedRun[] }[];
  readonly failed: readonly FailedRun[];
}

const before = existsSync(options.out) ? (JSON.parse(readFileSync(options.out, 'utf8')) as EarlierRecord) : undefined;

/** Runs of the recipe 2017 and nothing else, in any precision. */
const runs = allRuns(options['runs-dir']).flatMap((run) => {
  const config = readConfig(run) as TrainingConfig;
  const { model, augment, seed } = config;
  if (!Object.hasOwn(figures, model)) return [];
  // As the trainer records it: without augmentation the network sees whole images.
  const whole = augment ? {} : { inputSize: 32 };
  const expected = resolveConfig({ model, recipe: '2017', steps: 10_000, augment, seed, ...whole });
  return runIdentity({ ...config, networkChecksum: '', precision: expected.precision }) === runIdentity(expected)
    ? [{ run, config }]
    : [];
});

interface FinishedRun {
  readonly run: Run;
  readonly config: TrainingConfig;
  /** Metrics of the last step. */
  readonly last: Readonly<Record<string, number>>;
}

const finished = runs.flatMap(({ run, config }): FinishedRun[] => {
  const evaluated = readMetrics(metricsPath(run)).filter(
    ({ step, metrics }) => step === config.steps && 'test/accuracy' in metrics,
  );
  const last = evaluated.at(-1)?.metrics;
  return last === undefined ? [] : [{ run, config, last }];
});
const failedNow = runs.flatMap(({ run, config: { model, seed, augment } }): FailedRun[] => {
  const { status, step, reason } = readStatus(run);
  if (status !== 'failed') return [];
  return [{ model, run: runName(run), seed, augment, step, reason, evaluations: evaluationsOf(run) }];
});
const failedEarlier = (before?.failed ?? []).filter(
  (earlier) =>
    !failedNow.some(
      ({ model, seed, augment }) => model === earlier.model && seed === earlier.seed && augment === earlier.augment,
    ),
);

const results = settings.flatMap(({ model, name, augment, weights, published }) => {
  const now = finished
    .filter(({ config }) => config.model === model && config.augment === augment)
    .map(({ run, config, last }) => {
      const accuracy = last[weights === 'raw' ? 'test/rawAccuracy' : 'test/accuracy']!;
      return { ...recordRun(run, config, accuracy), evaluations: evaluationsOf(run) };
    });
  const earlier = before?.results.find((result) => result.model === model && result.name === name)?.runs ?? [];
  const all = mergeRuns(earlier, now);
  if (all.length === 0) return [];
  const { mean, deviation } = estimateMean(all.map(({ accuracy }) => accuracy));
  const difference = mean - published / 100;
  return [
    {
      model,
      name,
      weights,
      published: published / 100,
      n: all.length,
      mean,
      standardDeviation: deviation ?? null,
      difference,
      runs: all,
    },
  ];
});
if (results.length === 0) throw new Error(`no run of the recipe 2017 in ${options['runs-dir']}`);

const newest = finished.at(-1);
const environment = newest && readEnvironment(newest.run);
const record = {
  what: 'test accuracy of tensorsandbox’s models after 10,000 steps of the recipe 2017, against its own figures',
  command: `npx tsx bench/reproduction.ts ${process.argv.slice(2).join(' ')}`.trim(),
  configuration: { recipe: '2017', steps: 10_000, batchSize: 128, modelSettings: 'defaults' },
  machine: environment
    ? { cpu: environment.cpu, memoryBytes: environment.memoryBytes, operatingSystem: environment.operatingSystem }
    : before!.machine,
  versions: environment?.versions ?? before!.versions,
  results,
  failed: [...failedEarlier, ...failedNow],
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { model, name, n, mean, published } of results) {
  console.log(`${model}, ${name}: ${(100 * mean).toFixed(2)}% (n = ${n}), published ${(100 * published).toFixed(1)}%`);
}
