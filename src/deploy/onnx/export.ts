/** A network with its weights and its preprocessing as one ONNX model. */
import type { Preprocessing } from '../../data/preprocessing.ts';
import type { Layer, LayerKind, LayerOf } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';
import { formatShape, sameShape } from '../../nn/shape.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatSize, sidesOf } from '../../util/image-size.ts';
import { imageInput, logitsOutput, probabilitiesOutput } from '../tensor-names.ts';
import { foldBatchNorms } from './fold.ts';
import { buildGraph, type GraphBuilder } from './graph.ts';
import { addPreprocessing } from './preprocessing.ts';
import type { OnnxRule, Weights } from './rule.ts';
import { noOnnxForm } from './rules/custom.ts';
import { onnxRules } from './rules/table.ts';
import { encodeModel, type GraphProto } from './schema.ts';

export interface ExportOptions {
  readonly network: Network;
  /** All the network's parameters. */
  readonly weights: Weights;
  readonly preprocessing: Preprocessing;
  readonly version: string;
  /** Written as the file's metadata properties. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The bytes of the ONNX file: input `image` uint8 `[N, H, W, C]`, outputs `logits` and `probabilities` float32 `[N, classes]`. Depends
 * on the options alone: the same weights give the same bytes.
 *
 * @throws ConfigurationError if the network does not take grey or RGB images of the preprocessing's size
 */
export function exportOnnx(options: ExportOptions): Uint8Array {
  const { network, preprocessing, metadata, version } = options;
  const { inputShape } = network;
  const size = formatSize(preprocessing.inputSize);
  const sides = sidesOf(preprocessing.inputSize);
  if (![1, 3].some((channels) => sameShape(inputShape, [channels, ...sides]))) {
    const allowed = `${formatShape([1, ...sides])} or ${formatShape([3, ...sides])}`;
    throw new ConfigurationError(
      `input of ${network.name} (=${formatShape(inputShape)}) must be ${allowed}: grey or RGB images as they are preprocessed`,
    );
  }
  const colours = inputShape[0] === 1 ? 'grey' : 'RGB';
  const [height, width] = sides;
  const least = height === width ? `H and W at least ${height}` : `H at least ${height}, W at least ${width}`;
  return encodeModel({
    producerName: 'ablate',
    producerVersion: version,
    docString:
      `${network.name}, an image classifier. Input: ${imageInput}, uint8 [N, H, W, ${inputShape[0]!}], ${colours}, ${least}. ` +
      `Cropping to the central ${size} pixels and standardization are part of the graph.`,
    graph: graphOf(options),
    metadata,
  });
}

function graphOf({ network, weights, preprocessing }: ExportOptions): GraphProto {
  const output = { type: 'float', shape: ['N', network.outputShape[0]!] } as const;
  const face = {
    name: network.name,
    input: { name: imageInput, type: 'uint8', shape: ['N', 'H', 'W', network.inputShape[0]!] },
    outputs: [
      { name: logitsOutput, ...output },
      { name: probabilitiesOutput, ...output },
    ],
  } as const;
  return buildGraph(face, (graph) => {
    const input = addPreprocessing(graph, imageInput, network.inputShape, preprocessing.standardization);
    const logits = addLayers(graph, network, weights, input);
    return [logits, graph.node('Softmax', probabilitiesOutput, [logits], { axis: 1 })];
  });
}

/** Throws ConfigurationError naming the layer of a network that has one without a form in ONNX: before any work is done for its file. */
export function requireExportable({ layers }: Network): void {
  for (const layer of layers) if (layer.kind === 'custom') throw noOnnxForm(layer);
}

/** Adds all layers and returns the tensor of the network's output. */
export function addLayers(graph: GraphBuilder, network: Network, weights: Weights, input: string): string {
  const folded = foldBatchNorms(network, weights);
  const tensors = new Map([[inputName, input]]);
  for (const layer of folded.layers) {
    const inputs = layer.inputs.map((name) => tensors.get(name)!);
    tensors.set(layer.name, addLayer(graph, layer, inputs, folded.weights));
  }
  return tensors.get(network.output)!;
}

function addLayer<K extends LayerKind>(
  graph: GraphBuilder,
  layer: Layer & LayerOf<K>,
  inputs: readonly string[],
  weights: Weights,
): string {
  // The rule belongs to the layer's kind, which the compiler cannot see through the union.
  const rule = onnxRules[layer.kind] as unknown as OnnxRule<K>;
  return rule(layer, {
    graph,
    inputs,
    parameter(role) {
      const { name } = layer.parameters.find((spec) => spec.role === role)!;
      const { data, shape } = weights.get(name)!;
      return graph.floats(name, data, shape);
    },
  });
}
