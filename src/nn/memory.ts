/** How much memory a network takes at least, from its description alone: before anything is allocated. */
import type { Network } from './network.ts';
import { sizeOf } from './shape.ts';

const bytesPerNumber = 4;

export interface MemoryOptions {
  /** Examples in a batch. */
  readonly batchSize: number;
  /** Whether there is a backward pass, which keeps gradients, and the activations of the forward pass until it has used them. */
  readonly training: boolean;
}

/**
 * A lower bound in bytes, whatever an engine shares or fuses: the parameters (with their gradients), the batch of inputs, and in training the
 * outputs of pools and dense layers, in 16 bits.
 */
export function leastBytes({ inputShape, layers, parameters }: Network, { batchSize, training }: MemoryOptions): number {
  const weights = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const kept = layers.filter(({ kind }) => kind === 'maxPool' || kind === 'dense');
  const activations = training ? kept.reduce((sum, { outputShape }) => sum + sizeOf(outputShape), 0) : 0;
  const forWeights = (training ? 2 : 1) * weights * bytesPerNumber;
  return forWeights + batchSize * (sizeOf(inputShape) * bytesPerNumber + (activations * bytesPerNumber) / 2);
}
