/** Graphs with quantized weights and activations, made from the float graph. */
import { integerAttribute, type GraphProto, type NodeProto, type TensorProto } from '../../deploy/onnx/schema.ts';
import { DataError } from '../../util/errors.ts';
import { largestFloat16, toFloat16 } from '../../util/float16.ts';
import type { WeightedLayer } from './layers.ts';
import { integerTensors } from './placement.ts';
import type { ActivationScale } from '../../deploy/integers/ranges.ts';
import { constantTensor, floatsOf } from './tensors.ts';
import { leastScaleFor, quantizeBias, quantizeWeights, type WeightBits } from '../../deploy/integers/weights.ts';

/** Nodes that stand in front of a layer, the names its operands get through them, and the constants they need. */
interface StoredOperand {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly constants: readonly TensorProto[];
}

/**
 * Integer arithmetic in QDQ form: QuantizeLinear behind what makes an integer tensor, DequantizeLinear before each node that reads it, and
 * before the 8-bit weights and 32-bit biases of the layers.
 *
 * @param layers those to quantize
 * @param scales of at least the tensors that become integers
 */
export function withIntegerArithmetic(
  graph: GraphProto,
  layers: readonly WeightedLayer[],
  scales: ReadonlyMap<string, ActivationScale>,
  bits: WeightBits,
): GraphProto {
  const integers = integerTensors(graph, layers);
  const layerOf = new Map(layers.map((layer) => [layer.node, layer]));
  const constants: TensorProto[] = [];
  const nodes: NodeProto[] = [];
  const readers = new Map<string, number>();

  /** Each reader has a DequantizeLinear of its own: that is what runtimes look for. */
  const dequantized = (tensor: string): string => {
    const count = (readers.get(tensor) ?? 0) + 1;
    readers.set(tensor, count);
    const name = `${tensor}/float${count}`;
    nodes.push(operator('DequantizeLinear', name, [`${tensor}/integers`, `${tensor}/scale`, `${tensor}/zero_point`]));
    return name;
  };

  for (const node of graph.node) {
    const layer = layerOf.get(node);
    let input = node.input.map((tensor) => (integers.has(tensor) ? dequantized(tensor) : tensor));
    if (layer !== undefined) {
      const operands = integerOperands(layer, scales.get(node.input[0]!)!, bits);
      for (const operand of operands) {
        nodes.push(...operand.nodes);
        constants.push(...operand.constants);
      }
      input = [input[0]!, ...operands.map(({ name }) => name)];
    }
    nodes.push({ ...node, input });
    const output = node.output[0]!;
    if (!integers.has(output)) continue;
    const { scale, zeroPoint } = scales.get(output)!;
    constants.push(
      constantTensor(`${output}/scale`, 'float', [], Float32Array.of(scale)),
      constantTensor(`${output}/zero_point`, 'uint8', [], Uint8Array.of(zeroPoint)),
    );
    nodes.push(operator('QuantizeLinear', `${output}/integers`, [output, `${output}/scale`, `${output}/zero_point`]));
  }
  const replaced = new Set(layers.flatMap(({ weight, bias }) => [weight, bias]));
  return { ...graph, node: nodes, initializer: [...graph.initializer.filter((tensor) => !replaced.has(tensor)), ...constants] };
}

function integerOperands({ weight, bias }: WeightedLayer, input: ActivationScale, bits: WeightBits): StoredOperand[] {
  const channels = weight.dims[0]!;
  const biases = bias && floatsOf(bias);
  const least = biases && ((channel: number) => leastScaleFor(biases[channel]!, input.scale));
  const { values, scales } = quantizeWeights(floatsOf(weight), channels, bits, least);
  const operand = dequantizedWeights(weight, values, scales);
  if (bias === undefined || biases === undefined) return [operand];
  const integers = quantizeBias(biases, input.scale, scales);
  const stored = constantTensor(`${bias.name}/integers`, 'int32', bias.dims, integers.values);
  const biasScale = constantTensor(`${bias.name}/scale`, 'float', [channels], integers.scales);
  return [operand, perChannel(`${bias.name}/float`, [stored, biasScale])];
}

/** 8-bit weights, made float32 in front of the layers, which compute as before. */
export function withInt8Weights(graph: GraphProto, layers: readonly WeightedLayer[]): GraphProto {
  return withStoredWeights(graph, layers, ({ weight }) => {
    const { values, scales } = quantizeWeights(floatsOf(weight), weight.dims[0]!, 8);
    return dequantizedWeights(weight, values, scales);
  });
}

/**
 * 16-bit weights, made float32 in front of the layers, which compute as before.
 *
 * @throws DataError if a weight is too large for float16
 */
export function withFloat16Weights(graph: GraphProto, layers: readonly WeightedLayer[]): GraphProto {
  return withStoredWeights(graph, layers, ({ name, weight }) => {
    const values = toFloat16(floatsOf(weight));
    if (values.some((bits) => (bits & 0x7fff) >= 0x7c00)) {
      throw new DataError(`a weight of ${name} is larger than float16 holds (${largestFloat16})`, {
        fix: `add --keep-float ${name}`,
      });
    }
    const stored = constantTensor(`${weight.name}/float16`, 'float16', weight.dims, values);
    const cast = operator('Cast', `${weight.name}/float`, [stored.name], 'to', 1);
    return { name: cast.name, nodes: [cast], constants: [stored] };
  });
}

/** Puts another operand in the place of each layer's weights. */
function withStoredWeights(
  graph: GraphProto,
  layers: readonly WeightedLayer[],
  store: (layer: WeightedLayer) => StoredOperand,
): GraphProto {
  const operandOf = new Map(layers.map((layer) => [layer.node, store(layer)]));
  const replaced = new Set(layers.map(({ weight }) => weight));
  const node = graph.node.flatMap((each): NodeProto[] => {
    const operand = operandOf.get(each);
    if (operand === undefined) return [each];
    return [...operand.nodes, { ...each, input: each.input.map((tensor, i) => (i === 1 ? operand.name : tensor)) }];
  });
  const constants = [...operandOf.values()].flatMap((operand) => operand.constants);
  return { ...graph, node, initializer: [...graph.initializer.filter((tensor) => !replaced.has(tensor)), ...constants] };
}

function dequantizedWeights({ name, dims }: TensorProto, values: Int8Array, scales: Float32Array): StoredOperand {
  return perChannel(`${name}/float`, [
    constantTensor(`${name}/integers`, 'int8', dims, values),
    constantTensor(`${name}/scale`, 'float', [scales.length], scales),
    constantTensor(`${name}/zero_point`, 'int8', [scales.length], new Int8Array(scales.length)),
  ]);
}

/** A DequantizeLinear with a scale for each entry of the first axis. */
function perChannel(name: string, constants: readonly TensorProto[]): StoredOperand {
  const input = constants.map((tensor) => tensor.name);
  const node = operator('DequantizeLinear', name, input, 'axis', 0);
  return { name, nodes: [node], constants };
}

/** A node that is called like the tensor it makes, with at most one attribute. */
function operator(opType: string, name: string, input: readonly string[], attribute?: string, value = 0): NodeProto {
  return { name, opType, input, output: [name], attribute: attribute === undefined ? [] : [integerAttribute(attribute, value)] };
}
