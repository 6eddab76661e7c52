/**
 * The search behind the recipe `modern`: which learning rate, decay, smoothing, averaging, schedule and augmentation train small image
 * classifiers best in a fixed number of steps. Every candidate is the recipe with some keys changed; all are trained on the training
 * images without the last 5,000, compared on those 5,000, and recorded in docs/results/modern-search.json. The test images are never
 * read. What keeps a network from overfitting may cost accuracy in short trainings and bring some in long ones.
 *
 *     npx tsx bench/modern-search.ts [--models tuto,squeeze1] [--steps 10000] [--seeds 1,2] [--candidates name,...] [--threads 2] [--precision f32] [--list]
 *                                    [--data cifar10] [--data-dir folder] [--runs-dir runs/modern-search] [--out file]
 *
 * The file is written after every run. Started again, the search goes on with the runs that are not in it.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { loadDataset } from '../src/user/dataset.ts';
import type { Dataset } from '../src/data/dataset.ts';
import type { Engine } from '../src/engine/engine.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { noAugmentation } from '../src/data/preprocessing.ts';
import { modelDefinition } from '../src/models/registry.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { runName } from '../src/runs/run-folder.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { ConfigOverrides, TrainingConfig } from '../src/train/config-schema.ts';
import { train } from '../src/train/train.ts';
import { DivergenceError } from '../src/train/trainer.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { AblateError, ConfigurationError } from '../src/util/errors.ts';

const cropAndFlip = { ...noAugmentation, randomCrop: true, flip: 'random' };
const wholeImages = { inputSize: 'full', augmentation: { ...noAugmentation, translate: 4, flip: 'random' } };

/** What is tried. `start` is the point from which every other candidate differs in what its name says; a fixed point, not the recipe as it is now. */
const start: ConfigOverrides = {
  recipe: 'modern',
  batchSize: 128,
  learningRate: 0.08,
  schedule: { type: 'oneCycle', warmup: 0.15, initial: 0, final: 0.001 },
  optimizer: { type: 'sgd', momentum: 0.9, nesterov: true },
  weightDecay: { rule: 'coupled', value: 5e-4 },
  labelSmoothing: 0.1,
  movingAverage: { type: 'exponential', decay: 0.998, warmup: true },
  augmentation: cropAndFlip,
  inputSize: 24,
  standardization: { type: 'image' },
  batchNorm: false,
  'dense.batchNorm': false,
};

