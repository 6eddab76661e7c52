/**
 * Which tensors of a graph become integers. ONNX Runtime runs an operator with integers where its inputs come from DequantizeLinear and
 * its output goes into QuantizeLinear, so these two are put around each layer that is quantized and around what lies between such layers.
 *
 * - A quantized layer's input is an integer tensor, and so is a convolution's output. A dense layer can make floats of integers, so its
 *   output is one only where integers are wanted, or behind its ReLU, with which it could not.
 * - What only moves or picks values (max pool, concat, flatten) has one scale for all its inputs and its output, and costs no rounding.
 * - Sums, averages and ReLUs compute with integers where they lie between integers.
 * - A ReLU behind a layer or a sum belongs to it: with zero as the smallest integer, rounding does what the ReLU does.
 *
 * Everything else (preprocessing, local response normalization, GELU, batch normalization that could not be folded, softmax), and whatever
 * is an output of the graph, stays float.
 */
import type { GraphProto, NodeProto } from '../../deploy/onnx/schema.ts';
import type { WeightedLayer } from './layers.ts';

const carriers: ReadonlySet<string> = new Set(['MaxPool', 'Concat', 'Flatten']);
const integerOperators: ReadonlySet<string> = new Set(['Add', 'AveragePool', 'GlobalAveragePool', 'Relu']);
const takesRelu: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'Add']);

/** The tensors that are stored as integers when `layers` are quantized. Fewer layers never make more of them. */
export function integerTensors(graph: GraphProto, layers: readonly WeightedLayer[]): ReadonlySet<string> {
  const quantized = new Set(layers.map(({ node }) => node));
  const outputs = new Set(graph.output.map(({ name }) => name));
  const consumers = consumersOf(graph);
  const { demanded, leading } = lookBack(graph, quantized);

  /** The tensor a node makes, its ReLU's where that belongs to it. */
  const made = (node: NodeProto): string => {
    const output = node.output[0]!;
    const [consumer, other] = consumers.get(output) ?? [];
    const isTaken = takesRelu.has(node.opType) && consumer?.opType === 'Relu' && other === undefined && !outputs.has(output);
    return isTaken ? consumer.output[0]! : output;
  };

  const integers = new Set<string>();
  const add = (tensor: string) => {
    if (!outputs.has(tensor)) integers.add(tensor);
  };
  for (const node of graph.node) {
    const tensor = made(node);
    const fromIntegers = node.input.every((input) => integers.has(input));
    if (demanded.has(node.output[0]!)) add(node.output[0]!);
    if (quantized.has(node)) {
      const hasRelu = tensor !== node.output[0];
      if (node.opType === 'Conv' || hasRelu || leading.has(tensor)) add(tensor);
    } else if (fromIntegers && (carriers.has(node.opType) || (integerOperators.has(node.opType) && leading.has(tensor)))) {
      add(tensor);
    }
  }
  return integers;
}

/** From the end to the beginning: the tensors that must be integers, and those from which integers are wanted further on. */
function lookBack(graph: GraphProto, quantized: ReadonlySet<NodeProto>) {
  const demanded = new Set<string>();
  const leading = new Set<string>();
  for (const node of graph.node.toReversed()) {
    const output = node.output[0]!;
    if (quantized.has(node)) {
      demanded.add(node.input[0]!);
      leading.add(node.input[0]!);
    } else if (carriers.has(node.opType) || integerOperators.has(node.opType)) {
      for (const input of node.input) {
        if (carriers.has(node.opType) && demanded.has(output)) demanded.add(input);
        if (leading.has(output)) leading.add(input);
      }
    }
  }
  return { demanded, leading };
}

/** Integer tensors that share a scale. */
export interface ScaleGroup {
  readonly tensors: readonly string[];
  /** Those of them that something computes with, and does not just move: their values decide the scale. */
  readonly observed: readonly string[];
}

/** Groups the integer tensors: those around a max pool, a concat or a flatten share a scale. In the order of the graph. */
export function scaleGroups(graph: GraphProto, integers: ReadonlySet<string>): ScaleGroup[] {
  const groupOf = new Map<string, Set<string>>();
  for (const tensor of graph.node.map((node) => node.output[0]!)) {
    if (integers.has(tensor)) groupOf.set(tensor, new Set([tensor]));
  }
  const sharing = carriersBetween(graph, integers);
  for (const { input, output } of sharing) {
    const joined = new Set([...input, ...output].flatMap((tensor) => [...groupOf.get(tensor)!]));
    for (const tensor of joined) groupOf.set(tensor, joined);
  }
  const consumers = consumersOf(graph);
  const isObserved = (tensor: string) => consumers.get(tensor)!.some((node) => !sharing.has(node));
  return [...new Set(groupOf.values())].map((group) => {
    const tensors = [...groupOf.keys()].filter((tensor) => group.has(tensor));
    return { tensors, observed: tensors.filter(isObserved) };
  });
}

function carriersBetween(graph: GraphProto, integers: ReadonlySet<string>): ReadonlySet<NodeProto> {
  const isBetween = ({ input, output }: NodeProto) => [...input, ...output].every((tensor) => integers.has(tensor));
  return new Set(graph.node.filter((node) => carriers.has(node.opType) && isBetween(node)));
}

function consumersOf(graph: GraphProto): ReadonlyMap<string, readonly NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const input of node.input) consumers.set(input, [...(consumers.get(input) ?? []), node]);
  }
  return consumers;
}
