import { noAugmentation } from '../../data/preprocessing.ts';
import type { Recipe } from './recipe.ts';

/**
 * What the years after 2017 found to work on small image classifiers, on the same images and budget as the recipe 2017. Batch
 * normalization follows every convolution during training and folds into it when frozen: the network that is deployed is tensorsandbox's.
 *
 * The values are customary ones, not found by a search: docs/configuration.md says what was tried.
 */
export const modern: Recipe = {
  name: 'modern',
  summary:
    'batch normalization, Nesterov momentum, one-cycle learning rate, label smoothing, weight decay on all weights, crop and flip, moving average',
  settings: {
    steps: 10_000,
    batchSize: 128,
    learningRate: 0.08,
    // Smith and Topin, 2018, arXiv:1708.07120: the linear way up and down, not their very large rates or cycled momentum.
    schedule: { type: 'oneCycle', warmup: 0.15, initial: 0, final: 0.001 },
    // Sutskever et al., 2013, "On the importance of initialization and momentum in deep learning".
    optimizer: { type: 'sgd', momentum: 0.9, nesterov: true },
    // Krizhevsky et al., 2012, "ImageNet classification with deep convolutional neural networks"; so are momentum 0.9, crops and flips.
    weightDecay: { rule: 'coupled', value: 5e-4 },
    // Szegedy et al., 2016, arXiv:1512.00567.
    labelSmoothing: 0.1,
    // Polyak and Juditsky, 1992, "Acceleration of stochastic approximation by averaging"; forgetting exponentially, as in 2017.
    movingAverage: { type: 'exponential', decay: 0.998, warmup: true },
    augment: true,
    augmentation: { ...noAugmentation, contrast: [1, 1], randomCrop: true, flip: 'random' },
    // The crops of 2017, so that operations can be compared.
    inputSize: 'crop',
    standardization: { type: 'image' },
    initializer: { type: 'model' },
    // Ioffe and Szegedy, 2015, arXiv:1502.03167: it takes the place of dropout as well (section 4.2.1).
    modelSettings: { batchNorm: true, dropout: 0 },
  },
};
