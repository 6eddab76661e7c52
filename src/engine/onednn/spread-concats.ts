/** Leaves out concats whose parts the layers behind them can take one by one. */
import type { Layer, LayerOf } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { Shape } from '../../nn/shape.ts';

interface Part {
  readonly name: string;
  readonly shape: Shape;
}

/**
 * The same network without the concats that only cost copies: their output is never put together. A 1x1 convolution of joined channels is the sum
 * of 1x1 convolutions of the parts, and becomes one with several inputs; a max pool works on each channel by itself, and becomes one for each part.
 */
export function spreadConcats(network: Network): Network {
  const consumers = new Map<string, Layer[]>();
  for (const layer of network.layers) {
    for (const name of layer.inputs) consumers.set(name, [...(consumers.get(name) ?? []), layer]);
  }

  /** Filters of the 1x1 convolutions that read a tensor, through pools too; undefined if anything else reads it. */
  function filtersBehind(name: string): number | undefined {
    if (name === network.output) return undefined;
    let filters = 0;
    for (const consumer of consumers.get(name) ?? []) {
      const behind = isPointwise(consumer) ? consumer.attributes.filters : filtersBehindPool(consumer);
      if (behind === undefined) return undefined;
      filters += behind;
    }
    return filters;
  }
  const filtersBehindPool = (layer: Layer): number | undefined =>
    layer.kind === 'maxPool' ? filtersBehind(layer.name) : undefined;

  /**
   * A concat moves each of its channels four times: read and written forward, and again backward. For every part but one, a convolution
   * moves each filter's output four times more: read and written forward, and its gradient read by both backward passes.
   */
  function costsMore({ name, inputs, outputShape }: LayerOf<'concat'>): boolean {
    const filters = filtersBehind(name);
    return filters !== undefined && (inputs.length - 1) * filters < outputShape[0]!;
  }

  const spread = new Map<string, readonly Part[]>();
  const layers = network.layers.flatMap((layer): Layer[] => {
    if (layer.kind === 'concat' && costsMore(layer)) {
      const parts = layer.inputs.map((name, i) => ({ name, shape: layer.inputShapes[i]! }));
      spread.set(layer.name, parts);
      return [];
    }
    const parts = spread.get(layer.inputs[0]!);
    if (parts === undefined) return [layer];
    if (layer.kind !== 'maxPool')
      return [{ ...layer, inputs: parts.map(({ name }) => name), inputShapes: parts.map(({ shape }) => shape) }];
    const pools = parts.map(({ name, shape }, i): LayerOf<'maxPool'> => {
      const outputShape = [shape[0]!, ...layer.outputShape.slice(1)];
      return { ...layer, name: `${layer.name}(${i})`, inputs: [name], inputShapes: [shape], outputShape };
    });
    spread.set(
      layer.name,
      pools.map(({ name, outputShape }) => ({ name, shape: outputShape })),
    );
    return pools;
  });
  return { ...network, layers };
}

function isPointwise(layer: Layer): layer is LayerOf<'conv'> {
  if (layer.kind !== 'conv') return false;
  const { kernel, stride, padding, groups } = layer.attributes;
  return groups === 1 && [...kernel, ...stride].every((side) => side === 1) && padding.every((side) => side === 0);
}
