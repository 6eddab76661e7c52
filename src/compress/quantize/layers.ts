/** The layers with weights of a frozen graph, which are what is quantized. */
import type { GraphProto, NodeProto, TensorProto } from '../../deploy/onnx/schema.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { didYouMean } from '../../util/suggest.ts';

/** A convolution or a dense layer. Its weights have the output channels first: `[filters, C / groups, kH, kW]` or `[out, in]`. */
export interface WeightedLayer {
  /** As in the network, where a batch normalization that was folded into it does not count: `conv1`. */
  readonly name: string;
  readonly node: NodeProto;
  readonly weight: TensorProto;
  readonly bias: TensorProto | undefined;
}

const weightSuffix = '.weight';

/** All of them, in the order of the graph. */
export function weightedLayers(graph: GraphProto): WeightedLayer[] {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  return graph.node.flatMap((node) => {
    if (node.opType !== 'Conv' && node.opType !== 'Gemm') return [];
    const [, weightName = '', biasName = ''] = node.input;
    const weight = constants.get(weightName);
    if (weight?.name.endsWith(weightSuffix) !== true) return [];
    return [{ name: weight.name.slice(0, -weightSuffix.length), node, weight, bias: constants.get(biasName) }];
  });
}

/**
 * The layers that are left when some are kept in float.
 *
 * @throws ConfigurationError if there is no layer of a name, or none is left
 */
export function withoutLayers(layers: readonly WeightedLayer[], keepFloat: readonly string[]): WeightedLayer[] {
  const names = layers.map(({ name }) => name);
  for (const name of keepFloat) {
    if (names.includes(name)) continue;
    throw new ConfigurationError(`there is no layer ${JSON.stringify(name)} to keep in float.${didYouMean(name, names)}`, {
      fix: `The layers with weights are: ${names.join(', ')}`,
    });
  }
  const left = layers.filter(({ name }) => !keepFloat.includes(name));
  if (left.length > 0) return left;
  throw new ConfigurationError('every layer is to be kept in float, which leaves none to quantize', {
    fix: 'name fewer layers in --keep-float',
  });
}