const candidates: Readonly<Record<string, ConfigOverrides>> = {
  start: {},
  'learning rate 0.02': { learningRate: 0.02 },
  'learning rate 0.04': { learningRate: 0.04 },
  'learning rate 0.16': { learningRate: 0.16 },
  'weight decay 1e-4': { weightDecay: 1e-4 },
  'weight decay 1e-3': { weightDecay: 1e-3 },
  'weight decay of 2017': { weightDecay: '2017' },
  'no label smoothing': { labelSmoothing: 0 },
  'label smoothing 0.2': { labelSmoothing: 0.2 },
  'no moving average': { movingAverage: false },
  'moving average 0.99': { 'movingAverage.decay': 0.99 },
  'moving average 0.9995': { 'movingAverage.decay': 0.9995 },
  lookahead: { movingAverage: false, lookahead: true },
  cosine: { schedule: { type: 'cosine', warmup: 0.05, final: 0 } },
  'short warm-up': { 'schedule.warmup': 0.05 },
  'without momentum': { optimizer: { type: 'sgd', momentum: 0, nesterov: false }, learningRate: 0.8 },
  'mild contrast': { 'augmentation.contrast': [0.8, 1.2] },
  'contrast of 2017': { 'augmentation.contrast': [0.2, 1.8] },
  'cutout 8': { 'augmentation.cutout': 8 },
  'cutout 8 and weight decay 1e-3': { 'augmentation.cutout': 8, weightDecay: 1e-3 },
  'cutout 8 and weight decay 2e-3': { 'augmentation.cutout': 8, weightDecay: 2e-3 },
  'crops shifted by up to 4': { 'augmentation.translate': 4 },
  'dense dropout 0.3': { 'dense.dropout': 0.3 },
  'dense dropout 0.5': { 'dense.dropout': 0.5 },
  'alternating flip': { 'augmentation.flip': 'alternating' },
  'whole images shifted by up to 4': wholeImages,
  'channel standardization': {
    standardization: { type: 'channel', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
  },
  'batch normalization': { batchNorm: true },
  'batch normalization of dense layers too': { batchNorm: true, 'dense.batchNorm': true },
  'batch normalization alone': { batchNorm: true, lrn: false },
  'batch normalization everywhere alone': { batchNorm: true, 'dense.batchNorm': true, lrn: false },
  'batch normalization everywhere and dense dropout 0.2': {
    batchNorm: true,
    'dense.batchNorm': true,
    lrn: false,
    'dense.dropout': 0.2,
  },
  'batch normalization and cutout 8': { batchNorm: true, 'augmentation.cutout': 8 },
  'He initialization': { initializer: 'heNormal' },
  'batch size 64': { batchSize: 64, learningRate: 0.04 },
};

/** Settings that not every model has: such a candidate is tried on those that do. */
const settingsOfSomeModels: readonly string[] = ['dense.batchNorm', 'dense.dropout', 'lrn'];

function isKnownTo(model: string, key: string): boolean {
  return !settingsOfSomeModels.includes(key) || Object.hasOwn(modelDefinition(model).settings, key);
}

function appliesTo(candidate: string, model: string): boolean {
  return Object.keys(candidates[candidate]!).every((key) => isKnownTo(model, key));
}

interface RecordedRun {
  readonly candidate: string;
  readonly model: string;
  readonly seed: number;
  readonly run: string;
  /** On the 5,000 validation images, of the averages where those are kept; null if it diverged. */
  readonly accuracy: number | null;
  readonly loss: number | null;
  readonly trainLoss: number | null;
  readonly seconds: number;
}

interface Summary {
  readonly candidate: string;
  readonly runs: number;
  readonly diverged: number;
  /** Mean over models of the mean over seeds of accuracy minus that of `start` with the same model and seed; null without such pairs. */
  readonly difference: number | null;
  /** Standard error of that difference over pairs; null with fewer than two. */
  readonly standardError: number | null;
  readonly accuracyByModel: Readonly<Record<string, number | null>>;
}

interface SearchRecord {
  readonly what: string;
  readonly command: string;
  readonly dataset: string;
  readonly datasetFingerprint: string;
  readonly steps: number;
  readonly start: ConfigOverrides;
  readonly candidates: Readonly<Record<string, ConfigOverrides>>;
  readonly environment: unknown;
  readonly summary: readonly Summary[];
  readonly runs: readonly RecordedRun[];
}

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'tuto,squeeze1' },
    steps: { type: 'string', default: '10000' },
    seeds: { type: 'string', default: '1,2' },
    candidates: { type: 'string', default: Object.keys(candidates).join(',') },
    threads: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    data: { type: 'string', default: 'cifar10' },
    'data-dir': { type: 'string' },
    'runs-dir': { type: 'string', default: 'runs/modern-search' },
    out: { type: 'string', default: 'docs/results/modern-search.json' },
    list: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const models = splitList(options.models);
  models.forEach(modelDefinition);
  const seeds = splitList(options.seeds).map((text) => wholeNumber('seeds', text));
  const steps = wholeNumber('steps', options.steps);
  const names = candidateNames(options.candidates);
  if (options.list) {
    for (const name of names) process.stdout.write(`${name}: ${JSON.stringify(candidates[name])}\n`);
    return;
  }
  const threads = options.threads === undefined ? {} : { threads: wholeNumber('threads', options.threads) };
  // Resolved before the first run, so that a mistake shows at once.
  const planned = seeds.flatMap((seed) =>
    names.flatMap((candidate) =>
      models
        .filter((model) => appliesTo(candidate, model))
        .map((model) => ({
          candidate,
          model,
          seed,
          config: configOf(candidate, { model, seed, steps, precision: options.precision, ...threads }),
        })),
    ),
  );
  const dataDir = options['data-dir'];
  const dataset = await loadDataset(options.data, dataDir === undefined ? {} : { dataDir });
  const engine = createOnednnEngine(threads);
  const environment = describeEnvironment({ threads: planned[0]!.config.threads, libraries: { onednn: engine.libraryVersion } });
  const earlier = readEarlier(options.out, dataset, steps);
  const runs = [...earlier];
  for (const { candidate, model, seed, config } of planned) {
    if (runs.some((run) => run.candidate === candidate && run.model === model && run.seed === seed)) continue;
    const done = await trainOne(config, engine, dataset);
    runs.push({ candidate, model, seed, ...done });
    process.stderr.write(
      `${runs.length}/${planned.length} ${candidate}, ${model}, seed ${seed}: ${done.accuracy ?? 'diverged'}\n`,
    );
    write(options.out, { dataset, steps, environment, runs });
  }
  for (const { candidate, runs: n, difference, standardError } of summarize(runs)) {
    process.stdout.write(`${candidate}\t${inPoints(difference)}\t+- ${inPoints(standardError)}\tn = ${n}\n`);
  }
}

function configOf(candidate: string, fixed: ConfigOverrides & { readonly model: string }): TrainingConfig {
  const quiet = { val: true, evalEvery: 0, saveEvery: 0, keepCheckpoints: 1, dataset: options.data };
  const startOfModel = Object.fromEntries(Object.entries(start).filter(([key]) => isKnownTo(fixed.model, key)));
  return resolveConfig({ ...fixed, recipe: 'modern' }, startOfModel, candidates[candidate]!, quiet);
}

