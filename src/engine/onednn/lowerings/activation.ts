/** Element-wise functions of one tensor: activations, alone and fused into convolutions and dense layers, scale and dropout. */
import type { Activation, ActivationOf, ActivationType } from '../../../nn/activation.ts';
import { sizeOf } from '../../../nn/shape.ts';
import { fillDropoutMask } from '../../dropout.ts';
import type { LoweringContext, Lowering } from '../context.ts';
import type { EltwiseAlgorithm, MemoryDescriptor, PostOperation, Primitive } from '../dnnl.ts';
import { isReference, type ProgramBuilder, type Value } from '../program.ts';

interface Eltwise {
  readonly algorithm: EltwiseAlgorithm;
  readonly alpha?: number;
  readonly beta?: number;
}

/** An activation in oneDNN's functions. */
interface ActivationKernels {
  /** One after the other. */
  readonly forward: readonly Eltwise[];
  /** Given the activation's output, or its input. */
  readonly backward: Eltwise & { readonly from: 'output' | 'input' };
  /** Of the gradient, after `backward`; default 1. */
  readonly factor?: number;
}

const kernelsOf: { readonly [T in ActivationType]: (activation: ActivationOf<T>) => ActivationKernels } = {
  // dx = dy where y > 0, else 0
  relu: () => ({ forward: [{ algorithm: 'relu' }], backward: { algorithm: 'reluFromOutput', from: 'output' } }),
  // dx = dy where 0 < y < 6, else 0
  relu6: () => ({
    forward: [{ algorithm: 'clip', alpha: 0, beta: 6 }],
    backward: { algorithm: 'clipFromOutput', alpha: 0, beta: 6, from: 'output' },
  }),
  // dx = dy where y > 0, else slope * dy
  leakyRelu: ({ slope }) => ({
    forward: [{ algorithm: 'relu', alpha: slope }],
    backward: { algorithm: 'reluFromOutput', alpha: slope, from: 'output' },
  }),
  // dx = dy * (Phi(x) + x * phi(x))
  gelu: () => ({ forward: [{ algorithm: 'geluErf' }], backward: { algorithm: 'geluErf', from: 'input' } }),
  // dx = dy * y * (1 - y)
  sigmoid: () => ({ forward: [{ algorithm: 'logistic' }], backward: { algorithm: 'logisticFromOutput', from: 'output' } }),
  // With s = logistic(x): dx = dy * s * (1 + x * (1 - s))
  silu: () => ({
    forward: [{ algorithm: 'swish', alpha: 1 }],
    backward: { algorithm: 'swish', alpha: 1, from: 'input' },
  }),
  // Version 2 has no function of its own for it. dx = dy / 6 where 0 < y < 1, else 0
  hardSigmoid: () => ({
    forward: [
      { algorithm: 'linear', alpha: 1 / 6, beta: 1 / 2 },
      { algorithm: 'clip', alpha: 0, beta: 1 },
    ],
    backward: { algorithm: 'clipFromOutput', alpha: 0, beta: 1, from: 'output' },
    factor: 1 / 6,
  }),
  // dx = 0 where x <= -3, dy where x >= 3, else dy * (x / 3 + 1/2)
  hardSwish: () => ({
    forward: [{ algorithm: 'hardSwish', alpha: 1 / 6, beta: 1 / 2 }],
    backward: { algorithm: 'hardSwish', alpha: 1 / 6, beta: 1 / 2, from: 'input' },
  }),
};

function kernels<T extends ActivationType>(activation: Activation & ActivationOf<T>): ActivationKernels {
  // The entry is for the activation's own type, which the compiler cannot see through the union.
  return (kernelsOf[activation.type] as unknown as (activation: ActivationOf<T>) => ActivationKernels)(activation);
}

/** An activation as the last thing that a convolution or dense layer does. */
export interface FusedActivation {
  /** Of the kernel. */
  readonly postOperations: readonly PostOperation[];
  /** From what the kernel makes to the layer's output. */
  output(result: Value): Value;
  /** From the gradient of the layer's output to that of what the kernel makes before its activation. */
  backward(gradient: Value): Value;
}

/**
 * The kernel applies the activation itself, but in training where its backward pass needs what was there before it. The gradient of a ReLU is left
 * alone where a later layer masks it.
 */
