/**
 * Each key of the configuration, changed alone, does what it is for: the weights after three steps change, or what an evaluation finds, or
 * neither, for a reason that is stated here. The identity of the experiment changes exactly when a result may. The list of keys comes from
 * the schema: a new one without an entry fails.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { singleProcess, type Collective } from '../src/cluster/collective.ts';
import type { Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { runName } from '../src/runs/run-folder.ts';
import type { Tensor } from '../src/runs/safetensors.ts';
import { experimentIdentity, runIdentity } from '../src/study/identity.ts';
import { resolveConfig } from '../src/train/config.ts';
import { trainingConfigSchema, type ConfigOverrides, type TrainingConfig } from '../src/train/config-schema.ts';
import { train } from '../src/train/train.ts';
import { weightsChecksum } from '../src/train/weights-checksum.ts';
import { unwrap } from '../src/util/schema.ts';
import { noiseDataset } from './noise-dataset.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-keys-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const dataset = noiseDataset(16, { train: 10, test: 6 });

/** Three steps over more than one epoch, with everything that has a state. */
const base: ConfigOverrides = {
  model: 'tuto',
  dataset: 'noise',
  recipe: 'modern',
  'conv1.filters': 2,
  'conv1.kernel': 3,
  'conv2.filters': 3,
  'conv2.kernel': 3,
  'dense1.features': 6,
  'dense2.features': 5,
  'dense.dropout': 0.3,
  batchSize: 8,
  steps: 3,
  inputSize: 6,
  threads: 1,
};

const baseWithoutSteps: ConfigOverrides = { ...base, steps: undefined };

const ownFile = join(runsFolder, 'brighter.ts');
writeFileSync(
  ownFile,
  `import { defineAugmentation, number } from 'ablate';
export default defineAugmentation({
  name: 'brighter',
  settings: { by: number(30, 'most that is added to a half of the image') },
  apply({ pixels }, random, { by }) {
    const added = random.uniform(0, by);
    for (let i = 0; i < pixels.length / 2; i++) pixels[i]! += added;
  },
});
`,
);

interface Change {
  /** Default: `base`. */
  readonly from?: ConfigOverrides;
  /** What the key needs beside it to matter. */
  readonly given?: ConfigOverrides;
  readonly to: ConfigOverrides;
  /** Default: `weights`. `processes`: what processes that train together do, which one alone cannot show. */
  readonly changes?: 'weights' | 'evaluation' | 'processes' | 'images' | 'network' | 'nothing';
  /** Why it changes neither weights nor evaluation. */
  readonly because?: string;
}

const pruned = { pruning: { type: 'magnitude', sparsity: 0.5, rounds: 3 } };
const constants = { type: 'channel', mean: [0.5, 0.5, 0.5], deviation: [0.2, 0.2, 0.2] };
const air94: ConfigOverrides = {
  model: 'air94',
  dataset: 'noise',
  'group1.filters': 2,
  'group2.filters': 2,
  'group3.filters': 2,
  batchSize: 8,
  steps: 3,
  inputSize: 16,
  threads: 1,
};
/** What an optimizer that is not the recipe's would bring along. */
const adam = { learningRate: 1e-3, weightDecay: { rule: 'decoupled', value: 0.01 } };
const muon = { learningRate: 0.05 };
const slow = { lookahead: { type: 'lookahead', every: 2, decay: 0.5, power: 1 } };
const linear = { learningRateScaling: { type: 'linear', referenceBatchSize: 4, warmup: 0.5 } };
const averaged = { movingAverage: { type: 'exponential', decay: 0.9, warmup: false } };
const atTheEnd = 'it decides when a run is evaluated, saved or recorded, not what it computes';

