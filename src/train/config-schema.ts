/**
 * The training configuration: every key, its type and what it allows. The text given to each rule completes the sentence
 * "<key> (=<value>) must be ...". Strict throughout: a key that is not here is an error.
 */
import * as z from 'zod';

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
  ],
  'one of constant, step, cosine, oneCycle',
);

const optimizer = z.discriminatedUnion(
  'type',
  [z.strictObject({ type: z.literal('sgd'), momentum: share.default(0), nesterov: flag.default(false) })],
  'sgd',
);

const weightDecay = z.discriminatedUnion(
  'rule',
  [
    z.strictObject({ rule: z.literal('none'), value: z.literal(0, '0 for the rule "none"').default(0) }),
    z.strictObject({ rule: z.literal('study'), value: nonNegative }),
    z.strictObject({ rule: z.literal('coupled'), value: nonNegative.default(5e-4) }),
    z.strictObject({ rule: z.literal('decoupled'), value: nonNegative.default(5e-3) }),
  ],
  'one of none, study, coupled, decoupled',
);

const movingAverage = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({ type: z.literal('exponential'), decay: share.default(0.9999), warmup: flag.default(true) }),
  ],
  'one of none, exponential',
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

const perChannel = z.array(z.number('a number'), 'a list with one number for each channel');
const standardization = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('image') }),
    z.strictObject({ type: z.literal('channel'), mean: perChannel, deviation: perChannel }),
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
  optimizer,
  /** Learning rate of each kind of parameter relative to the schedule's. */
  learningRateMultipliers: z.strictObject(
    { weight: nonNegative, bias: nonNegative, scale: nonNegative, shift: nonNegative },
    'a group of keys: weight, bias, scale, shift',
  ),
  weightDecay,
  labelSmoothing: share,
  movingAverage,
  /** Whether training images are changed at random as `augmentation` says. */
  augment: flag,
  augmentation,
  /** Side of the network's input in pixels: images are cropped to it; `full` is the images' own size. */
  inputSize: z.union([integer(1), z.literal('full')], 'a positive integer, or "full" for the size of the images'),
  standardization,
  /** How weights get their first values; `model` leaves it to the model. */
  initializer,
  seed: integer(0),
  precision: z.enum(['f32', 'bf16'], 'one of f32, bf16'),
  /** OpenMP threads of this process. */
  threads: integer(1),
  /** Keep the last 5,000 training images out of training and evaluate on them rather than on the test set. */
  val: flag,
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
  /** Without a value, the study's rule takes the model's. */
  readonly weightDecay?: { readonly rule: 'none' | 'study' | 'coupled' | 'decoupled'; readonly value?: number };
};

export const configKeys: readonly string[] = Object.keys(trainingConfigSchema.shape);
