import { activationOperations, resolveActivation, type ActivationOptions } from '../activation.ts';
import { requireThat, singleInput } from '../checks.ts';
import type { Inferred, LayerKind, NoOptions } from '../layer.ts';
import { formatShape, sameShape, sizeOf, type Shape } from '../shape.ts';

export interface DropoutOptions {
  readonly rate: number;
}

export interface ScaleOptions {
  readonly factor: number;
}

/** A function of each element, counted as `activationOperations` says. */
export function inferActivation(name: string, options: ActivationOptions, inputs: readonly Shape[]): Inferred<'activation'> {
  const activation = resolveActivation(options, name);
  return elementwise(singleInput(inputs, name), activation, activationOperations(activation));
}

/** The identity at inference, hence no operations. */
export function inferDropout(name: string, { rate }: DropoutOptions, inputs: readonly Shape[]): Inferred<'dropout'> {
  requireThat(rate >= 0 && rate < 1, name, 'rate', rate, 'in [0, 1)');
  return elementwise(singleInput(inputs, name), { rate }, 0);
}

/** One multiplication per element. */
export function inferScale(name: string, { factor }: ScaleOptions, inputs: readonly Shape[]): Inferred<'scale'> {
  requireThat(Number.isFinite(factor), name, 'factor', factor, 'a finite number');
  return elementwise(singleInput(inputs, name), { factor }, 1);
}

/** The sum of two or more tensors of the same shape: one addition per element and further input. */
export function inferAdd(name: string, _: NoOptions, inputs: readonly Shape[]): Inferred<'add'> {
  requireThat(inputs.length >= 2, name, 'number of inputs', inputs.length, 'at least 2');
  const first = inputs[0]!;
  for (const shape of inputs) {
    requireThat(sameShape(shape, first), name, 'input shape', formatShape(shape), `${formatShape(first)}, as its first input`);
  }
  return elementwise(first, {}, inputs.length - 1);
}

/**
 * The product of two tensors: of one shape, or of an image `[C, H, W]` and one factor for each of its channels, `[C]` or `[C, 1, 1]` (Hu et al.,
 * 2018, "Squeeze-and-Excitation Networks"). One multiplication per element.
 */
export function inferMultiply(name: string, _: NoOptions, inputs: readonly Shape[]): Inferred<'multiply'> {
  requireThat(inputs.length === 2, name, 'number of inputs', inputs.length, '2');
  const [first, second] = inputs as readonly [Shape, Shape];
  const [channels] = first;
  const allowed = first.length === 3 ? [first, [channels!], [channels!, 1, 1]] : [first];
  const fits = allowed.some((shape) => sameShape(shape, second));
  const shapes = [...new Set(allowed.map(formatShape))].join(' or ');
  requireThat(fits, name, 'shape of the second input', formatShape(second), `${shapes}, to multiply ${formatShape(first)},`);
  return elementwise(first, {}, 1);
}

function elementwise<K extends LayerKind>(
  shape: Shape,
  attributes: Inferred<K>['attributes'],
  operationsPerElement: number,
): Inferred<K> {
  return { attributes, outputShape: shape, parameters: [], operations: operationsPerElement * sizeOf(shape), multiplyAdds: 0 };
}
