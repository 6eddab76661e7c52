/** Gathers what runs say of a variant: for studies and for runs compared by hand alike. */
import { readEnvironment, runName, type Run } from '../runs/run-folder.ts';
import { environmentsOf, type EnvironmentRecord } from '../runs/environment.ts';
import { readStatus } from '../runs/run-status.ts';
import { resolveSettings } from '../models/settings.ts';
import { describeNetwork } from '../nn/description.ts';
import { countOperations, countParameters, type Network } from '../nn/network.ts';
import { readFileResult, type FileResult } from '../study/file-results.ts';
import { isQuantized, type StudyQuantization } from '../study/quantization.ts';
import { readRunResults } from '../study/run-results.ts';
import { createClassifier, type DatasetFacts } from '../train/classifier.ts';
import { recordedClassifier } from '../train/classifier-record.ts';
import { modelOfConfig } from '../train/complete-config.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { readEvaluation } from '../train/recorded-evaluation.ts';
import { DataError } from '../util/errors.ts';
import type { Cost, ReportRun, ReportVariant } from './report-data.ts';

/** A run as a study or a user names it. */
export interface RunReference {
  readonly run: Run | undefined;
  readonly seed: number;
  /** What the study decided on; else the run's own status counts. */
  readonly decided?: { readonly state: 'diverged' | 'failed' | 'stopped'; readonly reason: string | undefined };
}

/** @param quantization of the file whose accuracy counts; undefined: that of the run counts */
export function gatherRun(
  { run, seed, decided }: RunReference,
  { batchSize }: TrainingConfig,
  quantization: StudyQuantization | undefined,
): ReportRun {
  const nothing = { accuracy: undefined, loss: undefined, step: 0, trainingSeconds: undefined, curve: [], lossCurve: [] };
  if (run === undefined)
    return { run: undefined, seed, state: decided?.state ?? 'unfinished', reason: decided?.reason, ...nothing };
  const { status, step, reason, diverged } = readStatus(run);
  const { curve, lossCurve, loss, trainingSeconds } = readRunResults(run, batchSize);
  const reached =
    quantization === undefined ? { accuracy: curve.at(-1)?.accuracy, loss } : readFileResult(run, quantization)?.evaluation;
  const isComplete = status === 'finished' && reached !== undefined;
  const failure = diverged === true ? 'diverged' : 'failed';
  const state = isComplete ? 'finished' : status === 'failed' ? failure : (decided?.state ?? 'unfinished');
  const finished = state === 'finished';
  return {
    run: runName(run),
    seed,
    state,
    reason: state === 'finished' || state === 'unfinished' ? undefined : (decided?.reason ?? reason),
    accuracy: finished ? reached?.accuracy : undefined,
    loss: finished ? reached?.loss : undefined,
    step,
    trainingSeconds: finished ? trainingSeconds : undefined,
    ...(isQuantized(quantization) ? { curve: [], lossCurve: [] } : { curve, lossCurve }),
  };
}

/** What a variant is made with. */
export interface VariantChoices {
  readonly config: TrainingConfig;
  /** Of the frozen files that are compared; undefined: none are, but the runs themselves. */
  readonly quantization: StudyQuantization | undefined;
}

export interface VariantSource extends VariantChoices {
  readonly name: string;
  /** What it trains, where its runs may not have said it yet; default: what the configuration makes. */
  readonly planned?: Network;
  readonly runs: readonly RunReference[];
}

/** @param reference what `changes` are listed against */
export function gatherVariant(source: VariantSource, reference: VariantChoices, facts: DatasetFacts): ReportVariant {
  const { name, config, quantization } = source;
  const runs = source.runs.map((run) => gatherRun(run, config, quantization));
  const finished = source.runs.flatMap(({ run }, i) => (runs[i]!.state === 'finished' && run !== undefined ? run : []));
  const files = quantization && finished.map((run) => readFileResult(run, quantization)!);
  const evaluations = files?.map(({ evaluation }) => evaluation) ?? finished.flatMap((run) => readEvaluation(run) ?? []);
  const network = networkOf(source, facts);
  return {
    name,
    config,
    network: describeNetwork(network),
    quantization,
    changes: changedKeys(allKeys(source), allKeys(reference)),
    runs,
    accuracy: summarize(runs.flatMap(({ accuracy }) => accuracy ?? [])),
    cost: costOf(network, mean(runs.flatMap(({ trainingSeconds }) => trainingSeconds ?? [])), files),
    confusion: sumConfusions(evaluations.map(({ confusion }) => confusion)),
  };
}