async function trainOne(
  config: TrainingConfig,
  engine: Engine,
  dataset: Dataset,
): Promise<Omit<RecordedRun, 'candidate' | 'model' | 'seed'>> {
  let run = '';
  const started = performance.now();
  try {
    const result = await train({
      config,
      engine,
      dataset,
      record: { runsFolder: options['runs-dir'] },
      hooks: { onStart: (begun) => (run = begun.run === undefined ? '' : runName(begun.run)) },
    });
    const evaluation = result.evaluations[0]!;
    const { accuracy, loss, split } = evaluation;
    if (split !== 'val') throw new Error(`the search evaluated on ${split}`);
    return { run, accuracy, loss, trainLoss: result.trainLoss ?? null, seconds: result.seconds };
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    return { run, accuracy: null, loss: null, trainLoss: null, seconds: (performance.now() - started) / 1000 };
  }
}

function summarize(runs: readonly RecordedRun[]): Summary[] {
  const baseline = new Map(
    runs.filter((run) => run.candidate === 'start').map((run) => [`${run.model} ${run.seed}`, run.accuracy]),
  );
  const names = [...new Set(runs.map((run) => run.candidate))];
  const summaries = names.map((candidate): Summary => {
    const own = runs.filter((run) => run.candidate === candidate);
    const models = [...new Set(own.map((run) => run.model))];
    const differences = own.flatMap(({ model, seed, accuracy }) => {
      const reference = baseline.get(`${model} ${seed}`);
      return accuracy === null || reference === undefined || reference === null ? [] : [{ model, value: accuracy - reference }];
    });
    const perModel = models.map((model) => mean(differences.filter((one) => one.model === model).map(({ value }) => value)));
    return {
      candidate,
      runs: own.length,
      diverged: own.filter(({ accuracy }) => accuracy === null).length,
      difference: mean(perModel),
      standardError: standardError(differences.map(({ value }) => value)),
      accuracyByModel: Object.fromEntries(
        models.map((model) => [model, mean(own.filter((run) => run.model === model).map(({ accuracy }) => accuracy))]),
      ),
    };
  });
  return summaries.sort((a, b) => (b.difference ?? -Infinity) - (a.difference ?? -Infinity));
}

/** Null if there is nothing, or something is missing. */
function mean(values: readonly (number | null)[]): number | null {
  if (values.length === 0 || values.includes(null)) return null;
  return (values as readonly number[]).reduce((sum, value) => sum + value, 0) / values.length;
}

function standardError(values: readonly number[]): number | null {
  const centre = mean(values);
  if (centre === null || values.length < 2) return null;
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}

function write(
  path: string,
  { dataset, steps, environment, runs }: { dataset: Dataset; steps: number; environment: unknown; runs: readonly RecordedRun[] },
): void {
  const record: SearchRecord = {
    what: 'Candidates for the recipe modern, trained without the last 5,000 training images and evaluated on those; accuracies are fractions',
    command: `npx tsx bench/modern-search.ts ${process.argv.slice(2).join(' ')}`.trim(),
    dataset: dataset.name,
    datasetFingerprint: dataset.fingerprint,
    steps,
    start,
    candidates,
    environment,
    summary: summarize(runs),
    runs,
  };
  mkdirSync(dirname(path), { recursive: true });
  writeFileAtomic(path, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** The runs of an earlier search, which may have had fewer candidates; an error if it is another one. */
function readEarlier(path: string, dataset: Dataset, steps: number): readonly RecordedRun[] {
  if (!existsSync(path)) return [];
  const record = JSON.parse(readFileSync(path, 'utf8')) as SearchRecord;
  const isAsNow = (name: string) => JSON.stringify(record.candidates[name]) === JSON.stringify(candidates[name]);
  const same =
    record.datasetFingerprint === dataset.fingerprint &&
    record.steps === steps &&
    JSON.stringify(record.start) === JSON.stringify(start) &&
    record.runs.every(({ candidate }) => isAsNow(candidate));
  if (same) return record.runs;
  throw new ConfigurationError(`${path} records a search with other steps, candidates or images`, {
    fix: 'Give --out another file, or move that one away',
  });
}

function candidateNames(text: string): readonly string[] {
  const names = splitList(text);
  const unknown = names.find((name) => !Object.hasOwn(candidates, name));
  if (unknown !== undefined) {
    throw new ConfigurationError(`there is no candidate "${unknown}"`, {
      fix: 'npx tsx bench/modern-search.ts --list shows them',
    });
  }
  return names;
}

function splitList(text: string): readonly string[] {
  return text.split(',').filter((item) => item !== '');
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new ConfigurationError(`${name} (=${text}) must be a positive integer`);
  return value;
}

/** `+0.52` percentage points of a fraction; `-` where there is none. */
function inPoints(fraction: number | null): string {
  return fraction === null ? '-' : `${fraction >= 0 ? '+' : ''}${(100 * fraction).toFixed(2)}`;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof AblateError)) throw error;
  process.stderr.write(`error: ${error.message}\n${error.fix === undefined ? '' : `${error.fix}\n`}`);
  process.exitCode = error.exitCode;
}
