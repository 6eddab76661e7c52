/**
 * The table of docs/reproduction.md, from the records under docs/results/: what every model costs, and what it reaches under the recipe 2017 and
 * under the newer ones. `npm run results` writes it, and a test keeps it true.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { format, resolveConfig as resolveFormat } from 'prettier';
import { buildModel, modelDefinition } from '../../src/models/registry.ts';
import { resolveSettings } from '../../src/models/settings.ts';
import { countOperations, countParameters } from '../../src/nn/network.ts';
import { markdownTable } from '../../src/report/markdown-parts.ts';
import { experimentIdentity } from '../../src/study/identity.ts';
import { estimateMean } from '../../src/study/statistics.ts';
import { checkConfig } from '../../src/train/complete-config.ts';
import { resolveConfig } from '../../src/train/config.ts';
import type { TrainingConfig } from '../../src/train/config-schema.ts';
import { formatCount } from '../../src/util/format.ts';
import type { RecordedRun } from './recorded-runs.ts';

export const reproductionPath = fileURLToPath(new URL('../../docs/reproduction.md', import.meta.url));
const markers = { start: '<!-- results: written by npm run results -->', end: '<!-- end of results -->' };

/** What both records say of some runs that differ in their seeds. */
interface Result {
  readonly model: string;
  readonly runs: readonly RecordedRun[];
}

interface Reproduced extends Result {
  readonly name: string;
  /** A fraction. */
  readonly published: number;
}

export interface Experiment extends Result {
  readonly config: TrainingConfig;
  /** Side, in pixels. */
  readonly inputSize: number;
}

/** In the order of what they need: tensorsandbox's families, then what came after. */
const models = [
  ...['tuto', 'alex0', 'alex1', 'alex2', 'alex3', 'alex4', 'nin0', 'nin1', 'nin2', 'squeeze0', 'squeeze1'],
  ...['inception', 'xception', 'air94'],
];

/** What its augmentation crops images to. */
const inputSize2017 = 24;

/** What tensorsandbox reached after 300,000 steps, in percent: its README, https://github.com/dacorvo/tensorsandbox/tree/master/cifar10. */
export const published300k: Readonly<Record<string, number>> = { tuto: 87.2, alex4: 87.5, nin2: 89.8, squeeze1: 87.8 };

function readResults(name: string): unknown {
  const text = readFileSync(new URL(`../../docs/results/${name}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly results: unknown }).results;
}

/** The longest training of a model under a newer recipe that there is a record of. */
function newerResult(model: string): Experiment | undefined {
  const experiments = ofAnyPrecision(readResults('accuracies') as readonly Experiment[]);
  return longest(experiments.filter(({ config }) => config.model === model && isOfNewerRecipe(config)));
}

function resultsTable(): string {
  const reproduced = readResults('tensorsandbox') as readonly Reproduced[];
  const rows = models.flatMap((model) => {
    const then = reproduced.find((result) => result.model === model && result.name === 'augmentation and moving average');
    const now = newerResult(model);
    if (then === undefined && now === undefined) return [];
    const later = published300k[model];
    const { parameters, operations } = deployedCosts(model, now?.inputSize);
    return [
      [
        ...[model, formatCount(parameters), `${(operations / 1e6).toFixed(1)}M`],
        ...(then ? [percent(then.published), accuracyOf(then), timeOf(then)] : ['', '', '']),
        later === undefined ? '' : percent(later / 100),
        ...(now ? [recipeOf(now), formatCount(now.config.steps), accuracyOf(now), timeOf(now)] : ['', '', '', '']),
      ],
    ];
  });
  return markdownTable({
    header: [
      ...['model', 'parameters', 'operations', 'in 2017, 10,000 steps', 'here, 10,000 steps', 'time'],
      ...['in 2017, 300,000 steps', 'newer recipe', 'steps', 'accuracy', 'time'],
    ],
    alignments: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left', 'right', 'right', 'right'],
    rows,
  });
}

/** As it is deployed: the batch normalization that a recipe trains with folds away. */
export function deployedCosts(
  model: string,
  inputSize = inputSize2017,
): { readonly parameters: number; readonly operations: number } {
  const network = buildModel(model, { input: [3, inputSize, inputSize] });
  return { parameters: countParameters(network.parameters), operations: countOperations(network) };
}

/** Whether the network is the one that the recipe, as it is now, would train. */
function isOfNewerRecipe({ model, recipe, modelSettings }: TrainingConfig): boolean {
  if (recipe === '2017') return false;
  return isDeepStrictEqual(modelSettings, resolveConfig({ model, recipe }).modelSettings);
}

/** With the size of the batches where it is not the recipe's own. */
function recipeOf({ config: { model, recipe, batchSize } }: Experiment): string {
  return batchSize === resolveConfig({ model, recipe }).batchSize ? recipe : `${recipe}, batches of ${batchSize}`;
}

/** Of those of equal length, the one with the most runs. */
function longest(experiments: readonly Experiment[]): Experiment | undefined {
  return [...experiments].sort((a, b) => b.config.steps - a.config.steps || b.runs.length - a.runs.length)[0];
}

/** Experiments that differ in nothing but their precision as one: what they reach is the same, as docs/performance.md shows. */
export function ofAnyPrecision(recorded: readonly Experiment[]): readonly Experiment[] {
  const experiments = new Map<string, Experiment>();
  for (const experiment of recorded) {
    // Experiments of before a key or a setting did not use it.
    const { model, modelSettings } = experiment.config;
    const complete = {
      ...experiment.config,
      modelSettings: resolveSettings(model, modelDefinition(model).settings, modelSettings),
    };
    const config = checkConfig(complete);
    const identity = experimentIdentity({ ...config, networkChecksum: '', precision: 'f32' });
    const runs = experiment.runs.map((run) => ({ precision: config.precision, ...run }));
    experiments.set(identity, { ...experiment, config, runs: [...(experiments.get(identity)?.runs ?? []), ...runs] });
  }
  return [...experiments.values()];
}

function accuracyOf({ runs }: Result): string {
  const { mean } = estimateMean(runs.map(({ accuracy }) => accuracy));
  const inBf16 = runs.filter(({ precision }) => precision === 'bf16').length;
  const precision = inBf16 === runs.length ? 'bf16' : `${inBf16} in bf16`;
  const notes = [...(runs.length > 1 ? [`${runs.length} seeds`] : []), ...(inBf16 > 0 ? [precision] : [])];
  return `${percent(mean)}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`;
}

/** Of a run; mean of those that have it. */
function timeOf({ runs }: Result): string {
  const timed = runs.filter(({ trainingSeconds }) => trainingSeconds !== undefined);
  if (timed.length === 0) return '';
  const { mean } = estimateMean(timed.map(({ trainingSeconds }) => trainingSeconds! / 60));
  return `${mean.toFixed(0)} min${timed.every(({ threads }) => threads === 1) ? ', 1 thread' : ''}`;
}

export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}%`;
}

/**
 * A document with the table of the records in it, formatted like the rest.
 *
 * @throws Error if there is no place for it
 */
export async function withResultsTable(page: string): Promise<string> {
  return await withTable(page, markers, resultsTable());
}

/** A document with a table between two markers. @throws Error if it does not have them */
export async function withTable(
  page: string,
  { start, end }: Readonly<Record<'start' | 'end', string>>,
  table: string,
): Promise<string> {
  const [before, rest] = page.split(start);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`the document has no "${start}" with a "${end}" after it`);
  const text = `${before}${start}\n\n${table}\n\n${end}${after}`;
  return await format(text, { ...(await resolveFormat(reproductionPath)), parser: 'markdown' });
}
