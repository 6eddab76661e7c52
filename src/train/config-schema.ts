/**
 * The training configuration: every key, its type, what it allows, and its value where nobody gives one. What has no default is given by every
 * recipe. Strict throughout: a key that is not here is an error. The text given to a rule completes the sentence "<key> (=<value>) must be ...";
 * without one, its bounds say it (util/schema.ts).
 */
import * as z from 'zod';
import { augmentationSchema } from '../data/preprocessing.ts';
import { precisions } from '../engine/engine.ts';
import { mostSteps, mostThreads } from '../util/largest.ts';
import { optimizerSchema } from './optimizers/registry.ts';
import { weightDecaySchema } from './optimizers/weight-decay.ts';
import { learningRateScalingSchema, scheduleSchema } from './schedules.ts';
import { ttaLevels } from './test-time-augmentation.ts';

const count = z.int().min(1);
const countOrNone = z.int().min(0);
const positive = z.number().positive();
const nonNegative = z.number().min(0);
const flag = z.boolean();
const name = z.string('a name').min(1);
/** A number from 0 to below 1. */
const share = z.number().min(0).lt(1);
/** A number from 0 to 1. */
const fraction = z.number().min(0).max(1);

const movingAverage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({
    type: z.literal('exponential'),
    decay: share.default(0.9999),
    /** Start with a short memory: decay = min(decay, (1 + t) / (10 + t)), t the steps taken (TensorFlow's rule). */
    warmup: flag.default(true),
  }),
]);

/** Slow weights that follow the trained ones: train/lookahead.ts. */
const lookahead = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({
    type: z.literal('lookahead'),
    /** Steps between updates. */
    every: count.default(5),
    /** Weight of the old slow weights at the end of the run. */
    decay: share.default(0.95 ** 5),
    /** How late the weight of the old grows; 0 for a constant. */
    power: nonNegative.default(3),
  }),
]);

/** The weights of least magnitude become zero and stay so: train/magnitude-pruning.ts. */
export const magnitudePruning = z.strictObject({
  type: z.literal('magnitude'),
  /** Part of the weights (of convolutions and dense layers, biases not counted) that is zero in the end. */
  sparsity: share,
  /** Whether weights compete with all others, or each layer loses the same part. */
  scope: z.enum(['global', 'layer']).default('global'),
  /** Times that weights are pruned, each followed by an equal part of the run's steps. */
  rounds: count.default(1),
  /** How the sparsity grows over the rounds. */
  growth: z.enum(['cubic', 'geometric']).default('cubic'),
  /**
   * What starts over in each round: nothing (`none`: the schedule goes over the whole run), the schedules of learning rate and averages
   * (`rate`), or also the weights that are left, which go back to those of a run or file of weights that is named here.
   */
  rewind: z.string('none, rate, a run or a file of weights').min(1).default('rate'),
});

const pruning = z.discriminatedUnion('type', [z.strictObject({ type: z.literal('none') }), magnitudePruning]);

/** One number holds for all channels. */
const perChannel = z.union([z.number(), z.array(z.number())], 'a number, or a list with one for each channel');
/**
 * (x - 128) / 64 of a byte x: what a microcontroller does to an image without arithmetic, since its bytes less 128 are the integers that its
 * network computes with.
 */
const byteConstants = { mean: 128 / 255, deviation: 64 / 255 };
const standardization = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('image') }),
  z.strictObject({
    type: z.literal('channel'),
    mean: perChannel.default(byteConstants.mean),
    deviation: perChannel.default(byteConstants.deviation),
  }),
]);

const initializer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('model') }),
  z.strictObject({ type: z.literal('xavierTruncatedNormal') }),
  z.strictObject({ type: z.literal('heNormal') }),
  z.strictObject({ type: z.literal('xavierUniform') }),
  z.strictObject({ type: z.literal('uniformFanIn') }),
  z.strictObject({ type: z.literal('dirac') }),
  z.strictObject({ type: z.literal('truncatedNormal'), standardDeviation: positive.default(0.05) }),
]);