/** The configuration, with what is asked of the files beside it. */
export function allKeys({
  config,
  quantization,
}: VariantChoices): TrainingConfig & { readonly quantization?: StudyQuantization } {
  return quantization === undefined ? config : { ...config, quantization };
}

/** What its runs say that they train; before the first, what is planned. */
function networkOf({ config, planned, runs }: VariantSource, facts: DatasetFacts): Network {
  const recorded = runs.flatMap(({ run }) => (run === undefined ? [] : (recordedClassifier(run) ?? [])));
  return recorded[0]?.network ?? planned ?? createClassifier(config, facts).network;
}

/** What using a network costs. @param files measured of it, where frozen files are compared */
export function costOf(network: Network, trainingSeconds: number | undefined, files: readonly FileResult[] = []): Cost {
  const parameters = countParameters(network.parameters);
  const fileBytes = mean(files.map(({ bytes }) => bytes));
  const bytes = fileBytes === undefined ? parameters * Float32Array.BYTES_PER_ELEMENT : Math.round(fileBytes);
  return { parameters, operations: countOperations(network), bytes, trainingSeconds, latencyMs: undefined };
}

/** Mean and standard deviation (n - 1); undefined for none. */
export function summarize(accuracies: readonly number[]): ReportVariant['accuracy'] {
  const average = mean(accuracies);
  if (average === undefined) return undefined;
  const count = accuracies.length;
  const deviation =
    count < 2 ? undefined : Math.sqrt(accuracies.reduce((sum, value) => sum + (value - average) ** 2, 0) / (count - 1));
  return { mean: average, deviation, count };
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function sumConfusions(matrices: readonly (readonly (readonly number[])[])[]): number[][] | undefined {
  const [first, ...rest] = matrices;
  if (first === undefined) return undefined;
  return first.map((row, i) => row.map((count, j) => rest.reduce((sum, matrix) => sum + (matrix[i]?.[j] ?? 0), count)));
}

/** Keys of no interest to what was trained. */
const operational = new Set([
  'networkChecksum',
  'augmentationChecksum',
  'initChecksum',
  'teacherChecksum',
  'seed',
  'threads',
  'evalEvery',
  'saveEvery',
  'saveEverySeconds',
  'logEvery',
  'keepCheckpoints',
]);

/**
 * `{ "model.lrn": "false" }`: dotted keys whose values differ, with the value in `config`; those gone are `-`. Of another model, its
 * settings that are not its defaults.
 */
export function changedKeys(config: TrainingConfig, reference: TrainingConfig): Record<string, string> {
  const sameModel = config.model === reference.model;
  const other = flatten(sameModel ? reference : { ...reference, modelSettings: defaultSettings(config) });
  const mine = flatten(config);
  const keys = [...new Set([...Object.keys(mine), ...Object.keys(other)])].filter((key) => !operational.has(key));
  return Object.fromEntries(keys.filter((key) => mine[key] !== other[key]).map((key) => [key, mine[key] ?? '-']));
}

function defaultSettings(config: TrainingConfig): TrainingConfig['modelSettings'] {
  return resolveSettings(config.model, modelOfConfig(config).settings, {});
}

/** What the keys in a group begin with, where that is shorter. */
const shortGroups: Readonly<Record<string, string>> = { modelSettings: 'model', augmentWithSettings: 'augmentWith' };

/** A configuration as dotted keys with their values as text. */
export function flatten(config: TrainingConfig): Record<string, string> {
  const flat: Record<string, string> = {};
  const add = (key: string, value: unknown): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [inner, each] of Object.entries(value)) add(`${key}.${inner}`, each);
    } else flat[key] = typeof value === 'string' ? value : JSON.stringify(value);
  };
  for (const [key, value] of Object.entries(config)) add(shortGroups[key] ?? key, value);
  return flat;
}

/** The environments of runs, each once: two are the same if only the date, the command line and the state of the checkout differ. */
export function distinctEnvironments(runs: readonly Run[]): EnvironmentRecord[] {
  const distinct = new Map<string, EnvironmentRecord>();
  for (const run of runs) {
    let environments: readonly EnvironmentRecord[];
    try {
      environments = environmentsOf(readEnvironment(run));
    } catch (error) {
      if (error instanceof DataError) continue; // Damaged: the others say enough.
      throw error;
    }
    for (const environment of environments) {
      const { host, operatingSystem, cpu, threads, versions, git } = environment;
      const key = JSON.stringify({ host, operatingSystem, cpu, threads, versions, commit: git?.commit });
      if (!distinct.has(key)) distinct.set(key, environment);
    }
  }
  return [...distinct.values()];
}
