/** Local response normalization, and batch normalization in ordered passes over parts of the batch. */
import type { LayerOf } from '../../../nn/layer.ts';
import { float } from '../kernels/shader.ts';
import { use, type Backward, type Lowering } from '../lowering.ts';
import type { Use } from '../program.ts';
import { indexText, viewOf, type View } from '../tensor.ts';
import { chunksOf, sumRows } from './sum-rows.ts';

/** y[c] = x[c] * s[c]^-beta with s[c] = bias + alpha * sum over |j - c| <= depthRadius of x[j]^2 */
export function lowerLrn(c: Lowering, layer: LayerOf<'lrn'>): Backward {
  const { depthRadius, bias, alpha, beta } = layer.attributes;
  const [x, y] = [c.input(layer), c.output(layer)];
  const { channels } = x;
  const keeps = c.training && c.needsGradient(layer.inputs[0]!);
  // Of squares, which float16 would not hold.
  const s = viewOf(c.builder.storage(`sums of ${layer.name}`, x.rows * channels), layer.outputShape, c.batchSize);
  const neighbours = (code: string) => `  let column = i % ${channels}u;
  let row = i / ${channels}u;
  var sum = 0.0;
  for (var j = max(i32(column) - ${depthRadius}, 0); j <= min(i32(column) + ${depthRadius}, ${channels - 1}); j++) {
    let other = u32(j);
${code}
  }`;
  const at = (view: View, column: string) => indexText(view, 'row', column, 1);
  c.threads(
    layer.name,
    'forward',
    x.rows * channels,
    [use('xs', x, 1), use('ys', y, 1, true), ...(keeps ? [use('sums', s, 1, true)] : [])],
    `${neighbours(`    let value = xs[${at(x, 'other')}];\n    sum += value * value;`)}
  let base = ${float(bias)} + ${float(alpha)} * sum;
${keeps ? '  sums[i] = base;' : ''}
  ys[${at(y, 'column')}] = xs[${at(x, 'column')}] * pow(base, ${float(-beta)});`,
  );
  // dx[c] = dy[c] * s[c]^-beta - 2 * alpha * beta * x[c] * sum over |j - c| <= depthRadius of dy[j] * x[j] * s[j]^(-beta-1)
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      c.threads(
        layer.name,
        'backward',
        x.rows * channels,
        [use('dys', dy, 1), use('xs', x, 1), use('sums', s, 1), use('dxs', dx, 1, true)],
        `${neighbours(
          `    sum += dys[${at(dy, 'other')}] * xs[${at(x, 'other')}] * pow(sums[${at(s, 'other')}], ${float(-beta - 1)});`,
        )}
  dxs[${at(dx, 'column')}] ${accumulate ? '+=' : '='} dys[${at(dy, 'column')}] * pow(sums[i], ${float(-beta)}) - ${float(2 * alpha * beta)} * xs[${at(x, 'column')}] * sum;`,
      );
    });
  };
}

/**
 * y = scale * (x - mean) / sqrt(variance + epsilon) + shift. In training the moments are the batch's: threads take those of some rows each, and one for each
 * channel puts them together (Chan, Golub and LeVeque, 1983), which loses nothing where the mean is far from zero.
 */
