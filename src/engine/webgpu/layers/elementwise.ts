/** Layers that treat each element by itself, and those that only put elements elsewhere. */
import type { LayerOf } from '../../../nn/layer.ts';
import { mix32, streamKey } from '../../../util/random.ts';
import { sizeOf } from '../../../nn/shape.ts';
import type { ForwardOptions } from '../../engine.ts';
import { activateText, derivativeText, followsFromOutput } from '../kernels/activation.ts';
import { float } from '../kernels/shader.ts';
import { use, type Backward, type ElementwiseOptions, type Lowering } from '../lowering.ts';
import { channelsOf, indexText, typeOf, widthOf, type View, type Width } from '../tensor.ts';

/** y = f(x); dx = dy * f'(x) */
export function lowerActivation(c: Lowering, layer: LayerOf<'activation'>): Backward {
  const [x, y] = [c.input(layer), c.output(layer)];
  const activation = layer.attributes;
  c.elementwise({
    ...{ layer: layer.name, pass: 'forward', inputs: { x }, output: y, expression: 'activate(x)' },
    declarations: (type) => activateText(activation, type),
  });
  const kept = followsFromOutput(activation) ? y : x;
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      c.elementwise({
        ...{ layer: layer.name, pass: 'backward', inputs: { dy, kept }, output: dx, accumulate },
        expression: 'dy * derivative(kept)',
        declarations: (type) => derivativeText(activation, type),
      });
    });
  };
}

/** y = factor * x; dx = factor * dy */
export function lowerScale(c: Lowering, layer: LayerOf<'scale'>): Backward {
  const factor = float(layer.attributes.factor);
  c.elementwise({
    ...{ layer: layer.name, pass: 'forward', inputs: { x: c.input(layer) }, output: c.output(layer) },
    expression: `${factor} * x`,
  });
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      c.elementwise({
        ...{ layer: layer.name, pass: 'backward', inputs: { dy }, output: dx, accumulate, expression: `${factor} * dy` },
      });
    });
  };
}

/**
 * Whether an element is kept, from the draws of engine/dropout.ts: `keeps(row, channel)`. Elements are counted in plain order (C, H, W), two of which share a
 * hash.
 */
function dropoutText(rate: number, channels: number, pixels: number): string {
  return `fn mix32(value: u32) -> u32 {
  var x = value;
  x = (x ^ (x >> 17u)) * 0xed5ad4bbu;
  x = (x ^ (x >> 11u)) * 0xac4c1b51u;
  x = (x ^ (x >> 15u)) * 0x31848babu;
  return x ^ (x >> 14u);
}
fn factor(row: u32, channel: u32) -> f32 {
  let element = parameters.first + (row / ${pixels}u * ${channels}u + channel) * ${pixels}u + row % ${pixels}u;
  let draws = mix32(parameters.key + (element >> 1u) * parameters.increment);
  let draw = select(draws & 0xffffu, draws >> 16u, (element & 1u) == 1u);
  return select(0.0, ${float(1 / (1 - rate))}, draw >= ${Math.round(rate * 0x1_0000)}u);
}`;
}

/** y = mask * x in training, x otherwise; dx = mask * dy */
export function lowerDropout(c: Lowering, layer: LayerOf<'dropout'>): Backward {
  const x = c.input(layer);
  const { rate } = layer.attributes;
  if (!c.training || rate === 0) {
    c.pass(layer, x);
    return (dy) => c.passBack(layer, 0, dy);
  }
  const { channels } = x;
  const pixels = x.rows / c.batchSize;
  const exampleSize = sizeOf(layer.outputShape);
  const words = ({ seed, step, firstExample = 0 }: ForwardOptions): Uint32Array => {
    const key = streamKey(seed, `dropout:${layer.name}`, step);
    // Odd, so that no stream is another one shifted. Beyond 2^32 elements of a layer in the whole batch the draws repeat.
    return Uint32Array.of(key, mix32(key) | 1, firstExample * exampleSize);
  };
  const masked = (pass: 'forward' | 'backward', from: View, to: View, accumulate: boolean) => {
    c.elementwise({
      ...{ layer: layer.name, pass, inputs: { x: from }, output: to, accumulate, words },
      parameters: { key: 'u32', increment: 'u32', first: 'u32' },
      declarations: () => dropoutText(rate, channels, pixels),
      expression: (width) =>
        width === 1
          ? 'x * factor(row, column)'
          : `x * vec4f(${[0, 1, 2, 3].map((j) => `factor(row, column * 4u + ${j}u)`).join(', ')})`,
    });
  };
  masked('forward', x, c.output(layer), false);
  return (dy) => c.contribute(layer, 0, (dx, accumulate) => masked('backward', dy, dx, accumulate));
}

/** Inputs that a kernel adds at once: arrays that a kernel may have are few. */
const addedAtOnce = 4;