export const trainingConfigSchema = z.strictObject({
  model: z.string('the name of a model').min(1),
  /** Settings of the model by dotted name, all filled in. */
  modelSettings: z.record(z.string(), z.union([z.boolean(), z.number(), z.string()])),
  dataset: z.string('cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder> or a file').min(1).default('cifar10'),
  recipe: z.string('the name of a recipe').min(1),
  /** Length of the run in optimizer steps. */
  steps: count.max(mostSteps),
  /**
   * Length of the run in passes over the training images, in place of steps. `auto`: the recipe's steps, or fewer for few images. A training turns it into
   * steps once it knows the images (run-length.ts), and records `none`: the steps say it.
   */
  epochs: z
    .union(
      [positive, z.enum(['none', 'auto'])],
      'a positive number, "none" for what steps says, or "auto" for the recipe\'s steps, fewer for few images',
    )
    .default('none'),
  /** Examples per step, over all processes together. */
  batchSize: count,
  /** Peak of the schedule. */
  learningRate: positive,
  /** How the learning rate changes over the run. */
  schedule: scheduleSchema,
  /** How the peak follows the batch size, for large batches on many processes. */
  learningRateScaling: learningRateScalingSchema.default({ type: 'none' }),
  optimizer: optimizerSchema,
  /** Learning rate of each kind of parameter relative to the schedule's. */
  learningRateMultipliers: z
    .strictObject({
      weight: nonNegative.default(1),
      bias: nonNegative.default(1),
      scale: nonNegative.default(1),
      shift: nonNegative.default(1),
    })
    .prefault({}),
  weightDecay: weightDecaySchema,
  labelSmoothing: share,
  movingAverage,
  lookahead: lookahead.default({ type: 'none' }),
  /** Part of the run in which the biases of whitening layers are trained; then they are frozen, as their weights are from the start. */
  trainWhiteningBias: fraction.default(1),
  /** Whether their learning rate follows the schedule of the whole run, or one of their own that ends where they are frozen. */
  whiteningBiasSchedule: z.enum(['run', 'own']).default('run'),
  /** Whether training images are changed at random as `augmentation` says. */
  augment: flag,
  augmentation: augmentationSchema.prefault({}),
  /** A file with the user's own augmentation, or the name of one that a program gives; `none` is without. `augment` says nothing of it. */
  augmentWith: name.default('none'),
  /** Its settings by dotted name, all filled in when training starts. */
  augmentWithSettings: z.record(z.string(), z.union([z.boolean(), z.number(), z.string()])).default({}),
  /** SHA-256 of its code, filled in when training starts: a run is not continued with another one. */
  augmentationChecksum: z.string('a SHA-256 in hexadecimal digits').default(''),
  /** Of the network's input in pixels: images are cropped to it. `full` is the whole image, `crop` three quarters of each of its sides. */
  inputSize: z.union(
    [count, z.tuple([count, count]).readonly(), z.enum(['full', 'crop'])],
    'a positive integer, two of them (96x128: height x width), "full" for the whole image, or "crop" for three quarters of each side',
  ),
  standardization,
  /** How weights get their first values; `model` leaves it to the model. */
  initializer,
  /** A run or file of weights to start from, its masks of pruned weights included; `none` starts from first values. */
  init: name.default('none'),
  /** SHA-256 of the weights of `init` and of those that pruning goes back to, filled in when training starts. */
  initChecksum: z.string('a SHA-256 in hexadecimal digits').default(''),
  pruning: pruning.default({ type: 'none' }),
  /** A run or file of weights whose outputs are learnt beside the labels (distillation); `none` for the labels alone. */
  teacher: name.default('none'),
  /** SHA-256 of the teacher's weights, filled in when training starts: a run is not continued with another teacher. */
  teacherChecksum: z.string('a SHA-256 in hexadecimal digits').default(''),
  /** Names the layers that are trained, filled in when training starts: a pruned network, or a model that was changed, is another experiment. */
  networkChecksum: z.string('a checksum in hexadecimal digits').default(''),
  /** Weight of the teacher's part in the loss; the labels' part has the rest. */
  teacherWeight: fraction.default(0.5),
  /** Both outputs are divided by it before they are compared: the higher, the more counts what the teacher thinks of the wrong classes. */
  teacherTemperature: positive.default(4),
  seed: countOrNone.default(1),
  precision: z.enum(precisions).default('f32'),
  /** How gradients travel between processes that train together; a process alone sends none. */
  gradientPrecision: z.enum(['f32', 'bf16']).default('f32'),
  /** Batch normalization over the batch of all processes; by default each process normalizes with the statistics of its own part. */
  syncBatchNorm: flag.default(false),
  /** OpenMP threads of this process. */
  threads: count.max(mostThreads),
  /** Keep the last training images (5,000, or a tenth of fewer than 50,000) out of training and evaluate on them rather than on the test set. */
  val: flag.default(false),
  /** Test-time augmentation: the views of each image whose logits an evaluation averages. */
  tta: z.enum(ttaLevels).default('none'),
  /** Steps between evaluations; 0 evaluates at the end only. `auto`: as many as cost little, once the images are known (run-length.ts). */
  evalEvery: z.union([countOrNone, z.literal('auto')], 'auto, or an integer from 0').default('auto'),
  /** Steps between checkpoints; 0 saves at the end only. There is always one at the end. */
  saveEvery: countOrNone.default(1000),
  /** Also save when this many seconds have passed since the last checkpoint; 0 is off. */
  saveEverySeconds: nonNegative.default(0),
  /** Steps between records of the training loss. */
  logEvery: count.default(50),
  /** Newest checkpoints kept; 0 keeps all. */
  keepCheckpoints: countOrNone.default(3),
});

/** A complete configuration: what a run records, and all that it needs beside the engine and the data. */
export type TrainingConfig = Readonly<z.output<typeof trainingConfigSchema>>;

/** Of a training that knows its images: what follows from them is settled (run-length.ts). */
export type SettledConfig = TrainingConfig & { readonly evalEvery: number };

/** Keys as a user gives them: any subset, dotted names (`schedule.warmup`, `model.lrn`) and short forms (`schedule: cosine`) included. */
export type ConfigOverrides = Readonly<Record<string, unknown>>;

/** Keys as a recipe states them. */
export type RecipeSettings = Readonly<Partial<Omit<z.input<typeof trainingConfigSchema>, 'weightDecay'>>> & {
  /** Without a value, the rule 2017 takes the model's. */
  readonly weightDecay?: { readonly rule: TrainingConfig['weightDecay']['rule']; readonly value?: number };
};

export const configKeys: readonly string[] = Object.keys(trainingConfigSchema.shape);
