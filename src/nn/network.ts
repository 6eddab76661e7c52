import { ConfigurationError } from '../util/errors.ts';
import type { ActivationOption } from './activation.ts';
import type { Layer, LayerKind } from './layer.ts';
import type { CustomLayer, CustomLayers, CustomOptions } from './custom.ts';
import type { ConvOptions } from './layers/conv.ts';
import type { DenseOptions } from './layers/dense.ts';
import { describeCustomLayer } from './layers/custom.ts';
import { inferLayer } from './layers/kinds.ts';
import type { BatchNormOptions, LrnOptions } from './layers/normalization.ts';
import type { PoolOptions } from './layers/pool.ts';
import type { ParameterSpec } from './parameter.ts';
import { formatShape, sameShape, sizeOf, type Shape } from './shape.ts';

/** The name under which layers refer to the network's input. */
export const inputName = 'input';

/** An immutable graph of layers, in an order in which every layer follows its inputs. */
export interface Network {
  readonly name: string;
  /** `[C, H, W]` of one example. */
  readonly inputShape: Shape;
  readonly layers: readonly Layer[];
  /** Name of the layer whose tensor is the network's output (logits `[classes]`). */
  readonly output: string;
  readonly outputShape: Shape;
  /** All parameters, in the order of the layers. */
  readonly parameters: readonly ParameterSpec[];
  /**
   * What its custom layers compute, by their names; absent if it has none, and where a description was read: functions are no part of it. See
   * `withCustomLayers`.
   */
  readonly customLayers?: CustomLayers;
}

/** A tensor while a network is being built: the name of the layer that makes it, and its shape. */
export interface Tensor {
  readonly name: string;
  readonly shape: Shape;
}

/** More is a mistake in a loop, and would take minutes to compile. */
const mostLayers = 10_000;

/**
 * Builds a network layer by layer. Every method takes the new layer's name first, then its inputs, then options, and returns the
 * tensor the layer makes; wrong options and shapes are refused at once, with the layer's name.
 *
 * @example
 * const b = new NetworkBuilder('tiny', [3, 8, 8]);
 * const x = b.conv('conv1', b.input, { kernel: 3, filters: 16, activation: 'relu' });
 * const network = b.build(b.dense('logits', b.globalAvgPool('pool', x), { features: 10 }));
 */
export class NetworkBuilder {
  readonly input: Tensor;
  readonly #name: string;
  readonly #layers = new Map<string, Layer>();
  readonly #customLayers = new Map<string, CustomLayer>();

  constructor(name: string, inputShape: Shape) {
    if (inputShape.length === 0 || !inputShape.every((extent) => Number.isInteger(extent) && extent > 0)) {
      throw new ConfigurationError(`input shape (=${formatShape(inputShape)}) must be positive integers for network "${name}"`);
    }
    this.#name = name;
    this.input = { name: inputName, shape: inputShape };
  }

  conv(name: string, x: Tensor, options: ConvOptions): Tensor {
    return this.layer('conv', name, [x], options);
  }

  dense(name: string, x: Tensor, options: DenseOptions): Tensor {
    return this.layer('dense', name, [x], options);
  }

  maxPool(name: string, x: Tensor, options: PoolOptions): Tensor {
    return this.layer('maxPool', name, [x], options);
  }

  avgPool(name: string, x: Tensor, options: PoolOptions): Tensor {
    return this.layer('avgPool', name, [x], options);
  }

  globalAvgPool(name: string, x: Tensor): Tensor {
    return this.layer('globalAvgPool', name, [x]);
  }

  lrn(name: string, x: Tensor, options: LrnOptions = {}): Tensor {
    return this.layer('lrn', name, [x], options);
  }

  batchNorm(name: string, x: Tensor, options: BatchNormOptions = {}): Tensor {
    return this.layer('batchNorm', name, [x], options);
  }

  /** `activation` is a name (`relu`), or a name with what the function needs: `{ type: 'leakyRelu', slope: 0.1 }`. */
  activation(name: string, x: Tensor, activation: ActivationOption): Tensor {
    return this.layer('activation', name, [x], typeof activation === 'string' ? { type: activation } : activation);
  }

  dropout(name: string, x: Tensor, rate: number): Tensor {
    return this.layer('dropout', name, [x], { rate });
  }

  scale(name: string, x: Tensor, factor: number): Tensor {
    return this.layer('scale', name, [x], { factor });
  }

  add(name: string, ...inputs: readonly Tensor[]): Tensor {
    return this.layer('add', name, inputs);
  }

  /** The product of `x` and `factor`, which has the shape of `x`, or one number for each of its channels: `[C]` or `[C, 1, 1]` for `[C, H, W]`. */
  multiply(name: string, x: Tensor, factor: Tensor): Tensor {
    return this.layer('multiply', name, [x, factor]);
  }

  concat(name: string, ...inputs: readonly Tensor[]): Tensor {
    return this.layer('concat', name, inputs);
  }

  flatten(name: string, x: Tensor): Tensor {
    return this.layer('flatten', name, [x]);
  }

