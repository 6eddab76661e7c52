/** Convolution, with its bias and ReLU fused into the forward kernel. */
import type { LayerOf } from '../../../nn/layer.ts';
import type { LoweringContext, Lowering, PlacedParameter } from '../context.ts';
import type { ConvolutionGeometry, MemoryDescriptor, Primitive } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { reluBackward, reluPostOperation } from './activation.ts';

export const lowerConv: Lowering<'conv'> = (context, layer, [x]) => {
  const { program } = context;
  const { dnnl } = program;
  const { attributes } = layer;
  const dims = [context.batchSize, ...layer.outputShape];
  const shape = {
    kind: 'convolution',
    training: context.training,
    weights: dnnl.any(weightDims(layer), 'f32'),
    bias: attributes.bias ? dnnl.plain([attributes.filters], 'f32') : undefined,
    dst: dnnl.any(dims, 'f32'),
    ...geometryOf(layer),
  } as const;
  const postOperations = attributes.relu ? reluPostOperation : [];
  // First in the layout that the input has (images with few channels stay plain), else in the one oneDNN prefers.
  const asIs = { ...shape, src: x!.descriptor };
  const preferred = { ...shape, src: dnnl.any(x!.descriptor.dims, 'f32') };
  const isImage = layer.inputShapes[0]![0]! < 16;
  const forward = program.primitive(layer.name, isImage ? [asIs, preferred] : [preferred, asIs], { postOperations });
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
      const masked = attributes.relu && context.masksOwnRelu(layer.name);
      const dz = masked ? reluBackward(program, layer.name, output, gradient) : gradient;
      const dx = needsInput === true ? backwardData(context, layer, forward, x!.descriptor.dims, weights, dz) : undefined;
      backwardWeights(context, layer, forward, source, dz, weights, bias);
      return [dx];
    },
  };
};

/** `[filters, C / groups, kH, kW]`, with the groups as a dimension of their own where there are several. */
function weightDims(layer: LayerOf<'conv'>): readonly number[] {
  const { filters, groups, kernel } = layer.attributes;
  const channels = layer.inputShapes[0]![0]!;
  return groups === 1 ? [filters, channels, ...kernel] : [groups, filters / groups, channels / groups, ...kernel];
}

function geometryOf(layer: LayerOf<'conv'>): ConvolutionGeometry {
  return { strides: layer.attributes.stride, padding: layer.attributes.padding };
}

/** dx = the correlation's transpose: dy convolved with the kernels turned by 180 degrees, in and out channels exchanged. */
function backwardData(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  forward: Primitive,
  inputDims: readonly number[],
  weights: PlacedParameter,
  dz: Value,
): Value {
  const { program } = context;
  const { dnnl } = program;
  const spec = (diffDst: MemoryDescriptor) =>
    ({
      kind: 'convolutionBackwardData',
      diffSrc: dnnl.any(inputDims, 'f32'),
      weights: dnnl.any(weightDims(layer), 'f32'),
      diffDst,
      ...geometryOf(layer),
    }) as const;
  const primitive = program.primitive(layer.name, [spec(dz.descriptor), spec(dnnl.any(dz.descriptor.dims, 'f32'))], { forward });
  const diffDst = program.inLayout(layer.name, dz, primitive.descriptor('diffDst'));
  const transposed = program.inLayout(layer.name, weights.values, primitive.descriptor('weights'));
  const dx = program.value(primitive.descriptor('diffSrc'));
  program.emit(layer.name, 'backwardData', primitive, { diffDst, weights: transposed, diffSrc: dx });
  return dx;
}

/** dw = the correlation of the input with dy, summed over the batch; db = the sum of dy over batch and pixels. */
function backwardWeights(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  forward: Primitive,
  source: Value,
  dz: Value,
  weights: PlacedParameter,
  bias: PlacedParameter | undefined,
): void {
  if (weights.spec.kind === 'frozen' && bias === undefined) return;
  const { program } = context;
  const { dnnl } = program;
  const spec = (diffWeights: MemoryDescriptor, diffDst: MemoryDescriptor) =>
    ({
      kind: 'convolutionBackwardWeights',
      src: source.descriptor,
      diffWeights,
      diffBias: bias?.descriptor,
      diffDst,
      ...geometryOf(layer),
    }) as const;
  const anyWeights = dnnl.any(weightDims(layer), 'f32');
  const anyGradient = dnnl.any(dz.descriptor.dims, 'f32');
  const primitive = program.primitive(
    layer.name,
    [spec(weights.descriptor, dz.descriptor), spec(anyWeights, dz.descriptor), spec(anyWeights, anyGradient)],
    { forward },
  );
  const diffDst = program.inLayout(layer.name, dz, primitive.descriptor('diffDst'));
  const target = context.gradientTarget(weights);
  const direct = dnnl.equal(primitive.descriptor('diffWeights'), weights.descriptor);
  const diffWeights = direct ? target : program.value(primitive.descriptor('diffWeights'));
  program.emit(layer.name, 'backwardWeights', primitive, {
    src: source,
    diffDst,
    diffWeights,
    ...(bias === undefined ? {} : { diffBias: context.gradientTarget(bias) }),
  });
  if (!direct) program.inLayout(layer.name, diffWeights, weights.descriptor, target);
}
