/** Element-wise functions of one tensor: ReLU, GELU, scale, dropout, and the ReLU fused into convolutions and dense layers. */
import { sizeOf } from '../../../nn/shape.ts';
import { fillDropoutMask } from '../../dropout.ts';
import type { LoweringContext, Lowering } from '../context.ts';
import type { EltwiseAlgorithm, PostOperation } from '../dnnl.ts';
import type { ProgramBuilder, Value } from '../program.ts';

/** max(0, result) as the last thing a convolution or dense layer does. */
export const reluPostOperation: readonly PostOperation[] = [{ type: 'eltwise', algorithm: 'relu' }];

/**
 * The gradient before a ReLU, from the ReLU's output: dx = dy where y > 0, else 0. In place where nobody else needs dy.
 */
export function reluBackward(program: ProgramBuilder, layer: string, output: Value, gradient: Value): Value {
  return eltwiseBackward(program, layer, 'reluFromOutput', output, gradient);
}

export const lowerRelu: Lowering<'relu'> = (context, layer, [x]) => {
  if (context.rectified.has(layer.inputs[0]!)) return { output: x!, backward: (gradient) => [gradient] };
  const output = eltwiseForward(context, layer.name, 'relu', x!);
  return { output, backward: (gradient) => [reluBackward(context.program, layer.name, output, gradient)] };
};

export const lowerGelu: Lowering<'gelu'> = (context, layer, [x]) => ({
  output: eltwiseForward(context, layer.name, 'geluErf', x!),
  backward: (gradient) => [eltwiseBackward(context.program, layer.name, 'geluErf', x!, gradient)],
});

/** y = factor * x; dx = factor * dy. */
export const lowerScale: Lowering<'scale'> = (context, layer, [x]) => {
  const { factor } = layer.attributes;
  return {
    output: eltwiseForward(context, layer.name, 'linear', x!, factor),
    backward: (gradient) => [eltwiseForward(context, layer.name, 'linear', gradient, factor)],
  };
};

/** y = mask * x with mask 0 or 1/(1 - rate); dx = mask * dy. The identity at inference. */
export const lowerDropout: Lowering<'dropout'> = (context, layer, [x]) => {
  const { program } = context;
  const { rate } = layer.attributes;
  if (!context.training || rate === 0) return { output: x!, backward: (gradient) => [gradient] };
  const plain = program.value(program.dnnl.plain(x!.descriptor.dims, 'f32'));
  const exampleSize = sizeOf(layer.outputShape);
  program.emitHost(layer.name, 'elementwise', [plain], ([mask], options) => {
    const firstElement = (options.firstExample ?? 0) * exampleSize;
    fillDropoutMask(mask!, layer.name, rate, { seed: options.seed, step: options.step, firstElement });
  });
  const blocked = program.inLayout(layer.name, plain, x!.descriptor);
  const multiply = (input: Value): Value => {
    const result = program.value(input.descriptor);
    const spec = {
      kind: 'binary',
      algorithm: 'multiply',
      a: input.descriptor,
      b: blocked.descriptor,
      dst: input.descriptor,
    } as const;
    program.emit(layer.name, 'elementwise', program.primitive(layer.name, [spec]), { src: input, src1: blocked, dst: result });
    return result;
  };
  return {
    output: multiply(x!),
    backward: (gradient) => [multiply(program.inLayout(layer.name, gradient, blocked.descriptor))],
  };
};

function eltwiseForward(context: LoweringContext, layer: string, algorithm: EltwiseAlgorithm, x: Value, alpha = 0): Value {
  const { program, training } = context;
  const primitive = program.primitive(layer, [{ kind: 'eltwise', training, algorithm, data: x.descriptor, alpha }]);
  const output = program.value(x.descriptor);
  program.emit(layer, 'elementwise', primitive, { src: x, dst: output });
  return output;
}

/** `data` is the function's input, or its output for the algorithms that work from it. */
function eltwiseBackward(
  program: ProgramBuilder,
  layer: string,
  algorithm: EltwiseAlgorithm,
  data: Value,
  gradient: Value,
): Value {
  const dy = program.inLayout(layer, gradient, data.descriptor);
  const forward = program.primitive(layer, [{ kind: 'eltwise', training: true, algorithm, data: data.descriptor }]);
  const spec = { kind: 'eltwiseBackward', algorithm, data: data.descriptor, diff: dy.descriptor } as const;
  const primitive = program.primitive(layer, [spec], { forward });
  const dx = dy.shared ? program.value(dy.descriptor) : dy;
  const dataArgument = algorithm === 'reluFromOutput' ? { dst: data } : { src: data };
  program.emit(layer, 'elementwise', primitive, { ...dataArgument, diffDst: dy, diffSrc: dx });
  return dx;
}
