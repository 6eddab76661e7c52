/**
 * The image as integers: a byte less 128. What standardization does to it becomes part of the first layers' weights, or, where that cannot be
 * exact, a layer of its own.
 */
import type { Standardization } from '../../data/preprocessing.ts';
import { DataError } from '../../util/errors.ts';
import { consumersOf, pointWindow, type ConvNode, type Graph, type GraphNode } from './graph.ts';

/** An integer q stands for (q - zeroPoint) * scale. */
export interface IntegerScale {
  /** Positive, a float32. */
  readonly scale: number;
  /** -128 to 127. */
  readonly zeroPoint: number;
}

export interface ImageGraph {
  readonly graph: Graph;
  /** What the input's integers (bytes less 128) stand for. */
  readonly image: IntegerScale;
}

/** @throws DataError for standardization by each image's own mean and deviation */
export function requireConstants(
  standardization: Standardization,
): asserts standardization is Extract<Standardization, { readonly type: 'channel' }> {
  if (standardization.type === 'channel') return;
  throw new DataError(
    "the network standardizes every image by the image's own mean and deviation, which integers on a device cannot do cheaply",
    { fix: 'train it with constants, which cost nothing: --set standardization=channel' },
  );
}

/**
 * The graph over the image's own bytes.
 *
 * @throws DataError for standardization by each image's own mean and deviation
 */
export function foldInput(graph: Graph, standardization: Standardization): ImageGraph {
  requireConstants(standardization);
  // x = (q - zero) * step for each channel, with the byte q + 128.
  const steps = standardization.deviation.map((deviation) => 1 / (255 * deviation));
  const zeros = standardization.mean.map((mean) => 255 * mean - 128);
  const scale = Math.fround(Math.max(...steps));
  const zeroPoint = Math.min(Math.max(Math.round(zeros.reduce((sum, zero) => sum + zero, 0) / zeros.length), -128), 127);
  const image = { scale, zeroPoint };
  const readers = consumersOf(graph, graph.input.name);
  const canFold = readers.every(
    (node) => node.kind === 'conv' && (!isPadded(node) || zeros.every((zero) => Math.abs(zero - zeroPoint) <= 0.5)),
  );
  if (canFold)
    return { graph: { ...graph, nodes: graph.nodes.map((node) => fold(graph, node, { image, steps, zeros })) }, image };
  // Padding that stands for another byte in each channel, or a layer without weights: the channels get one scale first.
  const standardize = fold(graph, identityNode(graph, graph.input.name, 'standardize'), { image, steps, zeros });
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((input) => (input === graph.input.name ? standardize.name : input)),
  }));
  return { graph: { ...graph, nodes: [standardize, ...nodes] }, image };
}

/** A layer that gives a tensor another scale. */
export function identityNode(graph: Graph, tensor: string, name: string): ConvNode {
  const taken = new Set(graph.nodes.map((node) => node.name));
  let free = name;
  for (let i = 1; taken.has(free) || free === graph.input.name; i++) free = `${name}${i}`;
  const output = tensor === graph.input.name ? graph.input.extent : graph.nodes.find((node) => node.name === tensor)!.output;
  const { channels } = output;
  const bias = new Float64Array(channels);
  const weights = new Float64Array(channels).fill(1);
  return {
    kind: 'conv',
    name: free,
    inputs: [tensor],
    output,
    window: pointWindow(output),
    groups: channels,
    weights,
    bias,
    clamp: null,
  };
}

interface Constants {
  readonly image: IntegerScale;
  readonly steps: readonly number[];
  readonly zeros: readonly number[];
}

/** w * (q - zero) * step = (w * step / scale) * (q - zeroPoint) * scale + w * (zeroPoint - zero) * step */
function fold(graph: Graph, node: GraphNode, { image, steps, zeros }: Constants): GraphNode {
  if (node.kind !== 'conv' || node.inputs[0] !== graph.input.name) return node;
  const filters = node.output.channels;
  const length = node.weights.length / filters;
  const channels = graph.input.extent.channels / node.groups;
  const weights = new Float64Array(node.weights.length);
  const bias = Float64Array.from(node.bias);
  for (let filter = 0; filter < filters; filter++) {
    const firstChannel = Math.floor(filter / (filters / node.groups)) * channels;
    for (let i = 0; i < length; i++) {
      const channel = firstChannel + (i % channels);
      const weight = node.weights[filter * length + i]!;
      weights[filter * length + i] = (weight * steps[channel]!) / image.scale;
      bias[filter]! += weight * (image.zeroPoint - zeros[channel]!) * steps[channel]!;
    }
  }
  return { ...node, weights, bias };
}

function isPadded({ window }: ConvNode): boolean {
  return window.padding.some((extent) => extent > 0);
}
