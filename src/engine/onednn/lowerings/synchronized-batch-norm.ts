/**
 * Batch normalization over the batch of all processes. oneDNN's primitive sees one process's part only, so the statistics are taken from
 * it, averaged over the processes and given back, and what their own gradient adds is computed here.
 */
import { sizeOf } from '../../../nn/shape.ts';
import type { SharedBatch } from '../../engine.ts';
import type { Lowering, LoweringContext } from '../context.ts';
import type { MemoryDescriptor } from '../dnnl.ts';
import { asFloat32, type Value } from '../program.ts';
import { alignment } from '../memory-planner.ts';
import { allocateAligned } from '../native.ts';

export function synchronizedBatchNorm(sharedBatch: SharedBatch): Lowering<'batchNorm'> {
  return (context, layer, [x]) => {
    const { program, batchSize } = context;
    const { dnnl } = program;
    const { epsilon, momentum } = layer.attributes;
    const [channels, ...pixels] = layer.inputShapes[0]! as readonly [number, ...number[]];
    const vector = dnnl.plain([channels], 'f32');
    const scale = context.parameter(layer, 'scale', vector);
    const shift = context.parameter(layer, 'shift', vector);
    const runningMean = context.parameter(layer, 'mean', vector)!;
    const runningVariance = context.parameter(layer, 'variance', vector)!;
    const scaleValues = scale?.values ?? constant(context, vector, 1);
    const shiftValues = shift?.values ?? constant(context, vector, 0);
    const batchNorm = { kind: 'batchNorm', training: true, data: x!.descriptor, epsilon, relu: false } as const;

    // The statistics of this process's part; what it would be normalized to by them is not used.
    const own = program.primitive(layer.name, [{ ...batchNorm, scale: false, shift: false, givenStatistics: false }]);
    const mean = program.value(vector);
    const variance = program.value(vector);
    program.emit(layer.name, 'elementwise', own, { src: x!, dst: program.value(x!.descriptor), mean, variance });
    const statistics = [mean, variance, runningMean.values, runningVariance.values];
    program.emitHost(layer.name, 'elementwise', statistics, ([means, variances, averageMeans, averageVariances]) => {
      averageMoments(sharedBatch, means!, variances!, channels);
      // running = momentum * running + (1 - momentum) * batch, with the population variance.
      for (let c = 0; c < channels; c++) {
        averageMeans![c] = momentum * averageMeans![c]! + (1 - momentum) * means![c]!;
        averageVariances![c] = momentum * averageVariances![c]! + (1 - momentum) * variances![c]!;
      }
    });

    const affine = { scale: true, shift: true, givenStatistics: true } as const;
    const forward = program.primitive(layer.name, [{ ...batchNorm, ...affine }]);
    const output = program.value(x!.descriptor);
    const inputs = { mean, variance, scale: scaleValues };
    program.emit(layer.name, 'elementwise', forward, { src: x!, dst: output, ...inputs, shift: shiftValues });

    return {
      output,
      /**
       * With z = (x - mean) / sqrt(variance + epsilon), f = scale / sqrt(variance + epsilon) and means over all processes:
       * dx = f * (dy - mean(dy) - z * mean(dy * z)). oneDNN gives f * dy, and the sums of dy and dy * z over this process's part. The rest
       * is a * x + b for each channel, with a = -f * mean(dy * z) / sqrt(variance + epsilon), b = -f * mean(dy) - a * mean.
       */
      backward: (gradient) => {
        const dy = program.inLayout(layer.name, gradient, x!.descriptor);
        const options = { epsilon, relu: false, ...affine } as const;
        const backward = { kind: 'batchNormBackward', data: x!.descriptor, diff: dy.descriptor, ...options } as const;
        const primitive = program.primitive(layer.name, [backward], { forward });
        const dx = program.value(x!.descriptor);
        const diffScale = scale === undefined ? program.value(vector) : context.gradientTarget(scale);
        const diffShift = shift === undefined ? program.value(vector) : context.gradientTarget(shift);
        program.emit(layer.name, 'elementwise', primitive, {
          ...{ src: x!, diffDst: dy, diffSrc: dx, diffScale, diffShift },
          ...{ ...inputs, shift: shiftValues },
        });
        const perChannel = dnnl.plain([1, channels, ...x!.descriptor.dims.slice(2).map(() => 1)], 'f32');
        const slope = program.value(perChannel);
        const intercept = program.value(perChannel);
        const elements = batchSize * sizeOf(pixels) * sharedBatch.processes;
        const values = [diffScale, diffShift, mean, variance, scaleValues, slope, intercept];
        program.emitHost(layer.name, 'elementwise', values, ([sumDyZ, sumDy, means, variances, scales, slopes, intercepts]) => {
          const sums = Float64Array.from({ length: 2 * channels }, (_, i) =>
            i < channels ? sumDyZ![i]! : sumDy![i - channels]!,
          );
          sharedBatch.sum(sums);
          for (let c = 0; c < channels; c++) {
            const deviation = Math.sqrt(variances![c]! + epsilon);
            const factor = scales![c]! / deviation;
            const a = (-factor * sums[c]!) / elements / deviation;
            slopes![c] = a;
            intercepts![c] = (-factor * sums[channels + c]!) / elements - a * means![c]!;
          }
        });
        const descriptors = { a: x!.descriptor, b: perChannel, dst: dx.descriptor };
        const addRest = program.primitive(layer.name, [{ kind: 'binary', algorithm: 'multiply', ...descriptors }], {
          postOperations: [{ type: 'sum' }, { type: 'binary', algorithm: 'add', operand: perChannel }],
        });
        program.emit(layer.name, 'elementwise', addRest, { src: x!, src1: slope, dst: dx, postOp1: intercept });
        return [dx];
      },
    };
  };
}

/**
 * From the moments of each process's part to those of the whole: mean = mean of the means,
 * variance = mean of (variance + mean^2) - (mean of the means)^2, in float64.
 */
function averageMoments(batch: SharedBatch, means: Float32Array, variances: Float32Array, channels: number): void {
  const moments = new Float64Array(2 * channels);
  for (let c = 0; c < channels; c++) {
    moments[c] = means[c]!;
    moments[channels + c] = variances[c]! + means[c]! ** 2;
  }
  batch.sum(moments);
  for (let c = 0; c < channels; c++) {
    const mean = moments[c]! / batch.processes;
    means[c] = mean;
    variances[c] = Math.max(0, moments[channels + c]! / batch.processes - mean ** 2);
  }
}

/** A vector of one number, for a scale or shift that the layer does not have. */
function constant(context: LoweringContext, vector: MemoryDescriptor, value: number): Value {
  const bytes = allocateAligned(vector.sizeBytes, alignment);
  asFloat32(bytes).fill(value);
  return context.program.persistent(vector, bytes);
}
