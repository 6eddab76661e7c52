/**
 * Adds finished runs to the record of trainings, docs/results/trainings.json: one entry for each experiment (all of a configuration but its
 * seed), with its runs, their mean and spread. Runs that are in the record already, perhaps of another machine, stay in it; so do
 * runs that diverged. Then it writes the table of results in the README anew.
 *
 *     npx ablate train alex4 --recipe modern --steps 30000 --seed 1
 *     npx tsx bench/record-runs.ts [--runs-dir runs] [--models alex4,tuto] [--out docs/results/trainings.json] [--no-readme]
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { buildModel, modelDefinition } from '../src/models/registry.ts';
import { resolveSettings } from '../src/models/settings.ts';
import { countOperations, countParameters } from '../src/nn/network.ts';
import { readMetrics } from '../src/runs/metrics.ts';
import { allRuns, metricsPath, readConfig, readEnvironment, type Run } from '../src/runs/run-folder.ts';
import { readStatus } from '../src/runs/run-status.ts';
import { experimentIdentity } from '../src/study/identity.ts';
import { readRunResults } from '../src/study/run-results.ts';
import { checkConfig } from '../src/train/config.ts';
import type { TrainingConfig } from '../src/train/config-schema.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { formatDuration, formatOperations } from '../src/util/format.ts';
import { formatCount } from '../src/util/text-table.ts';

const { values: options } = parseArgs({
  options: {
    'runs-dir': { type: 'string', default: 'runs' },
    models: { type: 'string' },
    out: { type: 'string', default: 'docs/results/trainings.json' },
    'no-readme': { type: 'boolean', default: false },
  },
});

/** Accuracies that the 2017 study reports after 10,000 steps, with moving averages: single runs. */
const studyAccuracy: Readonly<Record<string, number>> = {
  ...{ tuto: 0.814, alex0: 0.822, alex1: 0.818, alex2: 0.814, alex3: 0.812, alex4: 0.812 },
  ...{ nin0: 0.709, nin1: 0.697, nin2: 0.742, squeeze0: 0.639, squeeze1: 0.66 },
};
const studySteps = 10_000;

interface RecordedRun {
  readonly seed: number;
  /** Of the weights that the configuration evaluates: moving averages where it keeps them. Absent for a run that diverged. */
  readonly accuracy?: number;
  readonly rawAccuracy?: number;
  readonly loss?: number;
  readonly diverged?: string;
  readonly trainingSeconds: number;
  readonly threads: number;
  readonly processor: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string | undefined;
}

interface Experiment {
  readonly identity: string;
  readonly model: string;
  readonly recipe: string;
  readonly steps: number;
  readonly parameters: number;
  readonly operations: number;
  readonly config: Omit<TrainingConfig, 'seed' | 'threads'>;
  readonly runs: readonly RecordedRun[];
}

function recordedRun(run: Run, config: TrainingConfig): RecordedRun | undefined {
  const { status, reason, step } = readStatus(run);
  if (status !== 'finished' && status !== 'failed') return undefined;
  const { trainingSeconds } = readRunResults(run, config.batchSize);
  const { cpu, versions, git } = readEnvironment(run);
  const machine = { threads: config.threads, processor: cpu.model, versions, commit: git?.commit };
  const base = { seed: config.seed, trainingSeconds: Math.round(trainingSeconds), ...machine };
  if (status === 'failed') return { ...base, diverged: `step ${step}: ${reason ?? ''}` };
  const last = readMetrics(metricsPath(run)).findLast(
    (record) => record.step === config.steps && 'test/accuracy' in record.metrics,
  );
  if (last === undefined) return undefined;
  const { 'test/accuracy': accuracy, 'test/rawAccuracy': rawAccuracy, 'test/loss': loss } = last.metrics;
  return {
    ...base,
    ...Object.fromEntries(Object.entries({ accuracy, rawAccuracy, loss }).filter(([, value]) => value !== undefined)),
  };
}

function experimentOf(config: TrainingConfig): Omit<Experiment, 'runs'> {
  const rest = Object.fromEntries(
    Object.entries(config).filter(([key]) => key !== 'seed' && key !== 'threads'),
  ) as Experiment['config'];
  const side = config.inputSize === 'full' ? 32 : config.inputSize;
  const network = buildModel(config.model, { settings: config.modelSettings, input: [3, side, side] });
  return {
    identity: experimentIdentity(config),
    ...{ model: config.model, recipe: config.recipe, steps: config.steps },
    parameters: countParameters(network.parameters),
    operations: countOperations(network),
    config: rest,
  };
}

