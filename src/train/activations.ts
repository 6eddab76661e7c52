/** What every layer makes of one image: for looking at, not for speed, so that it is the plain engine that computes it. */
import { createTransform, plainView } from '../data/transform.ts';
import { runForward } from '../engine/reference/execute.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import type { Safetensors } from '../runs/safetensors.ts';
import type { Shape } from '../nn/shape.ts';
import type { Classifier } from './classifier.ts';
import { preferredWeights, requireShapes } from './weights.ts';

export interface LayerActivation {
  /** Of the layer; `input` for what the network is given. */
  readonly name: string;
  readonly kind: string;
  readonly shape: Shape;
  readonly values: Float64Array;
}

export interface ImageActivations {
  /** The input first, then the layers in their order. */
  readonly layers: readonly LayerActivation[];
  /** By class, by softmax. */
  readonly probabilities: readonly number[];
}

/**
 * @param weights a checkpoint or a file of weights; moving averages are used where it has any
 * @param image `[C, H, W]`, 0-255, as the classifier's images are stored
 * @param source what to call the weights in errors
 * @throws DataError if the weights are not those of the network
 */
export function activationsOf(
  { network, preprocessing, imageShape }: Classifier,
  weights: Safetensors,
  image: Uint8Array,
  source: string,
): ImageActivations {
  const transform = createTransform(imageShape, preprocessing);
  const input = new Float32Array(transform.inputLength);
  transform.evaluation(image, 0, plainView, input, 0);
  const tensors = checkpointWeights(weights, preferredWeights(weights), source);
  requireShapes(network.parameters, tensors, source);
  const parameters = new Map([...tensors].map(([name, { data }]) => [name, Float64Array.from(data)]));
  // Stryker disable next-line ObjectLiteral: what is not said is false too
  const { tensors: made } = runForward(network, 1, parameters, Float64Array.from(input), { training: false });
  const layers = network.layers.map(({ name, kind, outputShape }) => ({
    name,
    kind,
    shape: outputShape,
    values: made.get(name)!,
  }));
  const logits = made.get(network.output)!;
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const exponentials = [...logits].map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return {
    layers: [{ name: 'input', kind: 'input', shape: network.inputShape, values: Float64Array.from(input) }, ...layers],
    probabilities: exponentials.map((value) => value / sum),
  };
}
