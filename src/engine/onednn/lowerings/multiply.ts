/** The product of two tensors, of which the second may have one number for each channel of the first. */
import { sizeOf, type Shape } from '../../../nn/shape.ts';
import type { LoweringContext, Lowering } from '../context.ts';
import type { Value } from '../program.ts';
import { sumOverPixels } from './pool.ts';

/** y = x * g; dx = dy * g; dg = dy * x, summed over the pixels where a factor is that of a channel. */
export const lowerMultiply: Lowering<'multiply'> = (context, layer, [x, g]) => {
  const { program } = context;
  const { name, inputShapes } = layer;
  const [shape, factorShape] = inputShapes as readonly [Shape, Shape];
  const isPerChannel = sizeOf(factorShape) < sizeOf(shape);
  const { descriptor } = x!;
  const pixel = [...descriptor.dims.slice(0, 2), 1, 1];
  const factorLayout = isPerChannel
    ? (program.dnnl.withLayoutOf(descriptor, pixel) ?? program.dnnl.plain(pixel, descriptor.dataType))
    : descriptor;
  const factor = program.inLayout(name, program.withDims(name, g!, factorLayout.dims), factorLayout);
  return {
    output: product(context, name, x!, factor),
    backward: (gradient, [needsX, needsFactor]) => {
      const dy = program.inLayout(name, gradient, descriptor);
      const factorGradient = (): Value => {
        const products = product(context, name, dy, x!);
        const sums = isPerChannel ? sumOverPixels(context, name, products) : products;
        return program.withDims(name, sums, g!.descriptor.dims);
      };
      return [
        needsX === true ? product(context, name, dy, factor) : undefined,
        needsFactor === true ? factorGradient() : undefined,
      ];
    },
  };
};

/** a * b, where b may have one pixel for all of a. */
function product({ program }: LoweringContext, layer: string, a: Value, b: Value): Value {
  const layouts = { a: a.descriptor, b: b.descriptor, dst: a.descriptor };
  const primitive = program.primitive(layer, [{ kind: 'binary', algorithm: 'multiply', ...layouts }]);
  const result = program.value(a.descriptor);
  program.emit(layer, 'elementwise', primitive, { src: a, src1: b, dst: result });
  return result;
}
