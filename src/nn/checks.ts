import { ConfigurationError } from '../util/errors.ts';
import { formatShape, resolveWindow, type Padding, type Shape, type Window2d } from './shape.ts';

/** `stride (=0) must be a positive integer for layer "conv2"` */
export function requireThat(condition: boolean, layer: string, what: string, value: unknown, allowed: string): asserts condition {
  if (!condition) {
    throw new ConfigurationError(`${what} (=${formatValue(value)}) must be ${allowed} for layer "${layer}"`);
  }
}

export function requirePositiveInteger(value: number, layer: string, what: string): void {
  requireThat(Number.isInteger(value) && value > 0, layer, what, value, 'a positive integer');
}

/** The single input of a layer, which must be an image `[C, H, W]`. */
export function imageInput(inputs: readonly Shape[], layer: string): readonly [number, number, number] {
  const shape = singleInput(inputs, layer);
  requireThat(shape.length === 3, layer, 'input shape', formatShape(shape), 'channels x height x width');
  return shape as readonly [number, number, number];
}

export function singleInput(inputs: readonly Shape[], layer: string): Shape {
  requireThat(inputs.length === 1, layer, 'number of inputs', inputs.length, '1');
  return inputs[0]!;
}

export function pair(value: number | readonly [number, number]): readonly [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}

export interface WindowOptions {
  readonly kernel: number | readonly [number, number];
  readonly stride?: number | readonly [number, number];
  readonly padding?: Padding;
}

/** Checks and resolves the sliding window of a convolution or pooling layer. */
export function inferWindow(
  options: WindowOptions,
  height: number,
  width: number,
  layer: string,
  defaultStride: WindowOptions['kernel'],
): Window2d {
  // What a file says may lack it.
  const given = options.kernel as WindowOptions['kernel'] | undefined;
  requireThat(given !== undefined, layer, 'kernel', 'missing', 'a number or two, [height, width]');
  const kernel = pair(given);
  const stride = pair(options.stride ?? defaultStride);
  const padding = options.padding ?? 'same';
  kernel.forEach((extent) => requirePositiveInteger(extent, layer, 'kernel'));
  stride.forEach((extent) => requirePositiveInteger(extent, layer, 'stride'));
  if (Array.isArray(padding)) {
    const fits = padding.length === 4 && padding.every((extent) => Number.isInteger(extent) && extent >= 0);
    requireThat(fits, layer, 'padding', padding, '"same", "valid" or four non-negative integers [top, left, bottom, right]');
  } else {
    requireThat(
      padding === 'same' || padding === 'valid',
      layer,
      'padding',
      padding,
      '"same", "valid" or [top, left, bottom, right]',
    );
  }
  const window = resolveWindow([height, width], kernel, stride, padding);
  requireThat(window !== undefined, layer, 'kernel', kernel.join('x'), `no larger than the padded input ${height}x${width}`);
  return window;
}

function formatValue(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}
