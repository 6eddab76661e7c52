/**
 * Tensorsandbox's first family: two or three convolutions with overlapping pools, then dense layers, after Krizhevsky et al. (2012) and
 * TensorFlow's CIFAR-10 tutorial. Every member has the same settings and differs in their defaults.
 */
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { flag, type Resolved } from './settings.ts';
import {
  commonSettings,
  convolution,
  convSettings,
  denseHead,
  headSettings,
  lrnSettings,
  overlappingPool,
  responseNormalization,
} from './vocabulary.ts';

interface AlexDefaults {
  readonly name: string;
  readonly summary: string;
  /** Filters and kernel of the convolutions. */
  readonly conv1: readonly [filters: number, kernel: number];
  readonly conv2: readonly [filters: number, kernel: number];
  /** Default: no third convolution. */
  readonly conv3?: readonly [filters: number, kernel: number];
  /** Default true. */
  readonly lrn?: boolean;
  /** Features of the hidden dense layers, one or two. Default 384 and 192. */
  readonly dense?: readonly [dense1: number, dense2?: number];
}

function alexSettings({ conv1, conv2, conv3, lrn = true, dense = [384, 192] }: AlexDefaults) {
  const [dense1, dense2] = dense;
  return {
    ...commonSettings,
    ...convSettings('conv1', ...conv1),
    ...convSettings('conv2', ...conv2),
    conv3: flag(conv3 !== undefined, 'whether there is conv3'),
    ...convSettings('conv3', ...(conv3 ?? [64, 5])),
    ...lrnSettings(lrn, 4),
    ...headSettings({ features: dense1 }, { features: dense2 ?? 192, enabled: dense2 !== undefined }),
  };
}

function alexLayers(b: NetworkBuilder, s: Resolved<ReturnType<typeof alexSettings>>, classes: number): Tensor {
  let x = b.input;
  for (const i of s.conv3 ? ([1, 2, 3] as const) : ([1, 2] as const)) {
    x = convolution(b, `conv${i}`, x, { filters: s[`conv${i}.filters`], kernel: s[`conv${i}.kernel`] }, s);
    // As in the tutorial: the first normalization comes after its pool, the others before.
    if (i > 1) x = responseNormalization(b, `lrn${i}`, x, s);
    x = overlappingPool(b, `pool${i}`, x);
    if (i === 1) x = responseNormalization(b, `lrn${i}`, x, s);
  }
  return denseHead(b, x, s, classes);
}

function alex(defaults: AlexDefaults): ModelDefinition {
  const { name, summary } = defaults;
  return defineModel({ name, summary, settings: alexSettings(defaults), layers: alexLayers });
}

export const alexFamily: readonly ModelDefinition[] = [
  alex({ name: 'tuto', summary: "TensorFlow's CIFAR-10 tutorial: tensorsandbox's baseline", conv1: [64, 5], conv2: [64, 5] }),
  alex({ name: 'alex0', summary: 'tuto with more, smaller second filters', conv1: [64, 5], conv2: [96, 3] }),
  alex({
    name: 'alex1',
    summary: 'tuto with a third convolution for the widest dense layer',
    conv1: [64, 5],
    conv2: [64, 5],
    conv3: [64, 5],
    dense: [192],
  }),
  alex({ name: 'alex2', summary: 'tuto without normalization', conv1: [64, 5], conv2: [64, 5], lrn: false }),
  alex({ name: 'alex3', summary: 'tuto without its second dense layer', conv1: [64, 5], conv2: [64, 5], dense: [384] }),
  alex({
    name: 'alex4',
    summary: 'more filters, smaller second kernel, no normalization',
    conv1: [96, 5],
    conv2: [96, 3],
    lrn: false,
  }),
];
