/** What the compiler asks about a network as a whole before it lowers its layers: who consumes what, and what follows from it. */
import type { Layer, LayerOf } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';

export interface NetworkAnalysis {
  /**
   * The convolution or dense layer that makes the logits: the output itself, or what becomes it through layers of one input (a scale, a
   * global average). Undefined where there is none that nothing else reads.
   */
  readonly logits: string | undefined;
  /** Layers with a fused ReLU that leave its backward mask to a later layer. */
  readonly unmasked: ReadonlySet<string>;
  /** Layers that mask their output's gradient for the ReLUs before them. */
  readonly masking: ReadonlySet<string>;
  /** Max pools that alone read the output of a convolution, by the convolution's name. */
  readonly pools: ReadonlyMap<string, LayerOf<'maxPool'>>;
  /** Batch normalizations whose output only a ReLU reads. */
  readonly rectified: ReadonlySet<string>;
  /** Layers whose output's gradient is wanted: they have trainable parameters or depend on a layer that has. */
  readonly differentiated: ReadonlySet<string>;
}

/**
 * A ReLU commutes with a maximum and with a concat. Its backward mask (dx = dy where y > 0) can therefore be applied once, after the
 * pooling, to a tensor a quarter of the size, or to the joined tensor in one pass.
 */
export function analyse(network: Network): NetworkAnalysis {
  const consumers = new Map<string, Layer[]>();
  for (const layer of network.layers) {
    for (const name of layer.inputs) consumers.set(name, [...(consumers.get(name) ?? []), layer]);
  }
  const byName = new Map(network.layers.map((layer) => [layer.name, layer]));
  const onlyConsumer = (layer: Layer): Layer | undefined => {
    const [first, ...others] = consumers.get(layer.name) ?? [];
    return others.length === 0 && layer.name !== network.output ? first : undefined;
  };
  const hasFusedRelu = (layer: Layer | undefined): boolean =>
    (layer?.kind === 'conv' || layer?.kind === 'dense') && layer.attributes.activation?.type === 'relu';

  const unmasked = new Set<string>();
  const masking = new Set<string>();
  const rectified = new Set<string>();
  const pools = new Map<string, LayerOf<'maxPool'>>();
  for (const layer of network.layers) {
    const next = onlyConsumer(layer);
    if (layer.kind === 'batchNorm' && next?.kind === 'activation' && next.attributes.type === 'relu') rectified.add(layer.name);
    if (layer.kind === 'conv' && next?.kind === 'maxPool') pools.set(layer.name, next);
    if (hasFusedRelu(layer) && next?.kind === 'maxPool') {
      unmasked.add(layer.name);
      masking.add(next.name);
    }
    if (layer.kind !== 'concat') continue;
    const inputs = layer.inputs.map((name) => byName.get(name));
    if (inputs.every((input) => input !== undefined && hasFusedRelu(input) && onlyConsumer(input) === layer)) {
      layer.inputs.forEach((name) => unmasked.add(name));
      masking.add(next?.kind === 'maxPool' ? next.name : layer.name);
    }
  }
  return {
    logits: logitsLayer(network, byName, onlyConsumer),
    unmasked,
    masking,
    pools,
    rectified,
    differentiated: differentiatedLayers(network),
  };
}

function logitsLayer(
  network: Network,
  byName: ReadonlyMap<string, Layer>,
  onlyConsumer: (layer: Layer) => Layer | undefined,
): string | undefined {
  let layer = byName.get(network.output);
  while (layer !== undefined && layer.kind !== 'conv' && layer.kind !== 'dense') {
    const before: Layer | undefined = layer.inputs.length === 1 ? byName.get(layer.inputs[0]!) : undefined;
    layer = before !== undefined && onlyConsumer(before) === layer ? before : undefined;
  }
  return layer?.name;
}

function differentiatedLayers(network: Network): ReadonlySet<string> {
  const names = new Set<string>();
  for (const layer of network.layers) {
    const own = layer.parameters.some((parameter) => parameter.kind === 'trainable');
    if (own || layer.inputs.some((name) => names.has(name))) names.add(layer.name);
  }
  return names;
}
