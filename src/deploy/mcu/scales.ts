/** Which tensors of a graph share a scale, and the scale of each. */
import { DataError } from '../../util/errors.ts';
import type { ScaleGroup } from '../integers/calibrate.ts';
import { largestWeight } from '../integers/weights.ts';
import { consumersOf, pixelsOf, extentOf, type ConvNode, type Graph, type GraphNode } from './graph.ts';
import { identityNode, type ImageGraph, type IntegerScale } from './input.ts';

/** What TensorFlow Lite wants of a sigmoid. */
export const sigmoidScale: IntegerScale = { scale: 1 / 256, zeroPoint: -128 };
/** -128 to 127 stand for 0 to 1: integers that would be less or more are cut where the numbers are. */
const unitScale: IntegerScale = { scale: Math.fround(1 / 255), zeroPoint: -128 };

/** The groups of one scale; a group with a fixed one is not calibrated. */
export interface SharedScale {
  readonly tensors: readonly string[];
  readonly fixed: IntegerScale | undefined;
}

/** A tensor with a scale of its own that is joined with others gets theirs first. */
export function separateFixed({ graph, image }: ImageGraph): ImageGraph {
  for (const node of graph.nodes) {
    if (node.kind !== 'concat') continue;
    const input = node.inputs.find((name) => isFixed(graph, name));
    if (input === undefined) continue;
    const identity = identityNode(graph, input, `${node.name}/rescaled`);
    const joined = { ...node, inputs: node.inputs.map((name) => (name === input ? identity.name : name)) };
    const nodes = graph.nodes.flatMap((each) => (each === node ? [identity, joined] : [each]));
    return separateFixed({ graph: { ...graph, nodes }, image });
  }
  return { graph, image };
}

function isFixed(graph: Graph, tensor: string): boolean {
  if (tensor === graph.input.name) return true;
  const node = graph.nodes.find(({ name }) => name === tensor)!;
  if (node.kind !== 'concat' && keepsScale(node)) return isFixed(graph, node.inputs[0]!);
  return fixedScaleOf(node) !== undefined;
}

function fixedScaleOf(node: GraphNode): IntegerScale | undefined {
  if (node.kind === 'curve' && node.activation.type === 'sigmoid') return sigmoidScale;
  return node.kind === 'conv' && node.clamp === 'unit' ? unitScale : undefined;
}

/**
 * Whether a node's output has the scale of its inputs: pools and concats only move values. TensorFlow Lite Micro's RELU6 wants it too; its RELU
 * does not.
 */
function keepsScale({ kind, ...node }: GraphNode): boolean {
  return (
    kind === 'maxPool' || kind === 'avgPool' || kind === 'concat' || ('activation' in node && node.activation.type === 'relu6')
  );
}

/** All tensors around what keeps a scale have one. In the order of the graph. */
export function sharedScales({ graph, image }: ImageGraph): readonly SharedScale[] {
  const groupOf = new Map<string, Set<string>>();
  for (const tensor of [graph.input.name, ...graph.nodes.map(({ name }) => name)]) groupOf.set(tensor, new Set([tensor]));
  for (const node of graph.nodes) {
    if (!keepsScale(node)) continue;
    const joined = new Set([node.name, ...node.inputs].flatMap((tensor) => [...groupOf.get(tensor)!]));
    for (const tensor of joined) groupOf.set(tensor, joined);
  }
  return [...new Set(groupOf.values())].map((group) => {
    const tensors = [...groupOf.keys()].filter((tensor) => group.has(tensor));
    // No two of them: each is apart from what it is joined with.
    const ofNode = graph.nodes.filter(({ name }) => group.has(name)).map(fixedScaleOf);
    return { tensors, fixed: group.has(graph.input.name) ? image : ofNode.find((scale) => scale !== undefined) };
  });
}

/** For calibration: the groups without a fixed scale, with those tensors that something reads that does not keep it. */
export function groupsToCalibrate(graph: Graph, shared: readonly SharedScale[], onnx: ReadonlyMap<string, string>): ScaleGroup[] {
  return shared.flatMap(({ tensors, fixed }) => {
    if (fixed !== undefined) return [];
    const observed = tensors.filter(
      (tensor) => tensor === graph.output || consumersOf(graph, tensor).some((node) => !keepsScale(node)),
    );
    return [{ tensors, observed: observed.map((tensor) => onnx.get(tensor)!), unclipped: tensors.includes(graph.output) }];
  });
}

/**
 * The scales with which every sum is finer than the activation that it becomes, by a factor of two: coarser ones where need be. Only a
 * network whose activations are far smaller than its weights would allow needs any.
 *
 * @throws DataError where activations would have to grow without end
 */
export function withFineSums(
  graph: Graph,
  shared: readonly SharedScale[],
  calibrated: ReadonlyMap<string, IntegerScale>,
): ReadonlyMap<string, IntegerScale> {
  const scales = new Map(calibrated);
  for (const { tensors, fixed } of shared) for (const tensor of tensors) if (fixed !== undefined) scales.set(tensor, fixed);
  const weightScales = new Map(graph.nodes.map((node) => [node, node.kind === 'conv' ? largestWeightScale(node) : 0]));
  const leastOf = (node: GraphNode) => leastScale(graph, node, scales, weightScales.get(node)!);
  for (;;) {
    const coarse = graph.nodes.find((node) => scales.get(node.name)!.scale < leastOf(node));
    if (coarse === undefined) return scales;
    const group = shared.find(({ tensors }) => tensors.includes(coarse.name))!;
    const { scale, zeroPoint } = scales.get(coarse.name)!;
    const wanted = Math.fround(1.01 * leastOf(coarse));
    // Tensors that must be coarser than themselves, by way of others, grow until float32 has no more.
    if (group.fixed !== undefined || wanted === Infinity) {
      throw new DataError('the activations of the network are too small for its weights: 8-bit integers cannot hold both', {
        fix: 'train it with more weight decay, or with batch normalization',
      });
    }
    // The range begins where it did.
    const wider = { scale: wanted, zeroPoint: Math.round(((zeroPoint + 128) * scale) / wanted) - 128 };
    for (const tensor of group.tensors) scales.set(tensor, wider);
  }
}

/** A little more than two, so that no factor rounds to 1/2. */
const finer = 2.0001;
/** What XNNPACK takes. */
const largestAddFactor = 255;
/** And LiteRT's hard swish: below 128. */
const largestHardSwishFactor = 127;

/** @param weightScale the scale of a convolution's largest weights */
function leastScale(graph: Graph, node: GraphNode, scales: ReadonlyMap<string, IntegerScale>, weightScale: number): number {
  const input = scales.get(node.inputs[0]!)!.scale;
  switch (node.kind) {
    case 'conv':
      return finer * input * weightScale;
    case 'globalAverage':
      return (finer * input) / pixelsOf(extentOf(graph, node.inputs[0]!));
    case 'multiply':
      return finer * input * scales.get(node.inputs[1]!)!.scale;
    case 'add':
      return Math.max(input, scales.get(node.inputs[1]!)!.scale) / largestAddFactor;
    case 'maxPool':
    case 'avgPool':
    case 'concat':
      return 0;
    case 'curve':
      return node.activation.type === 'hardSwish' ? input / largestHardSwishFactor : 0;
    default:
      return node satisfies never;
  }
}

function largestWeightScale({ weights }: ConvNode): number {
  return weights.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 0) / largestWeight[8];
}
