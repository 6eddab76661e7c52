import { requireAgreement } from '../cluster/agreement.ts';
import type { Collective } from '../cluster/collective.ts';
import type { Dataset } from '../data/dataset.ts';
import type { ParameterArena, TrainingPlan } from '../engine/engine.ts';
import { sizeOf } from '../nn/shape.ts';
import type { TrainingConfig } from './config-schema.ts';

/**
 * Checks that all processes train the same model in the same way on the same images, with arenas that may be added element by element.
 *
 * @throws ConfigurationError on every process if not; it says which process differs in what
 */
export async function requireSameTraining(
  collective: Collective,
  config: TrainingConfig,
  dataset: Dataset,
  plan: TrainingPlan,
): Promise<void> {
  // A process alone would write all parameters, to find that they lie where it has put them.
  if (collective.worldSize === 1) return;
  // Each machine may have its own number of cores.
  const shared = { ...config, threads: 0 };
  requireAgreement(collective, 'the configuration', JSON.stringify(shared), 'Give all of them the same options');
  requireAgreement(
    collective,
    `the images of ${dataset.name}`,
    dataset.fingerprint,
    'Give every machine the same data: ablate data verify checks published data',
  );
  requireAgreement(
    collective,
    'the layout of the parameters, which the processor and the version of oneDNN decide',
    await layoutOf(plan.parameters),
    'Use machines with the same kind of processor and the same libdnnl',
  );
}

/** Bytes that two arenas share only if they hold each parameter in the same place and order. */
async function layoutOf(parameters: ParameterArena): Promise<Uint8Array> {
  const arena = parameters.allocate();
  for (const entry of parameters.entries) {
    const places = Float32Array.from({ length: sizeOf(entry.spec.shape) }, (_, i) => entry.offset + i + 1);
    await parameters.write(entry, places, arena);
  }
  return new Uint8Array((await arena.read()).buffer);
}
