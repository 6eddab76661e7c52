/** Makes a graph smaller without changing what it computes: rules, each for one place, tried until none applies. */
import { joinClamps, isRelu } from './clamp.ts';
import { consumersOf, extentOf, pixelsOf, type ConvNode, type Graph, type GraphNode, type ReluClamp } from './graph.ts';

/** The graph after one application at `node`; undefined where the rule does not apply. */
type Rule = (graph: Graph, node: GraphNode) => Graph | undefined;

export function simplify(graph: Graph): Graph {
  for (;;) {
    const next = applyOnce(graph);
    if (next === undefined) return graph;
    graph = next;
  }
}

function applyOnce(graph: Graph): Graph | undefined {
  for (const node of graph.nodes) {
    for (const rule of rules) {
      const next = rule(graph, node);
      if (next !== undefined) return next;
    }
  }
  return undefined;
}

/** conv, then a factor and shift for each channel, is a convolution with other weights; behind a ReLU, factors above zero alone. */
const affineIntoConv: Rule = (graph, node) => {
  if (!isAffine(node)) return undefined;
  const source = onlySourceOf(graph, node);
  if (source?.kind !== 'conv') return undefined;
  const { weights: factors, bias: shifts } = node;
  if (source.clamp === 'relu6' || source.clamp === 'unit') return undefined;
  if (source.clamp === 'relu' && !(factors.every((factor) => factor > 0) && shifts.every((shift) => shift === 0)))
    return undefined;
  const length = source.weights.length / factors.length;
  const { clamp } = node;
  const merged: ConvNode = {
    ...source,
    weights: source.weights.map((weight, i) => weight * factors[Math.floor(i / length)]!),
    bias: source.bias.map((bias, filter) => bias * factors[filter]! + shifts[filter]!),
    // Every clamp cuts what the ReLU before it did.
    clamp: clamp ?? source.clamp,
  };
  return replaced(
    graph,
    new Map([
      [source, [merged]],
      [node, []],
    ]),
    new Map([[node.name, merged.name]]),
  );
};

/** The largest of pixels times a factor above zero is the factor times the largest. */
const affineThroughMaxPool: Rule = (graph, node) => {
  if (!isAffine(node) || !node.weights.every((factor) => factor > 0)) return undefined;
  const pool = onlySourceOf(graph, node);
  if (pool?.kind !== 'maxPool' || onlySourceOf(graph, pool)?.kind !== 'conv') return undefined;
  const extent = extentOf(graph, pool.inputs[0]!);
  const size = [extent.height, extent.width] as const;
  const moved: ConvNode = { ...node, inputs: pool.inputs, output: extent, window: { ...node.window, input: size, output: size } };
  return swapped(graph, pool, node, moved);
};

/** A ReLU belongs to the convolution or sum before it. */
const clampIntoSource: Rule = (graph, node) => {
  const clamp = clampOf(node);
  if (clamp === undefined) return undefined;
  const source = onlySourceOf(graph, node);
  if (source?.kind !== 'conv' && source?.kind !== 'add') return undefined;
  const merged =
    source.kind === 'conv'
      ? { ...source, clamp: joinClamps(source.clamp, clamp) }
      : { ...source, clamp: joinClamps(source.clamp, clamp) };
  return replaced(
    graph,
    new Map<GraphNode, GraphNode[]>([
      [source, [merged]],
      [node, []],
    ]),
    new Map([[node.name, source.name]]),
  );
};

/** A ReLU of the largest is the largest of the ReLUs, which belong to the layer before the pool. */
const clampThroughMaxPool: Rule = (graph, node) => {
  if (node.kind !== 'curve' || clampOf(node) === undefined) return undefined;
  const pool = onlySourceOf(graph, node);
  if (pool?.kind !== 'maxPool') return undefined;
  const source = onlySourceOf(graph, pool);
  if (source?.kind !== 'conv' && source?.kind !== 'add') return undefined;
  return swapped(graph, pool, node, { ...node, inputs: pool.inputs, output: source.output });
};

/** A ReLU behind joined channels is one behind each part. */
const clampThroughConcat: Rule = (graph, node) => {
  if (node.kind !== 'curve' || clampOf(node) === undefined) return undefined;
  const concat = onlySourceOf(graph, node);
  if (concat?.kind !== 'concat') return undefined;
  const parts = concat.inputs.map((input) => graph.nodes.find(({ name }) => name === input));
  if (!parts.every((part) => (part?.kind === 'conv' || part?.kind === 'add') && consumersOf(graph, part.name).length === 1)) {
    return undefined;
  }
  const curves = parts.map((part, i): GraphNode => ({
    ...node,
    name: `${node.name}/part${i}`,
    inputs: [part!.name],
    output: part!.output,
  }));
  const joined = { ...concat, inputs: curves.map(({ name }) => name) };
  return replaced(
    graph,
    new Map<GraphNode, GraphNode[]>([
      [concat, [...curves, joined]],
      [node, []],
    ]),
    new Map([[node.name, concat.name]]),
  );
};

