/** Trainers against the formulas of test/plain-training.ts, which are written independently: a deterministic error shows, too. */
import { describe, expect, test } from 'vitest';
import { change } from '../../test/arrays.ts';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { plainTraining, type PlainStep } from '../../test/plain-training.ts';
import { singleProcess, type Collective, type Numbers, type Stageable } from '../cluster/collective.ts';
import type { Batch } from '../data/batch.ts';
import { createFill } from '../data/fill.ts';
import { splitOf } from '../data/image-set.ts';
import type { DeviceArray, ForwardOptions, TrainingPlan } from '../engine/engine.ts';
import { newArray } from '../engine/reference/array.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { createClassifier, trainingPreprocessing } from './classifier.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { initializeParameters } from './initialize.ts';
import type { Teacher } from './teacher.ts';
import { createTrainer, DivergenceError, trainingOptions, type Trainer } from './trainer.ts';

const dataset = noiseDataset(8, { train: 10, test: 4 });

const tiny: ConfigOverrides = {
  model: 'tuto',
  dataset: 'noise',
  'conv1.filters': 2,
  'conv1.kernel': 3,
  'conv2.filters': 3,
  'conv2.kernel': 3,
  'dense1.features': 5,
  'dense2.features': 4,
  batchSize: 4,
  steps: 7,
  inputSize: 6,
  threads: 1,
};

interface Made {
  readonly config: TrainingConfig;
  readonly plan: TrainingPlan;
  readonly trainer: Trainer;
  batch(step: number): Batch;
}

/** A trainer on the reference engine, with the batches that its data loader would give it. */
async function make(
  config: TrainingConfig,
  more: { teacher?: Teacher; collective?: Collective; batchSize?: number } = {},
): Promise<Made> {
  const { collective = singleProcess, batchSize = config.batchSize } = more;
  const classifier = createClassifier(config, dataset);
  const { network } = classifier;
  const preprocessing = trainingPreprocessing(classifier, config);
  const plan = await referenceEngine.compileTraining(network, { ...trainingOptions(config, singleProcess), batchSize });
  await initializeParameters(plan.parameters, config.seed, config.initializer);
  const { rank, worldSize } = collective;
  const fill = createFill({
    images: splitOf(dataset, 'train', config.val),
    shape: dataset.shape,
    preprocessing,
    batchSize,
    task: { type: 'training', seed: config.seed, firstStep: 0, rank, worldSize },
  });
  return {
    config,
    plan,
    trainer: createTrainer(plan, config, collective, more.teacher),
    batch(step) {
      const mixed = { labels: new Uint8Array(batchSize), share: Float64Array.of(-1) };
      const slot = { inputs: new Float32Array(plan.input.length), labels: new Uint8Array(batchSize), mixed };
      fill(step, slot);
      const share = mixed.share[0]!;
      return { ...slot, count: batchSize, mixed: share < 0 ? undefined : { ...mixed, share } };
    },
  };
}

