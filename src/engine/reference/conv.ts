import type { LayerOf } from '../../nn/layer.ts';
import { sizeOf } from '../../nn/shape.ts';
import { only, type LayerParameters, type ReferenceLayer } from './layer.ts';
import { activate, activationGradient } from './activation.ts';

/**
 * Every multiplication of a convolution: calls `visit(o, w, i)` for each output element o, weight w and input element i (offsets into
 * the plain tensors) that the layer connects. Padding is zero and is left out.
 *
 * The sum of w * x[i] over the connections of o is the convolution. Its two backward passes are sums over the same connections,
 * gathered at the weight (of dy[o] * x[i]) and at the input (of dy[o] * w) instead of the output.
 */
function forEachConnection(layer: LayerOf<'conv'>, batchSize: number, visit: (o: number, w: number, i: number) => void): void {
  const { kernel, stride, padding, input, output, filters, groups } = layer.attributes;
  const channels = layer.inputShapes[0]![0]!;
  const groupChannels = channels / groups;
  const groupFilters = filters / groups;
  for (let n = 0; n < batchSize; n++) {
    for (let f = 0; f < filters; f++) {
      const firstChannel = Math.floor(f / groupFilters) * groupChannels;
      for (let oy = 0; oy < output[0]; oy++) {
        for (let ox = 0; ox < output[1]; ox++) {
          const o = ((n * filters + f) * output[0] + oy) * output[1] + ox;
          for (let c = 0; c < groupChannels; c++) {
            for (let ky = 0; ky < kernel[0]; ky++) {
              const iy = oy * stride[0] - padding[0] + ky;
              if (iy < 0 || iy >= input[0]) continue;
              for (let kx = 0; kx < kernel[1]; kx++) {
                const ix = ox * stride[1] - padding[1] + kx;
                if (ix < 0 || ix >= input[1]) continue;
                const w = ((f * groupChannels + c) * kernel[0] + ky) * kernel[1] + kx;
                const i = ((n * channels + firstChannel + c) * input[0] + iy) * input[1] + ix;
                visit(o, w, i);
              }
            }
          }
        }
      }
    }
  }
}

/** z[n,f,oy,ox] = bias[f] + sum over c, ky, kx of w[f,c,ky,kx] * x[n, c, oy*stride - top + ky, ox*stride - left + kx] */
function convolve(layer: LayerOf<'conv'>, batchSize: number, x: Float64Array, { weight, bias }: LayerParameters): Float64Array {
  const z = new Float64Array(batchSize * sizeOf(layer.outputShape));
  forEachConnection(layer, batchSize, (o, w, i) => {
    z[o]! += weight![w]! * x[i]!;
  });
  if (bias) {
    const pixels = layer.attributes.output[0] * layer.attributes.output[1];
    for (let o = 0; o < z.length; o++) z[o]! += bias[Math.floor(o / pixels) % bias.length]!;
  }
  return z;
}

export const conv: ReferenceLayer<'conv'> = {
  /** y = f(z) */
  forward({ layer, batchSize, inputs, parameters, output: y }) {
    activate(convolve(layer, batchSize, only(inputs), parameters), y, layer.attributes.activation);
  },

  /**
   * dz = dy * f'(z); dw = sum of dz * x over its connections; dx = sum of dz * w over its connections; dbias[f] = sum of dz over n, oy, ox
   */
  backward({ layer, batchSize, inputs, parameters, outputGradient: dy, inputGradients, parameterGradients }) {
    const x = only(inputs);
    const weight = parameters.weight!;
    const dx = only(inputGradients);
    const dw = parameterGradients.weight!;
    const { activation } = layer.attributes;
    const dz = activation ? activationGradient(dy, convolve(layer, batchSize, x, parameters), activation) : dy;
    forEachConnection(layer, batchSize, (o, w, i) => {
      dw[w]! += dz[o]! * x[i]!;
      dx[i]! += dz[o]! * weight[w]!;
    });
    const dbias = parameterGradients.bias;
    if (dbias) {
      const pixels = layer.attributes.output[0] * layer.attributes.output[1];
      for (let o = 0; o < dz.length; o++) dbias[Math.floor(o / pixels) % dbias.length]! += dz[o]!;
    }
  },
};
