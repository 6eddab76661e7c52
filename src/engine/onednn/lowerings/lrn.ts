/**
 * Local response normalization, composed: oneDNN optimizes only windows of 5 channels, its reference kernel takes most of a second.
 *
 * With s = bias + alpha * (sum over the window of x^2) and p = s^-beta: y = x * p. The window's sum is a 1x1 convolution of x^2 with
 * a banded matrix of alphas, the power exp(-beta * log s) follows it in the same kernel.
 *
 * Backward, with B the band of ones: dx = dy * p - 2 * alpha * beta * x * B(dy * y / s), and 1/s = p^(1/beta).
 */
import type { LrnAttributes } from '../../../nn/layer.ts';
import type { LoweringContext, Lowering } from '../context.ts';
import type { BinaryAlgorithm, MemoryDescriptor, PostOperation } from '../dnnl.ts';
import { asFloat32, type ProgramBuilder, type Value } from '../program.ts';

export const lowerLrn: Lowering<'lrn'> = (context, layer, [x]) => {
  const { program } = context;
  const { name } = layer;
  const { alpha, beta } = layer.attributes;
  const band = bandConvolution(context, name, layer.attributes, x!.descriptor);
  const source = program.inLayout(name, x!, band.layout);
  const square = binary(program, name, 'multiply', source, source);
  const power = band.apply(square, alpha, layer.attributes.bias, powerOf(-beta));
  const output = binary(program, name, 'multiply', source, power);
  return {
    output,
    backward: (gradient) => {
      const dy = program.inLayout(name, gradient, band.layout);
      // dy * y / s, in one pass that starts from p * p: 1/s = p^(1/beta) = (p * p)^(1 / (2 * beta)).
      const factors = [...powerOf(0.5 / beta), multiplyBy(dy), multiplyBy(output)];
      const inner = binary(program, name, 'multiply', power, power, factors, [dy, output]);
      const spread = band.apply(inner, -2 * alpha * beta, 0, []);
      const direct = binary(program, name, 'multiply', dy, power);
      const plusDirect: PostOperation = { type: 'binary', algorithm: 'add', operand: direct.descriptor };
      return [binary(program, name, 'multiply', source, spread, [plusDirect], [direct])];
    },
  };
};

function multiplyBy(value: Value): PostOperation {
  return { type: 'binary', algorithm: 'multiply', operand: value.descriptor };
}

/** s^exponent = exp(exponent * log s): oneDNN's own power calls the C library element by element. */
function powerOf(exponent: number): readonly PostOperation[] {
  return [
    { type: 'eltwise', algorithm: 'log' },
    { type: 'eltwise', algorithm: 'linear', alpha: exponent },
    { type: 'eltwise', algorithm: 'exp' },
  ];
}

interface Band {
  /** The layout in which the convolution reads and writes. */
  readonly layout: MemoryDescriptor;
  /** weight * (sum over the window) + bias, then `postOperations`. */
  readonly apply: (x: Value, weight: number, bias: number, postOperations: readonly PostOperation[]) => Value;
}

function bandConvolution(context: LoweringContext, layer: string, attributes: LrnAttributes, like: MemoryDescriptor): Band {
  const { program } = context;
  const { dnnl } = program;
  const channels = like.dims[1]!;
  const spec = (src: MemoryDescriptor, dst: MemoryDescriptor) =>
    ({
      kind: 'convolution',
      algorithm: 'direct',
      training: false,
      src,
      weights: dnnl.any([channels, channels, 1, 1], 'f32'),
      bias: dnnl.plain([channels], 'f32'),
      dst,
      strides: [1, 1],
      padding: [0, 0, 0, 0],
    }) as const;
  const anyImage = dnnl.any(like.dims, 'f32');
  const choice = program.primitive(layer, [spec(like, like), spec(anyImage, anyImage)]);
  const layout = choice.descriptor('src');
  return {
    layout,
    apply: (x, weight, bias, postOperations) => {
      const primitive = program.primitive(layer, [spec(layout, layout)], { postOperations });
      const weights = bandMatrix(program, layer, channels, attributes.depthRadius, weight, primitive.descriptor('weights'));
      const result = program.value(layout);
      program.emit(layer, 'elementwise', primitive, { src: x, weights, bias: constant(program, [channels], bias), dst: result });
      return result;
    },
  };
}

/** `[C, C]` with `weight` where the channels are at most `radius` apart, in the layout the convolution wants. */
function bandMatrix(
  program: ProgramBuilder,
  layer: string,
  channels: number,
  radius: number,
  weight: number,
  descriptor: MemoryDescriptor,
): Value {
  const { dnnl } = program;
  const plainDescriptor = dnnl.plain([channels, channels, 1, 1], 'f32');
  const plain = new Uint8Array(plainDescriptor.sizeBytes);
  const matrix = asFloat32(plain);
  for (let row = 0; row < channels; row++) {
    for (let column = Math.max(0, row - radius); column <= Math.min(channels - 1, row + radius); column++) {
      matrix[row * channels + column] = weight;
    }
  }
  const bytes = new Uint8Array(descriptor.sizeBytes);
  const reorder = program.primitive(layer, [{ kind: 'reorder', src: plainDescriptor, dst: descriptor }]);
  const args = new Map([
    ['src', dnnl.memory(plainDescriptor, plain)],
    ['dst', dnnl.memory(descriptor, bytes)],
  ] as const);
  dnnl.execution(reorder, args)();
  return program.persistent(descriptor, bytes);
}

function constant(program: ProgramBuilder, dims: readonly number[], value: number): Value {
  const descriptor = program.dnnl.plain(dims, 'f32');
  const bytes = new Uint8Array(descriptor.sizeBytes);
  asFloat32(bytes).fill(value);
  return program.persistent(descriptor, bytes);
}

/** a (op) b, then `postOperations` with their operands. */
function binary(
  program: ProgramBuilder,
  layer: string,
  algorithm: BinaryAlgorithm,
  a: Value,
  b: Value,
  postOperations: readonly PostOperation[] = [],
  operands: readonly Value[] = [],
): Value {
  const spec = { kind: 'binary', algorithm, a: a.descriptor, b: b.descriptor, dst: a.descriptor } as const;
  const primitive = program.primitive(layer, [spec], { postOperations });
  const result = program.value(a.descriptor);
  const positions = postOperations.flatMap((operation, i) => (operation.type === 'binary' ? [i] : []));
  const operandArguments = Object.fromEntries(operands.map((operand, i) => [`postOp${String(positions[i]!)}`, operand]));
  program.emit(layer, 'elementwise', primitive, { src: a, src1: b, dst: result, ...operandArguments });
  return result;
}
