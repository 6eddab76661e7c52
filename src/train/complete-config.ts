/**
 * What configurations are made of, and checked for: a recipe, changed by what the user gave, filled in. Nothing here asks what the machine is, so that a
 * page can do it too; config.ts adds that.
 */
import type { ModelDefinition } from '../models/model.ts';
import { modelDefinition, modelNames } from '../models/registry.ts';
import { choice, flag, number, resolveSettings, type Setting } from '../models/settings.ts';
import type { AugmentationDefinition } from '../user/augmentation.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { parseSize } from '../util/image-size.ts';
import { check } from '../util/schema.ts';
import { didYouMean } from '../util/suggest.ts';
import { keyMeantBy } from './config-names.ts';
import { configKeys, trainingConfigSchema, type ConfigOverrides, type TrainingConfig } from './config-schema.ts';
import { expandLayer, isGroup, mergeLayers, type Keys } from './key-layers.ts';
import { optimizerOfType } from './optimizers/registry.ts';
import type { Recipe } from './recipes/recipe.ts';
import { defaultRecipe, recipeByName } from './recipes/registry.ts';

/** Finds a model by what a configuration calls it. Throws ConfigurationError if there is none. */
export type FindModel = (name: string) => ModelDefinition;

/**
 * The complete configuration of a run, its model found by `find` where it is named.
 *
 * @param layers the strongest last; `model` is a name, or what `defineModel` has returned
 * @param defaultThreads of the machine; asked where no layer says how many
 * @throws ConfigurationError naming the key, its value and what is allowed
 */
export function completeConfig(
  find: FindModel,
  layers: readonly ConfigOverrides[],
  defaultThreads: () => number,
): TrainingConfig {
  const model = lastOf(layers, 'model');
  const named = layers.map(withAugmentationName);
  if (!isDefinition(model)) return completeNamed(find, named, defaultThreads);
  const withName = named.map((layer) => ({ ...layer, model: model.name }));
  return completeNamed(() => model, withName, defaultThreads);
}

function completeNamed(find: FindModel, layers: readonly ConfigOverrides[], defaultThreads: () => number): TrainingConfig {
  const { model } = check(trainingConfigSchema.pick({ model: true }), { model: lastOf(layers, 'model') });
  const definition = find(model);
  const given = layers.map((layer) => expandLayer(trainingConfigSchema, layer, (key) => locate(key, definition)));
  const named = check(trainingConfigSchema.pick({ recipe: true }), { recipe: lastOf(given, 'recipe') ?? defaultRecipe });
  const recipe = recipeByName(named.recipe);
  const fromRecipe = recipeLayer(recipe, definition);
  const merged = mergeLayers(trainingConfigSchema, [fromRecipe, usualForOptimizer(recipe, given), ...given]);
  return checkConfig({
    ...merged,
    model: definition.name,
    recipe: recipe.name,
    threads: merged['threads'] ?? defaultThreads(),
    ...ownAugmentation(given),
    modelSettings: resolveSettings(definition.name, definition.settings, (merged['modelSettings'] ?? {}) as ConfigOverrides),
    weightDecay: withValueOf2017(merged['weightDecay'], definition.weightDecay2017),
    epochs: epochsOf(given),
    // The rule of 2017: crops belong to augmentation. Without it a network sees whole images, unless told otherwise.
    inputSize: readSize(lastOf(given, 'inputSize') ?? (merged['augment'] === false ? 'full' : merged['inputSize'])),
  });
}

function withAugmentationName(layer: ConfigOverrides): ConfigOverrides {
  const { augmentWith } = layer;
  const { apply, name } = Object(augmentWith) as Partial<AugmentationDefinition>;
  return typeof apply === 'function' ? { ...layer, augmentWith: name } : layer;
}

/** Whether a configuration's `model` is what `defineModel` has returned, not a name. */
export function isDefinition(model: unknown): model is ModelDefinition {
  return typeof (Object(model) as Partial<ModelDefinition>).build === 'function';
}

