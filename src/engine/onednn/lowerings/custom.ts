/** The user's own layers: their functions run in TypeScript, on tensors converted to plain float32 and back. */
import { sizeOf } from '../../../nn/shape.ts';
import { ownName } from '../../../nn/parameter.ts';
import { runCustomBackward, runCustomForward } from '../../custom-layer.ts';
import type { Lowering } from '../context.ts';
import type { Value } from '../program.ts';

export const lowerCustom: Lowering<'custom'> = (context, layer, inputs) => {
  const { program, batchSize, training } = context;
  const { dnnl } = program;
  const { customLayers } = context.settings;
  const { name } = layer;
  const plain = inputs.map((x, i) => {
    const value = program.withDims(name, x, [batchSize, ...layer.inputShapes[i]!]);
    return program.inLayout(name, value, dnnl.plain(value.descriptor.dims, 'f32'));
  });
  // In one dimension, whatever the shape: there are layouts for few.
  const placed = layer.parameters.map((spec) =>
    context.parameter(layer, ownName(spec), dnnl.plain([sizeOf(spec.shape)], 'f32'))!,
  );
  const parameters = placed.map(({ values }) => values);
  const output = program.value(dnnl.plain([batchSize, ...layer.outputShape], 'f32'));
  const count = inputs.length;
  program.emitHost(name, 'elementwise', [output, ...plain, ...parameters], ([made, ...given]) => {
    const arrays = { batchSize, inputs: given.slice(0, count), parameters: given.slice(count), output: made! };
    runCustomForward(customLayers, layer, arrays, training);
  });
  return {
    output,
    backward: (gradient) => {
      const dy = program.inLayout(name, gradient, output.descriptor);
      const inputGradients = plain.map(({ descriptor }) => program.value(descriptor));
      const parameterGradients = placed.map((parameter) => context.gradientTarget(parameter));
      const values = [output, dy, ...plain, ...parameters, ...inputGradients, ...parameterGradients];
      program.emitHost(name, 'elementwise', values, ([made, outputGradient, ...arrays]) => {
        const take = (length: number) => arrays.splice(0, length);
        const given = { batchSize, inputs: take(count), parameters: take(parameters.length), output: made! };
        const gradients = { outputGradient: outputGradient!, inputGradients: take(count), parameterGradients: arrays };
        runCustomBackward(customLayers, layer, given, gradients);
      });
      return inputGradients.map((dx, i): Value => program.withDims(name, dx, inputs[i]!.descriptor.dims));
    },
  };
};
