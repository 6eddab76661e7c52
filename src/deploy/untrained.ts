/** Frozen files of networks with their first weights: for measuring speed, and for comparing engines. */
import type { Engine } from '../engine/engine.ts';
import { buildModel, modelDefinition } from '../models/registry.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { initializeParameters } from '../train/initialize.ts';
import { tensorsOf } from '../train/weights.ts';
import { freeze, type Frozen } from './freeze.ts';

/**
 * Freezes an untrained network.
 *
 * @param keys its configuration: at least the model; its images are by default as large as it was published with
 * @throws ConfigurationError for keys that do not fit
 */
export async function freezeUntrained(engine: Engine, keys: ConfigOverrides & { readonly model: string }): Promise<Frozen> {
  const config = resolveConfig({ inputSize: modelDefinition(keys.model).defaultInputSize, ...keys });
  const input = config.inputSize === 'full' ? 32 : config.inputSize;
  const network = buildModel(config.model, { settings: config.modelSettings, input });
  const plan = engine.compileInference(network, { batchSize: 1 });
  try {
    initializeParameters(plan.parameters, config.seed, config.initializer);
    const tensors = tensorsOf(plan.parameters, plan.parameters.values, '');
    const file = { tensors, metadata: { model: config.model } };
    const saved = { path: `an untrained ${config.model}`, file, config, step: 0, classes: undefined, imageShape: undefined };
    return await freeze({ saved, weights: 'raw', engine });
  } finally {
    plan.dispose();
  }
}
