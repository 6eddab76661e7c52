/**
 * Gathers finished runs into docs/results/accuracies.json: for each experiment (one configuration, several seeds) the accuracy on the test images,
 * mean and spread, with what the network costs and what its training took. The runs come first, for example:
 *
 *     npx ablate train air94 --recipe airbench --seed 1 --runs-dir runs/accuracies
 *     npx tsx bench/accuracies.ts [--runs-dir runs/accuracies] [--out docs/results/accuracies.json]
 *
 * Runs that the record already has, perhaps of another machine, stay in it. Runs with validation images do not count: they saw fewer images.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { countMultiplyAdds, countOperations, countParameters } from '../src/nn/network.ts';
import { allRuns, readConfig } from '../src/runs/run-folder.ts';
import { readStatus } from '../src/runs/run-status.ts';
import { experimentIdentity } from '../src/study/identity.ts';
import { estimateMean } from '../src/study/statistics.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';
import { createClassifier } from '../src/train/classifier.ts';
import { readEvaluation } from '../src/train/recorded-evaluation.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { mergeRuns, recordRun, type RecordedRun } from './records/recorded-runs.ts';

const { values: options } = parseArgs({
  options: {
    'runs-dir': { type: 'string', default: 'runs/accuracies' },
    out: { type: 'string', default: 'docs/results/accuracies.json' },
  },
});

interface Experiment {
  /** Of its latest run, seed included. */
  readonly config: TrainingConfig;
  readonly runs: readonly RecordedRun[];
}

const shapeOfCifar10 = [3, 32, 32] as const;

const found = allRuns(options['runs-dir']).flatMap((run): { config: TrainingConfig; recorded: RecordedRun }[] => {
  const config = readConfig(run) as TrainingConfig;
  const evaluation = readEvaluation(run);
  if (readStatus(run).status !== 'finished' || evaluation?.step !== config.steps) return [];
  if (config.val || config.dataset !== 'cifar10' || evaluation.tta !== config.tta) return [];
  // The records name an experiment by what was asked for.
  return [{ config: { ...config, networkChecksum: '' }, recorded: recordRun(run, config, evaluation.accuracy) }];
});

const experiments = new Map<string, Experiment>();
if (existsSync(options.out)) {
  const { results } = JSON.parse(readFileSync(options.out, 'utf8')) as { readonly results: readonly Experiment[] };
  for (const { config, runs } of results) experiments.set(experimentIdentity(config), { config, runs });
}
for (const { config, recorded } of found) {
  const identity = experimentIdentity(config);
  const runs = mergeRuns(experiments.get(identity)?.runs ?? [], [recorded]);
  experiments.set(identity, { config, runs });
}

const results = [...experiments.values()].map(({ config, runs }) => {
  const { model, recipe, steps, batchSize, tta } = config;
  const { network, preprocessing } = createClassifier(config, { shape: shapeOfCifar10, classes: cifar10Classes });
  const { inputSize } = preprocessing;
  const { mean, deviation } = estimateMean(runs.map(({ accuracy }) => accuracy));
  const images = steps * batchSize;
  return {
    ...{ model, recipe, steps, batchSize, inputSize, tta, epochs: images / 50_000 },
    ...{ parameters: countParameters(network.parameters), operations: countOperations(network) },
    /** Forward, gradients of weights and of inputs: six operations for each multiply-add and image. */
    trainingPflop: (6 * countMultiplyAdds(network) * images) / 1e15,
    ...{ n: runs.length, meanAccuracy: mean, standardDeviation: deviation ?? null },
    ...{ runs, config },
  };
});
const record = {
  what: 'accuracy on all 10,000 test images of CIFAR-10, for each experiment over its seeds',
  command: `npx tsx bench/accuracies.ts ${process.argv.slice(2).join(' ')}`.trim(),
  results: results.sort((a, b) => a.model.localeCompare(b.model) || a.recipe.localeCompare(b.recipe)),
};
writeFileAtomic(options.out, `${JSON.stringify(record, undefined, 2)}\n`);
for (const { model, recipe, steps, n, meanAccuracy } of record.results) {
  console.log(`${model}, ${recipe}, ${steps} steps: ${(100 * meanAccuracy).toFixed(2)} %, n = ${n}`);
}