  /**
   * A layer of the caller's own.
   *
   * @param inputs one tensor or several
   * @param options given to the layer's functions: plain data that JSON can hold
   */
  custom(name: string, inputs: Tensor | readonly Tensor[], layer: CustomLayer, options: CustomOptions = {}): Tensor {
    const known = this.#customLayers.get(layer.name);
    if (known !== undefined && known !== layer) {
      throw new ConfigurationError(
        `layer "${name}" must be of another custom layer: network "${this.#name}" has two called "${layer.name}"`,
      );
    }
    this.#customLayers.set(layer.name, layer);
    const list = 'name' in inputs ? [inputs] : inputs;
    return this.layer('custom', name, list, describeCustomLayer(name, layer, { inputShapes: shapesOf(list), options }));
  }

  /** The finished network. Throws if a layer's tensor is used by no other layer and is not the output. */
  build(output: Tensor): Network {
    this.#requireOwn(output, `the output of network "${this.#name}"`);
    const used = new Set([output.name]);
    for (const layer of this.#layers.values()) layer.inputs.forEach((input) => used.add(input));
    for (const name of this.#layers.keys()) {
      if (!used.has(name))
        throw new ConfigurationError(`layer "${name}" of network "${this.#name}" is not used by any other layer`);
    }
    const layers = [...this.#layers.values()];
    requireCountable(this.#name, layers);
    return {
      name: this.#name,
      inputShape: this.input.shape,
      layers,
      output: output.name,
      outputShape: output.shape,
      parameters: layers.flatMap((layer) => layer.parameters),
      ...(this.#customLayers.size > 0 && { customLayers: new Map(this.#customLayers) }),
    };
  }

  /** Adds a layer of any kind: what the other methods do. Options that the kind does not have are refused, too. */
  layer(kind: LayerKind, name: string, inputs: readonly Tensor[], options: object = {}): Tensor {
    if (!/^[A-Za-z][A-Za-z0-9_/-]*$/.test(name) || name === inputName || this.#layers.has(name)) {
      throw new ConfigurationError(
        `layer name (="${name}") must be new in network "${this.#name}", start with a letter, and have only letters, digits, "_", "-" and "/"`,
      );
    }
    if (this.#layers.size === mostLayers) {
      throw new ConfigurationError(`layer "${name}" is one too many: network "${this.#name}" may have ${mostLayers} layers`);
    }
    for (const tensor of inputs) this.#requireOwn(tensor, `layer "${name}"`);
    const inferred = inferLayer(kind, name, options, shapesOf(inputs));
    const layer = {
      kind,
      name,
      inputs: inputs.map((tensor) => tensor.name),
      inputShapes: shapesOf(inputs),
      options: { ...options },
      ...inferred,
    };
    // The kind and the inferred attributes belong together by construction, which the compiler cannot see through the generic.
    this.#layers.set(name, layer as unknown as Layer);
    return { name, shape: inferred.outputShape };
  }

  /** That a tensor is of this network, and not of another one with a layer of the same name. */
  #requireOwn({ name, shape }: Tensor, user: string): void {
    const own = name === inputName ? this.input.shape : this.#layers.get(name)?.outputShape;
    if (own === undefined)
      throw new ConfigurationError(`${user} takes "${name}", which is not a layer of network "${this.#name}"`);
    if (sameShape(own, shape)) return;
    throw new ConfigurationError(
      `${user} takes "${name}" of shape ${formatShape(shape)}, which in network "${this.#name}" has the shape ${formatShape(own)}: it is of another network`,
    );
  }
}

/** Beyond 2^53 numbers are no longer exact, and no machine has the memory. */
function requireCountable(network: string, layers: readonly Layer[]): void {
  for (const { name, operations, outputShape, parameters } of layers) {
    const largest = Math.max(operations, sizeOf(outputShape), ...parameters.map(({ shape }) => sizeOf(shape)));
    if (Number.isSafeInteger(largest)) continue;
    throw new ConfigurationError(
      `layer "${name}" of network "${network}" is too large to be counted (${largest.toExponential(1)})`,
      {
        fix: 'give it fewer filters or features, or smaller images',
      },
    );
  }
}

function shapesOf(tensors: readonly Tensor[]): readonly Shape[] {
  return tensors.map((tensor) => tensor.shape);
}

/** The network with the functions of its custom layers: one that was read has none. */
export function withCustomLayers(network: Network, customLayers: CustomLayers | undefined): Network {
  return customLayers === undefined || customLayers.size === 0 ? network : { ...network, customLayers };
}

/** Number of trainable and frozen parameters (running statistics are not counted, as in the field's tables). */
export function countParameters(parameters: readonly ParameterSpec[]): number {
  return parameters.reduce((sum, spec) => sum + (spec.kind === 'statistic' ? 0 : sizeOf(spec.shape)), 0);
}

/** Operations for one example, by tensorsandbox's counting rule. */
export function countOperations(network: Network): number {
  return network.layers.reduce((sum, layer) => sum + layer.operations, 0);
}

/** Multiply-accumulate pairs for one example. */
export function countMultiplyAdds(network: Network): number {
  return network.layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0);
}
