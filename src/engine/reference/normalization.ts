import type { BatchNormAttributes, LayerOf, LrnAttributes } from '../../nn/layer.ts';
import { sizeOf } from '../../nn/shape.ts';
import type { SharedBatch } from '../engine.ts';
import { only, type LayerParameters, type ReferenceLayer } from './layer.ts';

/** Visits each element's own offset, and those of its neighbours over the channels within `radius` (itself included). */
function forEachNeighbourhood(
  layer: LayerOf<'lrn'>,
  batchSize: number,
  visit: (i: number, neighbours: readonly number[]) => void,
): void {
  const [channels, height, width] = layer.outputShape as readonly [number, number, number];
  const { depthRadius } = layer.attributes;
  const pixels = height * width;
  for (let n = 0; n < batchSize; n++) {
    for (let c = 0; c < channels; c++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        const neighbours: number[] = [];
        for (let j = Math.max(0, c - depthRadius); j <= Math.min(channels - 1, c + depthRadius); j++) {
          neighbours.push((n * channels + j) * pixels + pixel);
        }
        visit((n * channels + c) * pixels + pixel, neighbours);
      }
    }
  }
}

/** s[c] = bias + alpha * sum over |j - c| <= depthRadius of x[j]^2 */
function lrnBase(x: Float64Array, { bias, alpha }: LrnAttributes, neighbours: readonly number[]): number {
  return bias + alpha * neighbours.reduce((sum, j) => sum + x[j]! * x[j]!, 0);
}

export const lrn: ReferenceLayer<'lrn'> = {
  /** y[c] = x[c] * s[c]^-beta */
  forward({ layer, batchSize, inputs, output: y }) {
    const x = only(inputs);
    const { attributes } = layer;
    forEachNeighbourhood(layer, batchSize, (i, neighbours) => {
      y[i] = x[i]! * lrnBase(x, attributes, neighbours) ** -attributes.beta;
    });
  },

  /** dx[c] = dy[c] * s[c]^-beta - 2 * alpha * beta * x[c] * sum over |j - c| <= depthRadius of dy[j] * x[j] * s[j]^(-beta-1) */
  backward({ layer, batchSize, inputs, outputGradient: dy, inputGradients }) {
    const x = only(inputs);
    const dx = only(inputGradients);
    const { attributes } = layer;
    const { alpha, beta } = attributes;
    const s = new Float64Array(x.length);
    forEachNeighbourhood(layer, batchSize, (i, neighbours) => {
      s[i] = lrnBase(x, attributes, neighbours);
    });
    forEachNeighbourhood(layer, batchSize, (i, neighbours) => {
      const sum = neighbours.reduce((total, j) => total + dy[j]! * x[j]! * s[j]! ** (-beta - 1), 0);
      dx[i]! += dy[i]! * s[i]! ** -beta - 2 * alpha * beta * x[i]! * sum;
    });
  },
};

/** The offsets of a channel's elements in a batch; the features of a vector are channels of one pixel. */
function channelElements(layer: LayerOf<'batchNorm'>, batchSize: number, channel: number): readonly number[] {
  const [channels, ...plane] = layer.outputShape as readonly [number, ...number[]];
  const pixels = sizeOf(plane);
  const elements: number[] = [];
  for (let n = 0; n < batchSize; n++) {
    for (let pixel = 0; pixel < pixels; pixel++) elements.push((n * channels + channel) * pixels + pixel);
  }
  return elements;
}

interface Moments {
  readonly mean: number;
  /** Of the population: the sum of squares divided by n. */
  readonly variance: number;
}

/** Of all processes' elements, of which each has as many. */
function momentsOf(x: Float64Array, elements: readonly number[], batch: SharedBatch): Moments {
  const mean = meanOf((i) => x[i]!, elements, batch);
  const variance = meanOf((i) => (x[i]! - mean) ** 2, elements, batch);
  return { mean, variance };
}

/** The mean of value(i) over all processes' elements. */
function meanOf(value: (i: number) => number, elements: readonly number[], batch: SharedBatch): number {
  const total = Float64Array.of(elements.reduce((sum, i) => sum + value(i), 0));
  batch.sum(total);
  return total[0]! / (elements.length * batch.processes);
}

/** running = momentum * running + (1 - momentum) * batch */
function updateRunning({ mean, variance }: LayerParameters, channel: number, batch: Moments, momentum: number): void {
  mean![channel] = momentum * mean![channel]! + (1 - momentum) * batch.mean;
  variance![channel] = momentum * variance![channel]! + (1 - momentum) * batch.variance;
}

/** (x - mean) / sqrt(variance + epsilon) */
function normalized(x: number, { mean, variance }: Moments, { epsilon }: BatchNormAttributes): number {
  return (x - mean) / Math.sqrt(variance + epsilon);
}

export const batchNorm: ReferenceLayer<'batchNorm'> = {
  /** y = scale * (x - mean) / sqrt(variance + epsilon) + shift, with the moments of the batch in training, the running ones else */
  forward({ layer, batchSize, mode, inputs, parameters, output: y }) {
    const x = only(inputs);
    const { attributes } = layer;
    for (let c = 0; c < layer.outputShape[0]!; c++) {
      const elements = channelElements(layer, batchSize, c);
      const running = { mean: parameters.mean![c]!, variance: parameters.variance![c]! };
      const moments = mode.training ? momentsOf(x, elements, mode.sharedBatch) : running;
      const scale = parameters.scale?.[c] ?? 1;
      const shift = parameters.shift?.[c] ?? 0;
      for (const i of elements) y[i] = scale * normalized(x[i]!, moments, attributes) + shift;
      if (mode.training) updateRunning(parameters, c, moments, attributes.momentum);
    }
  },

  /**
   * With z = (x - mean) / sqrt(variance + epsilon), and means over batch and pixels (Ioffe and Szegedy, 2015, section 3), of all processes
   * where they share the batch; the sums are of this process, as those of all other parameters' gradients:
   * dscale = sum of dy * z; dshift = sum of dy; dx = scale / sqrt(variance + epsilon) * (dy - mean(dy) - z * mean(dy * z))
   */
  backward({ layer, batchSize, mode, inputs, parameters, outputGradient: dy, inputGradients, parameterGradients }) {
    const x = only(inputs);
    const dx = only(inputGradients);
    const { attributes } = layer;
    for (let c = 0; c < layer.outputShape[0]!; c++) {
      const elements = channelElements(layer, batchSize, c);
      const moments = momentsOf(x, elements, mode.sharedBatch);
      const z = (i: number) => normalized(x[i]!, moments, attributes);
      if (parameterGradients.scale) parameterGradients.scale[c] = elements.reduce((sum, i) => sum + dy[i]! * z(i), 0);
      if (parameterGradients.shift) parameterGradients.shift[c] = elements.reduce((sum, i) => sum + dy[i]!, 0);
      const meanDyZ = meanOf((i) => dy[i]! * z(i), elements, mode.sharedBatch);
      const meanDy = meanOf((i) => dy[i]!, elements, mode.sharedBatch);
      const factor = (parameters.scale?.[c] ?? 1) / Math.sqrt(moments.variance + attributes.epsilon);
      for (const i of elements) dx[i]! += factor * (dy[i]! - meanDy - z(i) * meanDyZ);
    }
  },
};
