/** What each recipe says, from its source: tensorsandbox, airbench94 and, for modern, docs/configuration.md. Every key, none left to defaults. */
import { expect, test } from 'vitest';
import { cifar10Classes } from '../../data/cifar10.ts';
import { countMultiplyAdds } from '../../nn/network.ts';
import { initialValues } from '../../nn/parameter.ts';
import { createClassifier } from '../classifier.ts';
import { resolveConfig } from '../config.ts';
import { defaultRecipe, recipeByName, recipes } from './registry.ts';

/** What a recipe does not say: where and how a run goes. */
const circumstances = {
  epochs: 'auto',
  dataset: 'cifar10',
  seed: 1,
  init: 'none',
  pruning: { type: 'none' },
  teacher: 'none',
  initChecksum: '',
  teacherChecksum: '',
  networkChecksum: '',
  augmentWith: 'none',
  augmentWithSettings: {},
  augmentationChecksum: '',
  teacherWeight: 0.5,
  teacherTemperature: 4,
  precision: 'f32',
  gradientPrecision: 'f32',
  syncBatchNorm: false,
  threads: 1,
  val: false,
  evalEvery: 'auto',
  saveEvery: 1000,
  saveEverySeconds: 0,
  logEvery: 50,
  keepCheckpoints: 3,
  learningRateScaling: { type: 'none' },
  whiteningBiasSchedule: 'run',
};

const none = { translate: 0, randomCrop: false, flip: 'none', brightness: 0, contrast: [1, 1], cutout: 0, mixup: 0, cutmix: 0 };
const alike = { weight: 1, bias: 1, scale: 1, shift: 1 };

function closeTo(value: number): number {
  return expect.closeTo(value, 9) as number;
}

