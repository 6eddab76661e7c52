/** Convolutions and dense layers as tiled products, forward and backward. */
import type { Activation } from '../../../nn/activation.ts';
import type { Layer, LayerOf } from '../../../nn/layer.ts';
import type { ArenaEntry } from '../../engine.ts';
import { activateText, derivativeText, followsFromOutput } from '../kernels/activation.ts';
import {
  partsLength,
  productText,
  productWorkgroups,
  sumText,
  sumThreads,
  type Operand,
  type ProductOptions,
} from '../kernels/product.ts';
import { workgroupsFor } from '../kernels/shader.ts';
import { use, type Backward, type Lowering } from '../lowering.ts';
import type { Pass, Use } from '../program.ts';
import { isContiguous, typeOf, viewOf, widthOf, type View, type Width } from '../tensor.ts';
import { chooseSplits, chooseTile, type Tile } from '../tuning.ts';
import { lowerDepthwise } from './depthwise.ts';
import { inputPixelText, outputPixelText, type Geometry } from './geometry.ts';
import { sumRows } from './sum-rows.ts';

/** A layer with weights, whatever it is called. */
interface Weighted {
  readonly layer: Layer;
  readonly geometry: Geometry;
  readonly activation: Activation | null;
  readonly weight: ArenaEntry;
  readonly bias: ArenaEntry | undefined;
  readonly x: View;
  readonly y: View;
  /** What the activation's derivative is made of; undefined without one, and in inference. */
  readonly kept: View | undefined;
}

export function lowerConv(c: Lowering, layer: LayerOf<'conv'>): Backward {
  const { kernel, stride, padding, input, output, filters, groups, activation } = layer.attributes;
  const channels = layer.inputShapes[0]![0]!;
  const [top, left] = padding;
  const geometry: Geometry = {
    ...{ kernel, stride, padding: [top, left], input, output, groups },
    ...{ channels: channels / groups, filters: filters / groups },
  };
  if (groups === channels && groups > 1) return lowerDepthwise(c, layer, geometry);
  return lowerWeighted(c, layer, geometry, activation, c.input(layer));
}

export function lowerDense(c: Lowering, layer: LayerOf<'dense'>): Backward {
  const { features, activation } = layer.attributes;
  const x = c.input(layer);
  const [, height = 1, width = 1] = layer.inputShapes[0]!;
  const rows = c.batchSize;
  const whole = { groups: 1, stride: [1, 1], padding: [0, 0], output: [1, 1] } as const;
  if (isContiguous(x)) {
    // All of an example's elements are one row; the weights are in the arena in the same order.
    const channels = (x.rows * x.channels) / rows;
    const one = { kernel: [1, 1], input: [1, 1], channels, filters: features } as const;
    return lowerWeighted(c, layer, { ...whole, ...one }, activation, { ...x, stride: channels, channels, rows });
  }
  const size = [height, width] as const;
  const geometry = { ...whole, kernel: size, input: size, channels: x.channels, filters: features };
  return lowerWeighted(c, layer, geometry, activation, x);
}

function lowerWeighted(c: Lowering, layer: Layer, geometry: Geometry, activation: Activation | null, x: View): Backward {
  const y = c.output(layer);
  const keepsInput = c.training && activation !== null && !followsFromOutput(activation) && c.needsGradient(layer.name);
  const z = keepsInput
    ? viewOf(c.storage(`${layer.name} before its activation`, layer), layer.outputShape, c.batchSize)
    : undefined;
  const weight = c.parameter(layer, 'weight')!;
  const bias = c.parameter(layer, 'bias');
  const kept = activation === null ? undefined : (z ?? y);
  const weighted: Weighted = { layer, geometry, activation, weight, bias, x, y, kept };
  forward(c, weighted, z);
  return (dy) => {
    if (c.trainable(layer, 'weight') !== undefined) backwardWeights(c, weighted, dy);
    else if (c.trainable(layer, 'bias') !== undefined) biasGradient(c, weighted, dy);
    c.contribute(layer, 0, (dx, accumulate) => {
      // A dense layer sees an image as one row: so does its gradient.
      const { channels, rows } = x;
      const seen = dx.channels === channels ? dx : { ...dx, stride: channels, channels, rows };
      backwardData(c, weighted, dy, seen, accumulate);
    });
  };
}

