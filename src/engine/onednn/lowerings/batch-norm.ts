/**
 * Batch normalization: batch statistics in training (running ones updated on the way), running statistics at inference. A ReLU behind it is part
 * of the kernel where oneDNN has one for that.
 */
import type { LayerOf } from '../../../nn/layer.ts';
import type { Lowered, Lowering, LoweringContext, PlacedParameter } from '../context.ts';
import type { MemoryDescriptor, Primitive } from '../dnnl.ts';
import { isReference, type Value } from '../program.ts';
import { synchronizedBatchNorm } from './synchronized-batch-norm.ts';

export const lowerBatchNorm: Lowering<'batchNorm'> = (context, layer, inputs) => {
  const { sharedBatch } = context;
  const lower = sharedBatch === undefined ? lowerOwnBatchNorm : synchronizedBatchNorm(sharedBatch);
  const isVector = inputs[0]!.descriptor.dims.length === 2;
  return isVector ? asPixels(lower, context, layer, inputs) : lower(context, layer, inputs);
};

/** oneDNN's fast kernels are for images, and a vector's features are the channels of a single pixel: the same bytes. */
function asPixels(
  lower: Lowering<'batchNorm'>,
  context: LoweringContext,
  layer: LayerOf<'batchNorm'>,
  [x]: readonly Value[],
): Lowered {
  const { program } = context;
  const { dnnl } = program;
  const { dims, dataType } = x!.descriptor;
  const vector = dnnl.plain(dims, dataType);
  const pixel = dnnl.channelsLast([...dims, 1, 1], dataType);
  const toPixel = (value: Value): Value => ({ ...program.inLayout(layer.name, value, vector), descriptor: pixel });
  const toVector = (value: Value): Value => ({ ...program.inLayout(layer.name, value, pixel), descriptor: vector });
  const { output, backward } = lower(context, layer, [toPixel(x!)]);
  return {
    output: toVector(output),
    ...(backward && {
      backward: (gradient, needs) => backward(toPixel(gradient), needs).map((dx) => dx && toVector(dx)),
    }),
  };
}

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
  const options = { epsilon, scale: hasScale, shift: hasShift, givenStatistics: !training } as const;
  const rectifying = context.mayRectify(layer.name) ? rectifyingForward(context, layer.name, x!.descriptor, options) : undefined;
  const relu = rectifying !== undefined;
  if (relu) context.rectified.add(layer.name);
  const forward =
    rectifying ?? program.primitive(layer.name, [{ kind: 'batchNorm', training, data: x!.descriptor, relu, ...options }]);
  const workspaceDescriptor = forward.descriptor('workspace');
  const workspace = workspaceDescriptor.sizeBytes > 0 ? { workspace: program.value(workspaceDescriptor) } : {};
  const mean = training ? program.value(vector) : runningMean.values;
  const variance = training ? program.value(vector) : runningVariance.values;
  const output = program.value(x!.descriptor);
  const affine = { ...given('scale', scale), ...given('shift', shift) };
  program.emit(layer.name, 'elementwise', forward, { src: x!, dst: output, mean, variance, ...affine, ...workspace });
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
      const spec = { kind: 'batchNormBackward', data: x!.descriptor, diff: dy.descriptor, relu, ...options } as const;
      const primitive = program.primitive(layer.name, [spec], { forward });
      const dx = program.value(x!.descriptor);
      program.emit(layer.name, 'elementwise', primitive, {
        src: x!,
        mean,
        variance,
        diffDst: dy,
        diffSrc: dx,
        ...affine,
        ...workspace,
        ...(scale === undefined ? {} : { diffScale: context.gradientTarget(scale) }),
        ...(shift === undefined ? {} : { diffShift: context.gradientTarget(shift) }),
      });
      return [dx];
    },
  };
};

/** The forward kernel that applies a ReLU too; undefined unless oneDNN has optimized ones for it in all the passes that are needed. */
function rectifyingForward(
  { program, training }: LoweringContext,
  layer: string,
  data: MemoryDescriptor,
  options: { readonly epsilon: number; readonly scale: boolean; readonly shift: boolean; readonly givenStatistics: boolean },
): Primitive | undefined {
  const forward = program.tryPrimitive(layer, { kind: 'batchNorm', training, data, relu: true, ...options });
  if (forward === undefined || isReference(forward)) return undefined;
  if (!training) return forward;
  const spec = { kind: 'batchNormBackward', data, diff: data, relu: true, ...options } as const;
  const backward = program.tryPrimitive(layer, spec, { forward });
  return backward === undefined || isReference(backward) ? undefined : forward;
}

function given(name: 'scale' | 'shift', parameter: PlacedParameter | undefined) {
  return parameter === undefined ? {} : { [name]: parameter.values };
}
