/**
 * The training configuration: every key, its type and what it allows. The text given to each rule completes the sentence
 * "<key> (=<value>) must be ...". Strict throughout: a key that is not here is an error. Keys with a default on the outside are younger
 * than some recorded configurations, which do not have them.
 */
import * as z from 'zod';
import { mostThreads } from '../util/cpu.ts';
import { ttaLevels } from './test-time-augmentation.ts';

const aboveZero = 'a number above 0';

function integer(minimum: number) {
  const allowed =
    minimum === 0 ? 'an integer of at least 0' : minimum === 1 ? 'a positive integer' : `an integer of at least ${minimum}`;
  return z.int(allowed).min(minimum, allowed);
}

const positive = z.number(aboveZero).positive(aboveZero);
const nonNegative = z.number('a number of at least 0').min(0, 'a number of at least 0');
const flag = z.boolean('true or false');
const name = z.string('a name').min(1, 'a name');

const threadsText = `an integer from 1 to ${mostThreads}`;

/** A number from 0 to below 1. */
const share = z.number('a number in [0, 1)').min(0, 'a number in [0, 1)').lt(1, 'a number in [0, 1)');
/** A number from 0 to 1. */
const fraction = z.number('a number in [0, 1]').min(0, 'a number in [0, 1]').max(1, 'a number in [0, 1]');

const schedule = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('constant') }),
    z.strictObject({
      type: z.literal('step'),
      milestones: z.array(fraction, 'a list of fractions of the run, each in [0, 1]').default([0.5, 0.75]),
      factor: positive.default(0.1),
    }),
    z.strictObject({ type: z.literal('cosine'), warmup: share.default(0), final: fraction.default(0) }),
    z.strictObject({
      type: z.literal('oneCycle'),
      warmup: share.default(0.15),
      initial: fraction.default(0),
      final: fraction.default(0),
    }),
    z.strictObject({
      type: z.literal('triangular'),
      warmup: share.default(0.23),
      initial: fraction.default(0.2),
      final: fraction.default(0.07),
    }),
  ],
  'one of constant, step, cosine, oneCycle, triangular',
);

const learningRateScaling = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('none') }),
      z.strictObject({
        type: z.literal('linear'),
        referenceBatchSize: integer(1).default(128),
        warmup: share.default(0.05),
      }),
    ],
    'one of none, linear',
  )
  .default({ type: 'none' });

const optimizer = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('sgd'),
      momentum: share.default(0),
      nesterov: flag.default(false),
      /** Whether `learningRate` is per 1024 examples and the same for every momentum: optimizers/decoupling.ts. */
      decoupled: flag.default(false),
    }),
  ],
  'sgd',
);

const weightDecay = z.discriminatedUnion(
  'rule',
  [
    z.strictObject({ rule: z.literal('none'), value: z.literal(0, '0 for the rule "none"').default(0) }),
    z.strictObject({ rule: z.literal('2017'), value: nonNegative }),
    z.strictObject({ rule: z.literal('coupled'), value: nonNegative.default(5e-4) }),
    z.strictObject({ rule: z.literal('decoupled'), value: nonNegative.default(5e-3) }),
    z.strictObject({ rule: z.literal('independent'), value: nonNegative.default(0.0153) }),
  ],
  'one of none, study, coupled, decoupled, independent',
);

const movingAverage = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({ type: z.literal('exponential'), decay: share.default(0.9999), warmup: flag.default(true) }),
  ],
  'one of none, exponential',
);

const lookahead = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({
      type: z.literal('lookahead'),
      every: integer(1).default(5),
      decay: share.default(0.95 ** 5),
      power: nonNegative.default(3),
    }),
  ],
  'one of none, lookahead',
);

const pruning = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    /** The weights of least magnitude become zero and stay so: train/magnitude-pruning.ts. */
    z.strictObject({
      type: z.literal('magnitude'),
      /** Part of the weights (of convolutions and dense layers, biases not counted) that is zero in the end. */
      sparsity: share,
      /** Whether weights compete with all others, or each layer loses the same part. */
      scope: z.enum(['global', 'layer'], 'one of global, layer').default('global'),
      /** Times that weights are pruned, each followed by an equal part of the run's steps. */
      rounds: integer(1).default(1),
      /** How the sparsity grows over the rounds. */
      growth: z.enum(['cubic', 'geometric'], 'one of cubic, geometric').default('cubic'),
      /**
       * What starts over in each round: nothing (`none`: the schedule goes over the whole run), the schedules of learning rate and averages
       * (`rate`), or also the weights that are left, which go back to those of a run or file of weights that is named here.
       */
      rewind: z.string('none, rate, a run or a file of weights').min(1, 'none, rate, a run or a file of weights').default('rate'),
    }),
  ],
  'one of none, magnitude',
);

const augmentation = z.strictObject(
  {
    translate: integer(0),
    randomCrop: flag,
    flip: z.enum(['none', 'random', 'alternating'], 'one of none, random, alternating'),
    brightness: nonNegative,
    contrast: z.tuple([nonNegative, nonNegative], 'two numbers [low, high]'),
    cutout: integer(0),
  },
  'a group of keys: translate, randomCrop, flip, brightness, contrast, cutout',
);

const perChannelText = 'a number, or a list with one for each channel';
/** One number holds for all channels. */
const perChannel = z.union([z.number(), z.array(z.number())], perChannelText);
/**
 * (x - 128) / 64 of a byte x: what a microcontroller does to an image without arithmetic, since its bytes less 128 are the integers that its
 * network computes with.
 */
