/** Takes batch normalizations into the convolutions and dense layers before them, which at inference are one affine map after another. */
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
 * Each normalization whose input is a convolution or dense layer that has no activation and feeds nothing else becomes that layer with other weights:
 *
 *     f = scale / sqrt(variance + epsilon),   weight' = f * weight,   bias' = (bias - mean) * f + shift
 *
 * per filter or feature, in float64. The layer takes the normalization's place and name; its parameters keep their names. Other
 * normalizations stay.
 */
export function foldBatchNorms(network: Network, weights: Weights): FoldedNetwork {
  const folded = new Map<string, LinearLayer>();
  for (const layer of network.layers) {
    if (layer.kind !== 'batchNorm') continue;
    const source = network.layers.find((candidate) => candidate.name === layer.inputs[0]);
    if (source === undefined || !isLinear(source) || !isOnlyFor(source, layer, network)) continue;
    folded.set(layer.name, source);
  }
  const gone = new Set([...folded.values()].map(({ name }) => name));
  const changed = new Map(weights);
  const layers = network.layers.flatMap((layer): Layer[] => {
    if (gone.has(layer.name)) return [];
    const source = folded.get(layer.name);
    if (layer.kind !== 'batchNorm' || source === undefined) return [layer];
    for (const { name } of layer.parameters) changed.delete(name);
    const { weight, bias } = foldInto(source, layer, weights);
    changed.set(`${source.name}.weight`, weight).set(`${source.name}.bias`, bias);
    return [withBias(source, layer.name)];
  });
  return { layers, weights: changed };
}

type LinearLayer = LayerOf<'conv'> | LayerOf<'dense'>;

function isLinear(layer: Layer): layer is LinearLayer {
  return (layer.kind === 'conv' || layer.kind === 'dense') && layer.attributes.activation === null;
}

function isOnlyFor(source: Layer, user: Layer, network: Network): boolean {
  return network.output !== source.name && network.layers.every((layer) => layer === user || !layer.inputs.includes(source.name));
}

function foldInto(source: LinearLayer, norm: LayerOf<'batchNorm'>, weights: Weights) {
  const values = (layer: Layer, role: string) => weights.get(`${layer.name}.${role}`)?.data;
  const weight = weights.get(`${source.name}.weight`)!;
  const bias = values(source, 'bias');
  const scale = values(norm, 'scale');
  const shift = values(norm, 'shift');
  const mean = values(norm, 'mean')!;
  const variance = values(norm, 'variance')!;
  const filters = weight.shape[0]!;
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

/** The layer under another name, with a bias. */
function withBias(source: LinearLayer, name: string): LinearLayer {
  const weight = source.parameters.find((spec) => spec.role === 'weight')!;
  const bias: ParameterSpec = { ...weight, name: `${source.name}.bias`, role: 'bias', shape: [weight.shape[0]!] };
  // Of the same kind as before, which the compiler cannot see through the union.
  return { ...source, name, attributes: { ...source.attributes, bias: true }, parameters: [weight, bias] } as LinearLayer;
}
