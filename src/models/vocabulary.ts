/** What tensorsandbox's models are made of: the layers they share with the settings that go with them. */
import type { ActivationOption } from '../nn/activation.ts';
import type { ConvOptions } from '../nn/layers/conv.ts';
import type { BatchNormOptions } from '../nn/layers/normalization.ts';
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import {
  choice,
  count,
  flag,
  type BooleanSetting,
  type ChoiceSetting,
  type NumberSetting,
  type Resolved,
  type Settings,
} from './settings.ts';

const initializers = ['xavierTruncatedNormal', 'heNormal', 'xavierUniform', 'uniformFanIn'] as const;
export type InitializerType = (typeof initializers)[number];

export function initializerSetting(defaultValue: InitializerType): ChoiceSetting<InitializerType> {
  return choice(defaultValue, initializers, 'first values of all weights');
}

/** Settings of every model. */
export const commonSettings = {
  initializer: initializerSetting('xavierTruncatedNormal'),
  batchNorm: flag(false, 'batch normalization between each convolution and its ReLU, in place of its bias'),
} satisfies Settings;

export type CommonSettings = Resolved<typeof commonSettings>;

export function dropoutRate(defaultValue: number, summary: string): NumberSetting {
  return { type: 'number', default: defaultValue, min: 0, below: 1, summary };
}

/** `conv1.filters` and `conv1.kernel` for the name `conv1`. */
export function convSettings<N extends string>(name: N, filters: number, kernel: number) {
  return { [`${name}.filters`]: count(filters, `filters of ${name}`), ...kernelSetting(name, kernel) } as Record<
    `${N}.filters` | `${N}.kernel`,
    NumberSetting
  >;
}

export function momentumSetting(defaultValue: number): NumberSetting {
  return {
    type: 'number',
    default: defaultValue,
    min: 0,
    below: 1,
    summary: 'weight of the old running statistic in batch normalization',
  };
}

export function kernelSetting<N extends string>(name: N, kernel: number) {
  return { [`${name}.kernel`]: count(kernel, `side of the kernel of ${name}`) } as Record<`${N}.kernel`, NumberSetting>;
}

export interface ConvLayer {
  readonly filters: number;
  readonly kernel: number;
  /** Default: ReLU. */
  readonly activation?: 'relu' | null;
  readonly regularized?: boolean;
}

/** A convolution with stride 1 and SAME padding, then its activation; with `batchNorm` there is one between the two. */
export function convolution(b: NetworkBuilder, name: string, x: Tensor, layer: ConvLayer, settings: CommonSettings): Tensor {
  const { activation = 'relu', ...options } = layer;
  const initializer = { type: settings.initializer };
  if (!settings.batchNorm) return b.conv(name, x, { ...options, initializer, activation });
  const normalized = b.batchNorm(`${name}/norm`, b.conv(name, x, { ...options, initializer, bias: false }));
  return activation === null ? normalized : b.activation(`${name}/relu`, normalized, activation);
}

export interface NormalizedConvolution extends ConvOptions {
  readonly norm?: BatchNormOptions;
  /** After the normalization; null for none. */
  readonly activation: ActivationOption | null;
}

/** A convolution, by default without bias, then batch normalization, then an activation. */
export function normalizedConvolution(b: NetworkBuilder, name: string, x: Tensor, options: NormalizedConvolution): Tensor {
  const { norm, activation, ...convolution } = options;
  const normalized = b.batchNorm(`${name}/norm`, b.conv(name, x, { bias: false, ...convolution }), norm);
  return activation === null ? normalized : b.activation(`${name}/activation`, normalized, activation);
}

/** Tensorsandbox's usual pool: overlapping 3x3 windows every second pixel. */
export function overlappingPool(b: NetworkBuilder, name: string, x: Tensor): Tensor {
  return b.maxPool(name, x, { kernel: 3, stride: 2 });
}

/** Pools with 2x2 windows side by side. */
export function halvingPool(b: NetworkBuilder, name: string, x: Tensor): Tensor {
  return b.maxPool(name, x, { kernel: 2, stride: 2 });
}

/** Settings of the models that may have local response normalization; the window has `2 * depthRadius + 1` channels. */
export function lrnSettings(enabled: boolean, depthRadius: number) {
  return {
    lrn: flag(enabled, 'local response normalization'),
    'lrn.depthRadius': count(depthRadius, 'channels on either side in the window of the normalization'),
    'lrn.alpha': { type: 'number', default: 0.001 / 9, min: 0, summary: 'weight of each squared neighbour' },
    'lrn.beta': { type: 'number', default: 0.75, min: 0.01, max: 4, summary: 'exponent of the normalization' },
  } as const satisfies Settings;
}

