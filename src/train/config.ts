/** Configurations for this machine, from the strongest of what was given down to the recipe. What they are made of is in complete-config.ts. */
import { modelDefinition } from '../models/registry.ts';
import { defaultThreads } from '../util/cpu.ts';
import { requireThreads } from '../util/limits.ts';
import { completeConfig, recordedModel, type FindModel } from './complete-config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';

/**
 * The complete configuration of a run.
 *
 * @param layers what the user gave, the strongest last: a study file's keys, then the flags. `model` is the name of one of the lab's, or
 *   what `defineModel` has returned; `augmentWith` a file, or what `defineAugmentation` has returned, which `train` is also given
 * @throws ConfigurationError naming the key, its value and what is allowed
 *
 * @example
 * resolveConfig({ model: 'tuto', recipe: 'modern', steps: 2000 });
 */
export function resolveConfig(...layers: readonly ConfigOverrides[]): TrainingConfig {
  return resolveWith(modelDefinition, ...layers);
}

/** As `resolveConfig`, with models of any origin. The configuration has the model's own name, whatever it was found by. */
export function resolveWith(find: FindModel, ...layers: readonly ConfigOverrides[]): TrainingConfig {
  const config = completeConfig(find, layers, defaultThreads);
  requireThreads(config.threads);
  return config;
}

/**
 * A complete configuration with changes. Settings of its model are known from what is recorded: the model itself may be gone, or changed.
 *
 * @throws ConfigurationError naming the key, its value and what is allowed
 */
export function changeConfig(recorded: TrainingConfig, ...changes: readonly ConfigOverrides[]): TrainingConfig {
  const find: FindModel = (name) => (name === recorded.model ? recordedModel(recorded) : modelDefinition(name));
  return resolveWith(find, { ...recorded }, ...changes);
}
