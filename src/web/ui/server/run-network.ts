/** The network of a run, from its record: read once for each that is different, as lists are long. */
import { countOperations, countParameters } from '../../../nn/network.ts';
import type { Run } from '../../../runs/run-folder.ts';
import type { TrainingConfig } from '../../../train/config-schema.ts';
import { recordedClassifier } from '../../../train/classifier-record.ts';

/** Images in the training split of the data sets that are the same everywhere. */
export const trainingImages: Readonly<Record<string, number>> = { cifar10: 50_000, synthetic: 10_000 };

export interface NetworkFacts {
  readonly parameters: number;
  /** For one image. */
  readonly operations: number;
}

/**
 * Tells the sizes of many runs' networks; undefined for a run that has no record of it yet.
 *
 * @throws AblateError for a damaged record
 */
export function createNetworkFacts(): (run: Run, config: TrainingConfig) => NetworkFacts | undefined {
  const known = new Map<string, NetworkFacts>();
  return (run, { networkChecksum }) => {
    const found = known.get(networkChecksum);
    if (found !== undefined) return found;
    const network = recordedClassifier(run)?.network;
    if (network === undefined) return undefined;
    const facts = { parameters: countParameters(network.parameters), operations: countOperations(network) };
    if (networkChecksum !== '') known.set(networkChecksum, facts);
    return facts;
  };
}
