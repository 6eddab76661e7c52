/**
 * What bf16 costs in accuracy: the experiments of docs/results/accuracies.json that were trained in bf16, beside the same ones in float32 there or in
 * docs/results/tensorsandbox.json, paired by their seeds. Trains nothing; writes docs/results/precision-accuracy.json. The runs come first, for example:
 *
 *     npx ablate train tuto --precision bf16 --seed 1 --runs-dir runs/bf16
 *     npx tsx bench/accuracies.ts --runs-dir runs/bf16
 *     npx tsx bench/precision-accuracy.ts [--out docs/results/precision-accuracy.json]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { experimentIdentity } from '../src/study/identity.ts';
import { estimateMean } from '../src/study/statistics.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import type { RecordedRun } from './records/recorded-runs.ts';

const { values: options } = parseArgs({
  options: { out: { type: 'string', default: 'docs/results/precision-accuracy.json' } },
});

interface Experiment {
  readonly config: TrainingConfig;
  readonly runs: readonly RecordedRun[];
}

function readResults(name: string): unknown {
  const text = readFileSync(new URL(`../docs/results/${name}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly results: unknown }).results;
}

const recorded = readResults('accuracies') as readonly Experiment[];
const reproduced = readResults('tensorsandbox') as readonly {
  readonly model: string;
  readonly name: string;
  readonly runs: readonly RecordedRun[];
}[];

/** By identity, in float32. */
const float32 = new Map<string, readonly RecordedRun[]>();
for (const { model, name, runs } of reproduced) {
  if (name !== 'augmentation and moving average') continue;
  float32.set(experimentIdentity(resolveConfig({ model, recipe: '2017', steps: 10_000 })), runs);
}
for (const { config, runs } of recorded) if (config.precision === 'f32') float32.set(experimentIdentity(config), runs);

const results = recorded.flatMap(({ config, runs }) => {
  const same = float32.get(experimentIdentity({ ...config, precision: 'f32' }));
  if (config.precision !== 'bf16' || same === undefined) return [];
  const meanOf = (all: readonly RecordedRun[]) => estimateMean(all.map(({ accuracy }) => accuracy));
  const differences = runs.flatMap(({ seed, accuracy }) => {
    const pair = same.find((run) => run.seed === seed);
    return pair === undefined ? [] : [100 * (accuracy - pair.accuracy)];
  });
  const { model, recipe, steps } = config;
  const accuracies = (all: readonly RecordedRun[]) => all.map(({ seed, accuracy }) => ({ seed, accuracy }));
  return [
    {
      ...{ model, recipe, steps },
      bf16: { mean: meanOf(runs).mean, runs: accuracies(runs) },
      float32: { mean: meanOf(same).mean, runs: accuracies(same) },
      /** Points, bf16 less float32, over the seeds that both have; bounds are null with fewer than two. */
      difference: differences.length === 0 ? null : { n: differences.length, ...boundsOf(differences) },
    },
  ];
});

function boundsOf(differences: readonly number[]) {
  const { mean, low = null, high = null } = estimateMean(differences);
  return { mean, low95: low, high95: high };
}

const record = {
  what: 'accuracy on all 10,000 test images of CIFAR-10 after training in bf16 and in float32; differences in points, paired by seed',
  command: 'npx tsx bench/precision-accuracy.ts',
  sources: ['docs/results/accuracies.json', 'docs/results/tensorsandbox.json'],
  results,
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
for (const { model, recipe, bf16, float32: other, difference } of results) {
  const { low95 = null, high95 = null } = difference ?? {};
  const interval = low95 === null || high95 === null ? '' : ` [${low95.toFixed(2)}, ${high95.toFixed(2)}]`;
  const points = difference === null ? '' : `, difference ${difference.mean.toFixed(2)}${interval} points, n = ${difference.n}`;
  console.log(`${model}, ${recipe}: bf16 ${(100 * bf16.mean).toFixed(2)}%, float32 ${(100 * other.mean).toFixed(2)}%${points}`);
}
