import { imageInput, requirePositiveInteger, requireThat, singleInput } from '../checks.ts';
import type { Inferred } from '../layer.ts';
import type { ParameterRole, ParameterSpec } from '../parameter.ts';
import { sizeOf, type Shape } from '../shape.ts';

export interface LrnOptions {
  /** Channels on either side: the window has 2 * depthRadius + 1. */
  readonly depthRadius?: number;
  readonly bias?: number;
  /** Per element of the window, not divided by its size. */
  readonly alpha?: number;
  readonly beta?: number;
}

/** Operations: 36 per element, whatever the window (tensorsandbox's figure). */
export function inferLrn(name: string, options: LrnOptions, inputs: readonly Shape[]): Inferred<'lrn'> {
  const shape = imageInput(inputs, name);
  const { depthRadius = 4, bias = 1, alpha = 0.001 / 9, beta = 0.75 } = options;
  requirePositiveInteger(depthRadius, name, 'depthRadius');
  requireThat(bias > 0, name, 'bias', bias, 'greater than 0');
  requireThat(alpha >= 0, name, 'alpha', alpha, 'at least 0');
  requireThat(beta > 0, name, 'beta', beta, 'greater than 0');
  return {
    attributes: { depthRadius, bias, alpha, beta },
    outputShape: shape,
    parameters: [],
    operations: 36 * sizeOf(shape),
    multiplyAdds: 0,
  };
}

export interface BatchNormOptions {
  readonly epsilon?: number;
  /** Weight of the old running statistic. */
  readonly momentum?: number;
  readonly scale?: boolean;
  readonly shift?: boolean;
}

/** Of the channels of an image or the features of a vector. Operations: 2 per element (a multiplication and an addition at inference). */
export function inferBatchNorm(name: string, options: BatchNormOptions, inputs: readonly Shape[]): Inferred<'batchNorm'> {
  const shape = singleInput(inputs, name);
  const { epsilon = 1e-5, momentum = 0.9, scale = true, shift = true } = options;
  requireThat(epsilon > 0, name, 'epsilon', epsilon, 'greater than 0');
  requireThat(momentum >= 0 && momentum < 1, name, 'momentum', momentum, 'in [0, 1)');
  const channels = shape[0]!;
  const parameter = (role: ParameterRole, value: number): ParameterSpec => ({
    name: `${name}.${role}`,
    layer: name,
    role,
    kind: role === 'mean' || role === 'variance' ? 'statistic' : 'trainable',
    shape: [channels],
    fanIn: channels,
    fanOut: channels,
    initializer: { type: 'constant', value },
    regularized: false,
  });
  return {
    attributes: { epsilon, momentum, scale, shift },
    outputShape: shape,
    parameters: [
      ...(scale ? [parameter('scale', 1)] : []),
      ...(shift ? [parameter('shift', 0)] : []),
      parameter('mean', 0),
      parameter('variance', 1),
    ],
    operations: 2 * sizeOf(shape),
    multiplyAdds: 0,
  };
}
