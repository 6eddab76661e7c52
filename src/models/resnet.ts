/**
 * Residual networks for 32x32 images (He et al., 2016, "Deep Residual Learning for Image Recognition", section 4.2): a 3x3 convolution, three stages
 * of blocks at 32x32, 16x16 and 8x8 pixels, an average, and a dense layer.
 *
 *     C3-16   stage1: 16 filters   stage2: 32 filters, halves   stage3: 64 filters, halves   GAP F10
 *
 * A block is two 3x3 convolutions, each with batch normalization, beside the identity; the activation follows the first normalization and the sum.
 * Where a block changes the shape, a 1x1 convolution of its stride takes the place of the identity.
 */
import { activationTypes } from '../nn/activation.ts';
import type { BatchNormOptions } from '../nn/layers/normalization.ts';
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { choice, count, type NumberSetting, type Resolved } from './settings.ts';
import { dropout, dropoutRate, initializerSetting, momentumSetting, normalizedConvolution } from './vocabulary.ts';

const stages = [1, 2, 3] as const;
type Stage = (typeof stages)[number];

function stageSettings<N extends Stage>(stage: N, filters: number, blocks: number) {
  return {
    [`stage${stage}.filters`]: count(filters, `filters of the blocks of stage ${stage}`),
    [`stage${stage}.blocks`]: { ...count(blocks, `blocks of stage ${stage}`), max: 100 },
  } as Record<`stage${N}.${'filters' | 'blocks'}`, NumberSetting>;
}

/** What distinguishes the published networks beside their depth. */
interface Style {
  readonly blocks: number;
  /** Of the running statistics: weight of the old one. */
  readonly momentum: number;
  readonly epsilon: number;
  /** Of all convolutions, although a normalization follows. */
  readonly bias: boolean;
  /** Whether a normalization follows the 1x1 convolutions beside blocks. */
  readonly shortcutNorm: boolean;
}

function settingsOf({ blocks, momentum }: Style) {
  return {
    initializer: initializerSetting('heNormal'),
    'conv1.filters': count(16, 'filters of the first convolution'),
    ...stageSettings(1, 16, blocks),
    ...stageSettings(2, 32, blocks),
    ...stageSettings(3, 64, blocks),
    activation: choice('relu', activationTypes, 'what follows the normalizations and the sums'),
    'norm.momentum': momentumSetting(momentum),
    dropout: dropoutRate(0, 'dropout before the dense layer'),
  };
}

type Values = Resolved<ReturnType<typeof settingsOf>>;

function residualNetwork(name: string, summary: string, style: Style): ModelDefinition {
  const settings = settingsOf(style);
  return defineModel({
    name,
    summary,
    defaultInputSize: 32,
    settings,
    layers(b, s: Values, classes) {
      const initializer = { type: s.initializer };
      const common = { initializer, bias: style.bias, norm: { momentum: s['norm.momentum'], epsilon: style.epsilon } };
      const first = { ...common, filters: s['conv1.filters'], kernel: 3, activation: s.activation };
      let x = normalizedConvolution(b, 'conv1', b.input, first);
      for (const stage of stages) {
        for (let i = 1; i <= s[`stage${stage}.blocks`]; i++) {
          const stride = stage > 1 && i === 1 ? 2 : 1;
          const block = { ...common, filters: s[`stage${stage}.filters`], stride, shortcutNorm: style.shortcutNorm };
          x = residualBlock(b, `stage${stage}/block${i}`, x, { ...block, activation: s.activation });
        }
      }
      const average = dropout(b, 'dropout', b.globalAvgPool('average', x), s.dropout);
      return b.dense('logits', average, { features: classes, initializer });
    },
  });
}

interface Block {
  readonly filters: number;
  readonly stride: number;
  readonly bias: boolean;
  readonly initializer: { readonly type: Values['initializer'] };
  readonly norm: BatchNormOptions;
  readonly activation: Values['activation'];
  readonly shortcutNorm: boolean;
}

function residualBlock(b: NetworkBuilder, name: string, x: Tensor, { activation, shortcutNorm, ...options }: Block): Tensor {
  const { filters, stride } = options;
  const middle = normalizedConvolution(b, `${name}/conv1`, x, { ...options, kernel: 3, activation });
  const y = normalizedConvolution(b, `${name}/conv2`, middle, { ...options, kernel: 3, stride: 1, activation: null });
  let beside = x;
  if (stride !== 1 || x.shape[0] !== filters) {
    const { norm, ...convolution } = { ...options, kernel: 1 };
    beside = b.conv(`${name}/shortcut`, x, convolution);
    if (shortcutNorm) beside = b.batchNorm(`${name}/shortcut/norm`, beside, norm);
  }
  return b.activation(`${name}/activation`, b.add(name, beside, y), activation);
}

export const resnetFamily: readonly ModelDefinition[] = [
  // mlcommons/tiny, benchmark/training/image_classification/keras_model.py; the constants of Keras's batch normalization.
  residualNetwork('resnet8', "MLPerf Tiny's network for image classification: a residual network of three blocks", {
    ...{ blocks: 1, momentum: 0.99, epsilon: 1e-3, bias: true, shortcutNorm: false },
  }),
  residualNetwork('resnet20', 'a residual network of nine blocks (He et al., 2016)', {
    ...{ blocks: 3, momentum: 0.9, epsilon: 1e-5, bias: false, shortcutNorm: true },
  }),
];
