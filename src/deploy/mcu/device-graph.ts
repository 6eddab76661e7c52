/** From a network and its weights to the graph that a device computes: the one way there, for exports and for figures. */
import type { Standardization } from '../../data/preprocessing.ts';
import type { Network } from '../../nn/network.ts';
import type { FoldedNetwork } from '../onnx/fold.ts';
import { foldInput, type ImageGraph } from './input.ts';
import { lowerNetwork } from './lower.ts';
import { separateFixed } from './scales.ts';
import { simplify } from './simplify.ts';

/**
 * The network over bytes, in real numbers, as small as it gets.
 *
 * @throws DataError for what integers on a device cannot compute
 */
export function deviceGraph(network: Network, folded: FoldedNetwork, standardization: Standardization): ImageGraph {
  return separateFixed(foldInput(simplify(lowerNetwork(network, folded)), standardization));
}