/** The length that the strongest layer gives, if in passes over the images. Where none gives a length, it depends on the images. */
function epochsOf(given: readonly Keys[]): unknown {
  const isGiven = ({ epochs }: Keys): boolean => epochs !== undefined && epochs !== 'none';
  const last = given.findLast((layer) => layer['steps'] !== undefined || isGiven(layer));
  if (last === undefined) return 'auto';
  if (last['steps'] === undefined || !isGiven(last)) return last['epochs'] ?? 'none';
  throw new ConfigurationError('epochs and steps are given both, and each is the length of the training', {
    key: 'epochs',
    otherKeys: ['steps'],
    fix: 'leave one of them out',
  });
}

/** A size as text, as a command line gives it, or as it is. */
function readSize(given: unknown): unknown {
  if (typeof given === 'string') return parseSize(given) ?? given;
  return Array.isArray(given) && given.length === 2 && given[0] === given[1] ? (given as unknown[])[0] : given;
}

/** Settings are of one augmentation: where a layer names another, those of the layers before it count no more. */
function ownAugmentation(layers: readonly Keys[]): Keys {
  let current: unknown;
  let values: unknown[] = [];
  for (const { augmentWith, augmentWithSettings } of layers) {
    if (augmentWith !== undefined && augmentWith !== current) values = [];
    current = augmentWith ?? current;
    if (augmentWithSettings !== undefined) values.push(augmentWithSettings);
  }
  // What is no group is refused where all keys are checked.
  const wrong = values.find((value) => Object(value) !== value);
  return { augmentWithSettings: wrong ?? Object.fromEntries(values.flatMap((value) => Object.entries(value as Keys))) };
}

/** The model of a configuration: the lab's own of that name, else as far as the configuration records it. */
export function modelOfConfig(config: TrainingConfig): ModelDefinition {
  return modelNames().includes(config.model) ? modelDefinition(config.model) : recordedModel(config);
}

/** A model as far as a configuration records it: its name and settings. Networks cannot be built with it. */
export function recordedModel({ model: name, modelSettings, weightDecay }: TrainingConfig): ModelDefinition {
  const settings = Object.entries(modelSettings).map(([setting, value]) => [setting, settingOf(value)] as const);
  return {
    ...{ name, summary: '', settings: Object.fromEntries(settings) },
    ...{ weightDecay2017: weightDecay.value, defaultInputSize: 1 },
    build: () => {
      throw new ConfigurationError(`the code of model "${name}" is not at hand`);
    },
  };
}

/** A setting whose default is the first value, and that may have the others. */
export function settingOf(...values: readonly [Value, ...Value[]]): Setting {
  const [value] = values;
  if (typeof value === 'boolean') return flag(value, '');
  return typeof value === 'number' ? number(value, '') : choice(value, [...new Set(values)].map(String), '');
}

type Value = boolean | number | string;

/** Checks a complete configuration, for example one read from a run folder. Throws ConfigurationError. */
export function checkConfig(complete: unknown): TrainingConfig {
  const config = check(trainingConfigSchema, complete);
  const { optimizer, learningRateScaling, pruning, steps } = config;
  if (optimizer.type === 'sgd') requireSgd(optimizer, learningRateScaling);
  const [setting] = Object.keys(config.augmentWithSettings);
  if (setting !== undefined && config.augmentWith === 'none') {
    throw new ConfigurationError(`augmentWith (=none) must be the file that has the setting ${setting}`, {
      key: 'augmentWith',
      otherKeys: ['augmentWithSettings'],
      fix: 'augmentWith: ./augment.ts, or --augment-with augment.ts',
    });
  }
  if (pruning.type !== 'none' && config.epochs === 'none' && steps % pruning.rounds !== 0) {
    throw new ConfigurationError(`steps (=${steps}) must be a multiple of pruning.rounds (=${pruning.rounds})`, {
      key: 'steps',
      otherKeys: ['pruning.rounds'],
    });
  }
  return config;
}

