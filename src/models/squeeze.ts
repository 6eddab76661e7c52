/** SqueezeNet (Iandola et al., 2016) for small images: fire modules between pools, a filter per class and an average at the end. */
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { count, flag, type NumberSetting } from './settings.ts';
import {
  averagingHead,
  averagingSettings,
  commonSettings,
  convolution,
  convSettings,
  overlappingPool,
  type CommonSettings,
} from './vocabulary.ts';

interface FireDefaults {
  readonly squeeze: number;
  readonly expand1x1: number;
  readonly expand3x3: number;
}

type FireName = 'fire1' | 'fire2' | 'fire3' | 'fire4';
type FireSettings<N extends FireName> = Record<`${N}.${keyof FireDefaults}`, NumberSetting>;

function fireSettings<N extends FireName>(name: N, { squeeze, expand1x1, expand3x3 }: FireDefaults) {
  return {
    [`${name}.squeeze`]: count(squeeze, `1x1 filters that reduce the input of ${name}`),
    [`${name}.expand1x1`]: count(expand1x1, `1x1 filters in the output of ${name}`),
    [`${name}.expand3x3`]: count(expand3x3, `3x3 filters in the output of ${name}`),
  } as FireSettings<N>;
}

type FireValues = CommonSettings & { readonly [K in keyof FireSettings<FireName>]: number } & { readonly bypass: boolean };

/** A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side whose outputs are joined. */
function fire(b: NetworkBuilder, name: FireName, x: Tensor, s: FireValues): Tensor {
  const squeezed = convolution(b, `${name}/squeeze`, x, { filters: s[`${name}.squeeze`], kernel: 1 }, s);
  const expanded = b.concat(
    name,
    convolution(b, `${name}/expand1x1`, squeezed, { filters: s[`${name}.expand1x1`], kernel: 1 }, s),
    convolution(b, `${name}/expand3x3`, squeezed, { filters: s[`${name}.expand3x3`], kernel: 3 }, s),
  );
  const second = name === 'fire2' || name === 'fire4';
  return s.bypass && second ? b.add(`${name}/bypass`, x, expanded) : expanded;
}

/** `early` fires twice after the first pool, `late` twice after the second. */
function squeezeNet(name: string, summary: string, early: FireDefaults, late: FireDefaults): ModelDefinition {
  return defineModel({
    name,
    summary,
    settings: {
      ...commonSettings,
      ...convSettings('conv1', 64, 3),
      ...fireSettings('fire1', early),
      ...fireSettings('fire2', early),
      ...fireSettings('fire3', late),
      ...fireSettings('fire4', late),
      bypass: flag(false, 'fire2 and fire4 add their input to their output (needs equal channels)'),
      ...averagingSettings,
    },
    layers(b, s, classes) {
      let x = convolution(b, 'conv1', b.input, { filters: s['conv1.filters'], kernel: s['conv1.kernel'] }, s);
      x = overlappingPool(b, 'pool1', x);
      x = fire(b, 'fire2', fire(b, 'fire1', x, s), s);
      x = overlappingPool(b, 'pool2', x);
      x = fire(b, 'fire4', fire(b, 'fire3', x, s), s);
      return averagingHead(b, 'conv2', x, s, classes);
    },
  });
}

const late: FireDefaults = { squeeze: 32, expand1x1: 128, expand3x3: 128 };

export const squeezeFamily: readonly ModelDefinition[] = [
  squeezeNet(
    'squeeze0',
    'SqueezeNet with 16 channels squeezed in its first fires',
    { squeeze: 16, expand1x1: 64, expand3x3: 64 },
    late,
  ),
  squeezeNet('squeeze1', "SqueezeNet: tensorsandbox's most efficient model", { squeeze: 32, expand1x1: 64, expand3x3: 64 }, late),
];
