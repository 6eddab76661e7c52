/** The runs of a study: every variant with every seed, each with its complete configuration. Checked before anything is trained. */
import { trainingCount } from '../data/image-set.ts';
import { modelNames } from '../models/registry.ts';
import { type Classifier, createClassifier, type TrainingFacts } from '../train/classifier.ts';
import { networkChecksum, recordOfClassifier } from '../train/classifier-record.ts';
import { resolveWith } from '../train/config.ts';
import { fullKey } from '../train/complete-config.ts';
import type { ConfigOverrides, SettledConfig, TrainingConfig } from '../train/config-schema.ts';
import { settleLength } from '../train/run-length.ts';
import { recordOfFile } from '../user/recorded-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import type { Path } from '../util/schema.ts';
import { quoted } from '../util/shell.ts';
import type { LoadedModel } from '../user/model-file.ts';
import { designOf, type Design, type Change, type Variant } from './design.ts';
import { runIdentity } from './identity.ts';
import { asksForQuantization, quantizationOf, withoutQuantization, type StudyQuantization } from './quantization.ts';
import type { StudyFile } from './study-file.ts';
import { labModels, type StudyAugmentation, type StudyModels, type WeightsKeys } from './study-models.ts';

export interface PlannedRun {
  readonly variant: string;
  readonly seed: number;
  /** Complete, but for the threads, which are those of this machine. */
  readonly config: SettledConfig;
  /** Of `config`: runs of the same identity compute the same. */
  readonly identity: string;
  readonly classifier: Classifier;
  /** What the folder of the run has from its beginning, beside its configuration. */
  readonly records: Readonly<Record<string, unknown>>;
  /** Of the frozen file whose accuracy counts. Undefined where no variant asks for one: then that of the run itself counts. */
  readonly quantization: StudyQuantization | undefined;
}

export interface StudyPlan {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly dataset: string;
  /** What it was planned from: a path, or the name of a study that is data, and the text. */
  readonly file: { readonly path: string; readonly text: string };
  readonly design: Design;
  /** All variants with the first seed, then all with the next: a study that is cut short has whole comparisons. */
  readonly runs: readonly PlannedRun[];
  /** Of the runs that differ in quantization alone, the first: it is trained for all of them. */
  readonly trainings: readonly PlannedRun[];
  /** What to know of the plan before it is run, for people. */
  readonly notes: readonly string[];
}

/** Where a study does not say: enough for curves. */
const evaluationsPerRun = 10;
const fewestRecords = 50;

/**
 * @throws ConfigurationError naming the line of the study file, for what no run could be trained with, and for changes that change
 *   nothing
 */
export function planStudy(file: StudyFile, facts: TrainingFacts, models: StudyModels = labModels): StudyPlan {
  const { name, title = name, description = '', dataset } = file.source;
  const design = designOf(file);
  const [first] = design.seeds;
  const withFiles = comparesFiles(design);
  if (withFiles) requireNoHalving(file, design);
  const planned = new Map<string, PlannedRun>();
  const repeated: string[] = [];
  const variants = design.variants.filter((variant) => {
    const run = planRun({ file, facts, models, design, withFiles }, variant, first!);
    const outcome = JSON.stringify([run.identity, run.quantization]);
    const same = planned.get(outcome);
    if (same !== undefined) {
      if (design.name === 'grid' || design.name === 'random') {
        repeated.push(`"${variant.name}" like "${same.variant}"`);
        return false;
      }
      throw file.error(
        variant.changes.at(-1)!.at,
        `"${variant.name}" trains exactly like "${same.variant}"${same.variant === design.reference ? ': it changes nothing' : ''}`,
        'change another key, or remove it',
      );
    }
    planned.set(outcome, run);
    return true;
  });
  const names = new Set<string>();
  const doubled = variants.find(({ name: each }) => names.size === names.add(each).size);
  if (doubled !== undefined) {
    throw file.error(['factors'], `two variants are called "${doubled.name}"`, 'give the factors or levels other names');
  }
  const ofFirstSeed = [...planned.values()];
  const runs = design.seeds.flatMap((seed) => ofFirstSeed.map((run) => withSeed(run, seed)));
  const identities = new Set<string>();
  const trainings = runs.filter(({ identity }) => identities.size < identities.add(identity).size);
  const notes = [
    ...(repeated.length === 0
      ? []
      : [
          `${repeated.length} of ${design.variants.length} trials are left out, which train exactly like others: ${repeated[0]!}`,
        ]),
    ...(trainings.length === runs.length
      ? []
      : [`${trainings.length} trainings are enough for ${runs.length} runs: what differs in quantization alone is trained once`]),
  ];
  const { path, text } = file;
  return { name, title, description, dataset, file: { path, text }, design: { ...design, variants }, runs, trainings, notes };
}

