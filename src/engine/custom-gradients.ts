/** Checks the user's own layers before anything is trained with them: their gradients against central differences of what they compute. */
import type { Values } from '../nn/custom.ts';
import type { LayerOf } from '../nn/layer.ts';
import type { Network } from '../nn/network.ts';
import { initialValues } from '../nn/parameter.ts';
import { sizeOf } from '../nn/shape.ts';
import { ConfigurationError } from '../util/errors.ts';
import { normal, streamKey } from '../util/random.ts';
import { describeCustom, describeIndex, gradientsOf, runCustomBackward, runCustomForward, type Made } from './custom-layer.ts';

export interface CheckedLayer {
  readonly layer: string;
  /** Name of the custom layer. */
  readonly type: string;
  /** How many gradients were compared. */
  readonly compared: number;
  /** The largest difference, relative to the largest gradient of the same tensor. */
  readonly error: number;
}

/** Relative to the largest gradient of a tensor. */
const tolerance = 1e-3;
/**
 * Half the distance of a central difference: the first for functions that compute in float64, the second for those that round to float32 inside. It is
 * enough that one of them agrees: the larger may reach over a kink, and in the smaller rounding may weigh too much.
 */
const steps = [1e-5, 1e-3] as const;
/** Of each tensor, one by one; all elements together are checked along a random direction. */
const elementsChecked = 24;
/** To find an element that is wrong, where only the direction has shown that there is one. */
const elementsSearched = 2000;
const examples = 2;

/**
 * Runs each custom layer of a network forward and backward on random inputs, in float64, and compares every kind of gradient that it has with
 * central differences.
 *
 * @returns the layers that were checked; none for a network without custom layers
 * @throws ConfigurationError naming the layer, the element and both values where a gradient is wrong; where forward changes what it is given, or gives
 *   another output for the same input; AblateError for what its functions throw, and for numbers that are not finite
 */
export function checkCustomGradients(network: Network): readonly CheckedLayer[] {
  return network.layers.flatMap((layer) => (layer.kind === 'custom' ? [checkLayer(network, layer)] : []));
}

function checkLayer({ customLayers }: Network, layer: LayerOf<'custom'>): CheckedLayer {
  const random = (what: string, length: number) => {
    const key = streamKey(0, `check:${layer.name}:${what}`);
    return Float64Array.from({ length }, (_, i) => normal(key, i));
  };
  const inputs = layer.inputShapes.map((shape, i) => random(`input ${i}`, examples * sizeOf(shape)));
  // Near their first values, but at no special one.
  const parameters = layer.parameters.map((spec) => {
    const noise = random(spec.name, sizeOf(spec.shape));
    return Float64Array.from(initialValues(spec, 0), (value, i) => value + 0.1 * noise[i]! * (value === 0 ? 1 : value));
  });
  const outputLength = examples * sizeOf(layer.outputShape);
  const projection = random('output', outputLength);
  const given = [...inputs, ...parameters];
  const unchanged = given.map((values) => values.slice());

  const forward = (): Float64Array => {
    const output = new Float64Array(outputLength);
    runCustomForward(customLayers, layer, { batchSize: examples, inputs, parameters, output }, true);
    return output;
  };
  const loss = () => forward().reduce((sum, value, i) => sum + projection[i]! * value, 0);

  const output = forward();
  const again = forward();
  if (output.some((value, i) => value !== again[i])) {
    throw new ConfigurationError(`${describeCustom(layer)}: its forward gives another output for the same input`, {
      fix: 'let it depend on its arguments alone',
    });
  }
  const gradients = {
    inputGradients: inputs.map(({ length }) => new Float64Array(length)),
    parameterGradients: parameters.map(({ length }) => new Float64Array(length)),
  };
  const arrays = { batchSize: examples, inputs, parameters, output };
  runCustomBackward(customLayers, layer, arrays, { outputGradient: projection.slice(), ...gradients });
  if (given.some((values, i) => values.some((value, j) => value !== unchanged[i]![j]))) {
    throw new ConfigurationError(`${describeCustom(layer)}: its functions change their inputs or parameters`, {
      fix: 'write to output and the gradients alone: other layers read the same arrays',
    });
  }
  let compared = 0;
  let error = 0;
  gradientsOf(layer, gradients.inputGradients, gradients.parameterGradients).forEach((made, i) => {
    const result = checkTensor(layer, made, given[i]!, loss, random(`direction ${i}`, given[i]!.length));
    compared += result.compared;
    error = Math.max(error, result.error);
  });
  return { layer: layer.name, type: layer.attributes.type, compared, error };
}

/** Compares the gradient of one tensor, `variable`, which `loss` reads. */
function checkTensor(
  layer: LayerOf<'custom'>,
  made: Made,
  variable: Float64Array,
  loss: () => number,
  noise: Float64Array,
): { readonly compared: number; readonly error: number } {
  const gradient = made.values;
  const elements = spread(variable.length, elementsChecked);
  const unit = (element: number) => Float64Array.from(variable, (_, i) => (i === element ? 1 : 0));
  const first = elements.map((element) => derivative(variable, unit(element), loss, steps[0]));
  const scale = Math.max(largest(gradient), ...first.map(Math.abs), 1e-12);
  const errorOf = (analytic: number, direction: Float64Array, size: number, known?: number) => {
    const numeric = steps.map((step, i) =>
      i === 0 && known !== undefined ? known : derivative(variable, direction, loss, step),
    );
    const [nearest] = numeric.toSorted((a, b) => Math.abs(a - analytic) - Math.abs(b - analytic)) as [number];
    return { numeric: nearest, error: Math.abs(nearest - analytic) / size };
  };
  const requireRight = (element: number, known?: number): number => {
    const { numeric, error } = errorOf(gradient[element]!, unit(element), scale, known);
    if (error <= tolerance) return error;
    const values = `${made.what} is ${shown(gradient[element]!)} at ${describeIndex(element, made)}, and central differences of its forward are ${shown(numeric)}`;
    throw new ConfigurationError(`${describeCustom(layer)}: ${values}`, { fix: 'correct its backward, or its forward' });
  };
  const errors = elements.map((element, i) => requireRight(element, first[i]));

  const length = Math.sqrt(noise.reduce((sum, value) => sum + value * value, 0));
  const direction = noise.map((value) => value / length);
  const along = direction.reduce((sum, extent, i) => sum + extent * gradient[i]!, 0);
  const { numeric, error } = errorOf(along, direction, scale);
  if (error > tolerance) {
    for (const element of spread(variable.length, elementsSearched)) requireRight(element);
    const values = `${made.what} is ${shown(along)} along a random direction, and central differences of its forward are ${shown(numeric)}`;
    throw new ConfigurationError(`${describeCustom(layer)}: ${values}`, { fix: 'correct its backward, or its forward' });
  }
  return { compared: elements.length + 1, error: Math.max(error, ...errors) };
}

/** (loss(v + step * d) - loss(v - step * d)) / (2 * step) */
function derivative(variable: Float64Array, direction: Float64Array, loss: () => number, step: number): number {
  const centre = variable.slice();
  const lossAt = (distance: number) => {
    for (let i = 0; i < variable.length; i++) variable[i] = centre[i]! + distance * direction[i]!;
    return loss();
  };
  const result = (lossAt(step) - lossAt(-step)) / (2 * step);
  variable.set(centre);
  return result;
}

/** At most `count` of so many elements, evenly spread, the first and the last among them. */
function spread(length: number, count: number): readonly number[] {
  if (length <= count) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
}

function largest(values: Values): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

function shown(value: number): string {
  return String(Number(value.toPrecision(6)));
}
