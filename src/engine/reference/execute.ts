/**
 * Runs a whole network forward and backward in float64: what the reference engine's plans do, and what gradient checks call
 * directly, since central differences need the precision.
 */
import type { Layer, LayerKind } from '../../nn/layer.ts';
import { inputName, type Network } from '../../nn/network.ts';
import { ownName } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { BackwardCall, ForwardCall, LayerParameters, Mode, TrainingMode } from './layer.ts';
import { referenceLayers, type ReferenceLayers } from './table.ts';

/** Arrays in plain layout by name: of parameters (`conv1.weight`), or of tensors (`conv1`, `input`). */
export type NamedArrays = ReadonlyMap<string, Float64Array>;

/** All tensors of a forward pass, the input included. */
export interface Activations {
  readonly batchSize: number;
  readonly tensors: NamedArrays;
}

export interface Gradients {
  /** Of every parameter; zero for frozen ones and for statistics. */
  readonly parameters: NamedArrays;
  /** Of every tensor, the input included. */
  readonly tensors: NamedArrays;
}

/**
 * @param input `[N, C, H, W]`
 * @param parameters all of the network's; in training the running statistics are updated in place
 */
export function runForward(
  network: Network,
  batchSize: number,
  parameters: NamedArrays,
  input: Float64Array,
  mode: Mode,
  layers: ReferenceLayers = referenceLayers,
): Activations {
  const tensors = new Map([[inputName, input]]);
  for (const layer of network.layers) {
    const output = new Float64Array(batchSize * sizeOf(layer.outputShape));
    const inputs = layer.inputs.map((name) => tensors.get(name)!);
    const { customLayers } = network;
    rulesOf(layers, layer).forward({
      layer,
      customLayers,
      batchSize,
      mode,
      inputs,
      parameters: ofLayer(layer, parameters),
      output,
    });
    tensors.set(layer.name, output);
  }
  return { batchSize, tensors };
}

/**
 * @param activations of a forward pass in training with these `parameters` and `mode`
 * @param outputGradient d loss / d output, `[N, classes]`
 */
export function runBackward(
  network: Network,
  activations: Activations,
  parameters: NamedArrays,
  outputGradient: Float64Array,
  mode: TrainingMode,
  layers: ReferenceLayers = referenceLayers,
): Gradients {
  const { batchSize, tensors } = activations;
  const tensorGradients = new Map([...tensors].map(([name, tensor]) => [name, new Float64Array(tensor.length)]));
  const parameterGradients = new Map([...parameters].map(([name, values]) => [name, new Float64Array(values.length)]));
  tensorGradients.get(network.output)!.set(outputGradient);
  for (const layer of network.layers.toReversed()) {
    rulesOf(layers, layer).backward({
      layer,
      customLayers: network.customLayers,
      batchSize,
      mode,
      inputs: layer.inputs.map((name) => tensors.get(name)!),
      parameters: ofLayer(layer, parameters),
      output: tensors.get(layer.name)!,
      outputGradient: tensorGradients.get(layer.name)!,
      inputGradients: layer.inputs.map((name) => tensorGradients.get(name)!),
      parameterGradients: ofLayer(layer, parameterGradients),
    });
  }
  for (const spec of network.parameters) {
    if (spec.kind === 'frozen') parameterGradients.get(spec.name)!.fill(0);
  }
  return { parameters: parameterGradients, tensors: tensorGradients };
}

interface Rules {
  forward(call: ForwardCall<LayerKind>): void;
  backward(call: BackwardCall<LayerKind>): void;
}

/** The table pairs each kind with rules for that kind: the calls that they get are of the right kind, though the type allows any. */
function rulesOf(layers: ReferenceLayers, layer: Layer): Rules {
  return layers[layer.kind];
}

function ofLayer(layer: Layer, arrays: NamedArrays): LayerParameters {
  return Object.fromEntries(layer.parameters.map((spec) => [ownName(spec), arrays.get(spec.name)!]));
}
