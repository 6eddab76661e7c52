/** Dense layer (oneDNN: inner product), with its bias and activation fused into the forward kernel. */
import { asGiven, type Lowering, type LoweringContext, type PlacedParameter } from '../context.ts';
import type { LayerOf } from '../../../nn/layer.ts';
import type { MemoryDescriptor, Primitive } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { fuse } from './activation.ts';

export const lowerDense: Lowering<'dense'> = (context, layer, [x]) => {
  const { program, batchSize } = context;
  const { dnnl } = program;
  const { features } = layer.attributes;
  const activation = fuse(context, layer.name, layer.attributes.activation);
  const dataType = context.dataTypeOf(layer.name);
  // An image is taken as it is: its weights are [features, C, H, W], the same numbers as [features, C * H * W].
  const inputDims = x!.descriptor.dims;
  const weightDims = [features, ...inputDims.slice(1)];
  const shape = {
    kind: 'innerProduct',
    training: context.training,
    weights: dnnl.any(weightDims, dataType),
    bias: layer.attributes.bias ? dnnl.plain([features], 'f32') : undefined,
    dst: dnnl.plain([batchSize, features], dataType),
  } as const;
  const sources = [...asGiven(x!.descriptor, dataType), dnnl.any(inputDims, dataType), dnnl.plain(inputDims, dataType)];
  const specs = sources.map((src) => ({ ...shape, src }));
  const forward = program.primitive(layer.name, specs, { postOperations: activation.postOperations });
  const source = program.inLayout(layer.name, x!, forward.descriptor('src'));
  const weights = context.parameter(layer, 'weight', arenaLayout(context, layer, forward))!;
  const bias = shape.bias === undefined ? undefined : context.parameter(layer, 'bias', shape.bias);
  const result = program.value(forward.descriptor('dst'));
  program.emit(layer.name, 'forward', forward, {
    src: source,
    weights: context.valuesIn(layer, weights, forward.descriptor('weights')),
    ...(bias === undefined ? {} : { bias: bias.values }),
    dst: result,
  });
  return {
    output: activation.output(result),
    backward: (gradient, [needsInput]) => {
      const dz = program.inLayout(layer.name, activation.backward(gradient), result.descriptor);
      // As in convolutions, the gradient of the input comes last.
      backwardWeights(context, layer.name, forward, source, dz, weights, bias);
      let dx: Value | undefined;
      if (needsInput === true) {
        const primitive = program.primitive(
          layer.name,
          [source.descriptor, dnnl.any(inputDims, dataType)].map((diffSrc) => ({
            kind: 'innerProductBackwardData',
            diffSrc,
            weights: dnnl.any(weightDims, dataType),
            diffDst: dz.descriptor,
          })),
          { forward },
        );
        const transposed = context.valuesIn(layer, weights, primitive.descriptor('weights'));
        dx = program.value(primitive.descriptor('diffSrc'));
        program.emit(layer.name, 'backwardData', primitive, { diffDst: dz, weights: transposed, diffSrc: dx });
      }
      return [dx];
    },
  };
};

/** As for convolutions: the forward kernel's layout in float32, in bf16 the one in which the gradients of the weights are written. */
function arenaLayout(context: LoweringContext, layer: LayerOf<'dense'>, forward: Primitive): MemoryDescriptor {
  const { program } = context;
  const { dnnl } = program;
  const { dataType } = forward.descriptor('dst');
  const weights = forward.descriptor('weights');
  if (dataType === 'f32') return weights;
  if (!context.training) return dnnl.plain(weights.dims, 'f32');
  const { features, bias } = layer.attributes;
  const spec = {
    kind: 'innerProductBackwardWeights',
    src: forward.descriptor('src'),
    diffWeights: dnnl.any(weights.dims, 'f32'),
    diffBias: bias ? dnnl.plain([features], 'f32') : undefined,
    diffDst: dnnl.plain([context.batchSize, features], dataType),
  } as const;
  return program.primitive(layer.name, [spec], { forward }).descriptor('diffWeights');
}

/** dw = dy^T x; db = the sum of dy over the batch. */
function backwardWeights(
  context: LoweringContext,
  layer: string,
  forward: Primitive,
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
