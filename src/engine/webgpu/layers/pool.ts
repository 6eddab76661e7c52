/** Pools: a thread for each output element (or four channels of it); backward one for each input element, which gathers from the windows that hold it. */
import type { LayerOf } from '../../../nn/layer.ts';
import type { Window2d } from '../../../nn/shape.ts';
import { use, type Backward, type Lowering } from '../lowering.ts';
import { indexText, typeOf, widthOf, type View, type Width } from '../tensor.ts';

/** Text of the loop over the taps of output pixel `row`, with `at`, the input pixel under tap `tap`, in `code`. */
function windowText({ kernel, stride, padding, input, output }: Window2d, code: string): string {
  return `  let image = row / ${output[0] * output[1]}u;
  let top = i32(row / ${output[1]}u % ${output[0]}u * ${stride[0]}u) - ${padding[0]};
  let left = i32(row % ${output[1]}u * ${stride[1]}u) - ${padding[1]};
  for (var r = 0; r < ${kernel[0]}; r++) {
    if (top + r < 0 || top + r >= ${input[0]}) { continue; }
    for (var s = 0; s < ${kernel[1]}; s++) {
      if (left + s < 0 || left + s >= ${input[1]}) { continue; }
      let at = (image * ${input[0]}u + u32(top + r)) * ${input[1]}u + u32(left + s);
      let tap = u32(r * ${kernel[1]} + s);
${code}
    }
  }`;
}

/** Text of the loop over the windows that hold input pixel `row`: `at` is their output pixel, `tap` where they hold it. */
function windowsText({ kernel, stride, padding, input, output }: Window2d, code: string): string {
  return `  let image = row / ${input[0] * input[1]}u;
  let bottom = i32(row / ${input[1]}u % ${input[0]}u) + ${padding[0]};
  let right = i32(row % ${input[1]}u) + ${padding[1]};
  for (var r = 0; r < ${kernel[0]}; r++) {
    let down = bottom - r;
    if (down < 0 || down % ${stride[0]} != 0 || down / ${stride[0]} >= ${output[0]}) { continue; }
    for (var s = 0; s < ${kernel[1]}; s++) {
      let across = right - s;
      if (across < 0 || across % ${stride[1]} != 0 || across / ${stride[1]} >= ${output[1]}) { continue; }
      let at = (image * ${output[0]}u + u32(down / ${stride[0]})) * ${output[1]}u + u32(across / ${stride[1]});
      let tap = u32(r * ${kernel[1]} + s);
${code}
    }
  }`;
}

function positionText(view: View, width: Width): string {
  return `  let column = i % ${view.channels / width}u;
  let row = i / ${view.channels / width}u;`;
}

const shifts = 'vec4u(0u, 8u, 16u, 24u)';

/** y[o] = max of x over the window of o; where it was found, the first among equals, is kept for dx[there] += dy[o]. */
export function lowerMaxPool(c: Lowering, layer: LayerOf<'maxPool'>): Backward {
  const window = layer.attributes;
  const [x, y] = [c.input(layer), c.output(layer)];
  const keeps = c.training && c.needsGradient(layer.inputs[0]!);
  // Four positions of a byte each are a word: windows of more than 256 pixels take a word for each.
  const packs = window.kernel[0] * window.kernel[1] <= 256 && y.channels % 4 === 0;
  const width = packs ? widthOf(x, y) : 1;
  const positions = c.builder.storage(`positions of ${layer.name}`, (y.rows * y.channels) / width);
  const type = typeOf(width);
  const places = width === 4 ? 'vec4u' : 'u32';
  c.threads(
    layer.name,
    'forward',
    (y.rows * y.channels) / width,
    [
      use('xs', x, width),
      use('ys', y, width, true),
      ...(keeps ? [{ name: 'positions', type: 'u32', storage: positions, written: true } as const] : []),
    ],
    `${positionText(y, width)}
  var most = ${type}();
  var found = ${places}();
  var none = true;
${windowText(
  window,
  `      let value = xs[${indexText(x, 'at', 'column', width)}];
      if (none) { most = value; found = ${places}(tap); }
      else { found = select(found, ${places}(tap), value > most); most = select(most, value, value > most); }
      none = false;`,
)}
  ys[${indexText(y, 'row', 'column', width)}] = most;
${keeps ? `  positions[i] = ${width === 4 ? 'found.x | (found.y << 8u) | (found.z << 16u) | (found.w << 24u)' : 'found'};` : ''}`,
  );
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      // The positions were written in steps of their width: four channels of a step are read one by one where the gradients do not allow more.
      const dWidth = width === 4 ? widthOf(dx, dy) : 1;
      const dType = typeOf(dWidth);
      const across = y.channels / width;
      const position =
        width === dWidth
          ? `positions[at * ${across}u + column]`
          : `((positions[at * ${across}u + column / 4u] >> (column % 4u * 8u)) & 255u)`;
      const isHere = dWidth === 4 ? `((vec4u(${position}) >> ${shifts}) & vec4u(255u)) == vec4u(tap)` : `${position} == tap`;
      c.threads(
        layer.name,
        'backward',
        (dx.rows * dx.channels) / dWidth,
        [use('dys', dy, dWidth), { name: 'positions', type: 'u32', storage: positions }, use('dxs', dx, dWidth, true)],
        `${positionText(dx, dWidth)}
  var sum = ${dType}();
${windowsText(window, `      sum += select(${dType}(), dys[${indexText(dy, 'at', 'column', dWidth)}], ${isHere});`)}
  dxs[${indexText(dx, 'row', 'column', dWidth)}] ${accumulate ? '+=' : '='} sum;`,
      );
    });
  };
}

