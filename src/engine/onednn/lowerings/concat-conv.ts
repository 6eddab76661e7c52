/** A convolution of a concat that is never made: the sum of the convolutions of its parts, each with its channels of the weights. */
import type { Layer, LayerOf } from '../../../nn/layer.ts';
import { LoweringContext, type Lowering, type PlacedParameter } from '../context.ts';
import type { MemoryDescriptor } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { fuse } from './activation.ts';
import { lowerConv } from './conv.ts';

export const lowerConcatConv: Lowering<'conv'> = (context, layer, inputs) => {
  const { program } = context;
  const { filters, kernel, bias } = layer.attributes;
  const activation = fuse(context, layer.name, layer.attributes.activation);
  const channels = layer.inputShapes.reduce((sum, [count]) => sum + count!, 0);
  const weights = context.parameter(layer, 'weight', program.dnnl.plain([filters, channels, ...kernel], 'f32'))!;
  let firstChannel = 0;
  let sum: Value | undefined;
  const parts = inputs.map((input, i) => {
    const inputShape = layer.inputShapes[i]!;
    const partContext = new InputPartContext(context, weights, firstChannel, inputShape[0]!);
    firstChannel += inputShape[0]!;
    const isLast = i === inputs.length - 1;
    const part: LayerOf<'conv'> = {
      ...layer,
      inputs: [layer.inputs[i]!],
      inputShapes: [inputShape],
      attributes: { ...layer.attributes, bias: bias && i === 0, activation: null },
    };
    const lowered = lowerConv(partContext, part, [input], {
      addTo: sum,
      postOperations: isLast ? activation.postOperations : [],
    });
    sum = lowered.output;
    return { part, partContext, lowered };
  });
  return {
    output: activation.output(sum!),
    backward: (gradient, needs) => {
      const dz = activation.backward(gradient);
      return parts.map(({ part, partContext, lowered }, i) => {
        const [dx] = lowered.backward!(dz, [needs[i]!]);
        partContext.writeGradients(part);
        return dx;
      });
    },
  };
};

/** For the convolution of one input: its weights are a range of channels of the layer's, copied forward, and their gradient is copied back. */
class InputPartContext extends LoweringContext {
  readonly #whole: LoweringContext;
  readonly #weights: PlacedParameter;
  /** The part's channels of the layer's weights. */
  readonly #range: MemoryDescriptor;
  #gradient: Value | undefined;

  /** @param weights of the layer, in plain layout */
  constructor(whole: LoweringContext, weights: PlacedParameter, firstChannel: number, channels: number) {
    super(whole.program, whole.settings, whole.analysis);
    this.#whole = whole;
    this.#weights = weights;
    this.#range = whole.program.dnnl.channelRange(weights.descriptor, firstChannel, channels)!;
  }

  override parameter(layer: Layer, name: string, descriptor: MemoryDescriptor): PlacedParameter | undefined {
    if (name !== 'weight') return this.#whole.parameter(layer, name, descriptor);
    const { spec, values } = this.#weights;
    const copy = this.program.inLayout(layer.name, { ...values, descriptor: this.#range }, descriptor);
    return { spec, descriptor, values: { ...copy, shared: true }, gradients: undefined };
  }

  override gradientTarget(parameter: PlacedParameter): Value {
    if (parameter.spec !== this.#weights.spec) return this.#whole.gradientTarget(parameter);
    this.#gradient = this.program.value(parameter.descriptor);
    return this.#gradient;
  }

  writeGradients(layer: Layer): void {
    const { spec, gradients } = this.#weights;
    if (this.#gradient === undefined || spec.kind !== 'trainable') return;
    this.program.inLayout(layer.name, this.#gradient, this.#range, { ...gradients!, descriptor: this.#range });
  }
}
