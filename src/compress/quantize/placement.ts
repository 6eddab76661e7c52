/**
 * Which tensors of a graph become integers. ONNX Runtime runs an operator with integers where its inputs come from DequantizeLinear and
 * its output goes into QuantizeLinear, so these two are put around each layer that is quantized and around what lies between such layers.
 *
 * - A quantized layer's input is an integer tensor, and so is a convolution's output. A dense layer can make floats of integers, so its
 *   output is one only where integers are wanted, or behind its ReLU, with which it could not.
 * - What only moves or picks values (max pool, concat, flatten, more dimensions) has one scale for all its inputs and its output, and costs no rounding.
 * - Sums, products, averages, ReLUs (leaky ones too) and sigmoids compute with integers where they lie between integers.
 * - A ReLU or ReLU6 behind a layer or a sum belongs to it: with zero as the smallest integer, and 6 as the largest, rounding does what they do.
 *
 * Everything else (preprocessing, local response normalization, GELU, hard swish and hard sigmoid, batch normalization that could not be folded,
 * softmax), and whatever is an output of the graph, stays float.
 */
import type { ScaleGroup } from '../../deploy/integers/calibrate.ts';
import type { GraphProto, NodeProto } from '../../deploy/onnx/schema.ts';
import type { WeightedLayer } from './layers.ts';

const carriers: ReadonlySet<string> = new Set(['MaxPool', 'Concat', 'Flatten', 'Unsqueeze']);
const rectifiers: ReadonlySet<string> = new Set(['Relu', 'Clip']);
const integerOperators: ReadonlySet<string> = new Set([
  ...['Add', 'Mul', 'AveragePool', 'GlobalAveragePool', 'LeakyRelu', 'Sigmoid'],
  ...rectifiers,
]);
const takesRectifier: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'Add']);

/** Without the constants that say what to do: the axes of an Unsqueeze, the ends of a Clip. */
function operandsOf({ opType, input }: NodeProto): readonly string[] {
  return opType === 'Unsqueeze' || opType === 'Clip' ? input.slice(0, 1) : input;
}

/** The tensors that are stored as integers when `layers` are quantized. Fewer layers never make more of them. */
export function integerTensors(graph: GraphProto, layers: readonly WeightedLayer[]): ReadonlySet<string> {
  const quantized = new Set(layers.map(({ node }) => node));
  const outputs = new Set(graph.output.map(({ name }) => name));
  const consumers = consumersOf(graph);
  const demanded = demandedTensors(graph, quantized);
  const leading = leadingTensors(graph, quantized, demanded);

  /** The tensor a node makes, its ReLU's or ReLU6's where that belongs to it. */
  const made = (node: NodeProto): string => {
    const output = node.output[0]!;
    const [consumer, other] = consumers.get(output) ?? [];
    if (consumer === undefined || other !== undefined || outputs.has(output)) return output;
    return takesRectifier.has(node.opType) && rectifiers.has(consumer.opType) ? consumer.output[0]! : output;
  };

  const integers = new Set<string>();
  const add = (tensor: string) => {
    if (!outputs.has(tensor)) integers.add(tensor);
  };
  for (const node of graph.node) {
    const tensor = made(node);
    if (demanded.has(node.output[0]!)) add(node.output[0]!);
    if (quantized.has(node)) {
      const isRectified = tensor !== node.output[0];
      if (node.opType === 'Conv' || isRectified || leading.has(tensor)) add(tensor);
    } else if (computesWithIntegers(node, integers) && (carriers.has(node.opType) || leading.has(tensor))) {
      add(tensor);
    }
  }
  return integers;
}

/** What quantized layers read, also through what only moves values. */
function demandedTensors(graph: GraphProto, quantized: ReadonlySet<NodeProto>): ReadonlySet<string> {
  const demanded = new Set<string>();
  for (const node of graph.node.toReversed()) {
    if (quantized.has(node)) demanded.add(node.input[0]!);
    else if (carriers.has(node.opType) && demanded.has(node.output[0]!)) operandsOf(node).forEach((input) => demanded.add(input));
  }
  return demanded;
}

/** The tensors from which integers are wanted further on, through operators that could compute with integers alone. */
function leadingTensors(
  graph: GraphProto,
  quantized: ReadonlySet<NodeProto>,
  demanded: ReadonlySet<string>,
): ReadonlySet<string> {
  const possible = new Set(demanded);
  for (const node of graph.node) {
    if (quantized.has(node) || computesWithIntegers(node, possible)) possible.add(node.output[0]!);
  }
  const leading = new Set<string>();
  for (const node of graph.node.toReversed()) {
    if (quantized.has(node)) leading.add(node.input[0]!);
    else if (leading.has(node.output[0]!) && computesWithIntegers(node, possible)) {
      operandsOf(node).forEach((input) => leading.add(input));
    }
  }
  return leading;
}

function computesWithIntegers(node: NodeProto, integers: ReadonlySet<string>): boolean {
  const canDo = carriers.has(node.opType) || integerOperators.has(node.opType);
  return canDo && operandsOf(node).every((input) => integers.has(input));
}

/** Groups the integer tensors: those around a max pool, a concat or a flatten share a scale. In the order of the graph. */
export function scaleGroups(graph: GraphProto, integers: ReadonlySet<string>): ScaleGroup[] {
  const groupOf = new Map<string, Set<string>>();
  for (const tensor of graph.node.map((node) => node.output[0]!)) {
    if (integers.has(tensor)) groupOf.set(tensor, new Set([tensor]));
  }
  const sharing = carriersBetween(graph, integers);
  for (const node of sharing) {
    const joined = new Set([...operandsOf(node), ...node.output].flatMap((tensor) => [...groupOf.get(tensor)!]));
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
  const isBetween = (node: NodeProto) => [...operandsOf(node), ...node.output].every((tensor) => integers.has(tensor));
  return new Set(graph.node.filter((node) => carriers.has(node.opType) && isBetween(node)));
}

function consumersOf(graph: GraphProto): ReadonlyMap<string, readonly NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of graph.node) {
    for (const input of node.input) consumers.set(input, [...(consumers.get(input) ?? []), node]);
  }
  return consumers;
}
