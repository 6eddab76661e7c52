import { imageInput, inferWindow, requireThat, type WindowOptions } from '../checks.ts';
import type { Inferred, NoOptions } from '../layer.ts';
import type { Shape, Window2d } from '../shape.ts';

/** The stride defaults to the kernel, the padding to `same`. */
export type PoolOptions = WindowOptions;

/** Maximum over each window; padding never wins. Not counted as operations (tensorsandbox's rule). */
export function inferMaxPool(name: string, options: PoolOptions, inputs: readonly Shape[]): Inferred<'maxPool'> {
  return inferPool(name, options, inputs);
}

/** Average over the pixels of each window that lie inside the image. Not counted as operations (tensorsandbox's rule). */
export function inferAvgPool(name: string, options: PoolOptions, inputs: readonly Shape[]): Inferred<'avgPool'> {
  return inferPool(name, options, inputs);
}

/** `[C, H, W]` to `[C]`: the mean over all pixels. Not counted as operations (tensorsandbox's rule). */
export function inferGlobalAvgPool(name: string, _: NoOptions, inputs: readonly Shape[]): Inferred<'globalAvgPool'> {
  const [channels] = imageInput(inputs, name);
  return { attributes: {}, outputShape: [channels], parameters: [], operations: 0, multiplyAdds: 0 };
}

function inferPool(name: string, options: PoolOptions, inputs: readonly Shape[]): Inferred<'maxPool'> & Inferred<'avgPool'> {
  const [channels, height, width] = imageInput(inputs, name);
  const window = inferWindow(options, height, width, name, options.kernel);
  requireThat(
    everyWindowTouchesTheImage(window),
    name,
    'padding',
    window.padding,
    `smaller than the kernel ${window.kernel.join('x')}`,
  );
  return { attributes: window, outputShape: [channels, ...window.output], parameters: [], operations: 0, multiplyAdds: 0 };
}

function everyWindowTouchesTheImage({ kernel, padding }: Window2d): boolean {
  const [top, left, bottom, right] = padding;
  return Math.max(top, bottom) < kernel[0] && Math.max(left, right) < kernel[1];
}