export type LrnSettings = Resolved<ReturnType<typeof lrnSettings>>;

/** Local response normalization, or nothing if the setting `lrn` is off. */
export function responseNormalization(b: NetworkBuilder, name: string, x: Tensor, settings: LrnSettings): Tensor {
  if (!settings.lrn) return x;
  const { 'lrn.depthRadius': depthRadius, 'lrn.alpha': alpha, 'lrn.beta': beta } = settings;
  return b.lrn(name, x, { depthRadius, bias: 1, alpha, beta });
}

/** `dense1` and `dense1.features` for the name `dense1`: whether the model has that hidden layer, and its width. */
export function denseSettings<N extends string>(name: N, features: number, enabled = true) {
  return {
    [name]: flag(enabled, `whether there is ${name}`),
    [`${name}.features`]: count(features, `features of ${name}`),
  } as Record<N, BooleanSetting> & Record<`${N}.features`, NumberSetting>;
}

/** Settings of every hidden dense layer of a model. */
export const hiddenDenseSettings = {
  'dense.batchNorm': flag(false, 'batch normalization between each hidden dense layer and its ReLU, in place of its bias'),
  'dense.dropout': dropoutRate(0, 'dropout after each hidden dense layer'),
} satisfies Settings;

type HiddenDenseSettings = CommonSettings & Resolved<typeof hiddenDenseSettings>;

/** A dense layer with weight decay and ReLU; with `dense.batchNorm` there is a batch normalization between the two. */
export function hiddenDense(b: NetworkBuilder, name: string, x: Tensor, features: number, settings: HiddenDenseSettings): Tensor {
  const options = { features, regularized: true, initializer: { type: settings.initializer } };
  const rectified = settings['dense.batchNorm']
    ? b.activation(`${name}/relu`, b.batchNorm(`${name}/norm`, b.dense(name, x, { ...options, bias: false })), 'relu')
    : b.dense(name, x, { ...options, activation: 'relu' });
  return dropout(b, `${name}/dropout`, rectified, settings['dense.dropout']);
}

/** What follows the convolutions of a model that ends in dense layers. */
export interface HeadSettings extends HiddenDenseSettings {
  readonly dense1: boolean;
  readonly 'dense1.features': number;
  readonly dense2: boolean;
  readonly 'dense2.features': number;
}

export function headSettings(dense1: DenseDefaults, dense2: DenseDefaults) {
  return {
    ...denseSettings('dense1', dense1.features, dense1.enabled),
    ...denseSettings('dense2', dense2.features, dense2.enabled),
    ...hiddenDenseSettings,
  };
}

interface DenseDefaults {
  readonly features: number;
  /** Default true. */
  readonly enabled?: boolean;
}

/** Up to two hidden dense layers, then the linear `logits`. */
export function denseHead(b: NetworkBuilder, x: Tensor, settings: HeadSettings, classes: number): Tensor {
  for (const name of ['dense1', 'dense2'] as const) {
    if (settings[name]) x = hiddenDense(b, name, x, settings[`${name}.features`], settings);
  }
  return b.dense('logits', x, { features: classes, initializer: { type: settings.initializer } });
}

/** Dropout, or nothing at rate 0. */
export function dropout(b: NetworkBuilder, name: string, x: Tensor, rate: number): Tensor {
  return rate === 0 ? x : b.dropout(name, x, rate);
}

/** What a model that averages its last convolution over all pixels does with its logits. */
export const averagingSettings = {
  logitsRelu: flag(true, 'ReLU on the last convolution, before its average (the published figures have it)'),
} satisfies Settings;

/** A 1x1 convolution with a filter per class, called `name`, and the average of each over the pixels as `logits`. */
export function averagingHead(
  b: NetworkBuilder,
  name: string,
  x: Tensor,
  settings: CommonSettings & Resolved<typeof averagingSettings>,
  classes: number,
): Tensor {
  const scores = convolution(
    b,
    name,
    x,
    { filters: classes, kernel: 1, activation: settings.logitsRelu ? 'relu' : null },
    settings,
  );
  return b.globalAvgPool('logits', scores);
}
