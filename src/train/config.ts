/**
 * Resolves a configuration: recipe < study file < flags, short forms expanded, every key filled in, then checked strictly.
 */
import * as z from 'zod';
import { noAugmentation } from '../data/preprocessing.ts';
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition } from '../models/registry.ts';
import { resolveSettings, widthPrefix } from '../models/settings.ts';
import { defaultThreads } from '../util/cpu.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';
import { requireThreads } from '../util/limits.ts';
import { didYouMean } from '../util/suggest.ts';
import { keyMeantBy } from './config-names.ts';
import { configKeys, trainingConfigSchema, type ConfigOverrides, type TrainingConfig } from './config-schema.ts';
import type { Recipe } from './recipes/recipe.ts';
import { defaultRecipe, recipeByName } from './recipes/registry.ts';

/** What holds for every recipe that does not say otherwise. */
const defaults: ConfigOverrides = {
  dataset: 'cifar10',
  learningRateMultipliers: { weight: 1, bias: 1, scale: 1, shift: 1 },
  augmentation: noAugmentation,
  seed: 1,
  precision: 'f32',
  val: false,
  evalEvery: 2000,
  saveEvery: 1000,
  saveEverySeconds: 0,
  logEvery: 50,
  keepCheckpoints: 3,
};

/** Groups of which one key says what the others are. Given only with another tag, a group does not inherit the other keys. */
const tagOf: Readonly<Record<string, 'type' | 'rule'>> = {
  schedule: 'type',
  learningRateScaling: 'type',
  optimizer: 'type',
  weightDecay: 'rule',
  movingAverage: 'type',
  lookahead: 'type',
  standardization: 'type',
  initializer: 'type',
  pruning: 'type',
};

/** Groups that are merged key by key. */
const plainGroups: ReadonlySet<string> = new Set(['augmentation', 'learningRateMultipliers', 'modelSettings']);

/**
 * The complete configuration of a run.
 *
 * @param layers what the user gave, the strongest last: a study file's keys, then the flags
 * @throws ConfigurationError naming the key, its value and what is allowed
 */
export function resolveConfig(...layers: readonly ConfigOverrides[]): TrainingConfig {
  const model = lastOf(layers, 'model');
  if (typeof model !== 'string') throw new ConfigurationError(`model (=${showValue(model)}) must be the name of a model`);
  const definition = modelDefinition(model);
  const given = layers.map((layer) => expandLayer(layer, model, Object.keys(definition.settings)));
  const recipeName = lastOf(given, 'recipe') ?? defaultRecipe;
  if (typeof recipeName !== 'string')
    throw new ConfigurationError(`recipe (=${showValue(recipeName)}) must be the name of a recipe`);
  const recipe = recipeByName(recipeName);
  const merged = mergeLayers([defaults, recipeLayer(recipe, definition), ...given]);
  const config = checkConfig({
    ...merged,
    recipe: recipe.name,
    threads: merged['threads'] ?? defaultThreads(),
    modelSettings: resolveSettings(model, definition.settings, (merged['modelSettings'] ?? {}) as ConfigOverrides),
    weightDecay: withValueOf2017(merged['weightDecay'], definition.weightDecay2017),
    // The rule of 2017: crops belong to augmentation. Without it a network sees whole images, unless told otherwise.
    inputSize: lastOf(given, 'inputSize') ?? (merged['augment'] === false ? 'full' : merged['inputSize']),
  });
  requireThreads(config.threads);
  return config;
}

