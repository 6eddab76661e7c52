/** Two models that tensorsandbox describes without training them. */
import { defineModel, type ModelDefinition } from './model.ts';
import {
  commonSettings,
  convolution,
  convSettings,
  denseHead,
  denseSettings,
  halvingPool,
  headSettings,
  hiddenDense,
  hiddenDenseSettings,
  kernelSetting,
  lrnSettings,
  overlappingPool,
  responseNormalization,
} from './vocabulary.ts';
import { count } from './settings.ts';

const cs231n = defineModel({
  name: 'cs231n',
  summary: 'one convolution and one wide dense layer, from the Stanford course',
  weightDecay2017: 100,
  settings: {
    ...commonSettings,
    ...convSettings('conv1', 64, 3),
    ...lrnSettings(true, 5),
    ...denseSettings('dense1', 500),
    ...hiddenDenseSettings,
  },
  layers(b, s, classes) {
    const conv1 = { filters: s['conv1.filters'], kernel: s['conv1.kernel'], regularized: true };
    let x = convolution(b, 'conv1', b.input, conv1, s);
    x = responseNormalization(b, 'lrn1', halvingPool(b, 'pool1', x), s);
    if (s.dense1) x = hiddenDense(b, 'dense1', x, s['dense1.features'], s);
    return b.dense('logits', x, { features: classes, initializer: { type: s.initializer } });
  },
});

/** The original computes the last pool and then does not use it; here it is used. */
const convone = defineModel({
  name: 'convone',
  summary: 'a bottleneck of 1x1 convolutions around a 5x5 one, then dense layers',
  weightDecay2017: 0.5,
  settings: {
    ...commonSettings,
    ...convSettings('conv1', 64, 5),
    'bottleneck.filters': count(32, 'filters of the bottleneck'),
    ...kernelSetting('bottleneck', 5),
    'expand.filters': count(64, 'filters of the 1x1 convolution after the bottleneck'),
    ...lrnSettings(true, 5),
    ...headSettings({ features: 384 }, { features: 192 }),
  },
  layers(b, s, classes) {
    let x = convolution(b, 'conv1', b.input, { filters: s['conv1.filters'], kernel: s['conv1.kernel'] }, s);
    x = responseNormalization(b, 'lrn1', overlappingPool(b, 'pool1', x), s);
    x = convolution(b, 'reduce', x, { filters: s['bottleneck.filters'], kernel: 1 }, s);
    x = convolution(b, 'bottleneck', x, { filters: s['bottleneck.filters'], kernel: s['bottleneck.kernel'] }, s);
    x = convolution(b, 'expand', x, { filters: s['expand.filters'], kernel: 1 }, s);
    x = halvingPool(b, 'pool2', responseNormalization(b, 'lrn2', x, s));
    return denseHead(b, x, s, classes);
  },
});

export const smallFamily: readonly ModelDefinition[] = [cs231n, convone];
