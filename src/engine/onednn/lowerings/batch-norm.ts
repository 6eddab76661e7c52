/** Batch normalization: batch statistics in training (running ones updated on the way), running statistics at inference. */
import type { Lowering, PlacedParameter } from '../context.ts';
import { synchronizedBatchNorm } from './synchronized-batch-norm.ts';

export const lowerBatchNorm: Lowering<'batchNorm'> = (context, layer, inputs) => {
  const { sharedBatch } = context;
  const lower = sharedBatch === undefined ? lowerOwnBatchNorm : synchronizedBatchNorm(sharedBatch);
  return lower(context, layer, inputs);
};

const lowerOwnBatchNorm: Lowering<'batchNorm'> = (context, layer, [x]) => {
  const { program, training } = context;
  const { dnnl } = program;
  const { epsilon, momentum, scale: hasScale, shift: hasShift } = layer.attributes;
  const channels = layer.inputShapes[0]![0]!;
  const vector = dnnl.plain([channels], 'f32');
  const scale = context.parameter(layer, 'scale', vector);
  const shift = context.parameter(layer, 'shift', vector);
  const runningMean = context.parameter(layer, 'mean', vector)!;
  const runningVariance = context.parameter(layer, 'variance', vector)!;
  const options = { epsilon, scale: hasScale, shift: hasShift } as const;
  const spec = { kind: 'batchNorm', training, data: x!.descriptor, givenStatistics: !training, ...options } as const;
  const forward = program.primitive(layer.name, [spec]);
  const mean = training ? program.value(vector) : runningMean.values;
  const variance = training ? program.value(vector) : runningVariance.values;
  const output = program.value(x!.descriptor);
  const affine = { ...given('scale', scale), ...given('shift', shift) };
  program.emit(layer.name, 'elementwise', forward, { src: x!, dst: output, mean, variance, ...affine });
  if (!training) return { output };
  program.emitHost(
    layer.name,
    'elementwise',
    [mean, variance, runningMean.values, runningVariance.values],
    ([batchMean, batchVariance, averageMean, averageVariance]) => {
      // running = momentum * running + (1 - momentum) * batch, with the population variance.
      for (let c = 0; c < channels; c++) {
        averageMean![c] = momentum * averageMean![c]! + (1 - momentum) * batchMean![c]!;
        averageVariance![c] = momentum * averageVariance![c]! + (1 - momentum) * batchVariance![c]!;
      }
    },
  );
  return {
    output,
    backward: (gradient) => {
      const dy = program.inLayout(layer.name, gradient, x!.descriptor);
      const backward = {
        kind: 'batchNormBackward',
        data: x!.descriptor,
        diff: dy.descriptor,
        givenStatistics: false,
        ...options,
      } as const;
      const primitive = program.primitive(layer.name, [backward], { forward });
      const dx = program.value(x!.descriptor);
      program.emit(layer.name, 'elementwise', primitive, {
        src: x!,
        mean,
        variance,
        diffDst: dy,
        diffSrc: dx,
        ...affine,
        ...(scale === undefined ? {} : { diffScale: context.gradientTarget(scale) }),
        ...(shift === undefined ? {} : { diffShift: context.gradientTarget(shift) }),
      });
      return [dx];
    },
  };
};

function given(name: 'scale' | 'shift', parameter: PlacedParameter | undefined) {
  return parameter === undefined ? {} : { [name]: parameter.values };
}
