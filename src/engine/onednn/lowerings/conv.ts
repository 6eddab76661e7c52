/** Convolution, with its bias and activation fused into the forward kernel. */
import type { LayerOf } from '../../../nn/layer.ts';
import { asGiven, type Lowered, type LoweringContext, type PlacedParameter } from '../context.ts';
import type {
  ConvolutionAlgorithm,
  ConvolutionGeometry,
  DataType,
  MemoryDescriptor,
  PostOperation,
  Primitive,
  PrimitiveSpec,
} from '../dnnl.ts';
import { isReference, type Value } from '../program.ts';
import { fuse } from './activation.ts';
import { lowerWideDepthwiseWeights } from './wide-depthwise.ts';
import { winogradSpeedup } from './winograd.ts';

/** Winograd is taken where it should be faster than direct kernels by this much: what is lost in rounding should buy something. */
const worthwhileSpeedup = { f32: 1.1, bf16: 1.8 } as const satisfies Record<DataType, number>;

/** What becomes of a convolution's result beside bias and activation. */
interface ConvolutionResult {
  /** Add it to what this tensor holds. */
  readonly addTo?: Value | undefined;
  readonly postOperations?: readonly PostOperation[];
}

export function lowerConv(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  [x]: readonly Value[],
  { addTo, postOperations = [] }: ConvolutionResult = {},
): Lowered {
  const { program } = context;
  const { dnnl } = program;
  const activation = fuse(context, layer.name, layer.attributes.activation);
  const inputDims = x!.descriptor.dims;
  const algorithms = algorithmsFor(context, layer, inputDims);
  const dataType =
    addTo?.descriptor.dataType ??
    (algorithms.includes('winograd')
      ? 'f32'
      : context.dataTypeOf(layer.name, (candidate) => kernelsIn(candidate, context, layer, inputDims)));
  // First in the layout that the input has (images with few channels stay plain), else in the one oneDNN prefers.
  const asIs = asGiven(x!.descriptor, dataType);
  const preferred = dnnl.any(inputDims, dataType);
  const isImage = layer.inputShapes[0]![0]! < 16;
  const sources = isImage ? [...asIs, preferred] : [preferred, ...asIs];
  const specs = sources.map((src) => ({ ...forwardSpec(context, layer, src), ...(addTo && { dst: addTo.descriptor }) }));
  const forward = program.primitive(layer.name, forEach(algorithms, specs), {
    postOperations: [...(addTo ? [{ type: 'sum' } as const] : []), ...activation.postOperations, ...postOperations],
  });
  const source = program.inLayout(layer.name, x!, forward.descriptor('src'));
  const weights = context.parameter(layer, 'weight', arenaLayout(context, layer, forward))!;
  const biasDescriptor = biasOf(context, layer);
  const bias = biasDescriptor && context.parameter(layer, 'bias', biasDescriptor);
  const result = addTo ?? program.value(forward.descriptor('dst'));
  program.emit(layer.name, 'forward', forward, {
    src: source,
    weights: context.valuesIn(layer, weights, forward.descriptor('weights')),
    ...(bias === undefined ? {} : { bias: bias.values }),
    dst: result,
  });
  return {
    output: activation.output(result),
    backward: (gradient, [needsInput]) => {
      const dz = activation.backward(gradient);
      // The gradient of the input comes last: the layer before reads it next, while it is in the cache.
      backwardWeights(context, layer, algorithms, forward, source, dz, weights, bias);
      const dx = needsInput === true ? backwardData(context, layer, algorithms, forward, inputDims, weights, dz) : undefined;
      return [dx];
    },
  };
}

type ConvolutionSpec = Extract<PrimitiveSpec, { readonly kind: `convolution${string}` }>;

/**
 * The algorithms to try, the better one first. Winograd's works in float32, whatever the precision. It is only for training: what is
 * evaluated, pruned and frozen is then computed as everyone else computes it, to the last digits.
 */
function algorithmsFor(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  inputDims: readonly number[],
): readonly ConvolutionAlgorithm[] {
  const { program, training, batchSize, precision } = context;
  if (!training || winogradSpeedup(layer, batchSize) <= worthwhileSpeedup[precision]) return ['direct'];
  const spec = forwardSpec(context, layer, program.dnnl.any(inputDims, 'f32'));
  const exists = program.tryPrimitive(layer.name, { ...spec, algorithm: 'winograd' }) !== undefined;
  return exists ? ['winograd', 'direct'] : ['direct'];
}

/** All specifications with the first algorithm, then with the next. */
function forEach(algorithms: readonly ConvolutionAlgorithm[], specs: readonly ConvolutionSpec[]): readonly ConvolutionSpec[] {
  return algorithms.flatMap((algorithm) => specs.map((spec) => ({ ...spec, algorithm })));
}

/** The kernels that a step needs of a layer, in layouts of their own choice. */
function kernelsIn(
  dataType: DataType,
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  inputDims: readonly number[],
): readonly (Primitive | undefined)[] {
  const { program } = context;
  const { dnnl } = program;
  const src = dnnl.any(inputDims, dataType);
  const forward = program.tryPrimitive(layer.name, forwardSpec(context, layer, src));
  if (forward === undefined || !context.training) return [forward];
  const diffDst = dnnl.any(forward.descriptor('dst').dims, dataType);
  const diffWeights = dnnl.any(weightDims(layer), 'f32');
  const backwardSpecs = [
    ...(context.wantsInputGradient(layer) ? [backwardDataSpec(context, layer, inputDims, diffDst)] : []),
    backwardWeightsSpec(context, layer, src, diffWeights, diffDst),
  ];
  return [forward, ...backwardSpecs.map((spec) => program.tryPrimitive(layer.name, spec, { forward }))];
}