const byteConstants = { mean: 128 / 255, deviation: 64 / 255 };
const standardization = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('image') }),
    z.strictObject({
      type: z.literal('channel'),
      mean: perChannel.default(byteConstants.mean),
      deviation: perChannel.default(byteConstants.deviation),
    }),
  ],
  'one of image, channel',
);

const initializer = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('model') }),
    z.strictObject({ type: z.literal('xavierTruncatedNormal') }),
    z.strictObject({ type: z.literal('heNormal') }),
    z.strictObject({ type: z.literal('xavierUniform') }),
    z.strictObject({ type: z.literal('uniformFanIn') }),
    z.strictObject({ type: z.literal('dirac') }),
    z.strictObject({ type: z.literal('truncatedNormal'), standardDeviation: positive.default(0.05) }),
  ],
  'one of model, xavierTruncatedNormal, heNormal, xavierUniform, uniformFanIn, dirac, truncatedNormal',
);

export const trainingConfigSchema = z.strictObject({
  model: name,
  /** Settings of the model by dotted name, all filled in. */
  modelSettings: z.record(z.string(), z.union([z.boolean(), z.number(), z.string()])),
  /** `cifar10`, `synthetic` or `images:<folder>`. */
  dataset: name,
  recipe: name,
  /** Length of the run in optimizer steps. */
  steps: integer(1),
  /** Examples per step, over all processes together. */
  batchSize: integer(1),
  /** Peak of the schedule. */
  learningRate: positive,
  schedule,
  /** How the peak follows the batch size, for large batches on many processes. */
  learningRateScaling,
  optimizer,
  /** Learning rate of each kind of parameter relative to the schedule's. */
  learningRateMultipliers: z.strictObject(
    { weight: nonNegative, bias: nonNegative, scale: nonNegative, shift: nonNegative },
    'a group of keys: weight, bias, scale, shift',
  ),
  weightDecay,
  labelSmoothing: share,
  movingAverage,
  lookahead: lookahead.default({ type: 'none' }),
  /** Part of the run in which the biases of whitening layers are trained; then they are frozen, as their weights are from the start. */
  trainWhiteningBias: fraction.default(1),
  /** Whether training images are changed at random as `augmentation` says. */
  augment: flag,
  augmentation,
  /** Side of the network's input in pixels: images are cropped to it; `full` is the images' own size. */
  inputSize: z.union([integer(1), z.literal('full')], 'a positive integer, or "full" for the size of the images'),
  standardization,
  /** How weights get their first values; `model` leaves it to the model. */
  initializer,
  /** A run or file of weights to start from, its masks of pruned weights included; `none` starts from first values. */
  init: name.default('none'),
  pruning: pruning.default({ type: 'none' }),
  /** A run or file of weights whose outputs are learnt beside the labels (distillation); `none` for the labels alone. */
  teacher: name.default('none'),
  /** SHA-256 of the teacher's weights, filled in when training starts: a run is not continued with another teacher. */
  teacherChecksum: z.string('a SHA-256 in hexadecimal digits').default(''),
  /** Weight of the teacher's part in the loss; the labels' part has the rest. */
  teacherWeight: fraction.default(0.5),
  /** Both outputs are divided by it before they are compared: the higher, the more counts what the teacher thinks of the wrong classes. */
  teacherTemperature: positive.default(4),
  seed: integer(0),
  precision: z.enum(['f32', 'bf16'], 'one of f32, bf16'),
  /** How gradients travel between processes that train together; a process alone sends none. */
  gradientPrecision: z.enum(['f32', 'bf16'], 'one of f32, bf16').default('f32'),
  /** Batch normalization over the batch of all processes; by default each process normalizes with the statistics of its own part. */
  syncBatchNorm: flag.default(false),
  /** OpenMP threads of this process. */
  threads: z.int(threadsText).min(1, threadsText).max(mostThreads, threadsText),
  /** Keep the last training images (5,000, or a tenth of fewer than 50,000) out of training and evaluate on them rather than on the test set. */
  val: flag,
  /** Test-time augmentation: the views of each image whose logits an evaluation averages. */
  tta: z.enum(ttaLevels, `one of ${ttaLevels.join(', ')}`).default('none'),
  /** Steps between evaluations; 0 evaluates at the end only. */
  evalEvery: integer(0),
  /** Steps between checkpoints; 0 saves at the end only. There is always one at the end. */
  saveEvery: integer(0),
  /** Also save when this many seconds have passed since the last checkpoint; 0 is off. */
  saveEverySeconds: nonNegative,
  /** Steps between records of the training loss. */
  logEvery: integer(1),
  /** Newest checkpoints kept; 0 keeps all. */
  keepCheckpoints: integer(0),
});

/** A complete configuration: what a run records, and all that it needs beside the engine and the data. */
export type TrainingConfig = Readonly<z.output<typeof trainingConfigSchema>>;

/** Keys as a user gives them: any subset, dotted names (`schedule.warmup`, `model.lrn`) and short forms (`schedule: cosine`) included. */
export type ConfigOverrides = Readonly<Record<string, unknown>>;

/** Keys as a recipe states them. */
export type RecipeSettings = Readonly<Partial<Omit<z.input<typeof trainingConfigSchema>, 'weightDecay'>>> & {
  /** Without a value, the rule 2017 takes the model's. */
  readonly weightDecay?: { readonly rule: 'none' | '2017' | 'coupled' | 'decoupled' | 'independent'; readonly value?: number };
};

export const configKeys: readonly string[] = Object.keys(trainingConfigSchema.shape);
