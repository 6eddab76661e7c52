/** In which order filters are removed: which of them a network misses least. */
import type { Layer } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import type { Channels } from './channels.ts';

/** `layer`: all layers lose about the same part of their filters. `global`: those of least importance go first, wherever they are. */
export type FilterScope = 'layer' | 'global';

/**
 * The channels that can be removed, those to remove first in front. The last channel of every layer is not among them.
 *
 * A filter's importance is the magnitude of the batch normalization's scale behind it, where there is one (Liu et al., 2017), else the L2 norm
 * of its weights (after Li et al., 2017), relative to the mean of its layer. That of a channel is the mean over its filters.
 *
 * @param weights of the network, by parameter name
 */
export function removalOrder(
  network: Network,
  { channels }: Channels,
  weights: ReadonlyMap<string, Tensor>,
  scope: FilterScope,
): number[] {
  const importances = new Map(
    network.layers.filter(makesChannels).map((layer) => [layer.name, relativeImportances(network, layer, weights)]),
  );
  /** Channels made by the same layers, which compete with each other. */
  const rivals = new Map<string, { channel: number; importance: number }[]>();
  channels.forEach(({ filters, fixed }, channel) => {
    if (fixed !== undefined) return;
    const importance = filters.reduce((sum, { layer, index }) => sum + importances.get(layer)![index]!, 0) / filters.length;
    const makers = filters.map(({ layer }) => layer).join(' ');
    rivals.set(makers, [...(rivals.get(makers) ?? []), { channel, importance }]);
  });
  const ranked = [...rivals.values()].flatMap((group) => {
    const ascending = [...group].sort((a, b) => a.importance - b.importance);
    const removable = ascending.slice(0, -1);
    return removable.map(({ channel, importance }, i) => ({
      channel,
      key: scope === 'global' ? importance : (i + 1) / group.length,
    }));
  });
  return ranked.sort((a, b) => a.key - b.key || a.channel - b.channel).map(({ channel }) => channel);
}

/** Depthwise convolutions do not: they filter the channels of others. */
export function makesChannels(layer: Layer): boolean {
  return layer.kind === 'dense' || (layer.kind === 'conv' && layer.attributes.groups === 1);
}

function relativeImportances(network: Network, layer: Layer, weights: ReadonlyMap<string, Tensor>): number[] {
  const importances = scalesBehind(network, layer, weights) ?? norms(weights.get(`${layer.name}.weight`)!);
  const mean = importances.reduce((sum, value) => sum + value, 0) / importances.length;
  return importances.map((value) => (mean === 0 ? 1 : value / mean));
}

/** Magnitudes of the scales of the batch normalization that alone reads a layer's output, if there is one that has scales. */
function scalesBehind(network: Network, layer: Layer, weights: ReadonlyMap<string, Tensor>): number[] | undefined {
  const readers = network.layers.filter(({ inputs }) => inputs.includes(layer.name));
  const [reader] = readers;
  if (readers.length !== 1 || reader?.kind !== 'batchNorm' || !reader.attributes.scale) return undefined;
  return Array.from(weights.get(`${reader.name}.scale`)!.data, Math.abs);
}

/** L2 norm of each filter. */
function norms({ shape, data }: Tensor): number[] {
  const filters = shape[0]!;
  const size = data.length / filters;
  return Array.from({ length: filters }, (_, f) => {
    let squares = 0;
    for (let i = f * size; i < (f + 1) * size; i++) squares += data[i]! ** 2;
    return Math.sqrt(squares);
  });
}
