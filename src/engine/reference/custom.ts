import type { LayerOf } from '../../nn/layer.ts';
import { ownName } from '../../nn/parameter.ts';
import { runCustomBackward, runCustomForward } from '../custom-layer.ts';
import type { LayerParameters, ReferenceLayer } from './layer.ts';

/** In the order in which the layer lists them. */
function inOrder(layer: LayerOf<'custom'>, arrays: LayerParameters): readonly Float64Array[] {
  return layer.parameters.map((spec) => (arrays as Readonly<Record<string, Float64Array>>)[ownName(spec)]!);
}

/** The user's own functions, in float64. */
export const custom: ReferenceLayer<'custom'> = {
  forward({ layer, customLayers, batchSize, mode, inputs, parameters, output }) {
    const arrays = { batchSize, inputs, parameters: inOrder(layer, parameters), output };
    runCustomForward(customLayers, layer, arrays, mode.training);
  },

  backward({ layer, customLayers, batchSize, inputs, parameters, output, outputGradient, inputGradients, parameterGradients }) {
    const arrays = { batchSize, inputs, parameters: inOrder(layer, parameters), output };
    const own = inputs.map((x) => new Float64Array(x.length));
    const gradients = { outputGradient, inputGradients: own, parameterGradients: inOrder(layer, parameterGradients) };
    runCustomBackward(customLayers, layer, arrays, gradients);
    own.forEach((gradient, input) => {
      const dx = inputGradients[input]!;
      for (let i = 0; i < dx.length; i++) dx[i]! += gradient[i]!;
    });
  },
};
