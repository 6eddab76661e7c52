/**
 * Runs the functions of the user's own layers, for every engine: what they are given, and what is checked of what they make. An error or a number
 * that is not finite is laid to the layer it comes from.
 */
import type { CustomLayer, CustomLayers, Values } from '../nn/custom.ts';
import type { LayerOf } from '../nn/layer.ts';
import type { Network } from '../nn/network.ts';
import { ownName } from '../nn/parameter.ts';
import type { Shape } from '../nn/shape.ts';
import { AblateError, ConfigurationError, messageOf } from '../util/errors.ts';

/** The arrays of one layer in plain layout; of parameters in the order in which the layer lists them. */
export interface CustomArrays {
  readonly batchSize: number;
  readonly inputs: readonly Values[];
  readonly parameters: readonly Values[];
  readonly output: Values;
}

export interface CustomGradients {
  readonly outputGradient: Values;
  /** Overwritten. */
  readonly inputGradients: readonly Values[];
  /** Overwritten. */
  readonly parameterGradients: readonly Values[];
}

type Custom = LayerOf<'custom'>;

/** @throws AblateError naming the layer, for what its function throws and for the first number it makes of finite ones that is not finite */
export function runCustomForward(
  customLayers: CustomLayers | undefined,
  layer: Custom,
  arrays: CustomArrays,
  training: boolean,
): void {
  const { batchSize, inputs, parameters, output } = arrays;
  const { options } = layer.attributes;
  const functions = functionsOf(customLayers, layer);
  output.fill(0);
  guarded(layer, 'forward', () => {
    functions.forward({
      ...{ batchSize, training, options, inputs, output, inputShapes: layer.inputShapes, outputShape: layer.outputShape },
      parameters: named(layer, parameters),
    });
  });
  requireFinite(
    layer,
    [...inputs, ...parameters],
    [{ what: 'its output', values: output, shape: layer.outputShape, isBatch: true }],
  );
}

/** @throws AblateError as `runCustomForward` */
export function runCustomBackward(
  customLayers: CustomLayers | undefined,
  layer: Custom,
  { batchSize, inputs, parameters, output }: CustomArrays,
  { outputGradient, inputGradients, parameterGradients }: CustomGradients,
): void {
  const { options } = layer.attributes;
  const functions = functionsOf(customLayers, layer);
  for (const gradient of [...inputGradients, ...parameterGradients]) gradient.fill(0);
  guarded(layer, 'backward', () => {
    functions.backward({
      ...{ batchSize, options, inputs, output, inputShapes: layer.inputShapes, outputShape: layer.outputShape },
      ...{ outputGradient, inputGradients, parameters: named(layer, parameters) },
      parameterGradients: named(layer, parameterGradients),
    });
  });
  requireFinite(
    layer,
    [...inputs, ...parameters, output, outputGradient],
    gradientsOf(layer, inputGradients, parameterGradients),
  );
}

/** A tensor that a layer makes, and what to call it. */
export interface Made {
  readonly what: string;
  readonly values: Values;
  readonly shape: Shape;
  /** Whether there is one for each example. */
  readonly isBatch: boolean;
}

export function gradientsOf(
  layer: Custom,
  inputGradients: readonly Values[],
  parameterGradients: readonly Values[],
): readonly Made[] {
  const ofInputs = inputGradients.map((values, i) => ({
    what: inputGradients.length === 1 ? 'the gradient of its input' : `the gradient of its input ${i}`,
    ...{ values, shape: layer.inputShapes[i]!, isBatch: true },
  }));
  const ofParameters = layer.parameters.map((spec, i) => ({
    what: `the gradient of ${spec.name}`,
    ...{ values: parameterGradients[i]!, shape: spec.shape, isBatch: false },
  }));
  return [...ofInputs, ...ofParameters];
}

/** `layer "gate1" (custom layer "softThreshold")` */
export function describeCustom({ name, attributes }: Custom): string {
  return `layer "${name}" (custom layer "${attributes.type}")`;
}

/** `[0, 3, 5, 1]`: where an element lies, the example first. */
export function describeIndex(element: number, { shape, isBatch }: Made): string {
  const indices: number[] = [];
  let rest = element;
  for (const extent of shape.toReversed()) {
    indices.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return `[${[...(isBatch ? [rest] : []), ...indices].join(', ')}]`;
}

/** @throws ConfigurationError naming a custom layer whose functions the network does not have: one that was read has none */
export function requireFunctions({ layers, customLayers }: Network): void {
  for (const layer of layers) if (layer.kind === 'custom') functionsOf(customLayers, layer);
}

function functionsOf(customLayers: CustomLayers | undefined, layer: Custom): CustomLayer {
  const found = customLayers?.get(layer.attributes.type);
  if (found !== undefined) return found;
  const { name, attributes } = layer;
  throw new ConfigurationError(`layer "${name}" is the custom layer "${attributes.type}", whose functions are not here`, {
    fix: 'name the file that defines it, with --model <file> or ablate train <file> --resume <run>: files of weights hold no functions',
  });
}

function named(layer: Custom, arrays: readonly Values[]): Readonly<Record<string, Values>> {
  return Object.fromEntries(layer.parameters.map((spec, i) => [ownName(spec), arrays[i]!]));
}

function guarded(layer: Custom, pass: 'forward' | 'backward', run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new AblateError(`${describeCustom(layer)}: its ${pass} threw ${messageOf(error)}`, { cause: error });
  }
}

/** Where what it was given is not finite either, the fault is elsewhere: then the training finds it. */
function requireFinite(layer: Custom, given: readonly Values[], made: readonly Made[]): void {
  for (const tensor of made) {
    const wrong = tensor.values.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0) continue;
    if (given.some((values) => values.some((value) => !Number.isFinite(value)))) return;
    const where = `${tensor.what} is ${tensor.values[wrong]!} at ${describeIndex(wrong, tensor)}`;
    throw new AblateError(`${describeCustom(layer)}: ${where}, though all that it was given is finite`);
  }
}
