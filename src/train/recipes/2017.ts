import { augmentation2017 } from '../../data/preprocessing.ts';
import type { Recipe } from './recipe.ts';

/** The training of tensorsandbox, exactly: plain gradient descent at a constant rate, weight decay of some layers, averaged weights. */
export const recipe2017: Recipe = {
  name: '2017',
  summary: 'tensorsandbox, 2017: plain SGD at 0.1, weight decay on some layers, Xavier, 24x24 crops, moving average',
  settings: {
    steps: 10_000,
    batchSize: 128,
    learningRate: 0.1,
    schedule: { type: 'constant' },
    optimizer: { type: 'sgd', momentum: 0, nesterov: false },
    weightDecay: { rule: '2017' },
    labelSmoothing: 0,
    movingAverage: { type: 'exponential', decay: 0.9999, warmup: true },
    augment: true,
    augmentation: { ...augmentation2017, contrast: [0.2, 1.8] },
    inputSize: 'crop',
    standardization: { type: 'image' },
    // The models' default is tensorsandbox's Xavier.
    initializer: { type: 'model' },
  },
};
