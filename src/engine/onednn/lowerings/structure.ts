/** Layers that move or add tensors: concat, add, flatten. */
import type { Lowering } from '../context.ts';
import type { ProgramBuilder, Value } from '../program.ts';
import { reluBackward } from './activation.ts';

/**
 * Inputs are copied side by side. They cannot be written in place: oneDNN 2's convolution kernels want a destination whose batch is
 * contiguous, and fall back to the reference kernel for a channel range of a larger tensor.
 */
export const lowerConcat: Lowering<'concat'> = (context, layer, inputs) => {
  const { program } = context;
  const { dnnl } = program;
  const first = inputs[0]!.descriptor;
  // With bf16 some inputs may be float32: all take the type of the first.
  const parts = inputs.map((input) => {
    const { dataType, dims } = input.descriptor;
    if (dataType === first.dataType) return input;
    return program.inLayout(layer.name, input, dnnl.withLayoutOf(first, dims) ?? dnnl.plain(dims, first.dataType));
  });
  const srcs = parts.map((part) => part.descriptor);
  const joined = dnnl.withLayoutOf(first, [context.batchSize, ...layer.outputShape]);
  const anyLayout = { kind: 'concat', srcs, axis: 1 } as const;
  const forward = program.primitive(layer.name, joined === undefined ? [anyLayout] : [{ ...anyLayout, dst: joined }, anyLayout]);
  const output = program.value(forward.descriptor('dst'));
  const sources = Object.fromEntries(parts.map((part, i) => [`multipleSrc${String(i)}`, part]));
  program.emit(layer.name, 'elementwise', forward, { ...sources, dst: output });
  return {
    output,
    backward: (gradient, needs) => {
      const dy = context.masksEarlierRelus(layer.name) ? reluBackward(context, layer.name, output, gradient) : gradient;
      let channels = 0;
      return inputs.map((input, i) => {
        const firstChannel = channels;
        channels += input.descriptor.dims[1]!;
        return needs[i] === true ? channelRange(program, layer.name, dy, firstChannel, input) : undefined;
      });
    },
  };
};

/** The gradient of one input of a concat: a copy of its channels, in the input's layout. */
function channelRange(program: ProgramBuilder, layer: string, whole: Value, first: number, input: Value): Value {
  const { dnnl } = program;
  const channels = input.descriptor.dims[1]!;
  const target = program.value(input.descriptor);
  const direct = dnnl.channelRange(whole.descriptor, first, channels);
  if (direct !== undefined) return program.inLayout(layer, { ...whole, descriptor: direct }, input.descriptor, target);
  const plain = program.inLayout(layer, whole, dnnl.plain(whole.descriptor.dims, whole.descriptor.dataType));
  const range = dnnl.channelRange(plain.descriptor, first, channels)!;
  return program.inLayout(layer, { ...plain, descriptor: range }, input.descriptor, target);
}

/** y = the sum of the inputs; every input's gradient is dy itself. An average over the pixels is `[N, C, 1, 1]` here, another vector `[N, C]`. */
export const lowerAdd: Lowering<'add'> = (context, layer, inputs) => {
  const { program } = context;
  const { dims } = inputs[0]!.descriptor;
  return {
    output: program.sum(
      layer.name,
      inputs.map((input) => program.withDims(layer.name, input, dims)),
    ),
    backward: (gradient, needs) =>
      inputs.map(({ descriptor }, i) =>
        needs[i] === true ? { ...program.withDims(layer.name, gradient, descriptor.dims), shared: true } : undefined,
      ),
  };
};

/** `[C, H, W]` to `[C * H * W]`: plain layout, read with other dimensions. */
export const lowerFlatten: Lowering<'flatten'> = (context, layer, [x]) => {
  const { program } = context;
  const { dims, dataType } = x!.descriptor;
  const plain = program.inLayout(layer.name, x!, program.dnnl.plain(dims, dataType));
  return {
    output: { ...program.withDims(layer.name, plain, [context.batchSize, ...layer.outputShape]), shared: true },
    backward: (gradient) => {
      const image = program.withDims(layer.name, gradient, dims);
      return [program.inLayout(layer.name, image, x!.descriptor)];
    },
  };
};
