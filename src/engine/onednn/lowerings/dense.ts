/** Dense layer (oneDNN: inner product), with its bias and ReLU fused into the forward kernel. */
import type { Lowering, LoweringContext, PlacedParameter } from '../context.ts';
import type { MemoryDescriptor } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { reluBackward, reluPostOperation } from './activation.ts';

export const lowerDense: Lowering<'dense'> = (context, layer, [x]) => {
  const { program, batchSize } = context;
  const { dnnl } = program;
  const { features, relu } = layer.attributes;
  // An image is taken as it is: its weights are [features, C, H, W], the same numbers as [features, C * H * W].
  const inputDims = x!.descriptor.dims;
  const weightDims = [features, ...inputDims.slice(1)];
  const shape = {
    kind: 'innerProduct',
    training: context.training,
    weights: dnnl.any(weightDims, 'f32'),
    bias: layer.attributes.bias ? dnnl.plain([features], 'f32') : undefined,
    dst: dnnl.plain([batchSize, features], 'f32'),
  } as const;
  const sources = [x!.descriptor, dnnl.any(inputDims, 'f32'), dnnl.plain(inputDims, 'f32')];
  const postOperations = relu ? reluPostOperation : [];
  const specs = sources.map((src) => ({ ...shape, src }));
  const forward = program.primitive(layer.name, specs, { postOperations });
  const source = program.inLayout(layer.name, x!, forward.descriptor('src'));
  const weights = context.parameter(layer, 'weight', forward.descriptor('weights'))!;
  const bias = shape.bias === undefined ? undefined : context.parameter(layer, 'bias', shape.bias);
  const output = program.value(forward.descriptor('dst'));
  program.emit(layer.name, 'forward', forward, {
    src: source,
    weights: weights.values,
    ...(bias === undefined ? {} : { bias: bias.values }),
    dst: output,
  });
  return {
    output,
    backward: (gradient, [needsInput]) => {
      const masked = relu && context.masksOwnRelu(layer.name);
      const dz = masked
        ? reluBackward(program, layer.name, output, gradient)
        : program.inLayout(layer.name, gradient, output.descriptor);
      let dx: Value | undefined;
      if (needsInput === true) {
        const primitive = program.primitive(
          layer.name,
          [source.descriptor, dnnl.any(inputDims, 'f32')].map((diffSrc) => ({
            kind: 'innerProductBackwardData',
            diffSrc,
            weights: dnnl.any(weightDims, 'f32'),
            diffDst: dz.descriptor,
          })),
          { forward },
        );
        const transposed = program.inLayout(layer.name, weights.values, primitive.descriptor('weights'));
        dx = program.value(primitive.descriptor('diffSrc'));
        program.emit(layer.name, 'backwardData', primitive, { diffDst: dz, weights: transposed, diffSrc: dx });
      }
      backwardWeights(context, layer.name, forward, source, dz, weights, bias);
      return [dx];
    },
  };
};

/** dw = dy^T x; db = the sum of dy over the batch. */
function backwardWeights(
  context: LoweringContext,
  layer: string,
  forward: ReturnType<LoweringContext['program']['primitive']>,
  source: Value,
  dz: Value,
  weights: PlacedParameter,
  bias: PlacedParameter | undefined,
): void {
  const { program } = context;
  const { dnnl } = program;
  const spec = (diffWeights: MemoryDescriptor) =>
    ({
      kind: 'innerProductBackwardWeights',
      src: source.descriptor,
      diffWeights,
      diffBias: bias?.descriptor,
      diffDst: dz.descriptor,
    }) as const;
  const specs = [spec(weights.descriptor), spec(dnnl.any(weights.descriptor.dims, 'f32'))];
  const primitive = program.primitive(layer, specs, { forward });
  const target = context.gradientTarget(weights);
  const direct = dnnl.equal(primitive.descriptor('diffWeights'), weights.descriptor);
  const diffWeights = direct ? target : program.value(primitive.descriptor('diffWeights'));
  const diffBias = bias === undefined ? {} : { diffBias: context.gradientTarget(bias) };
  program.emit(layer, 'backwardWeights', primitive, { src: source, diffDst: dz, diffWeights, ...diffBias });
  if (!direct) program.inLayout(layer, diffWeights, weights.descriptor, target);
}
