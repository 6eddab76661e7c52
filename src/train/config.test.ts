import { expect, test } from 'vitest';
import { defineModel } from '../models/model.ts';
import { modelDefinition } from '../models/registry.ts';
import { choice, count, flag, number } from '../models/settings.ts';
import { ConfigurationError } from '../util/errors.ts';
import { changeConfig, resolveConfig } from './config.ts';
import { checkConfig, checkRecordedConfig, fullKey, modelOfConfig, settingOf } from './complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { recipes } from './recipes/registry.ts';

const message = (...layers: ConfigOverrides[]): string => {
  try {
    resolveConfig(...layers);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as Error).message;
  }
  throw new Error('no error');
};

test('the 2017 recipe is the default, and tensorsandbox to the letter', () => {
  expect(resolveConfig({ model: 'tuto' })).toMatchObject({
    recipe: '2017',
    dataset: 'cifar10',
    steps: 10_000,
    batchSize: 128,
    learningRate: 0.1,
    schedule: { type: 'constant' },
    optimizer: { type: 'sgd', momentum: 0, nesterov: false },
    weightDecay: { rule: '2017', value: 500 },
    labelSmoothing: 0,
    movingAverage: { type: 'exponential', decay: 0.9999, warmup: true },
    augment: true,
    augmentation: {
      randomCrop: true,
      flip: 'random',
      brightness: 63,
      contrast: [0.2, 1.8],
      translate: 0,
      cutout: 0,
      mixup: 0,
      cutmix: 0,
    },
    inputSize: 'crop',
    standardization: { type: 'image' },
    initializer: { type: 'model' },
    modelSettings: { lrn: true, initializer: 'xavierTruncatedNormal' },
    precision: 'f32',
    val: false,
  });
  expect(resolveConfig({ model: 'cs231n' }).weightDecay).toEqual({ rule: '2017', value: 100 });
});

