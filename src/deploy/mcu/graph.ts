/**
 * A network as a device computes it, still in real numbers: what training alone needs is gone, dense layers are convolutions over the whole
 * image, and ReLUs belong to the layers before them. Images are `[height, width, channels]`, as in the device's memory.
 */
import type { Activation } from '../../nn/activation.ts';
import type { Window2d } from '../../nn/shape.ts';

/** Of an image; a vector is an image of one pixel. */
export interface Extent {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

interface NodeBase {
  /** Unique; also the name of the tensor that it makes. */
  readonly name: string;
  /** Names of other nodes, or of the graph's input. */
  readonly inputs: readonly string[];
  readonly output: Extent;
}

/** The activations that cost nothing: the smallest or largest integer stands for the end at which they cut. */
export type ReluClamp = 'relu' | 'relu6';

/** `unit`: between 0 and 1, as a hard sigmoid is, whose factor and shift are in the weights. */
export type Clamp = ReluClamp | 'unit';

/** What is left as a table. */
export type CurveActivation = Exclude<Activation, { readonly type: 'hardSigmoid' }>;

export interface ConvNode extends NodeBase {
  readonly kind: 'conv';
  readonly window: Window2d;
  /** Of the channels, each with as many filters. */
  readonly groups: number;
  /** `[filters, kernel height, kernel width, channels / groups]` */
  readonly weights: Float64Array;
  readonly bias: Float64Array;
  readonly clamp: Clamp | null;
}

export interface PoolNode extends NodeBase {
  readonly kind: 'maxPool' | 'avgPool';
  readonly window: Window2d;
}

/** The mean over all pixels. */
export interface GlobalAverageNode extends NodeBase {
  readonly kind: 'globalAverage';
}

/** Of two tensors. */
export interface AddNode extends NodeBase {
  readonly kind: 'add';
  readonly clamp: ReluClamp | null;
}

/** Of two tensors of one extent, or of an image and a vector with one factor for each of its channels. */
export interface MultiplyNode extends NodeBase {
  readonly kind: 'multiply';
}

/** Along the channels. */
export interface ConcatNode extends NodeBase {
  readonly kind: 'concat';
}

/** A function of each element. */
export interface CurveNode extends NodeBase {
  readonly kind: 'curve';
  readonly activation: CurveActivation;
}

export type GraphNode = ConvNode | PoolNode | GlobalAverageNode | AddNode | MultiplyNode | ConcatNode | CurveNode;

export interface Graph {
  readonly input: { readonly name: string; readonly extent: Extent };
  /** Each follows its inputs. */
  readonly nodes: readonly GraphNode[];
  /** The node that makes the logits. */
  readonly output: string;
}

export function pixelsOf({ height, width }: Extent): number {
  return height * width;
}

export function elementsOf({ height, width, channels }: Extent): number {
  return height * width * channels;
}

export function extentOf(graph: Graph, tensor: string): Extent {
  if (tensor === graph.input.name) return graph.input.extent;
  return graph.nodes.find(({ name }) => name === tensor)!.output;
}

/** The nodes that read a tensor. */
export function consumersOf(graph: Graph, tensor: string): readonly GraphNode[] {
  return graph.nodes.filter(({ inputs }) => inputs.includes(tensor));
}

/** What decides how a convolution is computed, of a node or of a step. */
interface ConvShape {
  readonly groups: number;
  readonly window: Window2d;
  readonly weights: { readonly length: number };
  readonly bias: { readonly length: number };
}

/** Whether each filter has one channel to itself. */
export function isDepthwise({ groups, weights, window: { kernel }, bias }: ConvShape): boolean {
  return groups > 1 && weights.length === bias.length * kernel[0] * kernel[1];
}

/** Whether all inputs are read for one output pixel, in the order in which they lie in memory: a dense layer. */
export function isDense({ groups, window }: ConvShape): boolean {
  const { kernel, input, output, padding } = window;
  const coversInput = kernel[0] === input[0] && kernel[1] === input[1] && padding[0] === 0 && padding[1] === 0;
  return groups === 1 && coversInput && output[0] * output[1] === 1;
}

/** The window of a single pixel at each place. */
export function pointWindow({ height, width }: Extent): Window2d {
  return { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], input: [height, width], output: [height, width] };
}
