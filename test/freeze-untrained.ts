/** Frozen files of networks with their first weights: for measuring speed, and for comparing engines. */
import { cifar10Classes } from '../src/data/cifar10.ts';
import type { Engine } from '../src/engine/engine.ts';
import { modelDefinition } from '../src/models/registry.ts';
import { createClassifier } from '../src/train/classifier.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { tensorsOf } from '../src/train/weights.ts';
import { freeze, type Frozen } from '../src/deploy/freeze.ts';
import { inputSizeFor, sidesOf } from '../src/util/image-size.ts';

/**
 * Freezes an untrained network.
 *
 * @param keys its configuration: at least the model; its images are by default as large as it was published with
 * @throws ConfigurationError for keys that do not fit
 */
export async function freezeUntrained(
  engine: Engine,
  keys: ConfigOverrides & { readonly model: string },
  classes: readonly string[] = cifar10Classes,
  channels: 1 | 3 = 3,
): Promise<Frozen> {
  const config = resolveConfig({ inputSize: modelDefinition(keys.model).defaultInputSize, ...keys });
  const sides = sidesOf(inputSizeFor(config.inputSize, [32, 32]));
  const classifier = createClassifier(config, { shape: [channels, ...sides], classes });
  const plan = await engine.compileInference(classifier.network, { batchSize: 1 });
  try {
    await initializeParameters(plan.parameters, config.seed, config.initializer);
    const tensors = await tensorsOf(plan.parameters, plan.parameters.values, '');
    const file = { tensors, metadata: { model: config.model } };
    const saved = { path: `an untrained ${config.model}`, file, config, step: 0, classifier };
    return await freeze({ saved, weights: 'raw', engine });
  } finally {
    plan.dispose();
  }
}
