/**
 * The gradient of the weights of depthwise filters that are wider than 3, for which oneDNN has only its reference kernel (a hundred times slower). The
 * filters are cut into strips of 2 or 3 columns, for which it has a fast one: each strip is a depthwise convolution of its own, of the input moved by
 * the strip's first column. Padding is written out, since a strip's own would be uneven or negative.
 */
import type { LayerOf } from '../../../nn/layer.ts';
import type { LoweringContext, PlacedParameter } from '../context.ts';
import type { MemoryDescriptor, Primitive } from '../dnnl.ts';
import { isReference, type Value } from '../program.ts';

/** oneDNN's fast kernel has filters at most this wide. */
const widestStrip = 3;

interface Strip {
  /** Of the filters. */
  readonly firstColumn: number;
  readonly width: number;
  readonly primitive: Primitive;
}

/**
 * dw[c, ky, kx] = sum over n, oy, ox of dz[n, c, oy, ox] * x[n, c, oy * stride - top + ky, ox * stride - left + kx], written strip by strip of kx.
 *
 * @param x the input, `dz` the gradient of what the convolution makes
 * @returns false, having written nothing, where this is no way to do it
 */
export function lowerWideDepthwiseWeights(
  context: LoweringContext,
  layer: LayerOf<'conv'>,
  x: Value,
  dz: Value,
  weights: PlacedParameter,
  bias: PlacedParameter | undefined,
): boolean {
  const { program } = context;
  const { dnnl } = program;
  const { kernel, groups, filters } = layer.attributes;
  const channels = layer.inputShapes[0]![0]!;
  if (groups !== channels || filters !== channels || kernel[1] <= widestStrip) return false;
  const strips = stripsOf(context, layer, x.descriptor.dataType, bias?.descriptor);
  const parts = strips?.map(({ firstColumn, width }) =>
    dnnl.part(weights.descriptor, [channels, 1, 1, kernel[0], width], [0, 0, 0, 0, firstColumn]),
  );
  if (strips === undefined || parts === undefined || parts.includes(undefined)) return false;
  const target = context.gradientTarget(weights);
  strips.forEach(({ firstColumn, primitive }, i) => {
    const diffWeights = program.value(primitive.descriptor('diffWeights'));
    program.emit(layer.name, 'backwardWeights', primitive, {
      src: moved(context, layer, x, firstColumn, primitive.descriptor('src')),
      diffDst: program.inLayout(layer.name, dz, primitive.descriptor('diffDst')),
      diffWeights,
      ...(bias !== undefined && i === 0 && { diffBias: context.gradientTarget(bias) }),
    });
    program.inLayout(layer.name, diffWeights, parts[i]!, { ...target, descriptor: parts[i]! });
  });
  return true;
}

/** Undefined unless there is a fast kernel for all of them. The bias is the first one's. */
function stripsOf(
  { program, batchSize }: LoweringContext,
  { name, attributes, outputShape }: LayerOf<'conv'>,
  dataType: MemoryDescriptor['dataType'],
  biasDescriptor: MemoryDescriptor | undefined,
): readonly Strip[] | undefined {
  const { dnnl } = program;
  const { kernel, stride, output, groups } = attributes;
  const count = Math.ceil(kernel[1] / widestStrip);
  const strips: Strip[] = [];
  let firstColumn = 0;
  for (let i = 0; i < count; i++) {
    const width = Math.floor((kernel[1] + i) / count);
    const read = [(output[0] - 1) * stride[0] + kernel[0], (output[1] - 1) * stride[1] + width];
    const src = dnnl.any([batchSize, groups, ...read], dataType);
    const dst = dnnl.any([batchSize, ...outputShape], dataType);
    const dims = [groups, 1, 1, kernel[0], width];
    const common = { algorithm: 'direct', strides: stride, padding: [0, 0, 0, 0] } as const;
    const forward = program.tryPrimitive(name, {
      ...{ kind: 'convolution', training: true, src, weights: dnnl.any(dims, dataType), bias: undefined, dst },
      ...common,
    });
    const diffBias = i === 0 ? biasDescriptor : undefined;
    const primitive =
      forward &&
      program.tryPrimitive(
        name,
        { kind: 'convolutionBackwardWeights', src, diffWeights: dnnl.any(dims, 'f32'), diffBias, diffDst: dst, ...common },
        { forward },
      );
    if (primitive === undefined || isReference(primitive)) return undefined;
    strips.push({ firstColumn, width, primitive });
    firstColumn += width;
  }
  return strips;
}

/** What a strip reads: element [y, x] of it is element [y - top, x - left + firstColumn] of the input, zero outside. */
function moved(
  { program, batchSize }: LoweringContext,
  { name, attributes }: LayerOf<'conv'>,
  input: Value,
  firstColumn: number,
  descriptor: MemoryDescriptor,
): Value {
  const { dnnl } = program;
  const [, channels, height, width] = descriptor.dims as readonly [number, number, number, number];
  const [top, left] = attributes.padding;
  const rows = overlap(attributes.input[0], height, top);
  const columns = overlap(attributes.input[1], width, left - firstColumn);
  const result = program.value(descriptor);
  program.emitHost(name, 'backwardWeights', [result], ([values]) => {
    values!.fill(0);
  });
  if (rows.count <= 0 || columns.count <= 0) return result;
  const extents = [batchSize, channels, rows.count, columns.count];
  const from = dnnl.part(input.descriptor, extents, [0, 0, rows.from, columns.from])!;
  const to = dnnl.part(descriptor, extents, [0, 0, rows.to, columns.to])!;
  return { ...program.inLayout(name, { ...input, descriptor: from }, to, { ...result, descriptor: to }), descriptor };
}

/** Where a range of `length` elements, `shift` elements into one of `space`, overlaps with it: its first element, its place, and how many. */
function overlap(length: number, space: number, shift: number): { from: number; to: number; count: number } {
  const from = Math.max(0, -shift);
  const to = Math.max(0, shift);
  return { from, to, count: Math.min(length - from, space - to) };
}