/** Joined channels that are only joined with others. */
const concatIntoConcat: Rule = (graph, node) => {
  if (node.kind !== 'concat') return undefined;
  for (const input of node.inputs) {
    const part = graph.nodes.find(({ name }) => name === input);
    if (part?.kind !== 'concat' || consumersOf(graph, input).length > 1 || node.inputs.filter((x) => x === input).length > 1)
      continue;
    const inputs = node.inputs.flatMap((each) => (each === input ? part.inputs : [each]));
    return replaced(
      graph,
      new Map<GraphNode, GraphNode[]>([
        [part, []],
        [node, [{ ...node, inputs }]],
      ]),
      new Map(),
    );
  }
  return undefined;
};

/** A window over all pixels. */
const poolOverAll: Rule = (graph, node) => {
  if (node.kind !== 'avgPool') return undefined;
  const { kernel, input, output, padding } = node.window;
  const [top, left] = padding;
  const coversAll = output[0] * output[1] === 1 && kernel[0] - top >= input[0] && kernel[1] - left >= input[1];
  if (!coversAll) return undefined;
  return replaced(
    graph,
    new Map([[node, [{ kind: 'globalAverage', name: node.name, inputs: node.inputs, output: node.output }]]]),
    new Map(),
  );
};

/** The average of one pixel. */
const averageOfOne: Rule = (graph, node) => {
  if (node.kind !== 'globalAverage' || pixelsOf(extentOf(graph, node.inputs[0]!)) > 1 || node.inputs[0] === graph.input.name) {
    return undefined;
  }
  return replaced(graph, new Map([[node, []]]), new Map([[node.name, node.inputs[0]!]]));
};

const rules: readonly Rule[] = [
  affineIntoConv,
  affineThroughMaxPool,
  clampIntoSource,
  clampThroughMaxPool,
  clampThroughConcat,
  concatIntoConcat,
  poolOverAll,
  averageOfOne,
];

/** Whether a node is a factor and a shift for each channel. */
function isAffine(node: GraphNode): node is ConvNode {
  return node.kind === 'conv' && node.groups === node.output.channels && node.weights.length === node.groups && isPoint(node);
}

function isPoint({ window }: ConvNode): boolean {
  return window.stride[0] === 1 && window.stride[1] === 1 && window.padding.every((extent) => extent === 0);
}

function clampOf(node: GraphNode): ReluClamp | undefined {
  return node.kind === 'curve' && isRelu(node.activation.type) ? node.activation.type : undefined;
}

/** The node that makes a node's only input, if nobody else reads it. */
function onlySourceOf(graph: Graph, node: GraphNode): GraphNode | undefined {
  const [input] = node.inputs;
  const source = graph.nodes.find(({ name }) => name === input);
  return source !== undefined && consumersOf(graph, source.name).length === 1 && node.inputs.length === 1 ? source : undefined;
}

/** Nodes replaced by others, and tensors by others in all that read them. */
function replaced(
  graph: Graph,
  nodes: ReadonlyMap<GraphNode, readonly GraphNode[]>,
  tensors: ReadonlyMap<string, string>,
): Graph {
  const rename = (name: string) => tensors.get(name) ?? name;
  return {
    ...graph,
    nodes: graph.nodes.flatMap((node) => nodes.get(node) ?? [node]).map((node) => ({ ...node, inputs: node.inputs.map(rename) })),
    output: rename(graph.output),
  };
}

/** `pool` then `node` becomes `moved` then `pool`. */
function swapped(graph: Graph, pool: GraphNode, node: GraphNode, moved: GraphNode): Graph {
  const behind = { ...pool, inputs: [moved.name] };
  const changed = replaced(
    graph,
    new Map<GraphNode, GraphNode[]>([
      [pool, []],
      [node, [moved, behind]],
    ]),
    new Map(),
  );
  // All that read the node read the pool now, but for the pool itself.
  return {
    ...changed,
    nodes: changed.nodes.map((each) =>
      each.name === pool.name ? each : { ...each, inputs: each.inputs.map((name) => (name === node.name ? pool.name : name)) },
    ),
    output: changed.output === node.name ? pool.name : changed.output,
  };
}
