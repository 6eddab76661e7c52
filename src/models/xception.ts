/**
 * Xception (Chollet, 2017) for small images: depthwise separable convolutions (a 3x3 filter per channel, then 1x1 ones that mix the channels,
 * nothing between them) in residual blocks, with batch normalization.
 *
 *     C3-32   stage1: widen to 64, halve, same   stage2: widen to 128, halve, same   stage3: widen to 256, same   GAP F10
 *
 * A stage begins with a block that widens: two separable convolutions, and an overlapping pool where it halves the image, beside a 1x1
 * convolution of the same stride. `same` is two separable convolutions beside the identity. Each block but the first begins with a ReLU,
 * so that the sums stay linear. The image is halved twice only, so that three of the six blocks still see 8x8 pixels. Almost all
 * operations are in the 1x1 convolutions, and every width is a multiple of 16, as vector kernels want them. 0.37M parameters, 77M
 * operations at 32x32.
 */
import type { Initializer } from '../nn/parameter.ts';
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { count, flag, type BooleanSetting, type NumberSetting, type Resolved } from './settings.ts';
import {
  commonSettings,
  convSettings,
  dropout,
  dropoutRate,
  kernelSetting,
  normalizedConvolution,
  overlappingPool,
} from './vocabulary.ts';

const stages = [1, 2, 3] as const;
type Stage = (typeof stages)[number];

function stageSettings<N extends Stage>(stage: N, filters: number, halve: boolean) {
  return {
    [`stage${stage}.filters`]: count(filters, `filters of the blocks of stage ${stage}; best a multiple of 16`),
    [`stage${stage}.halve`]: flag(halve, `whether stage ${stage} halves the image`),
    [`stage${stage}.repeats`]: { ...count(1, `blocks of stage ${stage} after its first`), min: 0, max: 100 },
  } as Record<`stage${N}.${'filters' | 'repeats'}`, NumberSetting> & Record<`stage${N}.halve`, BooleanSetting>;
}

const settings = {
  initializer: commonSettings.initializer,
  ...convSettings('conv1', 32, 3),
  ...kernelSetting('separable', 3),
  ...stageSettings(1, 64, true),
  ...stageSettings(2, 128, true),
  ...stageSettings(3, 256, false),
  dropout: dropoutRate(0, 'dropout before the dense layer'),
};

interface Style {
  readonly kernel: number;
  readonly initializer: Initializer;
}

function normalized(b: NetworkBuilder, name: string, x: Tensor, options: Style & { filters: number; stride: number }): Tensor {
  return normalizedConvolution(b, name, x, { ...options, activation: null });
}

/** One `kernel`x`kernel` filter for each channel, then 1x1 ones over all channels, then batch normalization. */
function separable(b: NetworkBuilder, name: string, x: Tensor, filters: number, { kernel, initializer }: Style): Tensor {
  const channels = x.shape[0]!;
  const depthwise = { kernel, filters: channels, groups: channels, bias: false, initializer };
  const filtered = b.conv(`${name}/depthwise`, x, depthwise);
  return normalized(b, `${name}/pointwise`, filtered, { kernel: 1, stride: 1, filters, initializer });
}

/** ReLU (but not on the output of one), separable, ReLU, separable. */
function twoSeparable(b: NetworkBuilder, name: string, x: Tensor, filters: number, first: boolean, style: Style): Tensor {
  const begin = first ? x : b.activation(`${name}/relu1`, x, 'relu');
  const middle = b.activation(`${name}/relu2`, separable(b, `${name}/separable1`, begin, filters, style), 'relu');
  return separable(b, `${name}/separable2`, middle, filters, style);
}

interface Widening extends Style {
  readonly filters: number;
  readonly halve: boolean;
  readonly first: boolean;
}

function wideningBlock(b: NetworkBuilder, name: string, x: Tensor, { filters, halve, first, ...style }: Widening): Tensor {
  const wide = twoSeparable(b, name, x, filters, first, style);
  const direct = { ...style, kernel: 1, stride: halve ? 2 : 1, filters };
  return b.add(name, halve ? overlappingPool(b, `${name}/pool`, wide) : wide, normalized(b, `${name}/shortcut`, x, direct));
}

function layers(b: NetworkBuilder, s: Resolved<typeof settings>, classes: number): Tensor {
  const initializer = { type: s.initializer };
  const style = { kernel: s['separable.kernel'], initializer };
  const stem = { kernel: s['conv1.kernel'], stride: 1, filters: s['conv1.filters'], initializer };
  let x = b.activation('conv1/relu', normalized(b, 'conv1', b.input, stem), 'relu');
  for (const stage of stages) {
    const filters = s[`stage${stage}.filters`];
    const halve = s[`stage${stage}.halve`];
    x = wideningBlock(b, `stage${stage}/widen`, x, { ...style, filters, halve, first: stage === 1 });
    for (let i = 1; i <= s[`stage${stage}.repeats`]; i++) {
      const name = `stage${stage}/same${i}`;
      x = b.add(name, x, twoSeparable(b, name, x, filters, false, style));
    }
  }
  x = b.globalAvgPool('average', b.activation('last/relu', x, 'relu'));
  return b.dense('logits', dropout(b, 'dropout', x, s.dropout), { features: classes, initializer });
}

export const xceptionFamily: readonly ModelDefinition[] = [
  defineModel({
    name: 'xception',
    summary: 'Xception for small images: depthwise separable convolutions in residual blocks',
    defaultInputSize: 32,
    settings,
    layers,
  }),
];
