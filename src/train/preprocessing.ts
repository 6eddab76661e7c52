import type { Preprocessing } from '../data/preprocessing.ts';
import type { TrainingConfig } from './config-schema.ts';

/** How a configuration prepares images of `shape` `[C, H, W]`. */
export function preprocessingOf(config: TrainingConfig, shape: readonly [number, number, number]): Preprocessing {
  const { inputSize, standardization, augment, augmentation } = config;
  return {
    inputSize: inputSize === 'full' ? Math.min(shape[1], shape[2]) : inputSize,
    standardization,
    ...(augment && { augmentation }),
  };
}
