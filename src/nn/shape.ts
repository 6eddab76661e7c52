/** Shapes of one example, without the batch dimension: `[C, H, W]` for images, `[F]` for vectors. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** `64x12x12` */
export function formatShape(shape: Shape): string {
  return shape.join('x');
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** `same`: output = ceil(input / stride), as TensorFlow does; `valid`: none; or explicit `[top, left, bottom, right]`. */
export type Padding = 'same' | 'valid' | readonly [top: number, left: number, bottom: number, right: number];

/** A window sliding over the two spatial dimensions, everything resolved to numbers. */
export interface Window2d {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [vertical: number, horizontal: number];
  /** `[top, left, bottom, right]` */
  readonly padding: readonly [number, number, number, number];
  readonly input: readonly [height: number, width: number];
  readonly output: readonly [height: number, width: number];
}

/**
 * Resolves padding and output size of a sliding window.
 *
 * TensorFlow's SAME: `out = ceil(in / stride)`, total padding `max((out - 1) * stride + kernel - in, 0)`, the odd pixel at the
 * bottom and right. Otherwise `out = floor((in + padding - kernel) / stride) + 1`.
 *
 * @returns the window, or undefined where the kernel does not fit into the padded input.
 */
export function resolveWindow(
  input: readonly [number, number],
  kernel: readonly [number, number],
  stride: readonly [number, number],
  padding: Padding,
): Window2d | undefined {
  const resolved: [number, number, number, number] = [0, 0, 0, 0];
  const output: [number, number] = [0, 0];
  for (const axis of [0, 1] as const) {
    if (padding === 'same') {
      output[axis] = Math.ceil(input[axis] / stride[axis]);
      const total = Math.max((output[axis] - 1) * stride[axis] + kernel[axis] - input[axis], 0);
      resolved[axis] = Math.floor(total / 2);
      resolved[axis + 2] = total - Math.floor(total / 2);
    } else {
      if (padding !== 'valid') {
        resolved[axis] = padding[axis];
        resolved[axis + 2] = padding[axis + 2]!;
      }
      const padded = input[axis] + resolved[axis] + resolved[axis + 2]!;
      output[axis] = Math.floor((padded - kernel[axis]) / stride[axis]) + 1;
    }
    if (output[axis] < 1) return undefined;
  }
  return { kernel, stride, padding: resolved, input, output };
}