export function fuse(context: LoweringContext, layer: string, activation: Activation | null): FusedActivation {
  if (activation === null) return { postOperations: [], output: (result) => result, backward: (gradient) => gradient };
  const { forward, backward } = kernels(activation);
  const isFused = !context.training || backward.from === 'output';
  const isMaskedLater = activation.type === 'relu' && !context.masksOwnRelu(layer);
  let before: Value | undefined;
  let after: Value | undefined;
  return {
    postOperations: isFused ? forward.map((eltwise) => ({ type: 'eltwise', ...eltwise })) : [],
    output(result) {
      before = result;
      after = isFused ? result : activationForward(context, layer, activation, result);
      return after;
    },
    backward: (gradient) =>
      isMaskedLater ? gradient : activationBackward(context, layer, activation, before!, after!, gradient),
  };
}

/**
 * The gradient before a ReLU, from the ReLU's output: dx = dy where y > 0, else 0. In place where nobody else needs dy.
 */
export function reluBackward(context: LoweringContext, layer: string, output: Value, gradient: Value): Value {
  return activationBackward(context, layer, { type: 'relu' }, output, output, gradient);
}

export const lowerActivation: Lowering<'activation'> = (context, layer, [x]) => {
  if (context.rectified.has(layer.inputs[0]!)) return { output: x!, backward: (gradient) => [gradient] };
  const output = activationForward(context, layer.name, layer.attributes, x!);
  return {
    output,
    backward: (gradient) => [activationBackward(context, layer.name, layer.attributes, x!, output, gradient)],
  };
};

function activationForward(context: LoweringContext, layer: string, activation: Activation, x: Value): Value {
  return kernels(activation).forward.reduce((value, eltwise) => eltwiseForward(context, layer, eltwise, value), x);
}

function activationBackward(
  context: LoweringContext,
  layer: string,
  activation: Activation,
  input: Value,
  output: Value,
  gradient: Value,
): Value {
  const { backward, factor = 1 } = kernels(activation);
  const dx = eltwiseBackward(context.program, layer, backward, backward.from === 'output' ? output : input, gradient);
  return factor === 1 ? dx : eltwiseForward(context, layer, { algorithm: 'linear', alpha: factor }, dx);
}

/** y = factor * x; dx = factor * dy. */
export const lowerScale: Lowering<'scale'> = (context, layer, [x]) => {
  const { factor } = layer.attributes;
  return {
    output: eltwiseForward(context, layer.name, { algorithm: 'linear', alpha: factor }, x!),
    backward: (gradient) => [eltwiseForward(context, layer.name, { algorithm: 'linear', alpha: factor }, gradient)],
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

function eltwiseForward({ program, training }: LoweringContext, layer: string, eltwise: Eltwise, x: Value): Value {
  const { layout, primitive } = fastest(program, x, (data) =>
    program.primitive(layer, [{ kind: 'eltwise', training, data, ...eltwise }]),
  );
  const output = program.value(layout);
  program.emit(layer, 'elementwise', primitive, { src: program.inLayout(layer, x, layout), dst: output });
  return output;
}

/** `data` is the function's input, or its output for the algorithms that work from it. */
function eltwiseBackward(
  program: ProgramBuilder,
  layer: string,
  { from, ...eltwise }: ActivationKernels['backward'],
  data: Value,
  gradient: Value,
): Value {
  const { layout, primitive } = fastest(program, data, (descriptor) => {
    const forward = program.primitive(layer, [{ kind: 'eltwise', training: true, data: descriptor, ...eltwise }]);
    const spec = { kind: 'eltwiseBackward', data: descriptor, diff: descriptor, ...eltwise } as const;
    return program.primitive(layer, [spec], { forward });
  });
  const dy = program.inLayout(layer, gradient, layout);
  const dx = dy.shared ? program.value(layout) : dy;
  const given = program.inLayout(layer, data, layout);
  program.emit(layer, 'elementwise', primitive, { [from === 'output' ? 'dst' : 'src']: given, diffDst: dy, diffSrc: dx });
  return dx;
}

/**
 * The kernel for a tensor's own layout, or that for the plain one where only it is fast: blocks are filled up with channels of zeros, which
 * fast kernels do not keep where f(0) is not 0.
 */
function fastest({ dnnl }: ProgramBuilder, { descriptor }: Value, make: (layout: MemoryDescriptor) => Primitive) {
  const own = make(descriptor);
  if (!isReference(own)) return { layout: descriptor, primitive: own };
  const plain = dnnl.plain(descriptor.dims, descriptor.dataType);
  const primitive = make(plain);
  return isReference(primitive) ? { layout: descriptor, primitive: own } : { layout: plain, primitive };
}
