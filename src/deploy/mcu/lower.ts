/** From the layers of a network to the nodes of a graph, one rule for each kind of layer. */
import type { Activation } from '../../nn/activation.ts';
import type { LayerKind, LayerOf, Layer } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';
import { formatShape, sizeOf, type Shape } from '../../nn/shape.ts';
import { DataError } from '../../util/errors.ts';
import type { FoldedNetwork } from '../onnx/fold.ts';
import type { Weights } from '../onnx/rule.ts';
import { isRelu } from './clamp.ts';
import { pointWindow, type ConvNode, type Extent, type Graph, type GraphNode } from './graph.ts';

/** A tensor of the network, and where it is in the graph. */
interface Lowered {
  readonly name: string;
  readonly extent: Extent;
  /** Whether the network sees the tensor as a vector in C, H, W order. */
  readonly flattened: boolean;
}

interface Context {
  readonly inputs: readonly Lowered[];
  readonly weights: Weights;
  add(node: GraphNode): Lowered;
}

type LoweringRule<K extends LayerKind> = (layer: LayerOf<K>, context: Context) => Lowered;

/**
 * The graph of a network whose batch normalizations are folded where that can be.
 *
 * @throws DataError for a layer that integers on a device cannot compute, with what to use instead
 */
export function lowerNetwork({ name, inputShape, output }: Network, { layers, weights }: FoldedNetwork): Graph {
  const nodes: GraphNode[] = [];
  const input = { name: inputName, extent: extentOfShape(inputShape), flattened: false };
  const tensors = new Map<string, Lowered>([[inputName, input]]);
  const add = (node: GraphNode): Lowered => {
    nodes.push(node);
    return { name: node.name, extent: node.output, flattened: false };
  };
  for (const layer of layers) {
    const inputs = layer.inputs.map((each) => tensors.get(each)!);
    tensors.set(layer.name, lowerLayer(layer, { inputs, weights, add }));
  }
  const logits = tensors.get(output)!;
  if (logits.name === inputName) throw new DataError(`network ${name} has no layer that computes anything`);
  if (logits.extent.height * logits.extent.width > 1) {
    throw new DataError(
      `the logits of ${name} are the pixels of an image, in the order of the channels, which a device does not have`,
      {
        fix: 'end the network in a dense layer or in an average over all pixels',
      },
    );
  }
  return { input, nodes, output: logits.name };
}

function lowerLayer<K extends LayerKind>(layer: Layer & LayerOf<K>, context: Context): Lowered {
  // The rule belongs to the layer's kind, which the compiler cannot see through the union.
  const rule = rules[layer.kind] as unknown as LoweringRule<K>;
  return rule(layer, context);
}

const rules: { readonly [K in LayerKind]: LoweringRule<K> } = {
  conv: (layer, { inputs, weights, add }) => {
    const { groups, bias, ...window } = layer.attributes;
    const [weight, biases] = parametersOf(layer, weights);
    return withActivation(layer, add, {
      kind: 'conv',
      name: layer.parameters[0]!.layer,
      inputs: namesOf(inputs),
      output: extentOfShape(layer.outputShape),
      window: {
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        input: window.input,
        output: window.output,
      },
      groups,
      weights: channelsLast(weight, layer.parameters[0]!.shape as readonly [number, number, number, number]),
      bias: bias ? Float64Array.from(biases!) : new Float64Array(layer.outputShape[0]!),
      clamp: null,
    });
  },

  dense: (layer, { inputs, weights, add }) => {
    const { features, bias } = layer.attributes;
    const [weight, biases] = parametersOf(layer, weights);
    const { height, width, channels } = inputs[0]!.extent;
    return withActivation(layer, add, {
      kind: 'conv',
      name: layer.parameters[0]!.layer,
      inputs: namesOf(inputs),
      output: { height: 1, width: 1, channels: features },
      window: { kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0], input: [height, width], output: [1, 1] },
      groups: 1,
      weights: channelsLast(weight, [features, channels, height, width]),
      bias: bias ? Float64Array.from(biases!) : new Float64Array(features),
      clamp: null,
    });
  },

  maxPool: ({ name, attributes, outputShape }, { inputs, add }) =>
    add({ kind: 'maxPool', name, inputs: namesOf(inputs), output: extentOfShape(outputShape), window: attributes }),

  avgPool: ({ name, attributes, outputShape }, { inputs, add }) =>
    add({ kind: 'avgPool', name, inputs: namesOf(inputs), output: extentOfShape(outputShape), window: attributes }),

  globalAvgPool: ({ name, outputShape }, { inputs, add }) =>
    add({ kind: 'globalAverage', name, inputs: namesOf(inputs), output: extentOfShape(outputShape) }),

  lrn: ({ name }) => {
    throw new DataError(`layer "${name}" is a local response normalization, whose powers have no cheap form in integers`, {
      fix: 'train the network with batch normalization in its place: --set lrn=false --set batchNorm=true',
    });
  },

  batchNorm: (layer, { inputs, weights, add }) => {
    const values = (role: string) => weights.get(`${layer.name}.${role}`)?.data;
    const [scale, shift, mean, variance] = [values('scale'), values('shift'), values('mean')!, values('variance')!];
    const factors = Float64Array.from(variance, (v, c) => (scale?.[c] ?? 1) / Math.sqrt(v + layer.attributes.epsilon));
    const shifts = factors.map((factor, c) => (shift?.[c] ?? 0) - mean[c]! * factor);
    return addAffine(layer, inputs[0]!, add, factors, shifts);
  },

  activation: ({ name, attributes }, { inputs: [x], add }) => ({
    ...add(activationNode(name, x!, attributes)),
    flattened: x!.flattened,
  }),

  // The identity, once training is over.
  dropout: (_, { inputs }) => inputs[0]!,

  concat: ({ name, outputShape }, { inputs, add }) =>
    add({ kind: 'concat', name, inputs: namesOf(inputs), output: extentOfShape(outputShape) }),

  add: (layer, { inputs, add }) => {
    requireOneLayout(layer, inputs);
    const last = inputs.length - 1;
    return inputs.slice(1).reduce(
      (sum, x, i) => ({
        ...add({
          kind: 'add',
          name: i === last - 1 ? layer.name : `${layer.name}/part${i + 1}`,
          inputs: [sum.name, x.name],
          output: x.extent,
          clamp: null,
        }),
        flattened: x.flattened,
      }),
      inputs[0]!,
    );
  },

  multiply: (layer, { inputs, add }) => {
    const [x, factor] = inputs as readonly [Lowered, Lowered];
    if (layer.inputShapes[0]!.length === 1) requireOneLayout(layer, inputs);
    const node = { kind: 'multiply', name: layer.name, inputs: [x.name, factor.name], output: x.extent } as const;
    return { ...add(node), flattened: x.flattened };
  },

  scale: (layer, { inputs: [x], add }) => {
    const { channels } = x!.extent;
    const factors = new Float64Array(channels).fill(layer.attributes.factor);
    return addAffine(layer, x!, add, factors, new Float64Array(channels));
  },

  // The order in memory is that of the image: what reads the vector knows.
  flatten: (_, { inputs: [x] }) => ({ ...x!, flattened: true }),

  custom: ({ name, attributes }) => {
    throw new DataError(`layer "${name}" is the custom layer "${attributes.type}", which cannot be written as C`, {
      fix: 'compose it of other layers, to export the network',
    });
  },
};

