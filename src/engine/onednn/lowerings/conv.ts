/** Convolution, with its bias and ReLU fused into the forward kernel. */
import type { LayerOf } from '../../../nn/layer.ts';
import { asGiven, type LoweringContext, type Lowering, type PlacedParameter } from '../context.ts';
import type { ConvolutionGeometry, MemoryDescriptor, Primitive } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { reluBackward, reluPostOperation } from './activation.ts';

export const lowerConv: Lowering<'conv'> = (context, layer, [x]) => {
  const { program } = context;
  const { dnnl } = program;
  const { attributes } = layer;
  const dataType = context.dataTypeOf(layer.name);
  const shape = {
    kind: 'convolution',
    training: context.training,
    weights: dnnl.any(weightDims(layer), dataType),
    bias: attributes.bias ? dnnl.plain([attributes.filters], 'f32') : undefined,
    dst: dnnl.any([context.batchSize, ...layer.outputShape], dataType),
    ...geometryOf(layer),
  } as const;
  const postOperations = attributes.relu ? reluPostOperation : [];
  // First in the layout that the input has (images with few channels stay plain), else in the one oneDNN prefers.
  const asIs = asGiven(x!.descriptor, dataType);
  const preferred = dnnl.any(x!.descriptor.dims, dataType);
  const isImage = layer.inputShapes[0]![0]! < 16;
  const specs = (isImage ? [...asIs, preferred] : [preferred, ...asIs]).map((src) => ({ ...shape, src }));
  const forward = program.primitive(layer.name, specs, { postOperations });
  const source = program.inLayout(layer.name, x!, forward.descriptor('src'));
  const weights = context.parameter(layer, 'weight', arenaLayout(context, layer, forward))!;
  const bias = shape.bias === undefined ? undefined : context.parameter(layer, 'bias', shape.bias);
  const output = program.value(forward.descriptor('dst'));
  program.emit(layer.name, 'forward', forward, {
    src: source,
    weights: program.inLayout(layer.name, weights.values, forward.descriptor('weights')),
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

/**
 * How the weights lie in the arena. In float32 as the forward kernel reads them. In bf16 the arena's float32 master weights lie as the
 * backward kernel writes their gradients; the forward kernel reads a bf16 copy.
 */
function arenaLayout(context: LoweringContext, layer: LayerOf<'conv'>, forward: Primitive): MemoryDescriptor {
  const { program } = context;
  const { dnnl } = program;
  const dataType = context.dataTypeOf(layer.name);
  if (dataType === 'f32') return forward.descriptor('weights');
  if (!context.training) return dnnl.plain(weightDims(layer), 'f32');
  const spec = {
    kind: 'convolutionBackwardWeights',
    src: forward.descriptor('src'),
    diffWeights: dnnl.any(weightDims(layer), 'f32'),
    diffBias: layer.attributes.bias ? dnnl.plain([layer.attributes.filters], 'f32') : undefined,
    diffDst: dnnl.any(forward.descriptor('dst').dims, dataType),
    ...geometryOf(layer),
  } as const;
  return program.primitive(layer.name, [spec], { forward }).descriptor('diffWeights');
}

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
  const dataType = context.dataTypeOf(layer.name);
  const spec = (diffDst: MemoryDescriptor) =>
    ({
      kind: 'convolutionBackwardData',
      diffSrc: dnnl.any(inputDims, dataType),
      weights: dnnl.any(weightDims(layer), dataType),
      diffDst,
      ...geometryOf(layer),
    }) as const;
  const primitive = program.primitive(
    layer.name,
    [...asGiven(dz.descriptor, dataType), dnnl.any(dz.descriptor.dims, dataType)].map(spec),
    {
      forward,
    },
  );
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
  const dataType = context.dataTypeOf(layer.name);
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
  const anyGradient = dnnl.any(dz.descriptor.dims, dataType);
  const primitive = program.primitive(
    layer.name,
    dz.descriptor.dataType === dataType
      ? [spec(weights.descriptor, dz.descriptor), spec(anyWeights, dz.descriptor), spec(anyWeights, anyGradient)]
      : [spec(weights.descriptor, anyGradient), spec(anyWeights, anyGradient)],
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