/** By the names that `leavesOf` gives. */
const changes: Readonly<Record<string, Change>> = {
  model: { to: { model: 'alex2' } },
  modelSettings: { to: { 'dense1.features': 7 } },
  dataset: { to: { dataset: 'other' }, changes: 'images', because: 'who calls the trainer opens the images of that name' },
  recipe: { to: { recipe: 'other' }, changes: 'nothing', because: 'it is a name: all that it says is in the other keys' },
  steps: { to: { steps: 4 } },
  // Ten images in batches of 8: five epochs are seven steps.
  epochs: { from: baseWithoutSteps, to: { epochs: 5 } },
  batchSize: { to: { batchSize: 4 } },
  learningRate: { to: { learningRate: 0.1 } },
  'schedule=constant': { to: { schedule: 'constant' } },
  'schedule=step': { to: { schedule: 'step' } },
  'schedule(step).milestones': { given: { schedule: 'step' }, to: { 'schedule.milestones': [0.3] } },
  'schedule(step).factor': { given: { schedule: 'step' }, to: { 'schedule.factor': 0.2 } },
  'schedule=linear': { to: { schedule: 'linear' } },
  'schedule(linear).warmup': { given: { schedule: 'linear' }, to: { 'schedule.warmup': 0.9 } },
  'schedule(linear).final': { given: { schedule: 'linear' }, to: { 'schedule.final': 0.5 } },
  'schedule=cosine': { to: { schedule: 'cosine' } },
  'schedule(cosine).warmup': { given: { schedule: 'cosine' }, to: { 'schedule.warmup': 0.9 } },
  'schedule(cosine).final': { given: { schedule: 'cosine' }, to: { 'schedule.final': 0.5 } },
  'schedule=oneCycle': { given: { schedule: 'constant' }, to: { schedule: 'oneCycle' } },
  'schedule(oneCycle).warmup': { to: { 'schedule.warmup': 0.9 } },
  'schedule(oneCycle).initial': { given: { 'schedule.warmup': 0.9 }, to: { 'schedule.initial': 0.5 } },
  'schedule(oneCycle).final': { to: { 'schedule.final': 0.5 } },
  'schedule=triangular': { to: { schedule: 'triangular' } },
  'schedule(triangular).warmup': { given: { schedule: 'triangular' }, to: { 'schedule.warmup': 0.7 } },
  'schedule(triangular).initial': {
    given: { schedule: 'triangular', 'schedule.warmup': 0.7 },
    to: { 'schedule.initial': 0.5 },
  },
  'schedule(triangular).final': { given: { schedule: 'triangular' }, to: { 'schedule.final': 0.5 } },
  'learningRateScaling=none': { given: linear, to: { learningRateScaling: 'none' } },
  'learningRateScaling=linear': { to: linear },
  'learningRateScaling(linear).referenceBatchSize': { given: linear, to: { 'learningRateScaling.referenceBatchSize': 2 } },
  'learningRateScaling(linear).warmup': { given: linear, to: { 'learningRateScaling.warmup': 0.9 } },
  'optimizer=sgd': { given: { ...adam, optimizer: 'adamw' }, to: { optimizer: 'sgd' } },
  'optimizer=adamw': { given: adam, to: { optimizer: 'adamw' } },
  'optimizer(adamw).beta1': { given: { optimizer: 'adamw' }, to: { 'optimizer.beta1': 0.5 } },
  'optimizer(adamw).beta2': { given: { optimizer: 'adamw' }, to: { 'optimizer.beta2': 0.9 } },
  'optimizer(adamw).epsilon': { given: { optimizer: 'adamw' }, to: { 'optimizer.epsilon': 0.01 } },
  'optimizer=muon': { given: muon, to: { optimizer: 'muon' } },
  'optimizer(muon).momentum': { given: { optimizer: 'muon' }, to: { 'optimizer.momentum': 0.3 } },
  'optimizer(muon).nesterov': { given: { optimizer: 'muon' }, to: { 'optimizer.nesterov': false } },
  'optimizer(muon).iterations': { given: { optimizer: 'muon' }, to: { 'optimizer.iterations': 2 } },
  'optimizer(muon).otherLearningRate': { given: { optimizer: 'muon' }, to: { 'optimizer.otherLearningRate': 0.1 } },
  'optimizer(muon).otherMomentum': { given: { optimizer: 'muon' }, to: { 'optimizer.otherMomentum': 0.5 } },
  'optimizer(sgd).momentum': { to: { 'optimizer.momentum': 0.5 } },
  'optimizer(sgd).nesterov': { to: { 'optimizer.nesterov': false } },
  'optimizer(sgd).decoupled': { to: { 'optimizer.decoupled': true } },
  'learningRateMultipliers.weight': { to: { 'learningRateMultipliers.weight': 2 } },
  'learningRateMultipliers.bias': { to: { 'learningRateMultipliers.bias': 2 } },
  'learningRateMultipliers.scale': { to: { 'learningRateMultipliers.scale': 2 } },
  'learningRateMultipliers.shift': { to: { 'learningRateMultipliers.shift': 2 } },
  'weightDecay=none': { to: { weightDecay: 'none' } },
  'weightDecay=2017': { to: { weightDecay: '2017' } },
  'weightDecay(2017).value': { given: { weightDecay: '2017' }, to: { 'weightDecay.value': 3 } },
  'weightDecay=coupled': { given: { weightDecay: 'none' }, to: { weightDecay: 'coupled' } },
  'weightDecay(coupled).value': { to: { 'weightDecay.value': 0.01 } },
  'weightDecay=decoupled': { to: { weightDecay: 'decoupled' } },
  'weightDecay(decoupled).value': { given: { weightDecay: 'decoupled' }, to: { 'weightDecay.value': 0.1 } },
  'weightDecay=independent': { to: { weightDecay: 'independent' } },
  'weightDecay(independent).value': { given: { weightDecay: 'independent' }, to: { 'weightDecay.value': 0.1 } },
  labelSmoothing: { to: { labelSmoothing: 0.2 } },
  'movingAverage=none': { to: { movingAverage: 'none' } },
  'movingAverage=exponential': { given: { movingAverage: 'none' }, to: { movingAverage: 'exponential' } },
  'movingAverage(exponential).decay': { given: averaged, to: { 'movingAverage.decay': 0.8 } },
  'movingAverage(exponential).warmup': { given: averaged, to: { 'movingAverage.warmup': true } },
  'lookahead=none': { given: slow, to: { lookahead: 'none' } },
  'lookahead=lookahead': { to: slow },
  'lookahead(lookahead).every': { given: slow, to: { 'lookahead.every': 1 } },
  'lookahead(lookahead).decay': { given: slow, to: { 'lookahead.decay': 0.6 } },
  'lookahead(lookahead).power': { given: slow, to: { 'lookahead.power': 2 } },
  'whiteningBiasSchedule=run': {
    from: { ...air94, recipe: 'airbench-muon', trainWhiteningBias: 0.7 },
    to: { whiteningBiasSchedule: 'run' },
  },
  'whiteningBiasSchedule=own': {
    from: { ...air94, schedule: 'linear', trainWhiteningBias: 0.7 },
    to: { whiteningBiasSchedule: 'own' },
  },
  trainWhiteningBias: { from: air94, to: { trainWhiteningBias: 0.5 } },
  augment: { to: { augment: false } },
  'augmentation.translate': { to: { 'augmentation.translate': 2 } },
  'augmentation.randomCrop': { to: { 'augmentation.randomCrop': false } },
  'augmentation.flip=none': { to: { 'augmentation.flip': 'none' } },
  'augmentation.flip=random': { given: { 'augmentation.flip': 'none' }, to: { 'augmentation.flip': 'random' } },
  'augmentation.flip=alternating': { to: { 'augmentation.flip': 'alternating' } },
  // The mean of each image would take it off again.
  'augmentation.brightness': { given: { standardization: constants }, to: { 'augmentation.brightness': 40 } },
  'augmentation.contrast': { to: { 'augmentation.contrast': [0.5, 1.5] } },
  'augmentation.cutout': { to: { 'augmentation.cutout': 3 } },
  'augmentation.mixup': { to: { 'augmentation.mixup': 1 } },
  'augmentation.cutmix': { to: { 'augmentation.cutmix': 1 } },
  augmentWith: { to: { augmentWith: ownFile } },
  augmentWithSettings: { given: { augmentWith: ownFile }, to: { 'augmentWith.by': 60 } },
  augmentationChecksum: {
    to: { augmentationChecksum: 'ab' },
    changes: 'network',
    because: 'it is written when a training starts, and stands for the code that changes the images',
  },
  inputSize: { to: { inputSize: 8 } },
  'standardization=image': { given: { standardization: constants }, to: { standardization: 'image' } },
  'standardization=channel': { to: { standardization: constants } },
  'standardization(channel).mean': { given: { standardization: constants }, to: { 'standardization.mean': 0.4 } },
  'standardization(channel).deviation': {
    given: { standardization: constants },
    to: { 'standardization.deviation': [0.2, 0.3, 0.2] },
  },
  'initializer=model': { given: { initializer: 'heNormal' }, to: { initializer: 'model' } },
  // What the models leave it to.
  'initializer=xavierTruncatedNormal': {
    given: { 'model.initializer': 'heNormal' },
    to: { initializer: 'xavierTruncatedNormal' },
  },
  'initializer=heNormal': { to: { initializer: 'heNormal' } },
  'initializer=xavierUniform': { to: { initializer: 'xavierUniform' } },
  'initializer=uniformFanIn': { to: { initializer: 'uniformFanIn' } },
  'initializer=dirac': { to: { initializer: 'dirac' } },
  'initializer=truncatedNormal': { to: { initializer: 'truncatedNormal' } },
  'initializer(truncatedNormal).standardDeviation': {
    given: { initializer: 'truncatedNormal' },
    to: { 'initializer.standardDeviation': 0.1 },
  },
  init: { to: { init: 'tuto/1' } },
  'pruning=none': { given: pruned, to: { pruning: 'none' } },
  'pruning=magnitude': { to: pruned },
  'pruning(magnitude).sparsity': { given: pruned, to: { 'pruning.sparsity': 0.7 } },
  'pruning(magnitude).scope=global': { given: { ...pruned, 'pruning.scope': 'layer' }, to: { 'pruning.scope': 'global' } },
  'pruning(magnitude).scope=layer': { given: pruned, to: { 'pruning.scope': 'layer' } },
  'pruning(magnitude).rounds': { given: pruned, to: { 'pruning.rounds': 1 } },
  'pruning(magnitude).growth=cubic': { given: { ...pruned, 'pruning.growth': 'geometric' }, to: { 'pruning.growth': 'cubic' } },
  'pruning(magnitude).growth=geometric': { given: pruned, to: { 'pruning.growth': 'geometric' } },
  'pruning(magnitude).rewind': { given: pruned, to: { 'pruning.rewind': 'tuto/1' } },
  teacher: { to: { teacher: 'tuto/1' } },
  initChecksum: {
    to: { initChecksum: 'ab' },
    changes: 'network',
    because: 'it is written when a training starts, and stands for the weights that it starts from',
  },
  teacherChecksum: {
    to: { teacherChecksum: 'ab' },
    changes: 'network',
    because: "it is written when a training starts, and stands for the teacher's weights",
  },
  networkChecksum: {
    to: { networkChecksum: 'ab' },
    changes: 'network',
    because: 'it is written when a training starts, and stands for the layers that are trained',
  },
  teacherWeight: { given: { teacher: 'tuto/1' }, to: { teacherWeight: 0.7 } },
  teacherTemperature: { given: { teacher: 'tuto/1' }, to: { teacherTemperature: 2 } },
  seed: { to: { seed: 2 } },
  // The reference engine refuses it, and so is asked for it.
  'precision=f32': { given: { precision: 'bf16' }, to: { precision: 'f32' } },
  'precision=bf16': { to: { precision: 'bf16' } },
  'precision=f16': { to: { precision: 'f16' } },
  'gradientPrecision=f32': {
    given: { gradientPrecision: 'bf16' },
    to: { gradientPrecision: 'f32' },
    changes: 'processes',
    because: 'a process alone sends no gradients',
  },
  'gradientPrecision=bf16': {
    to: { gradientPrecision: 'bf16' },
    changes: 'processes',
    because: 'a process alone sends no gradients',
  },
  syncBatchNorm: {
    given: { batchNorm: true },
    to: { syncBatchNorm: true },
    changes: 'processes',
    because: 'the batch of a process alone is the batch of all',
  },
  threads: { to: { threads: 2 }, changes: 'nothing', because: 'sums are rounded in another order at most' },
  val: { to: { val: true } },
  'tta=none': { given: { tta: 'mirror' }, to: { tta: 'none' }, changes: 'evaluation' },
  'tta=mirror': { to: { tta: 'mirror' }, changes: 'evaluation' },
  'tta=mirror+shift': { to: { tta: 'mirror+shift' }, changes: 'evaluation' },
  evalEvery: { to: { evalEvery: 1 }, changes: 'nothing', because: atTheEnd },
  saveEvery: { to: { saveEvery: 1 }, changes: 'nothing', because: atTheEnd },
  saveEverySeconds: { to: { saveEverySeconds: 1e-6 }, changes: 'nothing', because: atTheEnd },
  logEvery: { to: { logEvery: 1 }, changes: 'nothing', because: atTheEnd },
  keepCheckpoints: { to: { keepCheckpoints: 1 }, changes: 'nothing', because: atTheEnd },
};

