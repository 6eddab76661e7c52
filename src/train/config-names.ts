/** Keys of the configuration by the names that other tools have for them. */
import { augmentationSchema } from '../data/preprocessing.ts';
import { configKeys } from './config-schema.ts';

/** By name in lower case, without separators. */
const elsewhere: Readonly<Record<string, string>> = {
  lr: 'learningRate',
  maxlr: 'learningRate',
  baselr: 'learningRate',
  epoch: 'epochs',
  numepochs: 'epochs',
  maxepochs: 'epochs',
  iterations: 'steps',
  batch: 'batchSize',
  bs: 'batchSize',
  wd: 'weightDecay',
  decay: 'weightDecay',
  l2: 'weightDecay',
  momentum: 'optimizer.momentum',
  nesterov: 'optimizer.nesterov',
  scheduler: 'schedule',
  lrschedule: 'schedule',
  lrscheduler: 'schedule',
  warmup: 'schedule.warmup',
  ema: 'movingAverage',
  emadecay: 'movingAverage.decay',
  smoothing: 'labelSmoothing',
  temperature: 'teacherTemperature',
  sparsity: 'pruning.sparsity',
  imagesize: 'inputSize',
  cropsize: 'inputSize',
  crop: 'augmentation.randomCrop',
  hflip: 'augmentation.flip',
  data: 'dataset',
  dtype: 'precision',
  amp: 'precision',
};

/** Keys inside groups that need no further word to be known: `flip` is `augmentation.flip`. */
const inGroups = Object.keys(augmentationSchema.shape).map((key) => `augmentation.${key}`);

/** The key that another tool's name stands for, however it is spelt: `lr`, `weight-decay` and `label_smoothing` too. */
export function keyMeantBy(name: string): string | undefined {
  const plain = plainName(name);
  const known = [...configKeys, ...inGroups].find((key) => plainName(key.split('.').at(-1)!) === plain);
  return known ?? (Object.hasOwn(elsewhere, plain) ? elsewhere[plain] : undefined);
}

/** Every key that a name stands for, for the test that they all are ones. */
export const meantKeys: readonly string[] = [...new Set(Object.values(elsewhere))];

/** However it is spelt: `weight-decay`, `weight_decay` and `weightDecay` alike. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}