/** Adds a product to the program, and the sum of its parts where it is split. */
function addProduct(
  c: Lowering,
  layer: string,
  pass: Pass,
  options: Omit<ProductOptions, 'tile' | 'splits' | 'buffers'> & { readonly uses: readonly Use[] },
): void {
  const tile = chooseTile(c.tuning, options);
  const splits = chooseSplits(c.tuning, tile, options);
  const sized = { ...options, tile, splits, buffers: options.uses };
  const { rows, columns, depth, groups } = options;
  const kernel = { layer, pass, implementation: describeProduct(tile, splits), operations: 2 * rows * columns * depth * groups };
  if (splits === 1) {
    c.builder.add({ ...kernel, code: productText(sized), uses: options.uses, workgroups: productWorkgroups(sized) });
    return;
  }
  const parts = c.builder.storage(`parts of ${layer}`, partsLength(sized));
  const writing = [...options.uses, { name: 'parts', type: 'f32', storage: parts, written: true } as const];
  const split = { ...sized, buffers: writing };
  c.builder.add({ ...kernel, code: productText(split), uses: writing, workgroups: productWorkgroups(split) });
  const reading = [...options.uses, { name: 'parts', type: 'f32', storage: parts } as const];
  const { workgroupSize } = c.tuning;
  c.builder.add({
    ...{ layer, pass, uses: reading, implementation: 'sum of parts' },
    code: sumText({ ...sized, buffers: reading }, workgroupSize),
    workgroups: workgroupsFor(sumThreads(sized), workgroupSize),
  });
}

function describeProduct({ rows, columns, depth, threadRows, threadColumns }: Tile, splits: number): string {
  return `product ${rows}x${columns}x${depth} by ${threadRows}x${threadColumns}${splits === 1 ? '' : `, ${splits} parts`}`;
}

/** Four channels of a group at once, if the tensor allows it. */
function groupWidth(channels: number, ...views: readonly View[]): Width {
  return channels % 4 === 0 && widthOf(...views) === 4 ? 4 : 1;
}

/** Text of the index of a channel of the current group: `column` is a channel, of four the first. */
function groupIndex(view: View, channels: number, row: string, column: string, width: Width): string {
  const start = view.offset === 0 ? '' : ` + ${view.offset / width}u`;
  const step = width === 1 ? column : `${column} / 4u`;
  return `(${row}) * ${view.stride / width}u${start} + group * ${channels / width}u + ${step}`;
}

/** y = f(z), z[n,oy,ox,f] = bias[f] + sum over r, s, c of w[r,s,c,f] * x[n, oy*stride - top + r, ox*stride - left + s, c] */
function forward(c: Lowering, { layer, geometry, activation, weight, bias, x, y }: Weighted, z: View | undefined): void {
  const { kernel, channels, filters, groups } = geometry;
  const xWidth = groupWidth(channels, x);
  const wWidth: Width = filters % 4 === 0 ? 4 : 1;
  const yWidth = groupWidth(filters, y, ...(z === undefined ? [] : [z]));
  const pixel = inputPixelText(geometry, 'outer', 'tap');
  const index = (view: View) => groupIndex(view, filters, 'row', 'column', yWidth);
  const biasIndex = `(group * ${filters}u + column) / ${yWidth}u`;
  addProduct(c, layer.name, 'forward', {
    ...{ rows: y.rows, columns: filters, depth: kernel[0] * kernel[1] * channels, groups },
    uses: [
      use('xs', x, xWidth),
      c.weightUse('weights', weight, wWidth),
      ...(bias === undefined ? [] : [c.parameterUse('biases', bias, yWidth)]),
      use('ys', y, yWidth, true),
      ...(z === undefined ? [] : [use('zs', z, yWidth, true)]),
    ],
    declarations: activateText(activation, typeOf(yWidth)),
    a: {
      along: 'depth',
      width: xWidth,
      ...pixel,
      prepare: `  let channel = depth % ${channels}u;\n  let tap = depth / ${channels}u;\n${pixel.prepare}`,
      value: `xs[${groupIndex(x, channels, 'at', 'channel', xWidth)}]`,
    },
    b: {
      along: 'outer',
      width: wWidth,
      value: `weights[(depth * ${filters * groups}u + group * ${filters}u + outer) / ${wWidth}u]`,
    },
    store: {
      width: yWidth,
      code: `  let z = value${bias === undefined ? '' : ` + biases[${biasIndex}]`};
${z === undefined ? '' : `  zs[${index(z)}] = z;`}
  ys[${index(y)}] = activate(z);`,
    },
  });
}

/** dz = dy * f'(z), as a function of an output pixel and the group's filter (of four the first). */
function outputGradientText({ activation, geometry, kept }: Weighted, dy: View, width: Width): string {
  const { filters } = geometry;
  const gradient = `dys[${groupIndex(dy, filters, 'pixel', 'unit', width)}]`;
  const type = typeOf(width);
  if (activation === null || kept === undefined) return `fn dz(pixel: u32, unit: u32) -> ${type} { return ${gradient}; }`;
  const keptIndex = groupIndex(kept, filters, 'pixel', 'unit', width);
  return `${derivativeText(activation, type)}
fn dz(pixel: u32, unit: u32) -> ${type} { return ${gradient} * derivative(kept[${keptIndex}]); }`;
}

function outputGradientUses({ activation, kept }: Weighted, dy: View, width: Width): readonly Use[] {
  return [use('dys', dy, width), ...(activation === null || kept === undefined ? [] : [use('kept', kept, width)])];
}