/**
 * What can be changed, by name: a key (`seed`), a value of a key with few (`tta=mirror`), a kind of a group (`schedule=cosine`), a key of a
 * group (`augmentation.cutout`) or of one kind of a group (`schedule(step).factor`). What has one value only is left out.
 */
function leavesOf(whole: z.core.$ZodType, name: string): string[] {
  const schema = unwrap(whole);
  if (schema instanceof z.ZodLiteral) return [];
  if (schema instanceof z.ZodEnum) return schema.options.map((value) => `${name}=${value}`);
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape).flatMap(([key, inner]) => leavesOf(inner as z.ZodType, `${name}.${key}`));
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return [name];
  const kinds = schema.options.map((option) => (option as z.ZodObject).shape);
  return kinds.flatMap((shape) => {
    const tag = Object.values(shape).find((inner) => inner instanceof z.ZodLiteral) as z.ZodLiteral;
    const others = Object.entries(shape).filter(([, inner]) => inner !== tag);
    const inner = others.flatMap(([key, value]) => leavesOf(value as z.ZodType, `${name}(${String(tag.value)}).${key}`));
    return kinds.length === 1 ? inner : [`${name}=${String(tag.value)}`, ...inner];
  });
}

interface Outcome {
  /** Of the weights that are evaluated; what the engine refuses has none. */
  readonly weights: string;
  readonly evaluation: unknown;
  /** What the engine and the other processes were asked for. */
  readonly asked: unknown;
}