const before = existsSync(options.out)
  ? (JSON.parse(readFileSync(options.out, 'utf8')) as { experiments: readonly Experiment[] }).experiments
  : [];
const experiments = new Map(before.map((experiment) => [experiment.identity, experiment]));
const wanted = options.models?.split(',');
for (const run of allRuns(options['runs-dir'])) {
  if (wanted !== undefined && !wanted.includes(run.model)) continue;
  const config = checkConfig(readConfig(run));
  const recorded = recordedRun(run, config);
  if (recorded === undefined || config.dataset !== 'cifar10' || config.val) continue;
  const experiment = experimentOf(config);
  const others = (experiments.get(experiment.identity)?.runs ?? []).filter(({ seed }) => seed !== config.seed);
  const runs = [...others, recorded].sort((a, b) => a.seed - b.seed);
  experiments.set(experiment.identity, { ...experiment, runs });
}

function summarize(runs: readonly RecordedRun[]) {
  const values = runs.flatMap(({ accuracy }) => accuracy ?? []);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n: values.length, mean, standardDeviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null };
}

const sorted = [...experiments.values()].sort(
  (a, b) => a.model.localeCompare(b.model) || a.recipe.localeCompare(b.recipe) || a.steps - b.steps,
);
const record = {
  what: 'test accuracy of finished trainings on CIFAR-10, evaluated once at the end of each, over all 10,000 test images',
  command: 'npx tsx bench/record-runs.ts',
  experiments: sorted.map((experiment) => ({ ...experiment, accuracy: summarize(experiment.runs) })),
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);

/** `81.6% ± 0.4 (3)`: mean, standard deviation, runs. */
function formatAccuracies(runs: readonly RecordedRun[]): string {
  const { n, mean, standardDeviation } = summarize(runs);
  if (n === 0) return '';
  return `${(100 * mean).toFixed(1)}%${standardDeviation === null ? '' : ` ± ${(100 * standardDeviation).toFixed(1)}`} (${n})`;
}

/** Whether it is the model as it is known, none of its settings changed. */
function hasDefaultSettings({ model, config }: Experiment): boolean {
  const defaults = resolveSettings(model, modelDefinition(model).settings, {});
  return Object.entries(defaults).every(([key, value]) => config.modelSettings[key] === value);
}

function readmeTable(): string {
  const usual = sorted.filter((each) => each.config.augment && hasDefaultSettings(each));
  const models = [...new Set(usual.map(({ model }) => model))];
  const rows = models.flatMap((model) => {
    const of = (recipe: string) => usual.filter((each) => each.model === model && each.recipe === recipe);
    const study = of('2017').find(({ steps }) => steps === studySteps);
    const later = of(model === 'air94' ? 'airbench' : 'modern').at(-1);
    const known = study ?? later;
    if (known === undefined) return [];
    const seconds = (later ?? known).runs.flatMap(({ accuracy, trainingSeconds }) =>
      accuracy === undefined ? [] : [trainingSeconds],
    );
    const published = studyAccuracy[model];
    return [
      [
        model,
        formatCount(known.parameters),
        formatOperations(known.operations),
        study === undefined ? '' : formatAccuracies(study.runs),
        published === undefined ? '' : `${(100 * published).toFixed(1)}%`,
        later === undefined ? '' : formatAccuracies(later.runs),
        formatCount((later ?? known).steps),
        formatDuration(seconds.reduce((sum, value) => sum + value, 0) / seconds.length),
      ],
    ];
  });
  const header = [
    'model',
    'parameters',
    'operations',
    '2017 recipe',
    'the study',
    '`modern` (air94: `airbench`)',
    'steps',
    'training',
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

const table = readmeTable();
console.log(table);
const readmePath = fileURLToPath(new URL('../README.md', import.meta.url));
const [start, end] = ['<!-- results: bench/record-runs.ts -->', '<!-- end of results -->'];
const readme = readFileSync(readmePath, 'utf8');
const [from, to] = [readme.indexOf(start), readme.indexOf(end)];
if (!options['no-readme'] && from >= 0 && to > from) {
  const text = `${readme.slice(0, from + start.length)}\n\n${table}\n\n${readme.slice(to)}`;
  writeFileAtomic(readmePath, await format(text, { parser: 'markdown', printWidth: 130 }));
}
