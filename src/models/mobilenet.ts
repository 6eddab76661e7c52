/**
 * MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381) and the small MobileNetV3 (Howard et al., 2019, arXiv:1905.02244) for 32x32 images: inverted
 * residual blocks, which widen with 1x1 filters, filter each channel by itself, and narrow with 1x1 filters that no activation follows.
 *
 * Both halve 224x224 images five times. As usual for CIFAR-10, the first two of these strides are 1 here, so that 4x4 pixels are left at the end; with
 * `conv1.stride` and `stage2.stride` (`block1.stride`) of 2 the networks are the published ones.
 */
import { activationTypes, type ActivationOption } from '../nn/activation.ts';
import type { BatchNormOptions } from '../nn/layers/normalization.ts';
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { choice, count, flag, type NumberSetting } from './settings.ts';
import {
  dropout,
  dropoutRate,
  initializerSetting,
  kernelSetting,
  momentumSetting,
  normalizedConvolution,
  type InitializerType,
} from './vocabulary.ts';

function strideSetting(of: string): NumberSetting {
  return { ...count(1, `stride of ${of}: 2 for large images`), max: 2 };
}

/** Channels times a multiplier, as a multiple of 8, at least 8 and nine tenths of the product (TensorFlow's `make_divisible`). */
export function scaled(channels: number, multiplier: number): number {
  if (multiplier === 1) return channels;
  const product = channels * multiplier;
  const rounded = Math.max(8, Math.floor((product + 4) / 8) * 8);
  return rounded < 0.9 * product ? rounded + 8 : rounded;
}

/** What all convolutions of a network have in common. */
interface Common {
  readonly initializer: { readonly type: InitializerType };
  readonly norm: BatchNormOptions;
}

interface InvertedResidual {
  /** Channels between the 1x1 convolutions. */
  readonly expanded: number;
  readonly filters: number;
  /** Of the filters for each channel. */
  readonly kernel: number;
  readonly stride: number;
  readonly activation: ActivationOption;
  /** Channels in the middle of the squeeze and excitation; 0 for none. */
  readonly squeezed?: number;
}

/** Widen, filter each channel, weigh the channels, narrow; plus the input where it has the same shape. */
function invertedResidual(b: NetworkBuilder, name: string, x: Tensor, block: InvertedResidual, common: Common): Tensor {
  const { expanded, filters, kernel, stride, activation, squeezed = 0 } = block;
  let y = x;
  if (expanded !== x.shape[0]) {
    y = normalizedConvolution(b, `${name}/expand`, y, { ...common, filters: expanded, kernel: 1, activation });
  }
  const channels = y.shape[0]!;
  const depthwise = { ...common, filters: channels, groups: channels, kernel, stride, activation };
  y = normalizedConvolution(b, `${name}/depthwise`, y, depthwise);
  if (squeezed > 0) y = squeezeAndExcitation(b, `${name}/se`, y, squeezed, common);
  y = normalizedConvolution(b, `${name}/project`, y, { ...common, filters, kernel: 1, activation: null });
  const isResidual = stride === 1 && x.shape[0] === filters;
  return isResidual ? b.add(name, x, y) : y;
}

/** Each channel times a factor in [0, 1] that two dense layers make of the averages of all channels (Hu et al., 2018, arXiv:1709.01507). */
function squeezeAndExcitation(b: NetworkBuilder, name: string, x: Tensor, squeezed: number, { initializer }: Common): Tensor {
  const averages = b.globalAvgPool(`${name}/average`, x);
  const squeeze = b.dense(`${name}/squeeze`, averages, { features: squeezed, activation: 'relu', initializer });
  const features = x.shape[0]!;
  return b.multiply(name, x, b.dense(`${name}/excite`, squeeze, { features, activation: 'hardSigmoid', initializer }));
}

const commonSettings = {
  initializer: initializerSetting('heNormal'),
  widthMultiplier: {
    type: 'number',
    default: 1,
    min: 0.05,
    max: 10,
    summary: 'factor of all numbers of filters, which stay multiples of 8',
  },
  'conv1.stride': strideSetting('the first convolution'),
} as const;

/** Stages of MobileNetV2: filters, blocks, and the stride of the first block. Stage 2 has a setting for its. */
const stages = [
  { filters: 16, blocks: 1, stride: 1 },
  { filters: 24, blocks: 2, stride: undefined },
  { filters: 32, blocks: 3, stride: 2 },
  { filters: 64, blocks: 4, stride: 2 },
  { filters: 96, blocks: 3, stride: 1 },
  { filters: 160, blocks: 3, stride: 2 },
  { filters: 320, blocks: 1, stride: 1 },
] as const;