/** That float32 arrays are those of the formulas, to what rounding leaves. */
async function expectTensors(trainer: Trainer, expected: PlainStep): Promise<void> {
  const state = await trainer.state();
  expect([...state.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
  for (const [name, { data }] of state) {
    const values = expected.tensors.get(name)!;
    const scale = Math.max(1e-3, ...values.map(Math.abs));
    const distance = data.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
    expect(distance / scale, name).toBeLessThan(2e-5);
  }
}

async function takeStep(trainer: Trainer, batch: Batch): Promise<{ readonly loss: number; readonly stop: boolean }> {
  const stop = await trainer.train(batch, false);
  const [loss, ...more] = await trainer.losses();
  expect(more).toEqual([]);
  return { loss: loss!, stop };
}

async function follow({ config, trainer, batch }: Made, expected: readonly PlainStep[], from = 0): Promise<void> {
  for (let step = from; step < config.steps; step++) {
    expect(trainer.step).toBe(step);
    expect(trainer.learningRate()).toBeCloseTo(expected[step]!.learningRate, 9);
    const { loss, stop } = await takeStep(trainer, batch(step));
    expect(stop).toBe(false);
    expect(Math.abs(loss / expected[step]!.loss - 1)).toBeLessThan(1e-5);
    const decay = expected[step]!.weightDecayLoss;
    expect(Math.abs((await trainer.weightDecayLoss()) - decay)).toBeLessThanOrEqual(1e-5 * decay);
    await expectTensors(trainer, expected[step]!);
  }
}

const momentum = { 'optimizer.momentum': 0.9 };
const nesterov = { ...momentum, 'optimizer.nesterov': true };
/** With an epsilon that keeps gradients of nothing but rounding from counting as much as others. */
const adam = { 'optimizer.type': 'adamw', learningRate: 0.01, 'optimizer.epsilon': 1e-4 };
const muon = { 'optimizer.type': 'muon', learningRate: 0.05 };
const pruning = { pruning: 'magnitude', 'pruning.sparsity': 0.6, 'pruning.rounds': 3, steps: 9 };

/** Each with what it is for. Together they use every key that decides an update. */
const cases: readonly (readonly [string, ConfigOverrides])[] = [
  ['the 2017 recipe: plain steps, decay of regularized weights, averages', {}],
  ['the modern recipe with dropout', { recipe: 'modern', batchNorm: true, 'dense.dropout': 0.4, seed: 3 }],
  ['every augmentation, constants by channel', augmented()],
  ['mixup of whole batches', { 'augmentation.mixup': 0.7 }],
  ['mixup or cutmix, label smoothing', { 'augmentation.mixup': 0.4, 'augmentation.cutmix': 1, labelSmoothing: 0.2 }],
  ['whole images, one average without a warm-up', { augment: false, 'movingAverage.decay': 0.7, 'movingAverage.warmup': false }],
  ['an average whose warm-up ends', { 'movingAverage.decay': 0.2, steps: 9 }],
  ['momentum, decay of all weights in the loss', { ...momentum, weightDecay: { rule: 'coupled', value: 0.1 } }],
  ['Nesterov, decoupled decay', { ...nesterov, weightDecay: { rule: 'decoupled', value: 0.5 }, learningRate: 0.05 }],
  [
    'decoupled rate and decay, multipliers',
    {
      ...nesterov,
      ...{ 'optimizer.decoupled': true, weightDecay: { rule: 'independent', value: 0.3 }, learningRate: 20 },
      learningRateMultipliers: { weight: 1.5, bias: 3, scale: 0.5, shift: 0 },
      batchNorm: true,
    },
  ],
  [
    'label smoothing, steps of the rate',
    { labelSmoothing: 0.3, schedule: { type: 'step', milestones: [0.25, 0.5], factor: 0.3 } },
  ],
  ['a cosine', { schedule: { type: 'cosine', warmup: 0.4, final: 0.1 }, steps: 10 }],
  ['one cycle', { schedule: { type: 'oneCycle', warmup: 0.3, initial: 0.1, final: 0.02 }, steps: 10 }],
  ['a triangle, linear scaling', { schedule: { type: 'triangular', warmup: 0.5, initial: 0.1, final: 0.2 }, ...scaled() }],
  ['slow weights every second step', { lookahead: { type: 'lookahead', every: 2, decay: 0.9, power: 1 }, ...momentum }],
  ['slow weights every fifth of 23 steps', { lookahead: true, steps: 23, movingAverage: false }],
  ['another seed, validation images kept out', { seed: 7, val: true }],
  ['pruning that starts over, momentum and all', { ...pruning, ...momentum, lookahead: true, 'lookahead.every': 2 }],
  [
    'pruning over the whole run, by layer',
    { ...pruning, ...nesterov, learningRate: 0.02, 'pruning.rewind': 'none', 'pruning.scope': 'layer' },
  ],
  ['adamw', { ...adam, weightDecay: { rule: 'decoupled', value: 0.5 }, movingAverage: false, steps: 10 }],
  [
    'adamw, decay in the loss, other momenta, slow weights',
    {
      ...adam,
      ...{ 'optimizer.beta1': 0.6, 'optimizer.beta2': 0.9, 'optimizer.epsilon': 1e-3 },
      ...{ weightDecay: { rule: 'coupled', value: 0.1 }, lookahead: true, 'lookahead.every': 2 },
    },
  ],
  ['muon', { ...muon, weightDecay: { rule: 'coupled', value: 0.1 }, learningRateMultipliers: { weight: 2, bias: 3 } }],
  [
    'muon with other momenta, more iterations, independent decay, along a line',
    {
      ...muon,
      ...{ 'optimizer.momentum': 0.3, 'optimizer.nesterov': false, 'optimizer.otherMomentum': 0.7, 'optimizer.iterations': 5 },
      ...{ weightDecay: { rule: 'independent', value: 0.01 }, schedule: { type: 'linear', warmup: 0.3, final: 0.2 } },
    },
  ],
  ['muon with decoupled decay and pruning', { ...muon, ...pruning, weightDecay: { rule: 'decoupled', value: 0.3 } }],
  ['adamw and pruning that starts over', { ...adam, ...pruning }],
  ['adamw and pruning over the whole run', { ...adam, ...pruning, 'pruning.rewind': 'none' }],
  ['pruning of equal parts', { ...pruning, ...momentum, 'pruning.growth': 'geometric', schedule: 'cosine' }],
];

function augmented(): ConfigOverrides {
  const augmentation = { translate: 1, randomCrop: true, flip: 'alternating', brightness: 30, contrast: [0.5, 1.5], cutout: 3 };
  return { augmentation, standardization: { type: 'channel', mean: [0.5, 0.4, 0.3], deviation: [0.2, 0.3, 0.4] } };
}

function scaled(): ConfigOverrides {
  return { learningRateScaling: { type: 'linear', referenceBatchSize: 2, warmup: 0.4 }, learningRate: 0.05, steps: 10 };
}

describe('is what the formulas say', () => {
  test.each(cases)('%s', async (_, overrides) => {
    const config = resolveConfig(tiny, overrides);
    await follow(await make(config), plainTraining(config, dataset));
  });

  test.each(cases)('taken up from what was saved in between: %s', async (_, overrides) => {
    const config = resolveConfig(tiny, overrides);
    const expected = plainTraining(config, dataset);
    const first = await make(config);
    for (let step = 0; step < 4; step++) await first.trainer.train(first.batch(step), false);
    const second = await make(config);
    await second.trainer.restore(await first.trainer.state(), 4, 'the first');
    await expectTensors(second.trainer, expected[3]!);
    await follow(second, expected, 4);
  });

  test.each([
    [0.3, 1],
    [0.8, 3],
  ])('a teacher of weight %f at temperature %f', async (teacherWeight, teacherTemperature) => {
    const given = { labelSmoothing: 0.1, 'augmentation.cutmix': teacherTemperature - 1 };
    const config = { ...resolveConfig(tiny, given), teacher: 'another', teacherWeight, teacherTemperature };
    const logits = (inputs: Float32Array): Float32Array => Float32Array.from({ length: 16 }, (_, i) => 3 * inputs[7 * i]!);
    const made = await make(config, { teacher: teacherSaying(logits) });
    await follow(made, plainTraining(config, dataset, { teacher: logits }));
  });

  test('weights that pruning goes back to', async () => {
    const config = resolveConfig(tiny, { ...pruning, ...momentum, 'pruning.rewind': 'tuto/1' });
    const origin = await (await make(resolveConfig(tiny, { seed: 9 }))).trainer.state();
    const rewindTo = new Map([...origin].map(([name, { data }]) => [name, data]));
    const made = await make(config);
    await made.trainer.takeRewind(origin, 'the origin');
    await follow(made, plainTraining(config, dataset, { rewindTo }));
  });

  test.each(['heNormal', 'xavierUniform', 'uniformFanIn', 'dirac', 'truncatedNormal'])(
    'first values: %s',
    async (initializer) => {
      const config = resolveConfig(tiny, { initializer, steps: 2 });
      await follow(await make(config), plainTraining(config, dataset));
    },
  );
});

/** A teacher with the logits that a function gives. */
function teacherSaying(logits: (inputs: Float32Array) => Float32Array): Teacher {
  return {
    logits(inputs) {
      const values = logits(inputs);
      const array = newArray(values.length);
      // On the host it is written at once.
      void array.write(values);
      return array;
    },
    dispose: () => undefined,
  };
}

/** One of two processes: what the other one adds to a sum is said beforehand. */
function halfOf(rank: number, other: (numbers: Numbers) => ArrayLike<number> | undefined): Collective {
  const add = (numbers: Numbers): void => {
    const theirs = other(numbers) ?? [];
    for (let i = 0; i < theirs.length; i++) numbers[i]! += theirs[i]!;
  };
  return {
    ...singleProcess,
    rank,
    worldSize: 2,
    sum: add,
    backgroundSum: (buffer) => ({ advance: () => undefined, finish: () => inHostMemory(buffer, add) }),
  };
}

/** Does something to numbers, wherever they are. */
async function inHostMemory(buffer: Numbers | Stageable, work: (numbers: Numbers) => void): Promise<void> {
  if (!('stage' in buffer)) {
    work(buffer);
    return;
  }
  const staged = buffer.stage();
  await staged.fetch();
  work(staged.host);
  await staged.store();
}

/** Processes that send each other everything by one function of bytes. */
function broadcasting(broadcast: (bytes: Uint8Array) => void): Collective {
  const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers) => new Uint8Array(buffer, byteOffset, byteLength);
  return {
    ...singleProcess,
    broadcast,
    broadcastArray: (array) => inHostMemory(array, (numbers) => broadcast(bytesOf(numbers))),
  };
}

function elementsOf(array: DeviceArray | undefined): Promise<Float32Array> | undefined {
  return array?.read();
}

describe('one of two processes', () => {
  const config = resolveConfig(tiny, { 'dense.dropout': 0.5, augment: false, inputSize: 6, labelSmoothing: 0.1 });

  test('gives its part of the gradient of the mean loss, with its own dropout masks', async () => {
    const whole = await make(config);
    const { loss } = await takeStep(whole.trainer, whole.batch(0));
    const parts = await Promise.all(
      [0, 1].map(async (rank) => {
        const drawn: ForwardOptions[] = [];
        const made = await make(config, { batchSize: 2, collective: halfOf(rank, () => undefined) });
        const forward = made.plan.forward.bind(made.plan);
        made.plan.forward = (draws) => {
          drawn.push(draws);
          forward(draws);
        };
        const result = await takeStep(made.trainer, made.batch(0));
        expect(drawn).toEqual([{ seed: config.seed, step: 0, firstExample: 2 * rank }]);
        return { loss: result.loss, gradients: await made.plan.parameters.gradients.read() };
      }),
    );
    expect(parts[0]!.loss + parts[1]!.loss).toBeCloseTo(loss, 6);
    (await whole.plan.parameters.gradients.read()).forEach((gradient, i) => {
      expect(parts[0]!.gradients[i]! + parts[1]!.gradients[i]!).toBeCloseTo(gradient, 6);
    });
  });

  test('with the sums of both takes the step of one process alone; statistics are the mean of theirs', async () => {
    const normalized = resolveConfig(tiny, { batchNorm: true, augment: false, inputSize: 6, movingAverage: true });
    // Both processes see the same two images, so that their batch normalization is that of both together.
    const made = await make(normalized, { batchSize: 2, collective: halfOf(1, (buffer) => buffer.slice()) });
    const alone = await make({ ...normalized, batchSize: 2 }, { batchSize: 2 });
    for (let step = 0; step < 3; step++) {
      const batch = alone.batch(step);
      const { loss } = await takeStep(made.trainer, batch);
      expect(loss).toBeCloseTo((await takeStep(alone.trainer, batch)).loss, 6);
    }
    const expected = await alone.trainer.state();
    for (const [name, { data }] of await made.trainer.state()) {
      data.forEach((value, i) => expect(value, name).toBeCloseTo(expected.get(name)!.data[i]!, 5));
    }
  });

  test('stops when the other is asked to, and says so to it', async () => {
    const asks = async (mine: boolean, theirs: number): Promise<[boolean, number]> => {
      let told = 0;
      const listen = (numbers: Numbers): number[] | undefined => {
        if (!(numbers instanceof Float64Array)) return undefined;
        told = numbers[0]!;
        return [theirs];
      };
      const made = await make(config, { batchSize: 2, collective: halfOf(0, listen) });
      return [await made.trainer.train(made.batch(0), mine), told];
    };
    expect(await asks(false, 0)).toEqual([false, 0]);
    expect(await asks(true, 0)).toEqual([true, 1]);
    expect(await asks(false, 1)).toEqual([true, 0]);
    expect(await asks(true, 1)).toEqual([true, 1]);
  });

  test('announces gradients by layer and in the precision of the configuration', async () => {
    const sums: { length: number; options: unknown }[] = [];
    const collective: Collective = {
      ...singleProcess,
      backgroundSum(buffer, options) {
        sums.push({ length: 'stage' in buffer ? buffer.stage().host.length : buffer.length, options });
        return singleProcess.backgroundSum(buffer);
      },
    };
    const { plan } = await make({ ...config, gradientPrecision: 'bf16' }, { collective });
    const boundaries = plan.parameters.entries.map(({ offset }) => offset);
    expect(sums).toEqual([
      { length: 1, options: undefined },
      { length: 0, options: undefined },
      { length: plan.parameters.trainableLength, options: { boundaries, precision: 'bf16' } },
    ]);
  });

  test('gets the whole state of process 0', async () => {
    const overrides = { ...pruning, ...momentum, lookahead: true, 'lookahead.every': 2, 'pruning.rewind': 'tuto/1' };
    const { trainer: first, batch } = await make(resolveConfig(tiny, overrides));
    for (let step = 0; step < 4; step++) await first.train(batch(step), false);
    const sent: Uint8Array[] = [];
    const sender = await make(resolveConfig(tiny, overrides), {
      collective: broadcasting((bytes) => sent.push(bytes.slice())),
    });
    await sender.trainer.restore(await first.state(), 4, 'the first');
    await sender.trainer.synchronize();
    const receiver = await make(resolveConfig(tiny, { ...overrides, seed: 5 }), {
      collective: broadcasting((bytes) => bytes.set(sent.shift()!)),
    });
    await receiver.trainer.synchronize();
    expect(sent).toEqual([]);
    expect(receiver.trainer.step).toBe(4);
    expect(await receiver.trainer.state()).toEqual(await first.state());
    expect(await elementsOf(receiver.trainer.masks())).toEqual(await elementsOf(first.masks()));
  });
});

describe('stops a training that is lost', () => {
  test.each([
    ['no number', NaN, 'the loss is NaN'],
    ['without bound', Infinity, 'the loss is NaN'],
    ['beyond hope', 2e7, /the loss is \d/],
  ])('with a loss that is %s, whenever it is looked at', async (_, bias, message) => {
    const { trainer, plan, batch } = await make(resolveConfig(tiny));
    await trainer.train(batch(0), false);
    const entry = plan.parameters.entries.find(({ spec }) => spec.name === 'logits.bias')!;
    await plan.parameters.write(entry, Float32Array.of(bias, 0, 0, 0), plan.parameters.values);
    await trainer.train(batch(1), false);
    await trainer.train(batch(2), false);
    const failure: unknown = await trainer.losses().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DivergenceError);
    expect((failure as DivergenceError).message).toMatch(message);
    expect((failure as DivergenceError).message).toMatch(/^training diverged: .* at step 2$/);
    expect((failure as DivergenceError).fix).toBe('Lower the learning rate, or give the schedule a warm-up');
    expect((failure as DivergenceError).step).toBe(2);
    expect(trainer.step).toBe(1);
  });

  test('in float16, whose numbers end early, another precision is an advice too', () => {
    const error = new DivergenceError('the loss is NaN', 3, 'f16', '; all is kept');
    expect(error.message).toBe('training diverged: the loss is NaN at step 3; all is kept');
    expect(error.fix).toBe(
      'Lower the learning rate, or give the schedule a warm-up, or compute in more than float16: --precision f32',
    );
  });

  test('losses are told once, each in its turn', async () => {
    const config = resolveConfig(tiny);
    const { trainer, batch } = await make(config);
    const expected = plainTraining(config, dataset).map(({ loss }) => expect.closeTo(loss, 4) as number);
    for (let step = 0; step < 3; step++) await trainer.train(batch(step), false);
    expect([...(await trainer.losses())]).toEqual(expected.slice(0, 3));
    await trainer.train(batch(3), false);
    expect([...(await trainer.losses())]).toEqual([expected[3]]);
    expect([...(await trainer.losses())]).toEqual([]);
  });

  test('with a loss just below what is hopeless it goes on', async () => {
    const { trainer, plan, batch } = await make(resolveConfig(tiny));
    const entry = plan.parameters.entries.find(({ spec }) => spec.name === 'logits.bias')!;
    await plan.parameters.write(entry, Float32Array.of(9e5, 0, 0, 0), plan.parameters.values);
    expect((await takeStep(trainer, batch(0))).loss).toBeGreaterThan(1e5);
  });

  test('with a parameter that is not finite, when it would be saved', async () => {
    const { trainer, plan } = await make(resolveConfig(tiny));
    await change(plan.parameters.values, (value, i) => (i === 3 ? Infinity : value));
    await expect(trainer.state()).rejects.toThrow('training diverged: a parameter is not finite at step 0');
  });
});

test('the weights to evaluate: as trained, and averages where they are kept', async () => {
  const { trainer, plan, batch } = await make(resolveConfig(tiny));
  await trainer.train(batch(0), false);
  expect(trainer.weights('raw')).toBe(plan.parameters.values);
  expect(await elementsOf(trainer.weights('ema'))).not.toEqual(await plan.parameters.values.read());
  expect((await make(resolveConfig(tiny, { movingAverage: false }))).trainer.weights('ema')).toBeUndefined();
});
