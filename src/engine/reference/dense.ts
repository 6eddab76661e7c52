import { activate, activationGradient } from './activation.ts';
import { only, type LayerParameters, type ReferenceLayer } from './layer.ts';

/** z[n,f] = bias[f] + sum over i of w[f,i] * x[n,i] */
function multiply(features: number, batchSize: number, x: Float64Array, { weight, bias }: LayerParameters): Float64Array {
  const z = new Float64Array(batchSize * features);
  const length = x.length / batchSize;
  for (let n = 0; n < batchSize; n++) {
    for (let f = 0; f < features; f++) {
      let sum = bias?.[f] ?? 0;
      for (let i = 0; i < length; i++) sum += weight![f * length + i]! * x[n * length + i]!;
      z[n * features + f] = sum;
    }
  }
  return z;
}

/** An image `[C, H, W]` is read in that order, which is how a plain tensor lies in memory. */
export const dense: ReferenceLayer<'dense'> = {
  /** y = f(z) */
  forward({ layer, batchSize, inputs, parameters, output: y }) {
    const { features, activation } = layer.attributes;
    activate(multiply(features, batchSize, only(inputs), parameters), y, activation);
  },

  /**
   * dz = dy * f'(z); dw[f,i] = sum over n of dz[n,f] * x[n,i]; dx[n,i] = sum over f of dz[n,f] * w[f,i]; dbias[f] = sum over n of dz[n,f]
   */
  backward({ layer, batchSize, inputs, parameters, outputGradient: dy, inputGradients, parameterGradients }) {
    const x = only(inputs);
    const dx = only(inputGradients);
    const weight = parameters.weight!;
    const { weight: dw, bias: dbias } = parameterGradients;
    const { features, activation } = layer.attributes;
    const length = x.length / batchSize;
    const dz = activation ? activationGradient(dy, multiply(features, batchSize, x, parameters), activation) : dy;
    for (let n = 0; n < batchSize; n++) {
      for (let f = 0; f < features; f++) {
        const gradient = dz[n * features + f]!;
        if (dbias) dbias[f]! += gradient;
        for (let i = 0; i < length; i++) {
          dw![f * length + i]! += gradient * x[n * length + i]!;
          dx[n * length + i]! += gradient * weight[f * length + i]!;
        }
      }
    }
  },
};