const outcomes = new Map<string, Promise<Outcome>>();

/** What comes of a configuration; equal ones are trained once. */
function outcomeOf(config: TrainingConfig): Promise<Outcome> {
  const key = JSON.stringify(config);
  const known = outcomes.get(key) ?? trainOn(config);
  outcomes.set(key, known);
  return known;
}

async function trainOn(config: TrainingConfig): Promise<Outcome> {
  const asked: unknown[] = [];
  const collective: Collective = {
    ...singleProcess,
    backgroundSum(buffer, options) {
      asked.push(options?.precision);
      return singleProcess.backgroundSum(buffer);
    },
  };
  const engine: Engine = {
    ...referenceEngine,
    async compileTraining(network, options) {
      asked.push(options.sharedBatch !== undefined);
      return await referenceEngine.compileTraining(network, options);
    },
  };
  try {
    const { run, evaluations } = await train({ config, engine, collective, dataset, record: { runsFolder } });
    const { tensors } = loadCheckpoint(latestCheckpoint(run!)!.path);
    const evaluated = new Map([...tensors].filter(([name]) => !/^(opt|mask)\./.test(name)));
    const evaluation = evaluations.map(({ weights, loss, accuracy }) => ({ weights, loss, accuracy }));
    return { weights: weightsChecksum(evaluated), evaluation, asked };
  } catch (error) {
    expect((error as Error).message).toBe(`precision (="${config.precision}") must be "f32" on the reference engine`);
    return { weights: 'refused', evaluation: undefined, asked: [false, undefined, undefined, 'f32'] };
  }
}