export function lowerBatchNorm(c: Lowering, layer: LayerOf<'batchNorm'>): Backward {
  const { epsilon, momentum } = layer.attributes;
  const [x, y] = [c.input(layer), c.output(layer)];
  const { name } = layer;
  const { channels, rows } = x;
  const [scale, shift] = [c.parameter(layer, 'scale'), c.parameter(layer, 'shift')];
  const [mean, variance] = [c.parameter(layer, 'mean')!, c.parameter(layer, 'variance')!];
  const scaleText = (channel: string) => (scale === undefined ? '1.0' : `scales[${channel}]`);
  const shiftText = (channel: string) => (shift === undefined ? '0.0' : `shifts[${channel}]`);
  const scaleUses = scale === undefined ? [] : [c.parameterUse('scales', scale)];
  const shiftUses = shift === undefined ? [] : [c.parameterUse('shifts', shift)];
  const statistics = [c.parameterUse('means', mean), c.parameterUse('variances', variance)];
  /** For four channels where the tensors are read so. */
  const each = (width: 1 | 4, text: (channel: string) => string) =>
    width === 1 ? text('column') : `vec4f(${[0, 1, 2, 3].map((j) => text(`(column * 4u + ${j}u)`)).join(', ')})`;

  if (!c.training) {
    c.elementwise({
      ...{ layer: name, pass: 'forward', inputs: { x }, output: y, uses: () => [...statistics, ...scaleUses, ...shiftUses] },
      expression: (width) =>
        `(x - ${each(width, (at) => `means[${at}]`)}) * (${each(width, scaleText)} * inverseSqrt(${each(width, (at) => `variances[${at}]`)} + ${float(epsilon)})) + ${each(width, shiftText)}`,
    });
    return () => undefined;
  }

  // Of each channel the mean, and 1 / sqrt(variance + epsilon).
  const moments = c.builder.storage(`moments of ${name}`, 2 * channels);
  const { chunks, chunkRows } = chunksOf(c, rows);
  const parts = c.builder.storage(`parts of ${name}`, 2 * chunks * channels);
  const at = indexText(x, 'row', 'channel', 1);
  c.threads(
    name,
    'forward',
    chunks * channels,
    [use('xs', x, 1), { name: 'parts', type: 'f32', storage: parts, written: true }],
    `  let channel = i % ${channels}u;
  let first = i / ${channels}u * ${chunkRows}u;
  let last = min(first + ${chunkRows}u, ${rows}u);
  var sum = 0.0;
  for (var row = first; row < last; row++) { sum += xs[${at}]; }
  let mean = sum / f32(last - first);
  var squares = 0.0;
  for (var row = first; row < last; row++) { let distance = xs[${at}] - mean; squares += distance * distance; }
  parts[2u * i] = mean;
  parts[2u * i + 1u] = squares;`,
  );
  c.threads(
    name,
    'forward',
    channels,
    [
      { name: 'parts', type: 'f32', storage: parts },
      { name: 'moments', type: 'f32', storage: moments, written: true },
      ...statistics.map((each) => ({ ...each, written: true })),
    ],
    `  var mean = 0.0;
  var squares = 0.0;
  var count = 0.0;
  for (var chunk = 0u; chunk < ${chunks}u; chunk++) {
    let own = f32(min((chunk + 1u) * ${chunkRows}u, ${rows}u) - chunk * ${chunkRows}u);
    let distance = parts[2u * (chunk * ${channels}u + i)] - mean;
    let total = count + own;
    mean += distance * (own / total);
    squares += parts[2u * (chunk * ${channels}u + i) + 1u] + distance * distance * (count * own / total);
    count = total;
  }
  let variance = squares / ${float(rows)};
  moments[2u * i] = mean;
  moments[2u * i + 1u] = 1.0 / sqrt(variance + ${float(epsilon)});
  means[i] = ${float(momentum)} * means[i] + ${float(1 - momentum)} * mean;
  variances[i] = ${float(momentum)} * variances[i] + ${float(1 - momentum)} * variance;`,
  );
  const momentsUse: Use = { name: 'moments', type: 'f32', storage: moments };
  c.elementwise({
    ...{ layer: name, pass: 'forward', inputs: { x }, output: y, uses: () => [momentsUse, ...scaleUses, ...shiftUses] },
    expression: (width) =>
      `(x - ${each(width, (at) => `moments[2u * ${at}]`)}) * (${each(width, scaleText)} * ${each(width, (at) => `moments[2u * ${at} + 1u]`)}) + ${each(width, shiftText)}`,
  });

  /*
   * With z = (x - mean) / sqrt(variance + epsilon) and means over batch and pixels (Ioffe and Szegedy, 2015, section 3):
   * dscale = sum of dy * z; dshift = sum of dy; dx = scale / sqrt(variance + epsilon) * (dy - mean(dy) - z * mean(dy * z))
   */
  return (dy) => {
    const sums = c.builder.storage(`gradient sums of ${name}`, 2 * channels);
    const [trainedScale, trainedShift] = [c.trainable(layer, 'scale'), c.trainable(layer, 'shift')];
    sumRows(c, {
      ...{ layer: name, pass: 'backward', rows, channels, inputs: { dy, x }, uses: [momentsUse] },
      prepare: '  let mean = moments[2u * channel];\n  let factor = moments[2u * channel + 1u];',
      terms: ['dy', 'dy * ((x - mean) * factor)'],
      finish: {
        uses: [
          { name: 'sums', type: 'f32', storage: sums, written: true },
          ...(trainedShift === undefined ? [] : [c.gradientUse('shiftGradients', trainedShift)]),
          ...(trainedScale === undefined ? [] : [c.gradientUse('scaleGradients', trainedScale)]),
        ],
        code: `  sums[2u * channel] = sum0 / ${float(rows)};
  sums[2u * channel + 1u] = sum1 / ${float(rows)};
${trainedShift === undefined ? '' : '  shiftGradients[channel] = sum0;'}
${trainedScale === undefined ? '' : '  scaleGradients[channel] = sum1;'}`,
      },
    });
    c.contribute(layer, 0, (dx, accumulate) => {
      const sumsUse: Use = { name: 'sums', type: 'f32', storage: sums };
      const moment = (width: 1 | 4, which: 0 | 1) => each(width, (column) => `moments[2u * ${column} + ${which}u]`);
      const mean_ = (width: 1 | 4, which: 0 | 1) => each(width, (column) => `sums[2u * ${column} + ${which}u]`);
      c.elementwise({
        ...{ layer: name, pass: 'backward', inputs: { dy, x }, output: dx, accumulate },
        uses: () => [momentsUse, sumsUse, ...scaleUses],
        expression: (width) =>
          `(${each(width, scaleText)} * ${moment(width, 1)}) * (dy - ${mean_(width, 0)} - (x - ${moment(width, 0)}) * ${moment(width, 1)} * ${mean_(width, 1)})`,
      });
    });
  };
}
