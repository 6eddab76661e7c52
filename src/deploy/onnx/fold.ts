/** Takes batch normalizations into the convolutions before them, which at inference are one affine map after another. */
import type { Layer, LayerOf } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { ParameterSpec } from '../../nn/parameter.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import type { Weights } from './rule.ts';

/** Layers in an order in which each follows its inputs, and the parameters they have. */
export interface FoldedNetwork {
  readonly layers: readonly Layer[];
  readonly weights: Weights;
}

/**
 * Each normalization whose input is a convolution that has no ReLU and feeds nothing else becomes that convolution with other weights:
 *
 *     f = scale / sqrt(variance + epsilon),   weight' = f * weight,   bias' = (bias - mean) * f + shift
 *
 * per filter, in float64. The convolution takes the normalization's place and name; its parameters keep their names. Other
 * normalizations stay.
 */
export function foldBatchNorms(network: Network, weights: Weights): FoldedNetwork {
  const folded = new Map<string, LayerOf<'conv'>>();
  for (const layer of network.layers) {
    if (layer.kind !== 'batchNorm') continue;
    const source = network.layers.find((candidate) => candidate.name === layer.inputs[0]);
    if (source?.kind === 'conv' && !source.attributes.relu && isOnlyFor(source, layer, network)) folded.set(layer.name, source);
  }
  const gone = new Set([...folded.values()].map((conv) => conv.name));
  const changed = new Map(weights);
  const layers = network.layers.flatMap((layer): Layer[] => {
    if (gone.has(layer.name)) return [];
    const conv = folded.get(layer.name);
    if (layer.kind !== 'batchNorm' || conv === undefined) return [layer];
    for (const { name } of layer.parameters) changed.delete(name);
    const { weight, bias } = foldInto(conv, layer, weights);
    changed.set(`${conv.name}.weight`, weight).set(`${conv.name}.bias`, bias);
    return [withBias(conv, layer.name)];
  });
  return { layers, weights: changed };
}

function isOnlyFor(conv: Layer, user: Layer, network: Network): boolean {
  return network.output !== conv.name && network.layers.every((layer) => layer === user || !layer.inputs.includes(conv.name));
}

function foldInto(conv: LayerOf<'conv'>, norm: LayerOf<'batchNorm'>, weights: Weights) {
  const values = (layer: Layer, role: string) => weights.get(`${layer.name}.${role}`)?.data;
  const weight = weights.get(`${conv.name}.weight`)!;
  const bias = values(conv, 'bias');
  const scale = values(norm, 'scale');
  const shift = values(norm, 'shift');
  const mean = values(norm, 'mean')!;
  const variance = values(norm, 'variance')!;
  const { filters } = conv.attributes;
  const filterLength = weight.data.length / filters;
  const foldedWeight = new Float32Array(weight.data.length);
  const foldedBias = new Float32Array(filters);
  for (let filter = 0; filter < filters; filter++) {
    const factor = (scale?.[filter] ?? 1) / Math.sqrt(variance[filter]! + norm.attributes.epsilon);
    const start = filter * filterLength;
    for (let i = start; i < start + filterLength; i++) foldedWeight[i] = weight.data[i]! * factor;
    foldedBias[filter] = ((bias?.[filter] ?? 0) - mean[filter]!) * factor + (shift?.[filter] ?? 0);
  }
  return {
    weight: { shape: weight.shape, data: foldedWeight } satisfies Tensor,
    bias: { shape: [filters], data: foldedBias } satisfies Tensor,
  };
}

/** The convolution under another layer's name, with a bias. */
function withBias(conv: LayerOf<'conv'>, name: string): LayerOf<'conv'> {
  const weight = conv.parameters.find((spec) => spec.role === 'weight')!;
  const bias: ParameterSpec = { ...weight, name: `${conv.name}.bias`, role: 'bias', shape: [conv.attributes.filters] };
  return { ...conv, name, attributes: { ...conv.attributes, bias: true }, parameters: [weight, bias] };
}
