import { imageInput, inferWindow, requirePositiveInteger, requireThat, type WindowOptions } from '../checks.ts';
import { activationOperations, resolveFused, type ActivationOption } from '../activation.ts';
import type { Inferred } from '../layer.ts';
import type { Initializer, ParameterSpec } from '../parameter.ts';
import type { Shape } from '../shape.ts';

export interface ConvOptions extends WindowOptions {
  readonly filters: number;
  /** Input and output channels are split into this many independent groups; `groups = channels` is a depthwise convolution. */
  readonly groups?: number;
  readonly bias?: boolean;
  /** Follows the bias. Default: none. */
  readonly activation?: ActivationOption | null;
  /** Of the weights. */
  readonly initializer?: Initializer;
  /** Of the bias. Default: zero. */
  readonly biasInitializer?: Initializer;
  /** Weight decay of the rule `2017`, which is for some layers alone, is for its weights: an L2 regularizer of the layer. */
  readonly regularized?: boolean;
  /** The weights (not the bias) keep their initial values. */
  readonly frozen?: boolean;
}

/**
 * Convolution over `[C, H, W]`; weights `[filters, C / groups, kH, kW]`.
 * Operations by tensorsandbox's rule: (1 + 2 * C/groups * kH * kW) * F * H * W, where the 1 is the bias, plus the activation's for each output.
 */
export function inferConv(name: string, options: ConvOptions, inputs: readonly Shape[]): Inferred<'conv'> {
  const [channels, height, width] = imageInput(inputs, name);
  const { filters, groups = 1, bias = true, regularized = false } = options;
  const activation = resolveFused(options.activation, name);
  requirePositiveInteger(filters, name, 'filters');
  requirePositiveInteger(groups, name, 'groups');
  requireThat(channels % groups === 0, name, 'groups', groups, `a divisor of its ${channels} input channels`);
  requireThat(filters % groups === 0, name, 'groups', groups, `a divisor of its ${filters} filters`);
  const window = inferWindow(options, height, width, name, 1);
  const [kernelHeight, kernelWidth] = window.kernel;
  const area = kernelHeight * kernelWidth;
  const fanIn = (channels / groups) * area;
  const fans = { fanIn, fanOut: (filters / groups) * area };
  const parameters: ParameterSpec[] = [
    {
      name: `${name}.weight`,
      layer: name,
      role: 'weight',
      kind: options.frozen === true ? 'frozen' : 'trainable',
      shape: [filters, channels / groups, kernelHeight, kernelWidth],
      ...fans,
      initializer: options.initializer ?? { type: 'xavierTruncatedNormal' },
      regularized,
    },
  ];
  if (bias) {
    parameters.push({
      name: `${name}.bias`,
      layer: name,
      role: 'bias',
      kind: 'trainable',
      shape: [filters],
      ...fans,
      initializer: options.biasInitializer ?? { type: 'constant', value: 0 },
      regularized: false,
    });
  }
  const outputs = filters * window.output[0] * window.output[1];
  return {
    attributes: { ...window, filters, groups, bias, activation },
    outputShape: [filters, ...window.output],
    parameters,
    operations: outputs * (2 * fanIn + (bias ? 1 : 0) + activationOperations(activation)),
    multiplyAdds: outputs * fanIn,
  };
}