test.each(recipes)('recipe $name resolves, and its record checks as it is', ({ name }) => {
  const config = resolveConfig({ model: 'tuto', recipe: name });
  expect(config.recipe).toBe(name);
  expect(checkConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
});

test('recipe < study file < flags', () => {
  const config = resolveConfig({ model: 'tuto', learningRate: 0.2, steps: 5 }, { recipe: 'modern', steps: 7 });
  expect(config).toMatchObject({ learningRate: 0.2, steps: 7, labelSmoothing: 0.1 });
});

test('without augmentation images are whole, unless a size is asked for', () => {
  expect(resolveConfig({ model: 'tuto', augment: false }).inputSize).toBe('full');
  expect(resolveConfig({ model: 'tuto', augment: false, inputSize: 28 }).inputSize).toBe(28);
  expect(resolveConfig({ model: 'tuto', inputSize: '72x96' }).inputSize).toEqual([72, 96]);
  for (const inputSize of ['96', '96x96', [96, 96]]) expect(resolveConfig({ model: 'tuto', inputSize }).inputSize).toBe(96);
  expect(resolveConfig({ model: 'tuto', inputSize: [72, 96] }).inputSize).toEqual([72, 96]);
  expect(message({ model: 'tuto', inputSize: [96, 96, 96] })).toContain('inputSize (=[96,96,96]) must be a positive integer');
});

test('dotted keys, settings of the model and short forms', () => {
  const flags: ConfigOverrides = {
    ...{ 'model.lrn': false, dense2: false, schedule: 'cosine', 'schedule.warmup': 0.1, 'augmentation.flip': 'alternating' },
    ...{ movingAverage: false, weightDecay: 250, recipe: 2017 },
  };
  const config = resolveConfig({ model: 'tuto' }, flags);
  expect(config.modelSettings).toMatchObject({ lrn: false, dense2: false });
  expect(config.schedule).toEqual({ type: 'cosine', warmup: 0.1, final: 0 });
  expect(config.augmentation).toMatchObject({ flip: 'alternating', brightness: 63 });
  expect(config.movingAverage).toEqual({ type: 'none' });
  expect(config.weightDecay).toEqual({ rule: '2017', value: 250 });
});

test.each([
  [{ weightDecay: '2017' }, 500],
  [{ weightDecay: 2017 }, 500],
  [{ 'weightDecay.rule': 2017 }, 500],
  [{ 'weightDecay.value': 2017, weightDecay: '2017' }, 2017],
])('%j: the rule of 2017, a name that YAML and --set read as a number', (given, value) => {
  expect(resolveConfig({ model: 'tuto', recipe: 'modern', ...given }).weightDecay).toEqual({ rule: '2017', value });
});

test('a group with another tag does not inherit; switched back on it is as before', () => {
  expect(resolveConfig({ model: 'tuto', recipe: 'modern', weightDecay: '2017' }).weightDecay).toEqual({
    rule: '2017',
    value: 500,
  });
  expect(resolveConfig({ model: 'tuto', recipe: 'modern', schedule: 'cosine' }).schedule).toEqual({
    type: 'cosine',
    warmup: 0,
    final: 0,
  });
  const layers = [{ model: 'tuto', recipe: 'modern', movingAverage: false }, { movingAverage: true }];
  expect(resolveConfig(...layers).movingAverage).toEqual({ type: 'exponential', decay: 0.998, warmup: true });
});

test('what a recipe sets in models holds for those that have it, until said otherwise', () => {
  const recipe = 'modern';
  expect(resolveConfig({ model: 'tuto', recipe }).modelSettings).toMatchObject({ batchNorm: true });
  expect(resolveConfig({ model: 'tuto', recipe, batchNorm: false }).modelSettings).toMatchObject({ batchNorm: false });
  expect(resolveConfig({ model: 'tuto' }).modelSettings).toMatchObject({ batchNorm: false });
  expect(resolveConfig({ model: 'air94', recipe }).modelSettings).not.toHaveProperty('batchNorm');
});

test.each([
  [{ model: 'tuta' }, 'there is no model "tuta". Did you mean "tuto"?'],
  [{ model: 'tuto', recipe: '2018' }, 'there is no recipe "2018". Did you mean "2017"?'],
  // Of every object, and of none of the groups.
  [{ model: 'tuto', '__proto__.learningRate': 0.5 }, 'there is no key "__proto__.learningRate".'],
  [{ model: 'tuto', 'constructor.learningRate': 0.5 }, 'there is no key "constructor.learningRate".'],
  [{ model: 'tuto', ['__proto__']: { learningRate: 0.5 } }, 'there is no key "__proto__".'],
  [
    { model: 'tuto', 'schedule.__proto__': { type: 'cosine' } },
    'there is no key "__proto__" in schedule of type "constant". Allowed: type',
  ],
  [{ model: 'tuto', learningRate: Infinity }, 'learningRate (=Infinity) must be a number above 0'],
  [{ model: 'tuto', batchSize: '64' }, 'batchSize (="64") must be a positive integer'],
  [{ model: 'tuto', learningRat: 1 }, 'there is no key "learningRat". Did you mean "learningRate"?'],
  [{ model: 'tuto', lr: 0.1 }, 'there is no key "lr". Did you mean "learningRate"?'],
  [{ model: 'tuto', LR: 0.1 }, 'there is no key "LR". Did you mean "learningRate"?'],
  [{ model: 'tuto', weight_decay: 0 }, 'there is no key "weight_decay". Did you mean "weightDecay"?'],
  [{ model: 'tuto', momentum: 0.9 }, 'there is no key "momentum". Did you mean "optimizer.momentum"?'],
  [{ model: 'tuto', num_epochs: 3 }, 'there is no key "num_epochs". Did you mean "epochs"?'],
  [{ model: 'tuto', flip: 'none' }, 'there is no key "flip". Did you mean "augmentation.flip"?'],
  [{ model: 'tuto', 'model.lnr': true }, 'model "tuto" has no setting "lnr". Did you mean "lrn"?'],
  [{ model: 'tuto', 'width.model.lnr': true }, 'there is no key "width.model.lnr".'],
  [{ model: 'tuto', modelSetting: {} }, 'there is no key "modelSetting".'],
  [{ model: 'tuto', lrn: 3 }, 'lrn (=3) must be true or false for model "tuto"'],
  [{ model: 'tuto', batchSize: 0 }, 'batchSize (=0) must be a positive integer'],
  [{ model: 'tuto', batchSize: 1.5 }, 'batchSize (=1.5) must be a positive integer'],
  [{ model: 'tuto', steps: 0 }, 'steps (=0) must be an integer from 1 to 999999999'],
  [{ model: 'tuto', steps: 1_000_000_000 }, 'steps (=1000000000) must be an integer from 1 to 999999999'],
  [{ model: 'tuto', steps: 1e300 }, 'steps (=1e+300) must be an integer from 1 to 999999999'],
  [{ model: 'tuto', seed: 2 ** 53 }, 'seed (=9007199254740992) must be at most 9007199254740991'],
  [{ model: 'tuto', seed: -1 }, 'seed (=-1) must be an integer of at least 0'],
  [{ model: 'tuto', learningRate: -1 }, 'learningRate (=-1) must be a number above 0'],
  [{ model: 'tuto', learningRate: 'fast' }, 'learningRate (=fast) must be a number above 0'],
  [{ model: 'tuto', labelSmoothing: 1 }, 'labelSmoothing (=1) must be a number in [0, 1)'],
  [
    { model: 'tuto', schedule: 'exponential' },
    'schedule.type (=exponential) must be one of constant, step, linear, cosine, oneCycle, triangular',
  ],
  [{ model: 'tuto', schedule: 7 }, 'schedule (=7) must be one of constant, step, linear, cosine, oneCycle, triangular'],
  [{ model: 'tuto', lookahead: 'ahead' }, 'lookahead.type (=ahead) must be one of none, lookahead'],
  [{ model: 'tuto', tta: 'flip' }, 'tta (=flip) must be one of none, mirror, mirror+shift'],
  [{ model: 'tuto', trainWhiteningBias: 2 }, 'trainWhiteningBias (=2) must be a number in [0, 1]'],
  [{ model: 'tuto', 'optimizer.decoupled': true }, 'optimizer.nesterov (=false) must be true with optimizer.decoupled'],
  [{ model: 'tuto', optimizer: 'adam' }, 'optimizer.type (=adam) must be one of sgd, adamw, muon'],
  [{ model: 'tuto', 'optimizer.momentum': 1 }, 'optimizer.momentum (=1) must be a number in [0, 1)'],
  [{ model: 'tuto', 'optimizer.nesterov': true }, 'optimizer.momentum (=0) must be above 0 with optimizer.nesterov'],
  [
    { model: 'tuto', 'augmentation.contrast': 2 },
    'augmentation.contrast (=2) must be two numbers [low, high] with 0 <= low <= high',
  ],
  [{ model: 'tuto', 'augmentation.flip': 'up' }, 'augmentation.flip (=up) must be one of none, random, alternating'],
  [
    { model: 'tuto', inputSize: 'big' },
    'inputSize (=big) must be a positive integer, two of them (96x128: height x width), "full" for the whole image, or "crop" for three quarters of each side',
  ],
  [{ model: 'tuto', precision: 'f8' }, 'precision (=f8) must be one of f32, bf16, f16'],
  [{ model: 'tuto', weightDecay: { rule: 'none', value: 1 } }, 'weightDecay.value (=1) must be 0 for the rule "none"'],
  [{}, 'model (=missing) must be the name of a model'],
])('%j is refused', (overrides, expected) => {
  expect(message(overrides)).toBe(expected);
});

test('lookahead is switched on and off as one', () => {
  const on = { type: 'lookahead', every: 5, decay: 0.95 ** 5, power: 3 };
  expect(resolveConfig({ model: 'tuto' }).lookahead).toEqual({ type: 'none' });
  expect(resolveConfig({ model: 'tuto', lookahead: true, 'lookahead.power': 0 }).lookahead).toEqual({ ...on, power: 0 });
  expect(resolveConfig({ model: 'air94', recipe: 'airbench' }).lookahead).toEqual(on);
  expect(resolveConfig({ model: 'air94', recipe: 'airbench', lookahead: false }).lookahead).toEqual({ type: 'none' });
  expect(message({ model: 'tuto', lookahead: true, 'lookahead.evry': 2 })).toBe(
    'there is no key "evry" in lookahead of type "lookahead". Did you mean "every"? Allowed: type, every, decay, power',
  );
});

test.each<[ConfigOverrides, string, string[]]>([
  [{ learningRate: -1 }, 'learningRate', []],
  [{ learningRate: -1, batchSize: 0, sede: 1, 'schedule.warmup': 2 }, 'sede', []],
  [{ learningRate: -1, batchSize: 0, 'schedule.warmup': 2 }, 'batchSize', ['learningRate', 'schedule.warmup']],
  [{ 'augmentation.contrast': [1, 'x'] }, 'augmentation.contrast[1]', []],
  [{ lrn: 3 }, 'modelSettings.lrn', []],
  [{ 'model.lnr': true }, 'modelSettings.lnr', ['model']],
  [{ model: 'tuta' }, 'model', []],
  [{ recipe: '2018' }, 'recipe', []],
  [{ 'optimizer.nesterov': true }, 'optimizer.momentum', ['optimizer.nesterov']],
  [{ 'optimizer.decoupled': true }, 'optimizer.nesterov', ['optimizer.decoupled']],
  [{ threads: 1_000_000 }, 'threads', []],
  [{ epochs: 3, steps: 10 }, 'epochs', ['steps']],
  [{ augmentWithSettings: { strength: 1 } }, 'augmentWith', ['augmentWithSettings']],
  [{ steps: 10, pruning: true, 'pruning.sparsity': 0.5, 'pruning.rounds': 3 }, 'steps', ['pruning.rounds']],
  [{ recipe: 'airbench', learningRateScaling: true }, 'learningRateScaling.type', ['optimizer.decoupled']],
])('%j: the error has the key that is wrong, and those that it contradicts', (overrides, key, otherKeys) => {
  try {
    resolveConfig({ model: 'tuto', ...overrides });
  } catch (error) {
    expect(error).toMatchObject({ key, otherKeys });
    return;
  }
  throw new Error('no error');
});

test('a key has one full name', () => {
  const names = ['model', 'schedule', 'schedule.warmup', 'lrn', 'model.lrn', 'modelSettings.lrn', 'width.conv1', 'a.model.b'];
  expect(names.map(fullKey)).toEqual([
    ...['model', 'schedule', 'schedule.warmup', 'modelSettings.lrn', 'modelSettings.lrn', 'modelSettings.lrn'],
    ...['modelSettings.width.conv1', 'modelSettings.a.model.b'],
  ]);
});

test.each<[ConfigOverrides, ConfigOverrides]>([
  [{ movingAverage: false }, { movingAverage: { type: 'none' } }],
  [{ movingAverage: true }, { movingAverage: { type: 'exponential', decay: 0.9999, warmup: true } }],
  [{ weightDecay: false }, { weightDecay: { rule: 'none', value: 0 } }],
  [{ learningRateScaling: true }, { learningRateScaling: { type: 'linear', referenceBatchSize: 128, warmup: 0.05 } }],
  [{ recipe: 2017 }, { recipe: '2017' }],
  [{ init: 7 }, { init: '7' }],
])('%j is a short form', (short, written) => {
  expect(resolveConfig({ model: 'tuto', ...short })).toMatchObject(written);
});

test('unknown keys inside groups say what is allowed there', () => {
  expect(message({ model: 'tuto', 'schedule.warmup': 0.1 })).toBe(
    'there is no key "warmup" in schedule of type "constant". Allowed: type',
  );
  expect(message({ model: 'tuto', 'augmentation.filp': 'none' })).toBe(
    'there is no key "filp" in augmentation. Did you mean "flip"? Allowed: translate, randomCrop, flip, brightness, contrast, cutout, mixup, cutmix',
  );
});

test.each<[key: keyof TrainingConfig, kind: string, given: ConfigOverrides, rest: Record<string, unknown>]>([
  ['schedule', 'constant', {}, {}],
  ['schedule', 'step', {}, { milestones: [0.5, 0.75], factor: 0.1 }],
  ['schedule', 'cosine', {}, { warmup: 0, final: 0 }],
  ['schedule', 'oneCycle', {}, { warmup: 0.15, initial: 0, final: 0 }],
  ['schedule', 'triangular', {}, { warmup: 0.23, initial: 0.2, final: 0.07 }],
  ['learningRateScaling', 'linear', {}, { referenceBatchSize: 128, warmup: 0.05 }],
  ['schedule', 'linear', {}, { warmup: 0, final: 0 }],
  ['optimizer', 'muon', {}, { momentum: 0.6, nesterov: true, iterations: 3, otherLearningRate: 0.05, otherMomentum: 0.85 }],
  ['optimizer', 'adamw', {}, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }],
  ['optimizer', 'sgd', {}, { momentum: 0, nesterov: false, decoupled: false }],
  ['weightDecay', 'none', {}, { value: 0 }],
  ['weightDecay', 'coupled', {}, { value: 5e-4 }],
  ['weightDecay', 'decoupled', {}, { value: 5e-3 }],
  ['weightDecay', 'independent', {}, { value: 0.0153 }],
  ['movingAverage', 'exponential', {}, { decay: 0.9999, warmup: true }],
  ['lookahead', 'lookahead', {}, { every: 5, decay: 0.95 ** 5, power: 3 }],
  ['pruning', 'magnitude', { sparsity: 0.5 }, { sparsity: 0.5, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' }],
  ['initializer', 'truncatedNormal', {}, { standardDeviation: 0.05 }],
])('what is not said of %s %s has its default value', (key, kind, given, rest) => {
  const tag = key === 'weightDecay' ? 'rule' : 'type';
  // In place of the group that a recipe has, of which nothing is inherited.
  expect(checkConfig({ ...resolveConfig({ model: 'tuto' }), [key]: { [tag]: kind, ...given } })[key]).toEqual({
    [tag]: kind,
    ...rest,
  });
});

test('a model may be given as a value: its settings are keys', () => {
  const own = defineModel({
    name: 'own',
    settings: { filters: count(4, 'of the convolution') },
    layers: (b, _, classes) => b.dense('logits', b.input, { features: classes }),
  });
  const config = resolveConfig({ model: 'tuto', steps: 3 }, { model: own, 'model.filters': 2 });
  expect(config).toMatchObject({ model: 'own', steps: 3, modelSettings: { filters: 2 } });
  expect(() => resolveConfig({ model: own, lrn: false })).toThrow('there is no key "lrn"');
});

test.each<[ConfigOverrides, string, string | undefined]>([
  [
    { 'optimizer.nesterov': true },
    'optimizer.momentum (=0) must be above 0 with optimizer.nesterov',
    'Set optimizer.momentum=0.9, or optimizer.nesterov=false',
  ],
  [
    { 'optimizer.decoupled': true },
    'optimizer.nesterov (=false) must be true with optimizer.decoupled',
    'Set optimizer.nesterov=true, or optimizer.decoupled=false',
  ],
  [
    { recipe: 'airbench', learningRateScaling: true },
    'learningRateScaling.type (=linear) must be none with optimizer.decoupled, which scales it already',
    undefined,
  ],
  [{ epochs: 3, steps: 10 }, 'epochs and steps are given both, and each is the length of the training', 'leave one of them out'],
  [
    { augmentWithSettings: { strength: 1 } },
    'augmentWith (=none) must be the file that has the setting strength',
    'augmentWith: ./augment.ts, or --augment-with augment.ts',
  ],
])('%j: what contradicts itself is refused with what to do', (given, text, fix) => {
  expect(() => resolveConfig({ model: 'cs231n', ...given })).toThrow(expect.objectContaining({ message: text, fix }) as Error);
});

test('for a key that there is not, all that there are', () => {
  const known = /^The keys are: model, modelSettings, dataset, .*; settings of cs231n: initializer, batchNorm, conv1\.filters, /;
  expect(() => resolveConfig({ model: 'cs231n', nothing: 1 })).toThrow(
    expect.objectContaining({ fix: expect.stringMatching(known) as string }) as Error,
  );
});

test("options of one optimizer say nothing of another; with the recipe's own goes what the recipe says", () => {
  const muon = { model: 'tuto', optimizer: 'muon', 'optimizer.momentum': 0 };
  expect(resolveConfig(muon).optimizer).toMatchObject({ type: 'muon', momentum: 0, nesterov: true });
  expect(resolveConfig({ model: 'tuto', recipe: 'modern', optimizer: 'sgd' }).learningRate).toBe(0.08);
  expect(resolveConfig({ model: 'tuto', recipe: 'modern', optimizer: 'adamw' }).learningRate).toBe(1e-3);
});

test('the length is what the strongest layer says, in steps or in passes over the images', () => {
  const lengthOf = (...layers: ConfigOverrides[]) => {
    const { steps, epochs } = resolveConfig({ model: 'tuto' }, ...layers);
    return [steps, epochs];
  };
  expect(lengthOf()).toEqual([10_000, 'auto']);
  expect(lengthOf({ steps: 7 })).toEqual([7, 'none']);
  expect(lengthOf({ steps: 7, epochs: 'none' })).toEqual([7, 'none']);
  expect(lengthOf({ epochs: 3 })).toEqual([10_000, 3]);
  expect(lengthOf({ steps: 7 }, { epochs: 3 })).toEqual([7, 3]);
  expect(lengthOf({ epochs: 3 }, { steps: 7 })).toEqual([7, 'none']);
});

test('a model is known by its name, or as far as a configuration records it', () => {
  const config = resolveConfig({ model: 'tuto', steps: 5 });
  expect(modelOfConfig(config)).toBe(modelDefinition('tuto'));
  const modelSettings = { filters: 4, bias: true, activation: 'relu' };
  const own = { ...config, model: 'own', modelSettings };
  const { build, ...known } = modelOfConfig(own);
  expect(known).toEqual({
    ...{ name: 'own', summary: '', weightDecay2017: 500, defaultInputSize: 1 },
    settings: { filters: number(4, ''), bias: flag(true, ''), activation: choice('relu', ['relu'], '') },
  });
  expect(() => build({}, { channels: 3, height: 4, width: 4 }, 2)).toThrow('the code of model "own" is not at hand');
  expect(settingOf('a', 'b', 'a', 2)).toEqual(choice('a', ['a', 'b', '2'], ''));
  // Changed where only the record is known, and to one of the lab's.
  expect(changeConfig(own, { filters: 5 })).toMatchObject({ model: 'own', modelSettings: { ...modelSettings, filters: 5 } });
  expect(changeConfig({ ...own, modelSettings: {} }, { model: 'cs231n' })).toMatchObject({
    modelSettings: resolveConfig({ model: 'cs231n' }).modelSettings,
  });
});

test('a recorded configuration that cannot be used is damage of its file; what fails otherwise is no damage', () => {
  const config = { ...resolveConfig({ model: 'tuto' }), batchSize: 0 };
  expect(() => checkRecordedConfig(config, 'a file')).toThrow(
    expect.objectContaining({
      name: 'DataError',
      message: 'the configuration recorded in a file cannot be used: batchSize (=0) must be a positive integer',
      cause: expect.any(ConfigurationError) as unknown,
    }) as Error,
  );
  const failing = Object.defineProperty({ ...config }, 'batchSize', {
    enumerable: true,
    get: () => {
      throw new TypeError('not read');
    },
  });
  expect(() => checkRecordedConfig(failing, 'a file')).toThrow(new TypeError('not read'));
});