/** Checks a complete configuration, for example one read from a run folder. Throws ConfigurationError. */
export function checkConfig(complete: unknown): TrainingConfig {
  const { success, data, error } = trainingConfigSchema.safeParse(complete, { reportInput: true });
  if (!success) throw new ConfigurationError(error.issues.map((issue) => describeIssue(issue, complete)).join('\n'));
  if (data.optimizer.nesterov && data.optimizer.momentum === 0) {
    throw new ConfigurationError('optimizer.momentum (=0) must be above 0 with optimizer.nesterov', {
      fix: 'Set optimizer.momentum=0.9, or optimizer.nesterov=false',
    });
  }
  if (data.optimizer.decoupled && !data.optimizer.nesterov) {
    throw new ConfigurationError('optimizer.nesterov (=false) must be true with optimizer.decoupled', {
      fix: 'Set optimizer.nesterov=true, or optimizer.decoupled=false',
    });
  }
  if (data.optimizer.decoupled && data.learningRateScaling.type !== 'none') {
    throw new ConfigurationError(
      'learningRateScaling.type (=linear) must be none with optimizer.decoupled, which scales it already',
    );
  }
  if (data.pruning.type !== 'none' && data.steps % data.pruning.rounds !== 0) {
    throw new ConfigurationError(`steps (=${data.steps}) must be a multiple of pruning.rounds (=${data.pruning.rounds})`);
  }
  return data;
}

/**
 * Checks the configuration that a file records.
 *
 * @param source what to call the file in errors, usually its path
 * @throws DataError if it is not one that can be used
 */
export function checkRecordedConfig(config: unknown, source: string): TrainingConfig {
  try {
    return checkConfig(config);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new DataError(`the configuration recorded in ${source} cannot be used: ${error.message}`, { cause: error });
  }
}

/**
 * Adds one `key=value` as given on a command line. The key may be dotted (`schedule.warmup`, `model.lrn`) or name a setting of the
 * model; what it means is checked by `resolveConfig`.
 *
 * @param value text is read as JSON (`0.1`, `false`, `[0.5, 0.75]`) where it is JSON; all else is taken as it is
 */
export function setKey(overrides: ConfigOverrides, key: string, value: boolean | number | string): ConfigOverrides {
  return { ...overrides, [key]: typeof value === 'string' ? parseValue(value) : value };
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const number = Number(text);
    return text.trim() === '' || Number.isNaN(number) ? text : number;
  }
}

/** What a recipe says of training `model`; of settings of models, those that this one has. */
function recipeLayer(recipe: Recipe, { name, settings }: ModelDefinition): Record<string, unknown> {
  const modelSettings = Object.entries(recipe.settings.modelSettings ?? {}).filter(([key]) => Object.hasOwn(settings, key));
  return expandLayer({ ...recipe.settings, modelSettings: Object.fromEntries(modelSettings) }, name, []);
}

function lastOf(layers: readonly ConfigOverrides[], key: string): unknown {
  return layers.findLast((layer) => layer[key] !== undefined)?.[key];
}

/** Moves dotted keys into their groups and replaces short forms. */
function expandLayer(layer: ConfigOverrides, model: string, settings: readonly string[]): Record<string, unknown> {
  const expanded: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(layer)) {
    if (value === undefined) continue;
    const [group, rest] = locate(key, model, settings);
    if (rest === undefined) {
      expanded[group] = mergeGroup(expanded[group], expandShortForm(group, value));
    } else {
      // `--set weightDecay.rule=2017` gives a number.
      const isNumericTag = rest === tagOf[group] && typeof value === 'number';
      expanded[group] = mergeGroup(expanded[group], { [rest]: isNumericTag ? String(value) : value });
    }
  }
  return expanded;
}

/** The top-level key that `key` belongs to, and its name in there. */
function locate(key: string, model: string, settings: readonly string[]): readonly [group: string, rest?: string] {
  if (configKeys.includes(key)) return [key];
  const dot = key.indexOf('.');
  const head = key.slice(0, dot);
  const rest = key.slice(dot + 1);
  if (dot > 0 && (head === 'model' || head === 'modelSettings')) return ['modelSettings', rest];
  if (settings.includes(key) || key.startsWith(widthPrefix)) return ['modelSettings', key];
  if (dot > 0 && (Object.hasOwn(tagOf, head) || plainGroups.has(head))) return [head, rest];
  const known = [...configKeys.filter((name) => name !== 'modelSettings'), ...settings];
  const meant = keyMeantBy(key);
  const suggestion = meant === undefined ? didYouMean(key, known) : ` Did you mean "${meant}"?`;
  throw new ConfigurationError(`there is no key "${key}".${suggestion}`, {
    fix: `The keys are: ${configKeys.join(', ')}; settings of ${model}: ${settings.join(', ')}`,
  });
}

