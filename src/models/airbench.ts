/**
 * The network of airbench94 (Jordan, 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498; the script airbench94.py
 * with Nesterov SGD). Trained by the recipe `airbench` it reaches 94% in ten epochs.
 *
 *     frozen C2-24 of whitened patches, VALID   GELU
 *     3 x [ C3-F   max pool 2   norm   GELU   C3-F   norm   GELU ]   F = 64, 256, 256
 *     max pool 3   dense without bias   logits / 9
 *
 * Convolutions but the first are without bias, and pass their input channels through their first filters at the start; batch
 * normalization has a shift but no scale, and weighs the old statistic by 0.6. Pools drop what does not fill a window: at 32x32 the sides
 * are 31, 15, 7, 3, 1. The original counts running variances divided by n - 1, here they are divided by n.
 */
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { count, flag, type ChoiceSetting, type Resolved } from './settings.ts';

const initializers = ['dirac', 'uniformFanIn', 'heNormal', 'xavierTruncatedNormal', 'xavierUniform'] as const;
const activations = ['gelu', 'relu'] as const;
const biases = ['zero', 'uniformFanIn'] as const;

const settings = {
  initializer: {
    type: 'choice',
    default: 'dirac',
    choices: initializers,
    summary: 'first values of the 3x3 convolutions; dirac passes channels through',
  } as ChoiceSetting<(typeof initializers)[number]>,
  whitening: flag(true, 'whether the first convolution is frozen at the principal axes of image patches'),
  'whitening.kernel': count(2, 'side of the patches, and of the first kernel'),
  'whitening.examples': count(5000, 'training images whose patches are measured'),
  'whitening.bias': {
    type: 'choice',
    default: 'zero',
    choices: biases,
    summary: 'first values of the bias of the first convolution',
  } as ChoiceSetting<(typeof biases)[number]>,
  'whitening.epsilon': { type: 'number', default: 5e-4, min: 1e-12, summary: 'added to the variance along each axis' },
  'group1.filters': count(64, 'filters of the first group'),
  'group2.filters': count(256, 'filters of the second group'),
  'group3.filters': count(256, 'filters of the third group'),
  activation: {
    type: 'choice',
    default: 'gelu',
    choices: activations,
    summary: 'what follows each normalization',
  } as ChoiceSetting<(typeof activations)[number]>,
  'norm.scale': flag(false, 'a trainable scale in batch normalization'),
  'norm.momentum': { type: 'number', default: 0.6, min: 0, below: 1, summary: 'weight of the old running statistic' },
  'norm.epsilon': { type: 'number', default: 1e-12, min: 1e-38, summary: 'added to the variance in batch normalization' },
  'logits.scale': { type: 'number', default: 1 / 9, min: 1e-6, summary: 'factor of the logits' },
} as const;

type Values = Resolved<typeof settings>;

/** Both signs of each axis, since what follows is not linear; the bias is trained. */
function whiteningLayer(b: NetworkBuilder, s: Values): Tensor {
  const kernel = s['whitening.kernel'];
  const filters = 2 * b.input.shape[0]! * kernel * kernel;
  const bias = s['whitening.bias'] === 'uniformFanIn' && { biasInitializer: { type: s['whitening.bias'] } as const };
  const window = { kernel, filters, padding: 'valid', ...bias } as const;
  if (!s.whitening) return b.conv('whitening', b.input, { ...window, initializer: { type: s.initializer } });
  const initializer = { type: 'whitening', examples: s['whitening.examples'], epsilon: s['whitening.epsilon'] } as const;
  return b.conv('whitening', b.input, { ...window, frozen: true, initializer });
}

function normalize(b: NetworkBuilder, name: string, x: Tensor, s: Values): Tensor {
  const options = { scale: s['norm.scale'], momentum: s['norm.momentum'], epsilon: s['norm.epsilon'] };
  return b.activation(`${name}/activation`, b.batchNorm(`${name}/norm`, x, options), s.activation);
}

function group(b: NetworkBuilder, name: string, x: Tensor, filters: number, s: Values): Tensor {
  const options = { kernel: 3, filters, bias: false, initializer: { type: s.initializer } };
  const pooled = b.maxPool(`${name}/pool`, b.conv(`${name}/conv1`, x, options), { kernel: 2, padding: 'valid' });
  const middle = normalize(b, `${name}/conv1`, pooled, s);
  return normalize(b, `${name}/conv2`, b.conv(`${name}/conv2`, middle, options), s);
}

function layers(b: NetworkBuilder, s: Values, classes: number): Tensor {
  let x = b.activation('whitening/activation', whiteningLayer(b, s), s.activation);
  for (const i of [1, 2, 3] as const) x = group(b, `group${i}`, x, s[`group${i}.filters`], s);
  // Images smaller than 32x32 leave less than 3x3 pixels.
  const window = Math.min(3, x.shape[1]!, x.shape[2]!);
  x = b.maxPool('pool', x, { kernel: window, padding: 'valid' });
  const scores = b.dense('dense', x, { features: classes, bias: false, initializer: { type: 'uniformFanIn' } });
  return b.scale('logits', scores, s['logits.scale']);
}

export const airbenchFamily: readonly ModelDefinition[] = [
  defineModel({
    name: 'air94',
    summary: "airbench94's network: whitened patches, GELU and batch normalization, for 94% in ten epochs",
    defaultInputSize: 32,
    settings,
    layers,
  }),
];