function namesOf(inputs: readonly Lowered[]): readonly string[] {
  return inputs.map(({ name }) => name);
}

/** A vector `[F]` is an image of one pixel. */
function extentOfShape(shape: Shape): Extent {
  const [channels, height = 1, width = 1] = shape;
  return { height, width, channels: channels! };
}

function parametersOf({ parameters }: Layer, weights: Weights): readonly (Float32Array | undefined)[] & readonly [Float32Array] {
  return parameters.map(({ name }) => weights.get(name)!.data) as unknown as readonly [Float32Array];
}

/** From `[filters, C, H, W]` to `[filters, H, W, C]`. */
function channelsLast(
  weights: Float32Array,
  [filters, channels, height, width]: readonly [number, number, number, number],
): Float64Array {
  const result = new Float64Array(weights.length);
  let i = 0;
  for (let filter = 0; filter < filters; filter++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < height * width; pixel++) {
        result[(filter * height * width + pixel) * channels + channel] = weights[i++]!;
      }
    }
  }
  return result;
}

/** The activation inside a layer: part of it if it only cuts, else a node behind it. */
function withActivation(
  layer: LayerOf<'conv'> | LayerOf<'dense'>,
  add: Context['add'],
  node: Extract<GraphNode, { kind: 'conv' }>,
): Lowered {
  const { activation } = layer.attributes;
  if (activation === null) return add(node);
  if (isRelu(activation.type)) return add({ ...node, clamp: activation.type });
  return add(activationNode(`${node.name}/${activation.type}`, add(node), activation));
}

function activationNode(name: string, x: Lowered, activation: Activation): GraphNode {
  if (activation.type !== 'hardSigmoid') return { kind: 'curve', name, inputs: [x.name], output: x.extent, activation };
  // x / 6 + 1/2, between 0 and 1: numbers of the layer before it, where it can be.
  const numbers = (value: number) => new Float64Array(x.extent.channels).fill(value);
  return { ...affineNode(name, x, numbers(1 / 6), numbers(1 / 2)), clamp: 'unit' };
}

/** A factor and a shift for each channel: a convolution of one pixel with a filter for each channel. */
function addAffine({ name, kind }: Layer, x: Lowered, add: Context['add'], factors: Float64Array, shifts: Float64Array): Lowered {
  if (factors.length !== x.extent.channels) {
    throw new DataError(`layer "${name}" (${kind}) has numbers of its own for every pixel, which is not supported on devices`, {
      fix: 'normalize the image before it is flattened',
    });
  }
  return { ...add(affineNode(name, x, factors, shifts)), flattened: x.flattened };
}

function affineNode(name: string, x: Lowered, factors: Float64Array, shifts: Float64Array): ConvNode {
  return {
    kind: 'conv',
    name,
    inputs: [x.name],
    output: x.extent,
    window: pointWindow(x.extent),
    groups: x.extent.channels,
    weights: factors,
    bias: shifts,
    clamp: null,
  };
}

/** Two vectors of one length may lie in memory in different orders. */
function requireOneLayout({ name, inputShapes }: Layer, inputs: readonly Lowered[]): void {
  const first = inputs[0]!.extent;
  if (inputs.every(({ extent }) => extent.height === first.height && extent.channels === first.channels)) return;
  throw new DataError(
    `layer "${name}" joins a flattened image with another vector of ${formatShape(inputShapes[0]!)} (${sizeOf(inputShapes[0]!)} elements), ` +
      'which lie in memory in different orders',
    { fix: 'join them before the image is flattened' },
  );
}