/** `schedule: cosine` for `schedule: { type: cosine }`, `movingAverage: false`, `weightDecay: 0.001` or `2017`, `recipe: 2017`. */
function expandShortForm(key: string, value: unknown): unknown {
  const tag = tagOf[key];
  if (tag === undefined) return typeof value === 'number' && ['recipe', 'dataset', 'model'].includes(key) ? String(value) : value;
  if (typeof value === 'string') return { [tag]: value };
  if (key === 'weightDecay' && value === 2017) return { rule: '2017' };
  if (key === 'movingAverage' && typeof value === 'boolean') return { type: value ? 'exponential' : 'none' };
  if (key === 'lookahead' && typeof value === 'boolean') return { type: value ? 'lookahead' : 'none' };
  if (key === 'weightDecay' && value === false) return { rule: 'none' };
  if (key === 'weightDecay' && typeof value === 'number') return { value };
  return value;
}

function mergeGroup(before: unknown, after: unknown): unknown {
  return isGroup(before) && isGroup(after) ? { ...before, ...after } : after;
}

function mergeLayers(layers: readonly ConfigOverrides[]): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const key of new Set(layers.flatMap((layer) => Object.keys(layer)))) {
    const values = layers.map((layer) => layer[key]).filter((value) => value !== undefined);
    const tag = tagOf[key];
    if (tag !== undefined) merged[key] = mergeTagged(values, tag);
    else if (plainGroups.has(key)) merged[key] = values.reduce<unknown>(mergeGroup, {});
    else merged[key] = values.at(-1);
  }
  return merged;
}

/** Merges the values that have the final tag, said or inherited: switched off and on again, a group is as before. */
function mergeTagged(values: readonly unknown[], tag: string): unknown {
  const last = values.at(-1);
  if (!isGroup(last)) return last;
  let current: unknown;
  const tags = values.map((value) => (current = (isGroup(value) ? value[tag] : undefined) ?? current));
  return values.filter((_, i) => tags[i] === current).reduce(mergeGroup, { [tag]: current });
}

function withValueOf2017(weightDecay: unknown, value: number): unknown {
  return isGroup(weightDecay) && weightDecay['rule'] === '2017' ? { value, ...weightDecay } : weightDecay;
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describeIssue(issue: z.core.$ZodIssue, config: unknown): string {
  const key = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const where = key === '' ? '' : ` in ${key}${describeTag(key, config)}`;
    const known = knownKeys(issue.path, config);
    return issue.keys
      .map((name) => `there is no key "${name}"${where}.${didYouMean(name, known)} Allowed: ${known.join(', ')}`)
      .join('\n');
  }
  return `${key} (=${showValue(valueAt(issue.path, config))}) must be ${issue.message}`;
}

function describeTag(key: string, config: unknown): string {
  const group = valueAt([key], config);
  const tag = tagOf[key];
  return tag !== undefined && isGroup(group) ? ` of ${tag} "${String(group[tag])}"` : '';
}

/** The keys allowed in the group at `path`. */
function knownKeys(path: readonly PropertyKey[], config: unknown): readonly string[] {
  const key = path[0];
  if (key === undefined) return configKeys;
  const declared: unknown = trainingConfigSchema.shape[key as keyof typeof trainingConfigSchema.shape];
  const schema: unknown = declared instanceof z.ZodDefault ? declared.unwrap() : declared;
  if (schema instanceof z.ZodObject) return Object.keys(schema.shape);
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return [];
  const tag = tagOf[String(key)] ?? 'type';
  const given = valueAt([key, tag], config);
  for (const option of schema.options) {
    const { shape } = option as z.ZodObject<Record<string, z.ZodLiteral>>;
    if (shape[tag]?.value === given) return Object.keys(shape);
  }
  return [];
}

function valueAt(path: readonly PropertyKey[], config: unknown): unknown {
  return path.reduce<unknown>(
    (value, key) => (isGroup(value) || Array.isArray(value) ? (value as Record<PropertyKey, unknown>)[key] : undefined),
    config,
  );
}