const mobileNetV2 = defineModel({
  name: 'mobilenetv2',
  summary: 'MobileNetV2 for small images: inverted residual blocks with ReLU6',
  defaultInputSize: 32,
  settings: {
    ...commonSettings,
    'stage2.stride': strideSetting('the second stage'),
    expansion: count(6, 'how many times wider a block is inside than its input; the first one is not'),
    ...kernelSetting('depthwise', 3),
    'head.filters': count(1280, 'filters of the last convolution, which a multiplier below 1 leaves as they are'),
    activation: choice('relu6', activationTypes, 'what follows the normalizations'),
    'norm.momentum': momentumSetting(0.9),
    dropout: dropoutRate(0.2, 'dropout before the dense layer'),
  },
  layers(b, s, classes) {
    const { widthMultiplier, activation } = s;
    const initializer = { type: s.initializer };
    const common = { initializer, norm: { momentum: s['norm.momentum'] } };
    const first = { filters: scaled(32, widthMultiplier), kernel: 3, stride: s['conv1.stride'] };
    let x = normalizedConvolution(b, 'conv1', b.input, { ...common, ...first, activation });
    stages.forEach(({ filters, blocks, stride = s['stage2.stride'] }, stage) => {
      for (let i = 1; i <= blocks; i++) {
        const expanded = x.shape[0]! * (stage === 0 ? 1 : s.expansion);
        const block = { expanded, filters: scaled(filters, widthMultiplier), kernel: s['depthwise.kernel'] };
        const inner = { ...block, stride: i === 1 ? stride : 1, activation };
        x = invertedResidual(b, `stage${stage + 1}/block${i}`, x, inner, common);
      }
    });
    const head = { filters: scaled(s['head.filters'], Math.max(1, widthMultiplier)), kernel: 1, activation };
    x = normalizedConvolution(b, 'head', x, { ...common, ...head });
    const average = dropout(b, 'dropout', b.globalAvgPool('average', x), s.dropout);
    return b.dense('logits', average, { features: classes, initializer });
  },
});

/** Blocks of the small MobileNetV3 (Howard et al., table 2). Block 1 has a setting for its stride. */
const blocks = [
  { kernel: 3, expanded: 16, filters: 16, squeeze: true, isHard: false, stride: undefined },
  { kernel: 3, expanded: 72, filters: 24, squeeze: false, isHard: false, stride: 2 },
  { kernel: 3, expanded: 88, filters: 24, squeeze: false, isHard: false, stride: 1 },
  { kernel: 5, expanded: 96, filters: 40, squeeze: true, isHard: true, stride: 2 },
  { kernel: 5, expanded: 240, filters: 40, squeeze: true, isHard: true, stride: 1 },
  { kernel: 5, expanded: 240, filters: 40, squeeze: true, isHard: true, stride: 1 },
  { kernel: 5, expanded: 120, filters: 48, squeeze: true, isHard: true, stride: 1 },
  { kernel: 5, expanded: 144, filters: 48, squeeze: true, isHard: true, stride: 1 },
  { kernel: 5, expanded: 288, filters: 96, squeeze: true, isHard: true, stride: 2 },
  { kernel: 5, expanded: 576, filters: 96, squeeze: true, isHard: true, stride: 1 },
  { kernel: 5, expanded: 576, filters: 96, squeeze: true, isHard: true, stride: 1 },
] as const;

/** Of the channels that a squeeze and excitation reads, one in so many is left in its middle. */
const squeezeRatio = 4;

const mobileNetV3 = defineModel({
  name: 'mobilenetv3',
  summary: 'the small MobileNetV3 for small images: inverted residual blocks with hard swish and squeeze and excitation',
  defaultInputSize: 32,
  settings: {
    ...commonSettings,
    'block1.stride': strideSetting('the first block'),
    squeezeExcitation: flag(true, 'whether the blocks that have it weigh their channels'),
    'head.features': count(1024, 'features of the dense layer before the last'),
    activation: choice(
      'hardSwish',
      activationTypes,
      'what follows the normalizations, but in the first three blocks, which have ReLU',
    ),
    'norm.momentum': momentumSetting(0.99),
    dropout: dropoutRate(0.2, 'dropout before the last dense layer'),
  },
  layers(b, s, classes) {
    const { activation } = s;
    const wide = (channels: number): number => scaled(channels, s.widthMultiplier);
    const initializer = { type: s.initializer };
    const common = { initializer, norm: { momentum: s['norm.momentum'], epsilon: 1e-3 } };
    const first = { ...common, filters: wide(16), kernel: 3, stride: s['conv1.stride'], activation };
    let x = normalizedConvolution(b, 'conv1', b.input, first);
    blocks.forEach(({ kernel, filters, squeeze, isHard, stride = s['block1.stride'], ...block }, i) => {
      const expanded = wide(block.expanded);
      const squeezed = squeeze && s.squeezeExcitation ? scaled(expanded, 1 / squeezeRatio) : 0;
      const inner = {
        expanded,
        filters: wide(filters),
        kernel,
        stride,
        squeezed,
        activation: isHard ? activation : 'relu',
      } as const;
      x = invertedResidual(b, `block${i + 1}`, x, inner, common);
    });
    x = normalizedConvolution(b, 'head', x, { ...common, filters: 6 * wide(96), kernel: 1, activation });
    const features = wide(s['head.features']);
    x = b.dense('dense', b.globalAvgPool('average', x), { features, activation, initializer });
    return b.dense('logits', dropout(b, 'dropout', x, s.dropout), { features: classes, initializer });
  },
});

export const mobilenetFamily: readonly ModelDefinition[] = [mobileNetV2, mobileNetV3];
