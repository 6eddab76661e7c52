import { noAugmentation } from '../../data/preprocessing.ts';
import type { Recipe } from './recipe.ts';

/**
 * airbench94 (Jordan, 2024, arXiv:2404.00498; the script airbench94.py with Nesterov SGD), made for the model `air94`: 94.01% on average with
 * test-time augmentation. Its learning rate and weight decay are decoupled: for the mean loss at batch 1024 they are 1.5 and 0.00133
 * (0.0153 / 11.5), a sixty-fourth of the latter on shifts.
 *
 * What differs from the original. It drops the last 848 of 50,000 images of every epoch, so that 9.9 epochs are 476 steps of 1024; here
 * epochs follow each other without a gap, and the same 476 steps are 9.75 epochs of the images. It trains in float16, by default here in float32.
 * Its slow weights start before the whitening, ours after (their weight in the first update is one millionth).
 */
export const airbench: Recipe = {
  name: 'airbench',
  summary:
    'airbench94: decoupled Nesterov, triangular rate, Lookahead, dirac, label smoothing, alternating flip and shift, test-time augmentation',
  settings: {
    steps: 476,
    batchSize: 1024,
    learningRate: 11.5,
    schedule: { type: 'triangular', warmup: 0.23, initial: 0.2, final: 0.07 },
    optimizer: { type: 'sgd', momentum: 0.85, nesterov: true, decoupled: true },
    learningRateMultipliers: { weight: 1, bias: 1, scale: 1, shift: 64 },
    weightDecay: { rule: 'independent', value: 0.0153 },
    labelSmoothing: 0.2,
    movingAverage: { type: 'none' },
    lookahead: { type: 'lookahead', every: 5, decay: 0.95 ** 5, power: 3 },
    // 144 of 476 steps: the original's three epochs of 48.
    trainWhiteningBias: 0.3025,
    augment: true,
    augmentation: { ...noAugmentation, contrast: [1, 1], flip: 'alternating', translate: 2 },
    inputSize: 'full',
    standardization: { type: 'channel', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] },
    initializer: { type: 'dirac' },
    tta: 'mirror+shift',
  },
};
