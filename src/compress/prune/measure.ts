/** How large a network with given weights is, as it is and as a file. */
import { countMultiplyAdds, countOperations, countParameters, type Network } from '../../nn/network.ts';
import { encodeSafetensors, type Tensor } from '../../runs/safetensors.ts';
import { compress } from '../../util/gzip.ts';

export interface LayerSparsity {
  /** `conv1.weight` */
  readonly name: string;
  readonly weights: number;
  readonly nonZero: number;
  /** Part of the weights that is zero. */
  readonly sparsity: number;
}

export interface NetworkSize {
  readonly parameters: number;
  /** For one image. Zeros count: no kernel skips them. */
  readonly operations: number;
  readonly multiplyAdds: number;
  /** Trainable ones of convolutions and dense layers: not biases, not frozen filters. */
  readonly weights: number;
  readonly nonZeroWeights: number;
  /** Part of the weights that is zero. */
  readonly sparsity: number;
  /** Of all parameters and statistics as a safetensors file of float32. */
  readonly bytes: number;
  /** Of the same file compressed with gzip. */
  readonly compressedBytes: number;
  readonly layers: readonly LayerSparsity[];
}

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
    .map(({ name }): LayerSparsity => {
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