/** The first run, from which others start and which teaches. */
beforeAll(async () => {
  const { run } = await train({
    config: resolveConfig(base, { seed: 5, steps: 1 }),
    engine: referenceEngine,
    dataset,
    record: { runsFolder },
  });
  expect(runName(run!)).toBe('tuto/1');
});

function differing(a: TrainingConfig, b: TrainingConfig): string[] {
  return Object.keys(a).filter((key) => JSON.stringify(a[key as 'seed']) !== JSON.stringify(b[key as 'seed']));
}

describe('changed alone', () => {
  test('every key of the schema has its entry, and nothing else has', () => {
    const keys = Object.entries(trainingConfigSchema.shape).flatMap(([key, schema]) => leavesOf(schema, key));
    expect(Object.keys(changes).sort()).toEqual(keys.sort());
  });

  test.each(Object.entries(changes))(
    '%s',
    async (name, { from = base, given = {}, to, changes: expected = 'weights', because }) => {
      const before = resolveConfig(from, given);
      // The name of a recipe alone, without what the recipe says.
      const after: TrainingConfig = name === 'recipe' ? { ...before, ...to } : resolveConfig(from, given, to);
      const key = /^\w+/.exec(name)![0];
      // A model's settings are its own.
      expect(differing(before, after)).toEqual(key === 'model' ? ['model', 'modelSettings'] : [key]);

      const [a, b] = [await outcomeOf(before), await outcomeOf(after)];
      expect({
        weights: a.weights !== b.weights,
        evaluation: JSON.stringify(a.evaluation) !== JSON.stringify(b.evaluation),
        asked: JSON.stringify(a.asked) !== JSON.stringify(b.asked),
      }).toEqual({
        weights: expected === 'weights',
        evaluation: ['weights', 'evaluation'].includes(expected),
        asked: expected === 'processes',
      });
      expect(runIdentity(after) === runIdentity(before)).toBe(expected === 'nothing');
      // Repetitions with other seeds are one experiment.
      expect(experimentIdentity(after) === experimentIdentity(before)).toBe(expected === 'nothing' || key === 'seed');
      if (expected !== 'weights' && expected !== 'evaluation') expect(because).toBeDefined();
    },
  );
});