/** Options of SGD that contradict each other. */
function requireSgd(
  optimizer: Extract<TrainingConfig['optimizer'], { readonly type: 'sgd' }>,
  scaling: TrainingConfig['learningRateScaling'],
): void {
  if (optimizer.nesterov && optimizer.momentum === 0) {
    throw new ConfigurationError('optimizer.momentum (=0) must be above 0 with optimizer.nesterov', {
      key: 'optimizer.momentum',
      otherKeys: ['optimizer.nesterov'],
      fix: 'Set optimizer.momentum=0.9, or optimizer.nesterov=false',
    });
  }
  if (optimizer.decoupled && !optimizer.nesterov) {
    throw new ConfigurationError('optimizer.nesterov (=false) must be true with optimizer.decoupled', {
      key: 'optimizer.nesterov',
      otherKeys: ['optimizer.decoupled'],
      fix: 'Set optimizer.nesterov=true, or optimizer.decoupled=false',
    });
  }
  if (optimizer.decoupled && scaling.type !== 'none') {
    throw new ConfigurationError(
      'learningRateScaling.type (=linear) must be none with optimizer.decoupled, which scales it already',
      { key: 'learningRateScaling.type', otherKeys: ['optimizer.decoupled'] },
    );
  }
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

/** What a recipe says of training a model; of settings of models, those that this one has. */
function recipeLayer(recipe: Recipe, definition: ModelDefinition): ConfigOverrides {
  const settings = Object.entries(recipe.settings.modelSettings ?? {}).filter(([key]) => Object.hasOwn(definition.settings, key));
  return { ...recipe.settings, modelSettings: Object.fromEntries(settings) };
}

/** What goes with the optimizer that was asked for, where it is not the recipe's. */
function usualForOptimizer(recipe: Recipe, given: readonly Keys[]): ConfigOverrides {
  const types = given.map(({ optimizer }) => (optimizer as Keys | undefined)?.['type']);
  const type = types.findLast((each) => each !== undefined);
  // Stryker disable next-line OptionalChaining: every recipe has an optimizer
  return type === recipe.settings.optimizer?.type ? {} : { ...optimizerOfType(type)?.usual };
}

function lastOf(layers: readonly ConfigOverrides[], key: string): unknown {
  return layers.findLast((layer) => layer[key] !== undefined)?.[key];
}

/**
 * The one name of a key that can be written in several ways: `modelSettings.lrn` for `model.lrn` and `lrn`. A name that no key has is taken for
 * that of a setting.
 */
export function fullKey(name: string): string {
  const head = name.split('.', 1)[0]!;
  if (name.startsWith('augmentWith.')) return name.replace('augmentWith', 'augmentWithSettings');
  if (name === 'model' || (head !== 'model' && configKeys.includes(head))) return name;
  return `modelSettings.${name.replace(/^model\./, '')}`;
}

/** The top-level key that a name belongs to, and its name in there. */
function locate(name: string, { name: model, settings }: ModelDefinition): readonly [key: string, rest?: string] {
  if (configKeys.includes(name)) return [name];
  const full = fullKey(name);
  const dot = full.indexOf('.');
  const [key, rest] = [full.slice(0, dot), full.slice(dot + 1)];
  const isSetting = Object.hasOwn(settings, name) || /^model(Settings)?\./.test(name);
  if (key === 'modelSettings' ? isSetting : isGroup(trainingConfigSchema, key)) return [key, rest];
  const settingNames = Object.keys(settings);
  const known = [...configKeys.filter((each) => each !== 'modelSettings'), ...settingNames];
  const meant = keyMeantBy(name);
  const suggestion = meant === undefined ? didYouMean(name, known) : ` Did you mean "${meant}"?`;
  throw new ConfigurationError(`there is no key "${name}".${suggestion}`, {
    key: name,
    fix: `The keys are: ${configKeys.join(', ')}; settings of ${model}: ${settingNames.join(', ')}`,
  });
}

function withValueOf2017(weightDecay: unknown, value: number): unknown {
  const { rule } = (weightDecay ?? {}) as Keys;
  return rule === '2017' ? { value, ...(weightDecay as Keys) } : weightDecay;
}
