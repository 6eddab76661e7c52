import { requirePositiveInteger, singleInput } from '../checks.ts';
import { activationOperations, resolveFused, type ActivationOption } from '../activation.ts';
import type { Inferred } from '../layer.ts';
import type { Initializer, ParameterSpec } from '../parameter.ts';
import { sizeOf, type Shape } from '../shape.ts';

export interface DenseOptions {
  readonly features: number;
  readonly bias?: boolean;
  /** Follows the bias. Default: none. */
  readonly activation?: ActivationOption | null;
  /** Of the weights. */
  readonly initializer?: Initializer;
  /** Of the bias. Default: zero. */
  readonly biasInitializer?: Initializer;
  /** Weight decay of the rule `2017`, which is for some layers alone, is for its weights: an L2 regularizer of the layer. */
  readonly regularized?: boolean;
}

/**
 * Dense layer; an image input is read in C, H, W order. Weights `[features, inputs]`.
 * Operations by tensorsandbox's rule: (2 * inputs + 1) * features, where the 1 is the bias, plus the activation's for each output.
 */
export function inferDense(name: string, options: DenseOptions, inputs: readonly Shape[]): Inferred<'dense'> {
  const fanIn = sizeOf(singleInput(inputs, name));
  const { features, bias = true, regularized = false } = options;
  const activation = resolveFused(options.activation, name);
  requirePositiveInteger(features, name, 'features');
  const common = { layer: name, kind: 'trainable', fanIn, fanOut: features } as const;
  const parameters: ParameterSpec[] = [
    {
      ...common,
      name: `${name}.weight`,
      role: 'weight',
      shape: [features, fanIn],
      initializer: options.initializer ?? { type: 'xavierTruncatedNormal' },
      regularized,
    },
  ];
  if (bias) {
    parameters.push({
      ...common,
      name: `${name}.bias`,
      role: 'bias',
      shape: [features],
      initializer: options.biasInitializer ?? { type: 'constant', value: 0 },
      regularized: false,
    });
  }
  return {
    attributes: { features, bias, activation },
    outputShape: [features],
    parameters,
    operations: features * (2 * fanIn + (bias ? 1 : 0) + activationOperations(activation)),
    multiplyAdds: features * fanIn,
  };
}
