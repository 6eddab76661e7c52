import { airbench } from './airbench.ts';
import type { Recipe } from './recipe.ts';

/** Examples in a batch of the original, whose learning rates are for the sum of their losses. */
const batchSize = 2000;

/**
 * The original's dense layer starts at weights of deviation 1, and its outputs are divided by 256. Ours starts at a deviation of
 * 1 / sqrt(3 * 256), so the logits are multiplied by sqrt(3 * 256) / 256. That is the same function, which the same training changes alike
 * if the learning rate of these weights is divided by 3 * 256.
 */
const denseVariance = 1 / (3 * 256);

const biasRate = 0.053 * batchSize;
const denseRate = 0.67 * denseVariance * batchSize;

/**
 * airbench94 with the optimizer Muon (the script airbench94_muon.py of github.com/KellerJordan/cifar10-airbench), made for the model `air94`:
 * 8 epochs of 25 batches of 2000 images; 94.01% on average with test-time augmentation.
 *
 * What differs from the original is in docs/training.md.
 */
export const airbenchMuon: Recipe = {
  name: 'airbench-muon',
  summary: 'airbench94 with Muon: orthogonalized steps of the filters, rates that fall along a line, 8 epochs of batches of 2000',
  settings: {
    ...airbench.settings,
    steps: 200,
    batchSize,
    learningRate: 0.24,
    schedule: { type: 'linear', warmup: 0, final: 0 },
    optimizer: {
      ...{ type: 'muon', momentum: 0.6, nesterov: true, iterations: 3 },
      ...{ otherLearningRate: denseRate, otherMomentum: 0.85 },
    },
    learningRateMultipliers: { weight: 1, bias: biasRate / denseRate, scale: 1, shift: biasRate / denseRate },
    // 2e-6 for each image of a batch.
    weightDecay: { rule: 'independent', value: 2e-6 * batchSize },
    lookahead: { type: 'none' },
    // Three of eight epochs, over which its rate falls to nothing.
    trainWhiteningBias: 0.375,
    whiteningBiasSchedule: 'own',
    // The original's first convolution is a plain Conv2d, whose bias PyTorch draws; that of airbench94 starts at zero.
    modelSettings: { 'whitening.bias': 'uniformFanIn', 'logits.scale': 1 / Math.sqrt(denseVariance) / 256 },
  },
};
