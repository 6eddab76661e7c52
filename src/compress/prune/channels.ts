/**
 * Which filters of a network belong together. A channel goes from the filter that makes it through pools, normalizations and joins to the
 * layers that read it; a sum or a product needs the channels it joins from all of its inputs. Filters that must be removed together are one channel
 * here, and every tensor is a list of channels.
 */
import type { LayerKind, LayerOf } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';

/** One filter of a convolution, or one feature of a dense layer. */
export interface Filter {
  readonly layer: string;
  readonly index: number;
}

export interface Channel {
  /** The filters that make it, of different layers: several where a sum joins them. Empty for channels of the input. */
  readonly filters: readonly Filter[];
  /** Why it cannot be removed; undefined if it can. */
  readonly fixed: string | undefined;
}

export interface Channels {
  /** By number. */
  readonly channels: readonly Channel[];
  /** The channel of each element along the first axis of a layer's output (of an image, each of its planes), by the layer's name. */
  readonly outputs: ReadonlyMap<string, Int32Array>;
}

/** Traces the channels of a network. */
export function channelsOf(network: Network): Channels {
  const graph = createGraph();
  const outputs = new Map<string, Int32Array>();
  const input = graph.add(network.inputShape[0]!, inputName);
  graph.fix(input, 'it is a channel of the images');
  outputs.set(inputName, input);
  for (const layer of network.layers) {
    const inputs = layer.inputs.map((name) => outputs.get(name)!);
    // The rule of a kind is for layers of that kind, which the compiler cannot see through the union.
    const rule = rules[layer.kind] as Rule<LayerKind>;
    outputs.set(layer.name, rule(layer, inputs, graph));
  }
  graph.fix(outputs.get(network.output)!, 'it makes the logits');
  return graph.finish(outputs);
}

/** What a layer does with the channels of its inputs: the channels of its output. */
type Rule<K extends LayerKind> = (layer: LayerOf<K>, inputs: readonly Int32Array[], graph: Graph) => Int32Array;

const passThrough = (_: unknown, [input]: readonly Int32Array[]): Int32Array => input!;

const rules: { readonly [K in LayerKind]: Rule<K> } = {
  conv: convChannels,
  dense: ({ name, attributes }, _, graph) => graph.add(attributes.features, name),
  maxPool: passThrough,
  avgPool: passThrough,
  globalAvgPool: passThrough,
  // Its windows reach over neighbours: without some channels, those left have other neighbours.
  lrn: passThrough,
  batchNorm: passThrough,
  activation: passThrough,
  dropout: passThrough,
  scale: passThrough,
  concat: (_, inputs) => Int32Array.from(inputs.flatMap((input) => [...input])),
  add: joined,
  // A factor belongs to the channel that it multiplies.
  multiply: joined,
  flatten: ({ outputShape }, [input]) => spread(input!, outputShape[0]!),
  // What it does with them only its functions know.
  custom: ({ name, outputShape }, inputs, graph) => {
    for (const input of inputs) graph.fix(input, `the custom layer "${name}" reads it`);
    const output = graph.add(outputShape[0]!, name);
    graph.fix(output, `the custom layer "${name}" makes it`);
    return output;
  },
};

/** Channels that go together from all inputs. */
function joined(_: unknown, [first, ...others]: readonly Int32Array[], graph: Graph): Int32Array {
  for (const other of others) graph.join(first!, other);
  return first!;
}

function convChannels(layer: LayerOf<'conv'>, [input]: readonly Int32Array[], graph: Graph): Int32Array {
  const { filters, groups } = layer.attributes;
  // Depthwise: each filter reads one channel, and goes with it.
  if (groups === input!.length && groups > 1) return spread(input!, filters);
  const output = graph.add(filters, layer.name);
  if (groups > 1) {
    for (const channels of [input!, output]) graph.fix(channels, 'it belongs to a convolution in groups');
  }
  if (layer.parameters.some(({ kind }) => kind === 'frozen')) graph.fix(output, 'its filters are frozen');
  return output;
}

/** Each channel as often in a row as makes `length` elements: of an image that is read element by element in C, H, W order. */
export function spread(channels: Int32Array, length: number): Int32Array {
  const times = length / channels.length;
  return Int32Array.from({ length }, (_, i) => channels[Math.floor(i / times)]!);
}

interface Graph {
  /** New channels, one for each filter of a layer. */
  add(count: number, layer: string): Int32Array;
  /** Makes each channel of one list the same as that of the other. */
  join(a: Int32Array, b: Int32Array): void;
  fix(channels: Int32Array, reason: string): void;
  finish(outputs: ReadonlyMap<string, Int32Array>): Channels;
}

/** Disjoint sets of filters (Galler and Fischer, 1964). */
function createGraph(): Graph {
  const filters: Filter[] = [];
  const parents: number[] = [];
  const fixed = new Map<number, string>();

  function rootOf(node: number): number {
    let root = node;
    while (parents[root] !== root) root = parents[root]!;
    return root;
  }

  return {
    add(count, layer) {
      const first = parents.length;
      for (let index = 0; index < count; index++) {
        parents.push(first + index);
        filters.push({ layer, index });
      }
      return Int32Array.from({ length: count }, (_, i) => first + i);
    },

    join(a, b) {
      a.forEach((node, i) => (parents[rootOf(b[i]!)] = rootOf(node)));
    },

    fix(channels, reason) {
      for (const node of channels) if (!fixed.has(node)) fixed.set(node, reason);
    },

    finish(outputs) {
      const numbers = new Map<number, number>();
      const channels: { filters: Filter[]; fixed: string | undefined }[] = [];
      const numberOf = (node: number): number => {
        const root = rootOf(node);
        let number = numbers.get(root);
        if (number === undefined) {
          number = channels.push({ filters: [], fixed: undefined }) - 1;
          numbers.set(root, number);
        }
        return number;
      };
      filters.forEach((filter, node) => {
        const channel = channels[numberOf(node)]!;
        if (filter.layer !== inputName) channel.filters.push(filter);
        channel.fixed ??= fixed.get(node);
      });
      return { channels, outputs: new Map([...outputs].map(([name, nodes]) => [name, nodes.map(numberOf)])) };
    },
  };
}