/** Whether the accuracies of frozen files are compared. */
function comparesFiles({ variants }: Design): boolean {
  return variants.some(({ changes }) => changes.some(({ overrides }) => asksForQuantization(overrides)));
}

function requireNoHalving(file: StudyFile, { halving }: Design): void {
  if (halving === undefined) return;
  throw file.error(
    ['halving'],
    'halving must be left out with quantization: it compares accuracies while the networks are trained, and files are quantized when they are',
  );
}

/** What all runs of a study are planned from. */
interface Planning {
  readonly file: StudyFile;
  readonly facts: TrainingFacts;
  readonly models: StudyModels;
  readonly design: Design;
  /** Whether the accuracies of frozen files are compared. */
  readonly withFiles: boolean;
}

function planRun({ file, facts, models, design, withFiles }: Planning, variant: Variant, seed: number): PlannedRun {
  const resolve = (changes: readonly ConfigOverrides[]) => {
    const given = { dataset: file.source.dataset, seed, threads: 1 };
    const asked = resolveWith((name) => models(name).definition, ...changes.map(withoutQuantization), given);
    const config = settleLength(asked, trainingCount(facts.train.count, asked.val));
    checkReferences(config);
    const model = modelNamed(changes.findLast((change) => change['model'] !== undefined)!['model'], models);
    const classifier = createClassifier(config, facts, model.definition);
    const { inputSize } = classifier.preprocessing;
    // As the trainer records it, which knows the images.
    const own = augmentationOf(config, models);
    const keys = { ...own?.keys(config), ...weightsOf(config, models) };
    const complete = { ...config, ...keys, inputSize, networkChecksum: networkChecksum(classifier.network) };
    const quantization = withFiles ? quantizationOf(changes) : undefined;
    if (quantization !== undefined) checkSingleView(complete);
    const files = { ...recordOfFile('model', model.file), ...own?.records };
    const records = { ...recordOfClassifier(classifier), ...files, ...facts.records };
    return { complete, classifier, records, quantization };
  };
  const { complete, classifier, records, quantization } = resolveChanges(file, variant.changes, resolve);
  const config = withStudyDefaults(complete, variant.changes, design);
  return { variant: variant.name, seed, config, identity: runIdentity(config), classifier, records, quantization };
}

function modelNamed(name: unknown, models: StudyModels): LoadedModel {
  if (typeof name === 'string') return models(name);
  throw new ConfigurationError('model must be a name, not a definition', {
    key: 'model',
    fix: "name it, and give a model of the program's own beside the study: planStudy(study, facts, studyModels(net))",
  });
}

function augmentationOf({ augmentWith }: TrainingConfig, { augmentation }: StudyModels): StudyAugmentation | undefined {
  if (augmentWith === 'none') return undefined;
  const loaded = augmentation?.(augmentWith);
  if (loaded !== undefined) return loaded;
  throw new ConfigurationError(
    `augmentWith (=${augmentWith}) must be none, or a file of code that ends in .ts, .js, .mts or .mjs`,
    {
      key: 'augmentWith',
      fix: 'a program loads it: planStudy(file, facts, await loadStudyModels(file))',
    },
  );
}

