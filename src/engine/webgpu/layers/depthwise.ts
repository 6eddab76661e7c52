/** Convolutions in which each filter sees one channel: no products of matrices, but a window for each element. */
import type { LayerOf } from '../../../nn/layer.ts';
import { activateText, derivativeText, followsFromOutput } from '../kernels/activation.ts';
import { use, type Backward, type Lowering } from '../lowering.ts';
import { indexText, typeOf, viewOf, widthOf, type View, type Width } from '../tensor.ts';
import { outputPixelText, type Geometry } from './geometry.ts';
import { chunksOf, sumRows } from './sum-rows.ts';

export function lowerDepthwise(c: Lowering, layer: LayerOf<'conv'>, geometry: Geometry): Backward {
  const { activation } = layer.attributes;
  const { kernel, stride, padding, input, output, filters: multiplier, groups: channels } = geometry;
  const filters = multiplier * channels;
  const taps = kernel[0] * kernel[1];
  const [x, y] = [c.input(layer), c.output(layer)];
  const { name } = layer;
  const keepsInput = c.training && activation !== null && !followsFromOutput(activation) && c.needsGradient(name);
  const z = keepsInput ? viewOf(c.storage(`${name} before its activation`, layer), layer.outputShape, c.batchSize) : undefined;
  const weight = c.parameter(layer, 'weight')!;
  const bias = c.parameter(layer, 'bias');
  const kept = activation === null ? undefined : (z ?? y);
  const four: Width = multiplier === 1 && channels % 4 === 0 ? 4 : 1;
  const widthFor = (...views: readonly View[]): Width => (four === 4 ? widthOf(...views) : 1);
  // In steps of the width: the channel of filter `column`.
  const channelOf = (column: string) => (multiplier === 1 ? column : `${column} / ${multiplier}u`);
  const weightIndex = (tap: string, column: string, width: Width) => `(${tap}) * ${filters / width}u + ${column}`;

  // y[n,oy,ox,f] = f(bias[f] + sum over r, s of w[r,s,f] * x[n, oy*stride - top + r, ox*stride - left + s, channel of f])
  const width = widthFor(x, y, ...(z === undefined ? [] : [z]));
  const across = filters / width;
  c.threads(
    name,
    'forward',
    y.rows * across,
    [
      use('xs', x, width),
      c.parameterUse('weights', weight, width),
      ...(bias === undefined ? [] : [c.parameterUse('biases', bias, width)]),
      use('ys', y, width, true),
      ...(z === undefined ? [] : [use('zs', z, width, true)]),
    ],
    `  let column = i % ${across}u;
  let row = i / ${across}u;
  let image = row / ${output[0] * output[1]}u;
  let top = i32(row / ${output[1]}u % ${output[0]}u * ${stride[0]}u) - ${padding[0]};
  let left = i32(row % ${output[1]}u * ${stride[1]}u) - ${padding[1]};
  var z = ${bias === undefined ? `${typeOf(width)}()` : 'biases[column]'};
  for (var r = 0; r < ${kernel[0]}; r++) {
    if (top + r < 0 || top + r >= ${input[0]}) { continue; }
    for (var s = 0; s < ${kernel[1]}; s++) {
      if (left + s < 0 || left + s >= ${input[1]}) { continue; }
      let at = (image * ${input[0]}u + u32(top + r)) * ${input[1]}u + u32(left + s);
      z += weights[${weightIndex(`u32(r * ${kernel[1]} + s)`, 'column', width)}] * xs[${indexText(x, 'at', channelOf('column'), width)}];
    }
  }
${z === undefined ? '' : `  zs[${indexText(z, 'row', 'column', width)}] = z;`}
  ys[${indexText(y, 'row', 'column', width)}] = activate(z);`,
    activateText(activation, typeOf(width)),
  );

  return (dy) => {
    const hasDerivative = activation !== null && kept !== undefined;
    const gradientViews = hasDerivative ? [dy, kept] : [dy];
    const gradientUses = (w: Width) => [use('dys', dy, w), ...(hasDerivative ? [use('kept', kept, w)] : [])];
    // dz = dy * f'(z)
    const gradientText = (w: Width): string => {
      const [at, type] = [(view: View) => indexText(view, 'pixel', 'column', w), typeOf(w)];
      if (!hasDerivative) return `fn dz(pixel: u32, column: u32) -> ${type} { return dys[${at(dy)}]; }`;
      return `${derivativeText(activation, type)}
fn dz(pixel: u32, column: u32) -> ${type} { return dys[${at(dy)}] * derivative(kept[${at(kept)}]); }`;
    };
    if (c.trainable(layer, 'weight') !== undefined) {
      // dw[r,s,f] = sum over n, oy, ox of dz * x: each thread takes some rows of a tap and filter
      const w = widthFor(x, ...gradientViews);
      const { chunks, chunkRows } = chunksOf(c, y.rows);
      const count = (taps * filters) / w;
      const parts = c.builder.storage(`parts of ${name}`, chunks * taps * filters);
      c.threads(
        name,
        'backwardWeights',
        chunks * count,
        [...gradientUses(w), use('xs', x, w), { name: 'parts', type: typeOf(w), storage: parts, written: true }],
        `  let column = i % ${filters / w}u;
  let tap = i / ${filters / w}u % ${taps}u;
  let chunk = i / ${count}u;
  let down = i32(tap / ${kernel[1]}u) - ${padding[0]};
  let right = i32(tap % ${kernel[1]}u) - ${padding[1]};
  var sum = ${typeOf(w)}();
  let last = min((chunk + 1u) * ${chunkRows}u, ${y.rows}u);
  for (var row = chunk * ${chunkRows}u; row < last; row++) {
    let top = i32(row / ${output[1]}u % ${output[0]}u * ${stride[0]}u) + down;
    let left = i32(row % ${output[1]}u * ${stride[1]}u) + right;
    if (top < 0 || top >= ${input[0]} || left < 0 || left >= ${input[1]}) { continue; }
    let at = (row / ${output[0] * output[1]}u * ${input[0]}u + u32(top)) * ${input[1]}u + u32(left);
    sum += dz(row, column) * xs[${indexText(x, 'at', channelOf('column'), w)}];
  }
  parts[i] = sum;`,
        gradientText(w),
      );
      const total = taps * filters;
      c.threads(
        name,
        'backwardWeights',
        total,
        [{ name: 'parts', type: 'f32', storage: parts }, c.gradientUse('gradients', weight)],
        `  var sum = 0.0;
  for (var chunk = 0u; chunk < ${chunks}u; chunk++) { sum += parts[chunk * ${total}u + i]; }
  gradients[i] = sum;`,
      );
    }
    const trainedBias = c.trainable(layer, 'bias');
    if (trainedBias !== undefined) {
      // dbias[f] = sum over n, oy, ox of dz
      sumRows(c, {
        ...{ layer: name, pass: 'backwardWeights', rows: y.rows, channels: filters },
        inputs: { dy, ...(hasDerivative && { kept }) },
        declarations: hasDerivative ? derivativeText(activation, 'f32') : '',
        terms: [hasDerivative ? 'dy * derivative(kept)' : 'dy'],
        finish: {
          uses: [c.gradientUse('gradients', trainedBias)],
          code: '  gradients[channel] = sum0;',
        },
      });
    }
    // dx[n,y,x,c] = sum over r, s and the channel's filters of dz * w
    c.contribute(layer, 0, (dx, accumulate) => {
      const w = widthFor(dx, ...gradientViews);
      const type = typeOf(w);
      const pixel = outputPixelText(geometry, 'pixel', 'tap');
      const tapsAcross = channels / w;
      c.threads(
        name,
        'backwardData',
        dx.rows * tapsAcross,
        [...gradientUses(w), c.parameterUse('weights', weight, w), use('dxs', dx, w, true)],
        `  let column = i % ${tapsAcross}u;
  let row = i / ${tapsAcross}u;
  var sum = ${type}();
  for (var tap = 0u; tap < ${taps}u; tap++) { sum += seen(row, tap, column); }
  dxs[${indexText(dx, 'row', 'column', w)}] ${accumulate ? '+=' : '='} sum;`,
        `${gradientText(w)}
fn seen(pixel: u32, tap: u32, channel: u32) -> ${type} {
${pixel.prepare}
${pixel.inside === undefined ? '' : `  if (!(${pixel.inside})) { return ${type}(); }`}
  var sum = ${type}();
  for (var j = 0u; j < ${multiplier}u; j++) {
    let unit = channel * ${multiplier}u + j;
    sum += dz(at, unit) * weights[${weightIndex('tap', 'unit', w)}];
  }
  return sum;
}`,
      );
    });
  };
}
