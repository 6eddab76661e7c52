/** A graph in float32 as an ONNX model, which shows the values that its tensors take. */
import { addActivation, withActivation } from '../onnx/rules/activation.ts';
import { windowAttributes } from '../onnx/rules/window.ts';
import { buildGraph, type GraphBuilder } from '../onnx/graph.ts';
import { addPreprocessing } from '../onnx/preprocessing.ts';
import type { ModelProto } from '../onnx/schema.ts';
import { imageInput, logitsOutput } from '../tensor-names.ts';
import type { Clamp, ConvNode, GraphNode } from './graph.ts';
import type { ImageGraph } from './input.ts';

export interface FloatModel {
  /** Takes images like a frozen file; its output `logits` is `[N, classes]`. */
  readonly model: ModelProto;
  /** The ONNX tensor of each of the graph's, the input included. */
  readonly tensors: ReadonlyMap<string, string>;
}

export function floatModel({ graph, image }: ImageGraph): FloatModel {
  const { input, nodes, output } = graph;
  const { channels, height, width } = input.extent;
  const tensors = new Map<string, string>();
  const logits = nodes.find(({ name }) => name === output)!;
  const face = {
    name: 'device',
    input: { name: imageInput, type: 'uint8', shape: ['N', 'H', 'W', channels] },
    outputs: [{ name: logitsOutput, type: 'float', shape: ['N', logits.output.channels] }],
  } as const;
  const proto = buildGraph(face, (builder) => {
    const constants = (value: number) => Array.from({ length: channels }, () => value);
    const mean = constants((image.zeroPoint + 128) / 255);
    const deviation = constants(1 / (255 * image.scale));
    tensors.set(
      input.name,
      addPreprocessing(builder, imageInput, [channels, height, width], { type: 'channel', mean, deviation }),
    );
    for (const node of nodes) {
      const inputs = node.inputs.map((name) => tensors.get(name)!);
      tensors.set(node.name, addNode(builder, node, inputs));
    }
    return [builder.node('Flatten', 'device/logits', [tensors.get(output)!], { axis: 1 })];
  });
  return { model: { producerName: 'ablate', producerVersion: '', docString: '', graph: proto, metadata: {} }, tensors };
}

function addNode(builder: GraphBuilder, node: GraphNode, inputs: readonly string[]): string {
  const { name } = node;
  switch (node.kind) {
    case 'conv':
      return addConv(builder, node, inputs[0]!);
    case 'maxPool':
      return builder.node('MaxPool', name, inputs, windowAttributes(node.window));
    case 'avgPool':
      return builder.node('AveragePool', name, inputs, windowAttributes(node.window));
    case 'globalAverage':
      return builder.node('GlobalAveragePool', name, inputs);
    case 'add': {
      const sum = builder.node('Add', name, inputs);
      return withClamp(builder, name, sum, node.clamp);
    }
    case 'multiply':
      return builder.node('Mul', name, inputs);
    case 'concat':
      return builder.node('Concat', name, inputs, { axis: 1 });
    case 'curve':
      return addActivation(builder, name, inputs[0]!, node.activation);
    default:
      return node satisfies never;
  }
}

function addConv(builder: GraphBuilder, node: ConvNode, input: string): string {
  const { name, window, groups, bias, clamp } = node;
  const [height, width] = window.kernel;
  const filters = node.output.channels;
  const channels = node.weights.length / (filters * height * width);
  const weights = builder.floats(`${name}/weights`, channelsFirst(node.weights, filters, height * width, channels), [
    filters,
    channels,
    height,
    width,
  ]);
  const operands = [input, weights, builder.floats(`${name}/bias`, Float32Array.from(bias), [filters])];
  const sums = builder.node('Conv', name, operands, { ...windowAttributes(window), group: groups });
  return withClamp(builder, name, sums, clamp);
}

function withClamp(builder: GraphBuilder, name: string, x: string, clamp: Clamp | null): string {
  if (clamp !== 'unit') return withActivation(builder, name, x, clamp && { type: clamp });
  return builder.node('Clip', `${name}/unit`, [x, builder.floats(`${name}/min`, [0]), builder.floats(`${name}/max`, [1])]);
}

/** From `[filters, pixels, channels]` to `[filters, channels, pixels]`. */
function channelsFirst(weights: Float64Array, filters: number, pixels: number, channels: number): Float32Array {
  const result = new Float32Array(weights.length);
  let i = 0;
  for (let filter = 0; filter < filters; filter++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let channel = 0; channel < channels; channel++) {
        result[(filter * channels + channel) * pixels + pixel] = weights[i++]!;
      }
    }
  }
  return result;
}