/** Text of the number of pixels of the window of output pixel `row` that are inside the image. */
function insideText({ kernel, stride, padding, input, output }: Window2d): string {
  return `fn inside(row: u32) -> f32 {
  let top = i32(row / ${output[1]}u % ${output[0]}u * ${stride[0]}u) - ${padding[0]};
  let left = i32(row % ${output[1]}u * ${stride[1]}u) - ${padding[1]};
  let height = min(top + ${kernel[0]}, ${input[0]}) - max(top, 0);
  let width = min(left + ${kernel[1]}, ${input[1]}) - max(left, 0);
  return f32(height * width);
}`;
}

/** y[o] = sum of x over the window of o inside the image / number of those pixels; dx[i] = sum of dy[o] / that number over the windows that hold i */
export function lowerAvgPool(c: Lowering, layer: LayerOf<'avgPool'>): Backward {
  const window = layer.attributes;
  const [x, y] = [c.input(layer), c.output(layer)];
  const width = widthOf(x, y);
  c.threads(
    layer.name,
    'forward',
    (y.rows * y.channels) / width,
    [use('xs', x, width), use('ys', y, width, true)],
    `${positionText(y, width)}
  var sum = ${typeOf(width)}();
${windowText(window, `      sum += xs[${indexText(x, 'at', 'column', width)}];`)}
  ys[${indexText(y, 'row', 'column', width)}] = sum / inside(row);`,
    insideText(window),
  );
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      const dWidth = widthOf(dx, dy);
      c.threads(
        layer.name,
        'backward',
        (dx.rows * dx.channels) / dWidth,
        [use('dys', dy, dWidth), use('dxs', dx, dWidth, true)],
        `${positionText(dx, dWidth)}
  var sum = ${typeOf(dWidth)}();
${windowsText(window, `      sum += dys[${indexText(dy, 'at', 'column', dWidth)}] / inside(at);`)}
  dxs[${indexText(dx, 'row', 'column', dWidth)}] ${accumulate ? '+=' : '='} sum;`,
        insideText(window),
      );
    });
  };
}

/** y[n,c] = sum over the pixels of x[n,c] / (H * W); dx[n,c,h,w] = dy[n,c] / (H * W) */
export function lowerGlobalAvgPool(c: Lowering, layer: LayerOf<'globalAvgPool'>): Backward {
  const [x, y] = [c.input(layer), c.output(layer)];
  const pixels = x.rows / y.rows;
  const width = widthOf(x, y);
  c.threads(
    layer.name,
    'forward',
    (y.rows * y.channels) / width,
    [use('xs', x, width), use('ys', y, width, true)],
    `${positionText(y, width)}
  var sum = ${typeOf(width)}();
  for (var pixel = 0u; pixel < ${pixels}u; pixel++) { sum += xs[${indexText(x, `(row * ${pixels}u + pixel)`, 'column', width)}]; }
  ys[${indexText(y, 'row', 'column', width)}] = sum / ${pixels}.0;`,
  );
  return (dy) => {
    c.contribute(layer, 0, (dx, accumulate) => {
      c.elementwise({
        ...{ layer: layer.name, pass: 'backward', output: dx, accumulate },
        inputs: { dy: { view: dy, row: `row / ${pixels}u` } },
        expression: `dy / ${pixels}.0`,
      });
    });
  };
}