/**
 * How the weights lie in the arena. In float32 as the forward kernel reads them. In bf16 the arena's float32 master weights lie as the
 * backward kernel writes their gradients; the forward kernel reads a bf16 copy.
 */
function arenaLayout(context: LoweringContext, layer: LayerOf<'conv'>, forward: Primitive): MemoryDescriptor {
  const { program } = context;
  const { dnnl } = program;
  const src = forward.descriptor('src');
  if (src.dataType === 'f32') return forward.descriptor('weights');
  if (!context.training) return dnnl.plain(weightDims(layer), 'f32');
  const diffDst = dnnl.any(forward.descriptor('dst').dims, src.dataType);
  const spec = backwardWeightsSpec(context, layer, src, dnnl.any(weightDims(layer), 'f32'), diffDst);
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

function biasOf({ program: { dnnl } }: LoweringContext, { attributes }: LayerOf<'conv'>): MemoryDescriptor | undefined {
  return attributes.bias ? dnnl.plain([attributes.filters], 'f32') : undefined;
}

function forwardSpec(context: LoweringContext, layer: LayerOf<'conv'>, src: MemoryDescriptor): ConvolutionSpec {
  const { dnnl } = context.program;
  return {
    kind: 'convolution',
    algorithm: 'direct',
    training: context.training,
    src,
    weights: dnnl.any(weightDims(layer), src.dataType),
    bias: biasOf(context, layer),
    dst: dnnl.any([context.batchSize, ...layer.outputShape], src.dataType),
    ...geometryOf(layer),
  };
}

function backwardDataSpec(
  { program: { dnnl } }: LoweringContext,
  layer: LayerOf<'conv'>,
  inputDims: readonly number[],
  diffDst: MemoryDescriptor,
): ConvolutionSpec {
  return {
    kind: 'convolutionBackwardData',
    algorithm: 'direct',
    diffSrc: dnnl.any(inputDims, diffDst.dataType),
    weights: dnnl.any(weightDims(layer), diffDst.dataType),
    diffDst,
    ...geometryOf(layer),
  };
}

function backwardWeightsSpec(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  src: MemoryDescriptor,
  diffWeights: MemoryDescriptor,
  diffDst: MemoryDescriptor,
): ConvolutionSpec {
  const diffBias = biasOf(context, layer);
  return { kind: 'convolutionBackwardWeights', algorithm: 'direct', src, diffWeights, diffBias, diffDst, ...geometryOf(layer) };
}

/** dx = the correlation's transpose: dy convolved with the kernels turned by 180 degrees, in and out channels exchanged. */
function backwardData(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  algorithms: readonly ConvolutionAlgorithm[],
  forward: Primitive,
  inputDims: readonly number[],
  weights: PlacedParameter,
  dz: Value,
): Value {
  const { program } = context;
  const { dataType } = forward.descriptor('dst');
  const gradients = [...asGiven(dz.descriptor, dataType), program.dnnl.any(dz.descriptor.dims, dataType)];
  const specs = gradients.map((diffDst) => backwardDataSpec(context, layer, inputDims, diffDst));
  const primitive = program.primitive(layer.name, forEach(algorithms, specs), { forward });
  const diffDst = program.inLayout(layer.name, dz, primitive.descriptor('diffDst'));
  const transposed = context.valuesIn(layer, weights, primitive.descriptor('weights'));
  const dx = program.value(primitive.descriptor('diffSrc'));
  program.emit(layer.name, 'backwardData', primitive, { diffDst, weights: transposed, diffSrc: dx });
  return dx;
}

/** dw = the correlation of the input with dy, summed over the batch; db = the sum of dy over batch and pixels. */
function backwardWeights(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  algorithms: readonly ConvolutionAlgorithm[],
  forward: Primitive,
  source: Value,
  dz: Value,
  weights: PlacedParameter,
  bias: PlacedParameter | undefined,
): void {
  if (weights.spec.kind === 'frozen' && bias === undefined) return;
  const { program } = context;
  const { dnnl } = program;
  const { dataType } = forward.descriptor('dst');
  const spec = (diffWeights: MemoryDescriptor, diffDst: MemoryDescriptor): ConvolutionSpec =>
    backwardWeightsSpec(context, layer, source.descriptor, diffWeights, diffDst);
  const anyWeights = dnnl.any(weightDims(layer), 'f32');
  const anyGradient = dnnl.any(dz.descriptor.dims, dataType);
  const specs =
    dz.descriptor.dataType === dataType
      ? [spec(weights.descriptor, dz.descriptor), spec(anyWeights, dz.descriptor), spec(anyWeights, anyGradient)]
      : [spec(weights.descriptor, anyGradient), spec(anyWeights, anyGradient)];
  const primitive = program.primitive(layer.name, forEach(algorithms, specs), { forward });
  if (isReference(primitive) && lowerWideDepthwiseWeights(context, layer, source, dz, weights, bias)) return;
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