test.each<[string, string, Record<string, unknown>]>([
  [
    '2017',
    'nin2',
    {
      steps: 10_000,
      batchSize: 128,
      learningRate: 0.1,
      schedule: { type: 'constant' },
      optimizer: { type: 'sgd', momentum: 0, nesterov: false, decoupled: false },
      learningRateMultipliers: alike,
      weightDecay: { rule: '2017', value: 500 },
      labelSmoothing: 0,
      movingAverage: { type: 'exponential', decay: 0.9999, warmup: true },
      lookahead: { type: 'none' },
      trainWhiteningBias: 1,
      augment: true,
      augmentation: { ...none, randomCrop: true, flip: 'random', brightness: 63, contrast: [0.2, 1.8] },
      inputSize: 'crop',
      standardization: { type: 'image' },
      initializer: { type: 'model' },
      tta: 'none',
    },
  ],
  [
    'modern',
    'nin2',
    {
      steps: 10_000,
      batchSize: 128,
      learningRate: 0.08,
      schedule: { type: 'oneCycle', warmup: 0.15, initial: 0, final: 0.001 },
      optimizer: { type: 'sgd', momentum: 0.9, nesterov: true, decoupled: false },
      learningRateMultipliers: alike,
      weightDecay: { rule: 'coupled', value: 5e-4 },
      labelSmoothing: 0.1,
      movingAverage: { type: 'exponential', decay: 0.998, warmup: true },
      lookahead: { type: 'none' },
      trainWhiteningBias: 1,
      augment: true,
      augmentation: { ...none, randomCrop: true, flip: 'random' },
      inputSize: 'crop',
      standardization: { type: 'image' },
      initializer: { type: 'model' },
      tta: 'none',
    },
  ],
  [
    'airbench',
    'air94',
    {
      steps: 476,
      batchSize: 1024,
      learningRate: 11.5,
      schedule: { type: 'triangular', warmup: 0.23, initial: 0.2, final: 0.07 },
      optimizer: { type: 'sgd', momentum: 0.85, nesterov: true, decoupled: true },
      learningRateMultipliers: { ...alike, shift: 64 },
      weightDecay: { rule: 'independent', value: 0.0153 },
      labelSmoothing: 0.2,
      movingAverage: { type: 'none' },
      lookahead: { type: 'lookahead', every: 5, decay: 0.95 ** 5, power: 3 },
      // Three epochs of 48 steps.
      trainWhiteningBias: 0.3025,
      augment: true,
      augmentation: { ...none, flip: 'alternating', translate: 2 },
      inputSize: 'full',
      standardization: { type: 'channel', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
      initializer: { type: 'dirac' },
      tta: 'mirror+shift',
    },
  ],
  [
    'airbench-muon',
    'air94',
    {
      // 8 epochs of 25 batches
      steps: 200,
      batchSize: 2000,
      learningRate: 0.24,
      schedule: { type: 'linear', warmup: 0, final: 0 },
      // head_lr = 0.67 for the sum over a batch, and for weights that are sqrt(3 * 256) times as large
      optimizer: {
        ...{ type: 'muon', momentum: 0.6, nesterov: true, iterations: 3, otherMomentum: 0.85 },
        otherLearningRate: closeTo((0.67 * 2000) / 768),
      },
      // bias_lr = 0.053, for a bias or shift that is as large as the original's
      learningRateMultipliers: { ...alike, bias: closeTo((0.053 * 768) / 0.67), shift: closeTo((0.053 * 768) / 0.67) },
      weightDecay: { rule: 'independent', value: closeTo(0.004) },
      labelSmoothing: 0.2,
      movingAverage: { type: 'none' },
      lookahead: { type: 'none' },
      trainWhiteningBias: 3 / 8,
      whiteningBiasSchedule: 'own',
      augment: true,
      augmentation: { ...none, flip: 'alternating', translate: 2 },
      inputSize: 'full',
      standardization: { type: 'channel', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
      initializer: { type: 'dirac' },
      tta: 'mirror+shift',
    },
  ],
])('%s', (recipe, model, expected) => {
  const { modelSettings, ...config } = resolveConfig({ model, recipe, threads: 1 });
  expect(config).toEqual({ model, recipe, ...circumstances, ...expected });
  const dropout = { '2017': 0.5, modern: 0 }[recipe];
  const batchNorm = { '2017': false, modern: true }[recipe];
  expect([modelSettings['dropout'], modelSettings['batchNorm']]).toEqual([dropout, batchNorm]);
  expect(Math.ceil(0.3025 * 476)).toBe(3 * 48);
});

test('air94 starts with airbench as airbench94.py does, and with airbench-muon as airbench94_muon.py does', () => {
  const started = (recipe: string) => {
    const config = resolveConfig({ model: 'air94', recipe, threads: 1 });
    const { network } = createClassifier(config, { shape: [3, 32, 32], classes: cifar10Classes });
    const valuesOf = (name: string) =>
      initialValues(
        network.parameters.find((parameter) => parameter.name === name)!,
        1,
      );
    return { valuesOf, scale: config.modelSettings['logits.scale'] as number };
  };
  expect(new Set(started('airbench').valuesOf('whitening.bias'))).toEqual(new Set([0]));
  const { valuesOf, scale } = started('airbench-muon');
  // Conv2d's own bias, uniform within 1 / sqrt(3 * 2 * 2): its deviation is a sixth.
  expect(deviationOf(valuesOf('whitening.bias'))).toBeCloseTo(1 / 6, 1);
  // Weights of deviation 1, and outputs divided by 256.
  expect(deviationOf(valuesOf('dense.weight')) * scale * 256).toBeCloseTo(1, 1);
});

test('what training air94 takes, as docs/training.md says it', () => {
  // Forward, and the gradients of weights and of inputs: six operations for each multiply-add.
  const pflop = (recipe: string) => {
    const config = resolveConfig({ model: 'air94', recipe, threads: 1 });
    const { network } = createClassifier(config, { shape: [3, 32, 32], classes: cifar10Classes });
    return (6 * countMultiplyAdds(network) * config.steps * config.batchSize) / 1e15;
  };
  expect(pflop('airbench')).toBeCloseTo(0.346, 3);
  expect(pflop('airbench-muon')).toBeCloseTo(0.284, 3);
});

function deviationOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

test('recipes by name; the default is 2017; an unknown name says which there are', () => {
  expect(recipes.map(({ name }) => name)).toEqual(['2017', 'modern', 'airbench', 'airbench-muon']);
  expect(defaultRecipe).toBe('2017');
  for (const recipe of recipes) expect(recipeByName(recipe.name)).toBe(recipe);
  for (const { summary } of recipes) expect(summary).not.toBe('');
  expect(() => recipeByName('moderm')).toThrow(
    expect.objectContaining({
      message: 'there is no recipe "moderm". Did you mean "modern"?',
      fix: 'The recipes are: 2017, modern, airbench, airbench-muon',
    }) as Error,
  );
});
