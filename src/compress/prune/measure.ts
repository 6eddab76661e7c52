/** How large a network with given weights is, as it is and as a file. */
import * as z from 'zod';
import { countMultiplyAdds, countOperations, countParameters, type Network } from '../../nn/network.ts';
import { encodeSafetensors, type Tensor } from '../../runs/safetensors.ts';
import { compress } from '../../util/gzip.ts';

/** A record of it is read too, from the folder of a run: people edit files. */
export const networkSizeSchema = z.object({
  parameters: z.int(),
  /** For one image. Zeros count: no kernel skips them. */
  operations: z.int(),
  multiplyAdds: z.int(),
  /** Trainable ones of convolutions and dense layers: not biases, not frozen filters. */
  weights: z.int(),
  nonZeroWeights: z.int(),
  /** Part of the weights that is zero. */
  sparsity: z.number(),
  /** Of all parameters and statistics as a safetensors file of float32. */
  bytes: z.int(),
  /** Of the same file compressed with gzip. */
  compressedBytes: z.int(),
  /** Of each layer's weights, by their name: `conv1.weight`. */
  layers: z.array(z.object({ name: z.string(), weights: z.int(), nonZero: z.int(), sparsity: z.number() }).readonly()).readonly(),
});

export type NetworkSize = Readonly<z.output<typeof networkSizeSchema>>;

function countNonZero(weights: Float32Array): number {
  return weights.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
}

/** Part of the weights that is zero. */
export function sparsityOf(weights: Float32Array): number {
  return 1 - countNonZero(weights) / weights.length;
}

/** @param tensors of all parameters of the network, and nothing else */
export function measureSize(
  network: Network,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
): NetworkSize {
  const layers = network.parameters
    .filter(({ role, kind }) => role === 'weight' && kind === 'trainable')
    .map(({ name }) => {
      const { data } = tensors.get(name)!;
      const nonZero = countNonZero(data);
      return { name, weights: data.length, nonZero, sparsity: sparsityOf(data) };
    });
  const weights = layers.reduce((sum, layer) => sum + layer.weights, 0);
  const nonZeroWeights = layers.reduce((sum, { nonZero }) => sum + nonZero, 0);
  const file = encodeSafetensors(tensors, metadata);
  return {
    parameters: countParameters(network.parameters),
    operations: countOperations(network),
    multiplyAdds: countMultiplyAdds(network),
    weights,
    nonZeroWeights,
    sparsity: 1 - nonZeroWeights / weights,
    bytes: file.length,
    compressedBytes: compress(file).length,
    layers,
  };
}
