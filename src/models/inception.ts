/**
 * Inception (Szegedy et al., 2015) for small images: modules that look at their input through 1x1, 3x3 and 5x5 windows and a pool at once,
 * the larger ones after a reduction to few channels, with batch normalization as in its second version (Ioffe and Szegedy, 2015).
 *
 *     C3-64 P inception1 inception2 P inception3 inception4 GAP F10
 *
 * Two modules at half and two at a quarter of the image's size, with widths in about the proportions of the original's and as large as fit
 * into the range of tensorsandbox's operations: 0.54M parameters, 123M operations at 32x32.
 */
import type { NetworkBuilder, Tensor } from '../nn/network.ts';
import { defineModel, type ModelDefinition } from './model.ts';
import { count, flag, type NumberSetting } from './settings.ts';
import {
  commonSettings,
  convolution,
  convSettings,
  dropout,
  dropoutRate,
  overlappingPool,
  type CommonSettings,
} from './vocabulary.ts';

interface ModuleDefaults {
  readonly filters1x1: number;
  readonly reduce3x3: number;
  readonly filters3x3: number;
  readonly reduce5x5: number;
  readonly filters5x5: number;
  readonly pool: number;
}

type ModuleName = 'inception1' | 'inception2' | 'inception3' | 'inception4';
type ModuleSettings<N extends ModuleName> = Record<`${N}.${keyof ModuleDefaults}`, NumberSetting>;

function moduleSettings<N extends ModuleName>(name: N, defaults: ModuleDefaults) {
  return {
    [`${name}.filters1x1`]: count(defaults.filters1x1, `1x1 filters in the output of ${name}`),
    [`${name}.reduce3x3`]: count(defaults.reduce3x3, `1x1 filters that reduce the input of its 3x3 ones`),
    [`${name}.filters3x3`]: count(defaults.filters3x3, `3x3 filters in the output of ${name}`),
    [`${name}.reduce5x5`]: count(defaults.reduce5x5, `1x1 filters that reduce the input of its 5x5 ones`),
    [`${name}.filters5x5`]: count(defaults.filters5x5, `5x5 filters in the output of ${name}`),
    [`${name}.pool`]: count(defaults.pool, `1x1 filters on its pool in the output of ${name}`),
  } as ModuleSettings<N>;
}

type ModuleValues = CommonSettings & { readonly [K in keyof ModuleSettings<ModuleName>]: number };

/** Four views of the same input, joined: 1x1, 1x1 then 3x3, 1x1 then 5x5, pool then 1x1. */
function inceptionModule(b: NetworkBuilder, name: ModuleName, x: Tensor, s: ModuleValues): Tensor {
  const conv = (part: string, input: Tensor, kernel: number, setting: keyof ModuleDefaults) =>
    convolution(b, `${name}/${part}`, input, { filters: s[`${name}.${setting}`], kernel }, s);
  const pooled = b.maxPool(`${name}/pool`, x, { kernel: 3, stride: 1 });
  return b.concat(
    name,
    conv('conv1x1', x, 1, 'filters1x1'),
    conv('conv3x3', conv('reduce3x3', x, 1, 'reduce3x3'), 3, 'filters3x3'),
    conv('conv5x5', conv('reduce5x5', x, 1, 'reduce5x5'), 5, 'filters5x5'),
    conv('project', pooled, 1, 'pool'),
  );
}

const inception = defineModel({
  name: 'inception',
  summary: 'Inception for small images: 1x1, 3x3, 5x5 and pooled views side by side, with batch normalization',
  defaultInputSize: 32,
  settings: {
    ...commonSettings,
    batchNorm: flag(true, 'batch normalization between each convolution and its ReLU, in place of its bias'),
    ...convSettings('conv1', 64, 3),
    ...moduleSettings('inception1', { filters1x1: 32, reduce3x3: 48, filters3x3: 64, reduce5x5: 16, filters5x5: 16, pool: 16 }),
    ...moduleSettings('inception2', { filters1x1: 64, reduce3x3: 64, filters3x3: 96, reduce5x5: 16, filters5x5: 32, pool: 32 }),
    ...moduleSettings('inception3', { filters1x1: 96, reduce3x3: 80, filters3x3: 128, reduce5x5: 16, filters5x5: 32, pool: 32 }),
    ...moduleSettings('inception4', { filters1x1: 128, reduce3x3: 96, filters3x3: 160, reduce5x5: 16, filters5x5: 48, pool: 48 }),
    dropout: dropoutRate(0, 'dropout before the dense layer'),
  },
  layers(b, s, classes) {
    let x = convolution(b, 'conv1', b.input, { filters: s['conv1.filters'], kernel: s['conv1.kernel'] }, s);
    x = overlappingPool(b, 'pool1', x);
    x = inceptionModule(b, 'inception2', inceptionModule(b, 'inception1', x, s), s);
    x = overlappingPool(b, 'pool2', x);
    x = inceptionModule(b, 'inception4', inceptionModule(b, 'inception3', x, s), s);
    x = dropout(b, 'dropout', b.globalAvgPool('average', x), s.dropout);
    return b.dense('logits', x, { features: classes, initializer: { type: s.initializer } });
  },
});

export const inceptionFamily: readonly ModelDefinition[] = [inception];