describe('another seed', () => {
  /** A whole epoch a step, so that the order does not matter, from the same weights. */
  const alike: ConfigOverrides = { ...base, init: 'tuto/1', 'dense.dropout': 0, augment: false, batchSize: 10, steps: 1 };

  /** The largest distance between weights that two seeds come to. */
  async function distance(overrides: ConfigOverrides): Promise<number> {
    const [one, other] = await Promise.all(
      [1, 2].map(async (seed): Promise<ReadonlyMap<string, Tensor>> => {
        const config = resolveConfig(alike, { ...overrides, seed });
        const { run } = await train({ config, engine: referenceEngine, dataset, record: { runsFolder } });
        return loadCheckpoint(latestCheckpoint(run!)!.path).tensors;
      }),
    );
    const distances = [...one!].map(([name, { data }]) =>
      data.reduce((most, value, i) => Math.max(most, Math.abs(value - other!.get(name)!.data[i]!)), 0),
    );
    return Math.max(...distances);
  }

  test('changes nothing where nothing is drawn', async () => {
    expect(await distance({})).toBeLessThan(1e-6);
    expect(await distance({ seed: 1 })).toBeLessThan(1e-6);
  });

  test.each<[string, ConfigOverrides]>([
    ['the order', { batchSize: 5 }],
    ['dropout', { 'dense.dropout': 0.3 }],
    ['first values', { init: 'none' }],
    ['translations', { augment: true, augmentation: { randomCrop: false, flip: 'none', translate: 2 } }],
    ['crops', { augment: true, augmentation: { randomCrop: true, flip: 'none' } }],
    ['flips', { augment: true, augmentation: { randomCrop: false, flip: 'random' } }],
    ['alternating flips', { augment: true, augmentation: { randomCrop: false, flip: 'alternating' } }],
    [
      'brightness',
      { augment: true, augmentation: { randomCrop: false, flip: 'none', brightness: 40 }, standardization: constants },
    ],
    ['contrast', { augment: true, augmentation: { randomCrop: false, flip: 'none', contrast: [0.5, 1.5] } }],
    ['cutouts', { augment: true, augmentation: { randomCrop: false, flip: 'none', cutout: 3 } }],
    ['mixtures', { augment: true, augmentation: { randomCrop: false, flip: 'none', mixup: 1 } }],
    ['boxes', { augment: true, augmentation: { randomCrop: false, flip: 'none', cutmix: 1 } }],
  ])('changes %s, and by it the weights', async (_, overrides) => {
    expect(await distance(overrides)).toBeGreaterThan(1e-5);
  });
});
