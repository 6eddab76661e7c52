import type { Window2d } from '../../nn/shape.ts';
import { only, type ReferenceLayer } from './layer.ts';

/** Calls `visit(o, pixels)` for each output element o with the input elements of its window inside the image, row by row. */
function forEachWindow(window: Window2d, planes: number, visit: (o: number, pixels: readonly number[]) => void): void {
  const { kernel, stride, padding, input, output } = window;
  for (let plane = 0; plane < planes; plane++) {
    for (let oy = 0; oy < output[0]; oy++) {
      for (let ox = 0; ox < output[1]; ox++) {
        const pixels: number[] = [];
        for (let ky = 0; ky < kernel[0]; ky++) {
          for (let kx = 0; kx < kernel[1]; kx++) {
            const iy = oy * stride[0] - padding[0] + ky;
            const ix = ox * stride[1] - padding[1] + kx;
            const inside = iy >= 0 && iy < input[0] && ix >= 0 && ix < input[1];
            if (inside) pixels.push((plane * input[0] + iy) * input[1] + ix);
          }
        }
        visit((plane * output[0] + oy) * output[1] + ox, pixels);
      }
    }
  }
}

/** Planes `[H, W]` of a batch of images `[C, H, W]`. */
function planesOf(shape: readonly number[], batchSize: number): number {
  return batchSize * shape[0]!;
}

/** The first of the largest, in the order of `pixels`. */
function firstMaximum(x: Float64Array, pixels: readonly number[]): number {
  return pixels.reduce((best, pixel) => (x[pixel]! > x[best]! ? pixel : best));
}

export const maxPool: ReferenceLayer<'maxPool'> = {
  /** y[o] = max of x over the window of o */
  forward({ layer, batchSize, inputs, output: y }) {
    const x = only(inputs);
    forEachWindow(layer.attributes, planesOf(layer.outputShape, batchSize), (o, pixels) => {
      y[o] = x[firstMaximum(x, pixels)]!;
    });
  },

  /** dx[argmax of the window of o] += dy[o]; among equals the first, row by row, is the maximum */
  backward({ layer, batchSize, inputs, outputGradient: dy, inputGradients }) {
    const x = only(inputs);
    const dx = only(inputGradients);
    forEachWindow(layer.attributes, planesOf(layer.outputShape, batchSize), (o, pixels) => {
      dx[firstMaximum(x, pixels)]! += dy[o]!;
    });
  },
};

export const avgPool: ReferenceLayer<'avgPool'> = {
  /** y[o] = sum of x over the window of o inside the image / number of those pixels */
  forward({ layer, batchSize, inputs, output: y }) {
    const x = only(inputs);
    forEachWindow(layer.attributes, planesOf(layer.outputShape, batchSize), (o, pixels) => {
      for (const pixel of pixels) y[o]! += x[pixel]! / pixels.length;
    });
  },

  /** dx[i] = sum of dy[o] / (pixels of its window) over the windows o that hold i */
  backward({ layer, batchSize, outputGradient: dy, inputGradients }) {
    const dx = only(inputGradients);
    forEachWindow(layer.attributes, planesOf(layer.outputShape, batchSize), (o, pixels) => {
      for (const pixel of pixels) dx[pixel]! += dy[o]! / pixels.length;
    });
  },
};

export const globalAvgPool: ReferenceLayer<'globalAvgPool'> = {
  /** y[n,c] = sum over the pixels of x[n,c] / (H * W) */
  forward({ inputs, output: y }) {
    const x = only(inputs);
    const pixels = x.length / y.length;
    for (let i = 0; i < x.length; i++) y[Math.floor(i / pixels)]! += x[i]! / pixels;
  },

  /** dx[n,c,h,w] = dy[n,c] / (H * W) */
  backward({ outputGradient: dy, inputGradients }) {
    const dx = only(inputGradients);
    const pixels = dx.length / dy.length;
    for (let i = 0; i < dx.length; i++) dx[i]! += dy[Math.floor(i / pixels)]! / pixels;
  },
};
