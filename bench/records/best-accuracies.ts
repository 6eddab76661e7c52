/**
 * The best that is known of each model, for `ablate info`: from the records under docs/results/, the reports of studies and the trained networks
 * that come with ablate. `npm run results` writes the table into the program, and a test keeps it true.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { format, resolveConfig as resolveFormat } from 'prettier';
import type { BestAccuracy } from '../../src/models/best-accuracies.ts';
import { buildModel, modelDefinition, modelNames } from '../../src/models/registry.ts';
import { resolveSettings } from '../../src/models/settings.ts';
import { countParameters } from '../../src/nn/network.ts';
import { ofAnyPrecision, type Experiment } from './results-table.ts';
import { recordedStudies } from './studies.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const bestAccuraciesPath = `${root}src/models/best-accuracies.ts`;

/** What a record says of the runs of one configuration. */
interface RecordedExperiment {
  readonly config: {
    readonly model: string;
    readonly modelSettings?: Readonly<Record<string, unknown>>;
    readonly recipe: string;
    readonly steps: number;
    readonly inputSize: unknown;
    readonly dataset: string;
  };
  /** Fractions of the test images, one a run. */
  readonly accuracies: readonly number[];
}

/** Settings that matter to a training and leave the network that is shipped as it is: normalization folds away, dropout does nothing there. */
const trainingOnly = new Set(['initializer', 'batchNorm', 'dense.batchNorm', 'dropout', 'dense.dropout', 'norm.momentum']);

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(`${root}${path}`, 'utf8'));
}

function recordedExperiments(): readonly RecordedExperiment[] {
  type Config = RecordedExperiment['config'];
  interface Runs {
    readonly config: Config;
    readonly runs: readonly { readonly accuracy?: number | undefined }[];
  }
  const accuraciesOf = ({ config, runs }: Runs) => ({ config, accuracies: runs.flatMap(({ accuracy }) => accuracy ?? []) });
  const { results } = readJson('docs/results/accuracies.json') as { results: readonly Experiment[] };
  const reproduced = readJson('docs/results/tensorsandbox.json') as {
    results: readonly { model: string; name: string; runs: readonly { accuracy: number }[] }[];
  };
  const studies = recordedStudies().flatMap(({ data }) => (data.split === 'test' ? [data] : []));
  const trained = readdirSync(`${root}trained_models`)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readJson(`trained_models/${name}`) as { config: Config; testAccuracy: number; startedFrom?: unknown })
    // The steps of one that went on from another are not all that it took.
    .filter(({ startedFrom }) => startedFrom === undefined);
  return [
    ...ofAnyPrecision(results).map(accuraciesOf),
    ...studies.flatMap(({ variants }) => variants.map(accuraciesOf)),
    ...reproduced.results
      .filter(({ name }) => name === 'augmentation and moving average')
      .map(({ model, runs }) =>
        accuraciesOf({ config: { model, recipe: '2017', steps: 10_000, inputSize: 24, dataset: 'cifar10' }, runs }),
      ),
    ...trained.map(({ config, testAccuracy }) => ({ config, accuracies: [testAccuracy] })),
  ];
}

/** Whether what was trained is, when it is shipped, the model as it is by default. */
function isTheModel({ model, modelSettings = {}, inputSize, dataset }: RecordedExperiment['config']): boolean {
  if (dataset !== 'cifar10' || typeof inputSize !== 'number' || !modelNames().includes(model)) return false;
  const { settings, defaultInputSize } = modelDefinition(model);
  const shipped = (given: Readonly<Record<string, unknown>>) =>
    Object.entries(resolveSettings(model, settings, given)).filter(([name]) => !trainingOnly.has(name));
  const parametersAt = (input: number) => countParameters(buildModel(model, { input }).parameters);
  return isDeepStrictEqual(shipped(modelSettings), shipped({})) && parametersAt(inputSize) === parametersAt(defaultInputSize);
}

/** The highest mean over the runs of one configuration; by model, in the order of the registry. */
function findBestAccuracies(): Readonly<Record<string, BestAccuracy>> {
  const best = new Map<string, BestAccuracy>();
  for (const { config, accuracies } of recordedExperiments()) {
    if (accuracies.length === 0 || !isTheModel(config)) continue;
    const mean = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
    // Of the 10,000 test images, in the mean over the runs.
    const accuracy = Number(mean.toFixed(4));
    const known = best.get(config.model);
    if (known !== undefined && (known.accuracy > accuracy || (known.accuracy === accuracy && known.runs >= accuracies.length)))
      continue;
    const { recipe, steps, inputSize } = config;
    best.set(config.model, { accuracy, runs: accuracies.length, recipe, steps, inputSize: inputSize as number });
  }
  return Object.fromEntries(modelNames().flatMap((name) => (best.has(name) ? [[name, best.get(name)!]] : [])));
}

const marker = '// Written by npm run results: all below.';

/** The file of the program with the table in it. @throws Error if there is no place for it */
export async function withBestAccuracies(source: string): Promise<string> {
  const at = source.indexOf(marker);
  if (at < 0) throw new Error(`${bestAccuraciesPath} has no "${marker}"`);
  const table = JSON.stringify(findBestAccuracies());
  const text = `${source.slice(0, at)}${marker}\nexport const bestAccuracies: Readonly<Record<string, BestAccuracy>> = ${table};\n`;
  return await format(text, { ...(await resolveFormat(bestAccuraciesPath)), parser: 'typescript' });
}