function weightsOf(config: TrainingConfig, { weights }: StudyModels): WeightsKeys | undefined {
  const { init, teacher, pruning } = config;
  const rewind = pruning.type === 'none' || pruning.rewind === 'rate' ? 'none' : pruning.rewind;
  const key = Object.entries({ init, teacher, 'pruning.rewind': rewind }).find(([, value]) => value !== 'none')?.[0];
  if (key === undefined) return undefined;
  if (weights !== undefined) return weights(config);
  throw new ConfigurationError(`${key} names weights, which are not looked for here`, {
    key,
    fix: 'a program looks for them: planStudy(file, facts, await loadStudyModels(file))',
  });
}

/** A seed changes nothing else of what is planned. */
function withSeed(run: PlannedRun, seed: number): PlannedRun {
  const config = { ...run.config, seed };
  return { ...run, seed, config, identity: runIdentity(config) };
}

function checkSingleView({ tta }: TrainingConfig): void {
  if (tta === 'none') return;
  throw new ConfigurationError(`tta (=${tta}) must be none with quantization: a frozen file sees each image once`, {
    key: 'tta',
    fix: 'tta: none in the baseline',
  });
}

/** A model's name stands for its newest run, which a study that trains it changes while it goes on. */
function checkReferences({ init, teacher, pruning }: TrainingConfig): void {
  const rewind = pruning.type === 'none' ? 'none' : pruning.rewind;
  for (const [key, value] of Object.entries({ init, teacher, 'pruning.rewind': rewind })) {
    if (!modelNames().includes(value)) continue;
    throw new ConfigurationError(`${key} (=${value}) must be one run or a file, not the newest run of a model`, {
      key,
      fix: `${key}: ${value}/1, or another run (ablate runs list --model ${quoted(value)})`,
    });
  }
}

/**
 * Keys that change nothing of what is trained, for runs that nobody watches, unless the study says otherwise: enough records and evaluations
 * for curves, or one at every round of a search that stops early; at most a minute lost to an interruption; little on the disk.
 */
function withStudyDefaults(config: TrainingConfig, changes: readonly Change[], { halving }: Design): SettledConfig {
  const usual = config.evalEvery === 'auto' ? Math.max(1, Math.ceil(config.steps / evaluationsPerRun)) : config.evalEvery;
  const evalEvery = halving === undefined ? usual : roundLength(config.steps, halving.factor, halving.rounds);
  const logEvery = Math.max(1, Math.min(config.logEvery, Math.ceil(config.steps / fewestRecords)));
  const defaults = { logEvery, saveEverySeconds: 60, keepCheckpoints: 1 };
  const given = new Set(changes.flatMap(({ overrides }) => Object.keys(overrides)));
  return { ...config, evalEvery, ...Object.fromEntries(Object.entries(defaults).filter(([key]) => !given.has(key))) };
}

/** Steps of the first round: the later ones are `factor` times as long each. */
export function roundLength(steps: number, factor: number, rounds: number): number {
  return Math.max(1, Math.floor(steps / factor ** rounds));
}

/** Resolves a variant's changes; an error is given the line of the key that is to blame. */
function resolveChanges<T>(file: StudyFile, changes: readonly Change[], resolve: (changes: readonly ConfigOverrides[]) => T): T {
  try {
    return resolve(changes.map(({ overrides }) => overrides));
  } catch (error) {
    if (!(error instanceof AblateError)) throw error;
    const keys = error instanceof ConfigurationError && error.key !== undefined ? [error.key, ...error.otherKeys] : [];
    throw file.error(placeOf(keys.map(fullKey), changes), error.message, error.fix);
  }
}

/** Where the last of the changes stands that gives one of the keys (of these the first), or the group that it is in; else the last change. */
function placeOf(keys: readonly string[], changes: readonly Change[]): Path {
  for (const { overrides, at } of changes.toReversed()) {
    for (const key of keys) {
      for (const name of Object.keys(overrides).reverse()) {
        const inside = key.startsWith(fullKey(name)) ? key.slice(fullKey(name).length) : undefined;
        if (inside !== undefined && /^([.[]|$)/.test(inside)) return [...at, name, ...(inside.match(/[^.[\]]+/g) ?? [])];
      }
    }
  }
  return changes.at(-1)!.at;
}