function outputGradientWidth({ geometry, kept }: Weighted, dy: View): Width {
  return groupWidth(geometry.filters, dy, ...(kept === undefined ? [] : [kept]));
}

/** dx = sum over r, s, f of dz * w, at the output pixels that see the input pixel under tap r, s */
function backwardData(c: Lowering, weighted: Weighted, dy: View, dx: View, accumulate: boolean): void {
  const { layer, geometry, weight } = weighted;
  const { kernel, channels, filters, groups } = geometry;
  const zWidth = outputGradientWidth(weighted, dy);
  const wWidth: Width = filters % 4 === 0 ? 4 : 1;
  const xWidth = groupWidth(channels, dx);
  const pixel = outputPixelText(geometry, 'outer', 'tap');
  const split = `  let unit = depth % ${filters}u;\n  let tap = depth / ${filters}u;`;
  const a: Operand = {
    ...{ along: 'depth', width: zWidth, value: 'dz(at, unit)' },
    ...pixel,
    prepare: `${split}\n${pixel.prepare}`,
  };
  addProduct(c, layer.name, 'backwardData', {
    ...{ rows: dx.rows, columns: channels, depth: kernel[0] * kernel[1] * filters, groups, a },
    uses: [...outputGradientUses(weighted, dy, zWidth), c.weightUse('weights', weight, wWidth), use('dxs', dx, xWidth, true)],
    declarations: outputGradientText(weighted, dy, zWidth),
    b: {
      along: 'depth',
      width: wWidth,
      prepare: split,
      value: `weights[((tap * ${channels}u + outer) * ${filters * groups}u + group * ${filters}u + unit) / ${wWidth}u]`,
    },
    store: {
      width: xWidth,
      code: `  dxs[${groupIndex(dx, channels, 'row', 'column', xWidth)}] ${accumulate ? '+=' : '='} value;`,
    },
  });
}

/** dw[r,s,c,f] = sum over n, oy, ox of dz * x; dbias[f] = sum over n, oy, ox of dz */
function backwardWeights(c: Lowering, weighted: Weighted, dy: View): void {
  const { layer, geometry, weight, x, y } = weighted;
  const { kernel, channels, filters, groups } = geometry;
  const xWidth = groupWidth(channels, x);
  const zWidth = outputGradientWidth(weighted, dy);
  const gradientWidth: Width = filters % 4 === 0 ? 4 : 1;
  const bias = c.trainable(layer, 'bias');
  // Beside the bias's they are written one by one: both are parts of one array, which may be bound once.
  const boundWidth: Width = bias === undefined ? gradientWidth : 1;
  const pixel = inputPixelText(geometry, 'depth', 'tap');
  addProduct(c, layer.name, 'backwardWeights', {
    ...{ rows: kernel[0] * kernel[1] * channels, columns: filters, depth: y.rows, groups },
    uses: [
      ...outputGradientUses(weighted, dy, zWidth),
      use('xs', x, xWidth),
      c.gradientUse('gradients', weight, boundWidth),
      ...(bias === undefined ? [] : [c.gradientUse('biasGradients', bias)]),
    ],
    declarations: outputGradientText(weighted, dy, zWidth),
    a: {
      along: 'outer',
      width: xWidth,
      ...pixel,
      prepare: `  let channel = outer % ${channels}u;\n  let tap = outer / ${channels}u;\n${pixel.prepare}`,
      value: `xs[${groupIndex(x, channels, 'at', 'channel', xWidth)}]`,
    },
    b: { along: 'outer', width: zWidth, value: 'dz(depth, outer)' },
    store: {
      width: gradientWidth,
      code: `  let at = (row * ${filters * groups}u + group * ${filters}u + column) / ${boundWidth}u;
${
  boundWidth === gradientWidth
    ? '  gradients[at] = value;'
    : [0, 1, 2, 3].map((j) => `  gradients[at + ${j}u] = value[${j}];`).join('\n')
}`,
    },
    ...(bias !== undefined && { columnSums: `  biasGradients[group * ${filters}u + column] = value;` }),
  });
}

/** dbias[f] = sum over n, oy, ox of dz, where the weights are frozen. */
function biasGradient(c: Lowering, weighted: Weighted, dy: View): void {
  const { layer, geometry, activation, kept } = weighted;
  const { filters, groups } = geometry;
  sumRows(c, {
    ...{ layer: layer.name, pass: 'backwardWeights', rows: dy.rows, channels: filters * groups },
    inputs: { dy, ...(activation !== null && kept !== undefined && { kept }) },
    declarations: activation === null || kept === undefined ? '' : derivativeText(activation, 'f32'),
    terms: [activation === null || kept === undefined ? 'dy' : 'dy * derivative(kept)'],
    finish: { uses: [c.gradientUse('gradients', c.trainable(layer, 'bias')!)], code: '  gradients[channel] = sum0;' },
  });
}
