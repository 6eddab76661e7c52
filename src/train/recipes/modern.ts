import { noAugmentation } from '../../data/preprocessing.ts';
import type { Recipe } from './recipe.ts';

/**
 * What the years after 2017 found to work on small image classifiers, on the same images and budget as the study's recipe. Batch
 * normalization follows every convolution during training and folds into it when frozen: the network that is deployed is the study's.
 */
export const modern: Recipe = {
  name: 'modern',
  summary:
    'batch normalization, Nesterov momentum, one-cycle learning rate, label smoothing, weight decay on all weights, crop and flip, moving average',
  settings: {
    steps: 10_000,
    batchSize: 128,
    learningRate: 0.08,
    schedule: { type: 'oneCycle', warmup: 0.15, initial: 0, final: 0.001 },
    optimizer: { type: 'sgd', momentum: 0.9, nesterov: true },
    weightDecay: { rule: 'coupled', value: 5e-4 },
    labelSmoothing: 0.1,
    movingAverage: { type: 'exponential', decay: 0.998, warmup: true },
    augment: true,
    augmentation: { ...noAugmentation, contrast: [1, 1], randomCrop: true, flip: 'random' },
    inputSize: 24,
    standardization: { type: 'image' },
    initializer: { type: 'model' },
    modelSettings: { batchNorm: true },
  },
};
