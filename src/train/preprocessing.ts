import { checkPreprocessing, type Preprocessing, type Standardization } from '../data/preprocessing.ts';
import type { TrainingConfig } from './config-schema.ts';

/** How a configuration prepares images of `shape` `[C, H, W]`. Throws ConfigurationError if they cannot be prepared so. */
export function preprocessingOf(config: TrainingConfig, shape: readonly [number, number, number]): Preprocessing {
  const { inputSize, standardization, augment, augmentation } = config;
  const preprocessing: Preprocessing = {
    inputSize: inputSize === 'full' ? Math.min(shape[1], shape[2]) : inputSize,
    standardization: forChannels(standardization, shape[0]),
    ...(augment && { augmentation }),
  };
  checkPreprocessing(shape, preprocessing);
  return preprocessing;
}

/** With constants for each of the channels, where one number may stand for all. */
function forChannels(standardization: TrainingConfig['standardization'], channels: number): Standardization {
  if (standardization.type === 'image') return standardization;
  const constants = (given: number | readonly number[]) =>
    typeof given === 'number' ? Array.from({ length: channels }, () => given) : given;
  return { type: 'channel', mean: constants(standardization.mean), deviation: constants(standardization.deviation) };
}