/** y = sum of the inputs; dx = dy, for each input */
export function lowerAdd(c: Lowering, layer: LayerOf<'add'>): Backward {
  const y = c.output(layer);
  const views = layer.inputs.map((name) => c.view(name));
  for (let first = 0; first < views.length; first += addedAtOnce) {
    const inputs = Object.fromEntries(views.slice(first, first + addedAtOnce).map((view, i) => [`x${i}`, view]));
    c.elementwise({
      ...{ layer: layer.name, pass: 'forward', inputs, output: y, accumulate: first > 0 },
      expression: Object.keys(inputs).join(' + '),
    });
  }
  return (dy) => layer.inputs.forEach((_, i) => c.passBack(layer, i, dy));
}

/** y = x * g, where a factor g may be that of all pixels of a channel; dx = dy * g; dg = sum of dy * x over the elements with that factor */
export function lowerMultiply(c: Lowering, layer: LayerOf<'multiply'>): Backward {
  const [x, g, y] = [c.input(layer, 0), c.input(layer, 1), c.output(layer)];
  const pixels = x.rows / g.rows;
  const factor = pixels === 1 ? g : { view: g, row: `row / ${pixels}u` };
  c.elementwise({
    ...{ layer: layer.name, pass: 'forward', inputs: { x, g: factor }, output: y, expression: 'x * g' },
  });
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      c.elementwise({
        ...{ layer: layer.name, pass: 'backward', inputs: { dy, g: factor }, output: dx, accumulate, expression: 'dy * g' },
      });
    });
    c.contribute(layer, 1, (dg, accumulate) => {
      if (pixels === 1) {
        c.elementwise({
          ...{ layer: layer.name, pass: 'backward', inputs: { dy, x }, output: dg, accumulate, expression: 'dy * x' },
        });
        return;
      }
      const width: Width = widthOf(dy, x, dg);
      const across = dg.channels / width;
      c.threads(
        layer.name,
        'backward',
        dg.rows * across,
        [use('dys', dy, width), use('xs', x, width), use('dgs', dg, width, true)],
        `  let column = i % ${across}u;
  let image = i / ${across}u;
  var sum = ${typeOf(width)}();
  for (var pixel = 0u; pixel < ${pixels}u; pixel++) {
    let row = image * ${pixels}u + pixel;
    sum += dys[${indexText(dy, 'row', 'column', width)}] * xs[${indexText(x, 'row', 'column', width)}];
  }
  dgs[${indexText(dg, 'image', 'column', width)}] ${accumulate ? '+=' : '='} sum;`,
      );
    });
  };
}

/** y = the inputs' channels side by side: those that lie there already are not copied. dx = the channels of dy */
export function lowerConcat(c: Lowering, layer: LayerOf<'concat'>): Backward {
  const y = c.output(layer);
  const firsts = layer.inputShapes.map((_, i) => layer.inputShapes.slice(0, i).reduce((sum, shape) => sum + shape[0]!, 0));
  const partOf = (whole: View, i: number) => channelsOf(whole, firsts[i]!, layer.inputShapes[i]![0]!);
  layer.inputs.forEach((name, i) => {
    const [from, to] = [c.view(name), partOf(y, i)];
    const isThere = from.storage === to.storage && from.offset === to.offset && from.stride === to.stride;
    if (!isThere) c.copy(layer.name, from, to, false);
  });
  return (dy) => layer.inputs.forEach((_, i) => c.passBack(layer, i, partOf(dy, i)));
}

/** Where element `column` of a flattened image is, in pixels and channels. */
function flattened(pixels: number): { readonly row: string; readonly column: string } {
  return { row: `row * ${pixels}u + column % ${pixels}u`, column: `column / ${pixels}u` };
}

/** y = x in the order C, H, W */
export function lowerFlatten(c: Lowering, layer: LayerOf<'flatten'>): Backward {
  const x = c.input(layer);
  const pixels = x.rows / c.batchSize;
  if (pixels === 1) {
    c.pass(layer, x);
    return (dy) => c.passBack(layer, 0, dy);
  }
  toPlain(c, layer.name, 'copy', x, c.output(layer));
  return (dy) => c.contribute(layer, 0, (dx, accumulate) => fromPlain(c, layer.name, 'backward', dy, dx, accumulate));
}

/** An image's elements in the order C, H, W: `plain` has a row for each example. */
export function toPlain(c: Lowering, layer: string, pass: 'copy' | 'backward', image: View, plain: View): void {
  const pixels = image.rows / plain.rows;
  c.elementwise({
    ...{ layer, pass, output: plain, width: 1, inputs: { x: { view: image, ...flattened(pixels) } }, expression: 'x' },
  });
}

/** The other way; `changed`: with an expression of `x` in place of x. */
export function fromPlain(
  c: Lowering,
  layer: string,
  pass: 'copy' | 'backward',
  plain: View,
  image: View,
  accumulate: boolean,
  changed: Pick<ElementwiseOptions, 'expression' | 'uses'> = { expression: 'x' },
): void {
  const pixels = image.rows / plain.rows;
  const source = { view: plain, row: `row / ${pixels}u`, column: `column * ${pixels}u + row % ${pixels}u` };
  c.elementwise({ layer, pass, output: image, width: 1, inputs: { x: source }, accumulate, ...changed });
}
