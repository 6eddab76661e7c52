import { studyAugmentation } from '../../data/preprocessing.ts';
import type { Recipe } from './recipe.ts';

/** The trainer of the 2017 study, exactly: plain gradient descent at a constant rate, decay of the starred weights, averaged weights. */
export const study2017: Recipe = {
  name: '2017',
  summary: 'the 2017 study: plain SGD at 0.1, weight decay on starred layers, Xavier, 24x24 crops, moving average',
  settings: {
    steps: 10_000,
    batchSize: 128,
    learningRate: 0.1,
    schedule: { type: 'constant' },
    optimizer: { type: 'sgd', momentum: 0, nesterov: false },
    weightDecay: { rule: 'study' },
    labelSmoothing: 0,
    movingAverage: { type: 'exponential', decay: 0.9999, warmup: true },
    augment: true,
    augmentation: { ...studyAugmentation, contrast: [0.2, 1.8] },
    inputSize: 24,
    standardization: { type: 'image' },
    // The models' default is the study's Xavier.
    initializer: { type: 'model' },
  },
};
