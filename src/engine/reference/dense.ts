import { only, type ReferenceLayer } from './layer.ts';
import { maskByRelu, relu } from './relu.ts';

/** An image `[C, H, W]` is read in that order, which is how a plain tensor lies in memory. */
export const dense: ReferenceLayer<'dense'> = {
  /** y[n,f] = bias[f] + sum over i of w[f,i] * x[n,i] */
  forward({ layer, batchSize, inputs, parameters, output: y }) {
    const x = only(inputs);
    const { weight, bias } = parameters;
    const { features } = layer.attributes;
    const length = x.length / batchSize;
    for (let n = 0; n < batchSize; n++) {
      for (let f = 0; f < features; f++) {
        let sum = bias?.[f] ?? 0;
        for (let i = 0; i < length; i++) sum += weight![f * length + i]! * x[n * length + i]!;
        y[n * features + f] = sum;
      }
    }
    if (layer.attributes.relu) relu(y, y);
  },

  /** dw[f,i] = sum over n of dy[n,f] * x[n,i]; dx[n,i] = sum over f of dy[n,f] * w[f,i]; dbias[f] = sum over n of dy[n,f] */
  backward({ layer, batchSize, inputs, parameters, output, outputGradient, inputGradients, parameterGradients }) {
    const x = only(inputs);
    const dx = only(inputGradients);
    const weight = parameters.weight!;
    const { weight: dw, bias: dbias } = parameterGradients;
    const { features } = layer.attributes;
    const length = x.length / batchSize;
    const dy = layer.attributes.relu ? maskByRelu(outputGradient, output) : outputGradient;
    for (let n = 0; n < batchSize; n++) {
      for (let f = 0; f < features; f++) {
        const gradient = dy[n * features + f]!;
        if (dbias) dbias[f]! += gradient;
        for (let i = 0; i < length; i++) {
          dw![f * length + i]! += gradient * x[n * length + i]!;
          dx[n * length + i]! += gradient * weight[f * length + i]!;
        }
      }
    }
  },
};
