/**
 * The shared layer test table: for every kind of layer small networks around it, with the shapes that engines get wrong (channels
 * that fill no block, odd sizes, uneven padding, tensors with several consumers). Gradient checks and engine comparisons run it.
 *
 * All numbers are functions of a case's name. Most cases put the layer between a 1x1 convolution, whose weight gradient depends on
 * the layer's input gradient, and a dense layer, which gives every output element a gradient of its own.
 *
 * A case whose shape is not its point has that of others: kernels of graphics cards have sizes in their text, and a software adapter takes long to translate them.
 */
import { activationTypes } from '../src/nn/activation.ts';
import { defineLayer } from '../src/nn/custom.ts';
import type { LayerKind } from '../src/nn/layer.ts';
import { NetworkBuilder, type Network, type Tensor } from '../src/nn/network.ts';
import type { ParameterSpec } from '../src/nn/parameter.ts';
import { sizeOf } from '../src/nn/shape.ts';
import { normal, streamKey, uniform } from '../src/util/random.ts';

export interface LayerCase {
  readonly name: string;
  readonly network: Network;
  readonly batchSize: number;
}

/** Of everything random in the table; dropout draws are (caseSeed, caseStep). */
export const caseSeed = 3;
export const caseStep = 11;

type Build = (b: NetworkBuilder, x: Tensor) => Tensor;

/** A network of exactly the layers that `build` adds to the input. */
function bare(name: string, inputShape: readonly number[], batchSize: number, build: Build): LayerCase {
  const b = new NetworkBuilder(name, inputShape);
  return { name, batchSize, network: b.build(build(b, b.input)) };
}

/** `[3, H, W]` -> convolution to `shape` -> the layers of `build` -> dense to 4. */
function between(name: string, shape: readonly [number, number, number], batchSize: number, build: Build): LayerCase {
  const [filters, height, width] = shape;
  return bare(name, [3, height, width], batchSize, (b, x) => {
    const stem = b.conv('stem', x, { kernel: 1, filters, bias: false });
    return b.dense('head', build(b, stem), { features: 4 });
  });
}

/** `[5]` -> dense to `features` -> the layers of `build` -> dense to 4. */
function betweenDense(name: string, features: number, batchSize: number, build: Build): LayerCase {
  return bare(name, [5], batchSize, (b, x) => {
    const stem = b.dense('stem', x, { features, bias: false });
    return b.dense('head', build(b, stem), { features: 4 });
  });
}

/** y = scale[c] * tanh(x)^power, with a scale for each channel. */
const scaledTanh = defineLayer({
  name: 'scaledTanh',
  parameters: ({ inputShapes: [shape] }) => [{ name: 'amplitude', shape: [shape![0]!, 1], initial: 1, decay: true }],
  operations: ({ inputShapes: [shape] }) => 3 * sizeOf(shape!),
  forward({ inputs: [x], parameters: { amplitude }, options: { power = 1 }, output: y, inputShapes: [shape] }) {
    const pixels = sizeOf(shape!.slice(1));
    for (let i = 0; i < y.length; i++)
      y[i] = amplitude![Math.floor(i / pixels) % shape![0]!]! * Math.tanh(x![i]!) ** Number(power);
  },
  backward({ inputs: [x], parameters: { amplitude }, options: { power = 1 }, inputShapes: [shape], ...gradients }) {
    const { outputGradient: dy, inputGradients, parameterGradients } = gradients;
    const [dx] = inputGradients;
    const p = Number(power);
    const pixels = sizeOf(shape!.slice(1));
    for (let i = 0; i < dy.length; i++) {
      const channel = Math.floor(i / pixels) % shape![0]!;
      const t = Math.tanh(x![i]!);
      // dy/dx = amplitude * power * t^(power - 1) * (1 - t^2); dy/damplitude = t^power
      dx![i] = dy[i]! * amplitude![channel]! * p * t ** (p - 1) * (1 - t * t);
      parameterGradients['amplitude']![channel]! += dy[i]! * t ** p;
    }
  },
});

/** y[n] = the mean of the first input minus twice that of the second, for each example: a vector of one feature. */
const averageDifference = defineLayer({
  name: 'averageDifference',
  outputShape: () => [1],
  forward({ batchSize, inputs, output: y }) {
    inputs.forEach((x, input) => {
      const length = x.length / batchSize;
      x.forEach((value, i) => (y[Math.floor(i / length)]! += ((input === 0 ? 1 : -2) * value) / length));
    });
  },
  backward({ batchSize, outputGradient: dy, inputGradients }) {
    inputGradients.forEach((dx, input) => {
      const length = dx.length / batchSize;
      for (let i = 0; i < dx.length; i++) dx[i] = ((input === 0 ? 1 : -2) * dy[Math.floor(i / length)]!) / length;
    });
  },
});

/** Every other column of an image. */
const everyOther = defineLayer({
  name: 'everyOther',
  outputShape: ({ inputShapes: [shape] }) => [shape![0]!, shape![1]!, shape![2]! / 2],
  forward({ inputs: [x], output: y }) {
    for (let i = 0; i < y.length; i++) y[i] = x![2 * i]!;
  },
  backward({ outputGradient: dy, inputGradients: [dx] }) {
    for (let i = 0; i < dy.length; i++) dx![2 * i] = dy[i]!;
  },
});

/** Three times as large, so that all pieces of a function are met: hard swish and ReLU6 change at 3 and 6. */
function spread(b: NetworkBuilder, x: Tensor): Tensor {
  return b.scale('spread', x, 3);
}

export const layerCases: Readonly<Record<LayerKind, readonly LayerCase[]>> = {
  conv: [
    bare('conv 3x3 straight on the input', [3, 5, 4], 2, (b, x) =>
      b.dense('head', b.conv('c', x, { kernel: 3, filters: 5 }), { features: 4 }),
    ),
    between('conv 1x1, 5 to 17 channels', [5, 5, 4], 3, (b, x) => b.conv('c', x, { kernel: 1, filters: 17 })),
    between('conv 5x5 with ReLU, 10 to 17 channels, odd size', [10, 7, 5], 2, (b, x) =>
      b.conv('c', x, { kernel: 5, filters: 17, activation: 'relu' }),
    ),
    between('conv 3x3, 16 to 32 channels', [16, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 32, activation: 'relu' }),
    ),
    between('conv 3x3, 32 to 32 channels, large enough for Winograd', [32, 16, 16], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 32, activation: 'relu' }),
    ),
    between('conv 3x3 stride 2 SAME, even size', [5, 8, 6], 2, (b, x) => b.conv('c', x, { kernel: 3, stride: 2, filters: 10 })),
    between('conv 3x3 stride 2 SAME, odd size', [5, 7, 5], 1, (b, x) => b.conv('c', x, { kernel: 3, stride: 2, filters: 8 })),
    between('conv 5x5 stride 2x1 SAME', [3, 7, 6], 2, (b, x) => b.conv('c', x, { kernel: 5, stride: [2, 1], filters: 5 })),
    between('conv 3x3 VALID', [10, 7, 5], 2, (b, x) => b.conv('c', x, { kernel: 3, padding: 'valid', filters: 3 })),
    between('conv 2x2 VALID, as a whitening layer', [3, 7, 6], 2, (b, x) =>
      b.conv('c', x, { kernel: 2, padding: 'valid', filters: 24 }),
    ),
    between('conv 3x3, padding 0, 1, 2, 0', [5, 8, 6], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, padding: [0, 1, 2, 0], filters: 5 }),
    ),
    between('conv 1x3 SAME', [5, 4, 5], 2, (b, x) => b.conv('c', x, { kernel: [1, 3], filters: 5 })),
    between('conv 4x4 SAME, uneven padding', [3, 5, 4], 2, (b, x) => b.conv('c', x, { kernel: 4, filters: 5 })),
    between('conv without bias', [5, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 10, bias: false, activation: 'relu' }),
    ),
    between('conv in 2 groups', [10, 5, 4], 2, (b, x) => b.conv('c', x, { kernel: 3, filters: 6, groups: 2 })),
    between('conv in 2 groups of 16', [32, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 32, groups: 2, activation: 'relu' }),
    ),
    between('conv depthwise', [10, 5, 4], 2, (b, x) => b.conv('c', x, { kernel: 3, filters: 10, groups: 10 })),
    between('conv depthwise, 2 filters a channel, stride 2', [17, 7, 5], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, stride: 2, filters: 34, groups: 17 }),
    ),
    between('conv depthwise, 32 channels', [32, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 32, groups: 32, bias: false }),
    ),
    between('conv depthwise 5x5, stride 2', [32, 8, 7], 3, (b, x) =>
      b.conv('c', x, { kernel: 5, stride: 2, filters: 32, groups: 32, activation: 'hardSwish' }),
    ),
    between('conv depthwise 5x5, 40 channels, larger than its image', [40, 3, 3], 2, (b, x) =>
      b.conv('c', x, { kernel: 5, filters: 40, groups: 40, bias: false }),
    ),
    between('conv depthwise 5x5 of one pixel', [16, 1, 1], 3, (b, x) => b.conv('c', x, { kernel: 5, filters: 16, groups: 16 })),
    between('conv depthwise 5x4, 10 channels', [10, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: [5, 4], filters: 10, groups: 10 }),
    ),
    between('conv depthwise 3x7 VALID', [16, 5, 8], 2, (b, x) =>
      b.conv('c', x, { kernel: [3, 7], padding: 'valid', filters: 16, groups: 16 }),
    ),
    between('conv depthwise 5x5, padding 0, 1, 4, 3', [16, 7, 5], 2, (b, x) =>
      b.conv('c', x, { kernel: 5, padding: [0, 1, 4, 3], filters: 16, groups: 16 }),
    ),
    bare('conv with frozen weights straight on the input', [3, 7, 6], 2, (b, x) =>
      b.dense('head', b.conv('c', x, { kernel: 2, padding: 'valid', filters: 24, frozen: true }), { features: 4 }),
    ),
    between('conv with frozen weights', [5, 5, 4], 2, (b, x) =>
      b.conv('c', x, { kernel: 3, filters: 10, frozen: true, activation: 'relu' }),
    ),
    between('conv whose output feeds two layers', [5, 5, 4], 2, (b, x) => {
      const c = b.conv('c', x, { kernel: 3, filters: 10, activation: 'relu' });
      return b.add(
        'sum',
        b.conv('left', c, { kernel: 3, filters: 10 }),
        b.conv('right', c, { kernel: 1, filters: 10, activation: 'relu' }),
      );
    }),
    bare('conv as the output, then flattened', [3, 5, 4], 2, (b, x) =>
      b.flatten('flat', b.conv('c', x, { kernel: 3, filters: 5 })),
    ),
  ],
  dense: [
    bare('dense on a vector', [7], 3, (b, x) => b.dense('d', x, { features: 5 })),
    bare('dense with ReLU, batch 1', [17], 1, (b, x) => b.dense('d', x, { features: 10, activation: 'relu' })),
    bare('dense on an image', [3, 7, 5], 2, (b, x) => b.dense('d', x, { features: 10 })),
    bare('dense without bias', [10], 2, (b, x) => b.dense('d', x, { features: 3, bias: false, activation: 'relu' })),
    between('dense on 10 channels of a convolution', [10, 5, 4], 2, (b, x) =>
      b.dense('d', x, { features: 10, activation: 'relu' }),
    ),
    between('dense on 16 channels of a pool', [16, 8, 5], 2, (b, x) =>
      b.dense('d', b.maxPool('p', x, { kernel: 3, stride: 2 }), { features: 16 }),
    ),
    betweenDense('dense whose output feeds two layers', 10, 3, (b, x) => {
      const d = b.dense('d', x, { features: 6, activation: 'relu' });
      return b.add('sum', b.dense('left', d, { features: 6, activation: 'relu' }), d);
    }),
  ],
  maxPool: [
    between('max pool 3x3 stride 2 SAME, even size', [5, 8, 6], 2, (b, x) => b.maxPool('p', x, { kernel: 3, stride: 2 })),
    between('max pool 3x3 stride 2 SAME, odd size', [17, 7, 5], 2, (b, x) => b.maxPool('p', x, { kernel: 3, stride: 2 })),
    between('max pool 2x2', [16, 6, 4], 1, (b, x) => b.maxPool('p', x, { kernel: 2 })),
    between('max pool 2x2 SAME, odd size', [10, 7, 5], 2, (b, x) => b.maxPool('p', x, { kernel: 2 })),
    between('max pool 3x2 VALID, stride 1x2', [3, 7, 6], 2, (b, x) =>
      b.maxPool('p', x, { kernel: [3, 2], stride: [1, 2], padding: 'valid' }),
    ),
    between('max pool 3x3 stride 1 SAME', [10, 5, 4], 2, (b, x) => b.maxPool('p', x, { kernel: 3, stride: 1 })),
    between('max pool 2x2 VALID, odd size', [16, 7, 5], 2, (b, x) => b.maxPool('p', x, { kernel: 2, padding: 'valid' })),
    between('max pool with padding 0, 1, 1, 0', [5, 6, 5], 2, (b, x) =>
      b.maxPool('p', x, { kernel: 3, stride: 2, padding: [0, 1, 1, 0] }),
    ),
    between('max pool of a ReLU', [10, 8, 6], 2, (b, x) =>
      b.maxPool('p', b.conv('c', x, { kernel: 3, filters: 10, activation: 'relu' }), { kernel: 3, stride: 2 }),
    ),
    bare('max pool straight on the input', [3, 9, 8], 2, (b, x) =>
      b.dense('head', b.maxPool('p', x, { kernel: 3, stride: 2 }), { features: 4 }),
    ),
  ],
  avgPool: [
    between('average pool 3x3 stride 2 SAME, even size', [5, 8, 6], 2, (b, x) => b.avgPool('p', x, { kernel: 3, stride: 2 })),
    between('average pool 3x3 stride 2 SAME, odd size', [17, 7, 5], 2, (b, x) => b.avgPool('p', x, { kernel: 3, stride: 2 })),
    between('average pool 2x2', [16, 6, 4], 1, (b, x) => b.avgPool('p', x, { kernel: 2 })),
    between('average pool 3x3 stride 1 VALID', [3, 7, 6], 2, (b, x) =>
      b.avgPool('p', x, { kernel: 3, stride: 1, padding: 'valid' }),
    ),
    between('average pool with padding 0, 1, 1, 0', [5, 6, 5], 2, (b, x) =>
      b.avgPool('p', x, { kernel: 3, stride: 2, padding: [0, 1, 1, 0] }),
    ),
  ],
  globalAvgPool: [
    between('global average pool, 10 channels', [10, 5, 4], 2, (b, x) => b.globalAvgPool('p', x)),
    between('global average pool, 16 channels, batch 1', [16, 6, 4], 1, (b, x) => b.globalAvgPool('p', x)),
    bare('global average pool as the output', [3, 6, 5], 3, (b, x) =>
      b.globalAvgPool('p', b.conv('c', x, { kernel: 1, filters: 10, activation: 'relu' })),
    ),
  ],
  lrn: [
    between('LRN window 9, as in tensorsandbox', [17, 5, 4], 2, (b, x) => b.lrn('n', x)),
    between('LRN window 9, strong', [20, 3, 6], 2, (b, x) => b.lrn('n', x, { alpha: 0.3, beta: 0.75 })),
    between('LRN window 11, strong', [32, 5, 4], 2, (b, x) => b.lrn('n', x, { depthRadius: 5, alpha: 0.2, beta: 0.5, bias: 2 })),
    between('LRN window 5, strong', [16, 6, 4], 1, (b, x) => b.lrn('n', x, { depthRadius: 2, alpha: 0.3 })),
    between('LRN whose window is wider than its 3 channels', [3, 5, 4], 2, (b, x) => b.lrn('n', x, { alpha: 0.3 })),
    between('LRN between a pool and a convolution', [10, 7, 5], 2, (b, x) =>
      b.conv('c', b.lrn('n', b.maxPool('p', x, { kernel: 3, stride: 2 }), { alpha: 0.3 }), {
        kernel: 3,
        filters: 5,
        activation: 'relu',
      }),
    ),
  ],
  batchNorm: [
    between('batch norm', [10, 5, 4], 3, (b, x) => b.batchNorm('n', x)),
    between('batch norm without scale', [17, 5, 4], 2, (b, x) => b.batchNorm('n', x, { scale: false })),
    between('batch norm without shift', [5, 4, 5], 2, (b, x) => b.batchNorm('n', x, { shift: false, momentum: 0.6 })),
    between('batch norm without either, large epsilon', [16, 4, 5], 2, (b, x) =>
      b.batchNorm('n', x, { scale: false, shift: false, epsilon: 0.1 }),
    ),
    between('batch norm without scale, tiny epsilon', [16, 5, 4], 2, (b, x) =>
      b.activation('g', b.batchNorm('n', x, { scale: false, epsilon: 1e-12, momentum: 0.6 }), 'gelu'),
    ),
    between('batch norm, batch 1', [16, 6, 4], 1, (b, x) => b.batchNorm('n', x)),
    between('batch norm with a ReLU behind it', [17, 5, 4], 2, (b, x) => b.activation('r', b.batchNorm('n', x), 'relu')),
    between('batch norm without scale, its ReLU read twice', [10, 5, 4], 2, (b, x) => {
      const r = b.activation('r', b.batchNorm('n', x, { scale: false }), 'relu');
      return b.add('a', b.conv('c', r, { kernel: 3, filters: 10 }), r);
    }),
    between('batch norm that a ReLU and another layer read', [16, 4, 5], 2, (b, x) => {
      const n = b.batchNorm('n', x);
      return b.add('a', b.activation('r', n, 'relu'), n);
    }),
    betweenDense('batch norm of a vector', 17, 5, (b, x) => b.batchNorm('n', x)),
    betweenDense('batch norm of a vector, without scale and shift', 16, 4, (b, x) =>
      b.batchNorm('n', x, { scale: false, shift: false, epsilon: 0.1 }),
    ),
    betweenDense('batch norm of a vector with a ReLU behind it', 40, 6, (b, x) => b.activation('r', b.batchNorm('n', x), 'relu')),
    between('batch norm of averages over the pixels', [10, 5, 3], 4, (b, x) =>
      b.activation('r', b.batchNorm('n', b.globalAvgPool('p', x)), 'relu'),
    ),
    between('batch norm between convolution, pool and ReLU', [10, 8, 6], 2, (b, x) => {
      const c = b.conv('c', x, { kernel: 3, filters: 16, bias: false });
      return b.conv('d', b.activation('r', b.batchNorm('n', b.maxPool('p', c, { kernel: 2 })), 'relu'), {
        kernel: 3,
        filters: 5,
      });
    }),
  ],
  activation: [
    between('ReLU of an image', [10, 5, 4], 2, (b, x) => b.activation('r', x, 'relu')),
    betweenDense('ReLU of a vector', 17, 5, (b, x) => b.activation('r', x, 'relu')),
    between('ReLU of a tensor that is also used without', [5, 4, 5], 2, (b, x) =>
      b.concat('both', b.activation('r', x, 'relu'), x),
    ),
    bare('ReLU straight on the input', [3, 5, 4], 2, (b, x) => b.dense('head', b.activation('r', x, 'relu'), { features: 4 })),
    ...activationTypes
      .filter((type) => type !== 'relu')
      .flatMap((type) => [
        between(`${type} of an image`, [10, 5, 4], 2, (b, x) => b.activation('a', spread(b, x), type)),
        between(`${type} of 16 channels, and the tensor without`, [16, 4, 5], 2, (b, x) => {
          const s = spread(b, x);
          return b.add('both', b.activation('a', s, type), s);
        }),
        betweenDense(`${type} of a vector`, 17, 5, (b, x) => b.activation('a', spread(b, x), type)),
      ]),
    between('leaky ReLU with another slope', [10, 4, 5], 2, (b, x) => b.activation('a', x, { type: 'leakyRelu', slope: 0.3 })),
    // Inside other layers: with what reads their output, since a ReLU's gradient is masked there.
    ...activationTypes.flatMap((type) => [
      between(`${type} in a convolution with a pool behind it`, [10, 8, 6], 2, (b, x) => {
        const c = b.conv('c', spread(b, x), { kernel: 3, filters: 10, activation: type });
        return b.maxPool('p', c, { kernel: 2 });
      }),
      between(`${type} in a convolution of concatenated tensors`, [16, 4, 3], 2, (b, x) => {
        const left = b.conv('left', x, { kernel: 1, filters: 16, activation: type });
        return b.conv('c', b.concat('j', left, x), { kernel: 1, filters: 5, activation: type });
      }),
      between(`${type} in a depthwise convolution behind a normalization`, [16, 5, 4], 2, (b, x) => {
        const n = b.activation('a', b.batchNorm('n', x), type);
        return b.conv('c', n, { kernel: 3, filters: 16, groups: 16, activation: type });
      }),
      // A product of the same sizes as that of the concatenated tensors.
      betweenDense(`${type} in a dense layer`, 32, 24, (b, x) => b.dense('d', spread(b, x), { features: 5, activation: type })),
    ]),
  ],
  dropout: [
    between('dropout of an image', [10, 5, 4], 2, (b, x) => b.dropout('d', x, 0.5)),
    between('dropout of 16 channels at rate 0.2', [16, 4, 5], 3, (b, x) => b.dropout('d', x, 0.2)),
    between('dropout at rate 0', [5, 4, 5], 2, (b, x) => b.dropout('d', x, 0)),
    betweenDense('dropout of a vector', 17, 5, (b, x) => b.dropout('d', x, 0.3)),
    between('two dropouts of one tensor', [5, 4, 5], 2, (b, x) => b.add('sum', b.dropout('d1', x, 0.5), b.dropout('d2', x, 0.5))),
  ],
  concat: [
    between('concat of 16 and 32 channels', [16, 5, 4], 2, (b, x) =>
      b.concat(
        'j',
        b.conv('left', x, { kernel: 1, filters: 16, activation: 'relu' }),
        b.conv('right', x, { kernel: 3, filters: 32, activation: 'relu' }),
      ),
    ),
    between('concat of 5, 10 and 3 channels', [10, 5, 4], 2, (b, x) =>
      b.concat(
        'j',
        b.conv('left', x, { kernel: 3, filters: 5 }),
        x,
        b.conv('right', x, { kernel: 1, filters: 3, activation: 'relu' }),
      ),
    ),
    between('concat that feeds a convolution and a pool', [16, 4, 5], 2, (b, x) => {
      const j = b.concat(
        'j',
        b.conv('left', x, { kernel: 1, filters: 16, activation: 'relu' }),
        b.conv('right', x, { kernel: 3, filters: 16 }),
      );
      const c = b.conv('c', j, { kernel: 3, stride: 2, filters: 32 });
      return b.concat('k', b.maxPool('p', j, { kernel: 3, stride: 2 }), c);
    }),
    between('concat of a tensor with itself', [5, 4, 5], 2, (b, x) => b.concat('j', x, x)),
    between('concat of a part that is also used alone', [16, 4, 5], 2, (b, x) => {
      const left = b.conv('left', x, { kernel: 1, filters: 16, activation: 'relu' });
      const j = b.concat('j', left, b.conv('right', x, { kernel: 3, filters: 16 }));
      return b.concat('k', b.conv('c', j, { kernel: 1, filters: 16 }), left);
    }),
    between('concat that a 1x1 convolution alone reads', [10, 5, 4], 2, (b, x) => {
      const left = b.conv('left', x, { kernel: 1, filters: 5, activation: 'relu' });
      return b.conv('c', b.concat('j', left, b.conv('right', x, { kernel: 3, filters: 10 })), {
        kernel: 1,
        filters: 6,
        activation: 'relu',
      });
    }),
    between('concat that pools and 1x1 convolutions read', [16, 7, 5], 2, (b, x) => {
      const left = b.conv('left', x, { kernel: 1, filters: 16, activation: 'relu' });
      const j = b.concat('j', x, left, b.conv('right', x, { kernel: 3, filters: 16, activation: 'relu' }));
      const c = b.conv('c', b.maxPool('p', j, { kernel: 2, stride: 2 }), { kernel: 1, filters: 4, bias: false });
      const d = b.conv('d', j, { kernel: 1, filters: 6, activation: 'relu' });
      return b.concat('k', c, b.maxPool('q', d, { kernel: 2, stride: 2 }));
    }),
    between('concat of a tensor with itself, pooled', [10, 8, 6], 2, (b, x) =>
      b.conv('c', b.maxPool('p', b.concat('j', x, x), { kernel: 2, stride: 2 }), { kernel: 1, filters: 5 }),
    ),
    bare('concat with the input', [3, 5, 4], 2, (b, x) =>
      b.dense('head', b.concat('j', x, b.conv('c', x, { kernel: 3, filters: 5 })), { features: 4 }),
    ),
  ],
  add: [
    between('add of a bypass', [10, 5, 4], 2, (b, x) =>
      b.add('s', x, b.conv('c', x, { kernel: 3, filters: 10, activation: 'relu' })),
    ),
    between('add of three', [16, 5, 4], 2, (b, x) =>
      b.add(
        's',
        x,
        b.conv('left', x, { kernel: 1, filters: 16 }),
        b.conv('right', x, { kernel: 3, filters: 16, activation: 'relu' }),
      ),
    ),
    between('add of a tensor to itself', [5, 4, 5], 2, (b, x) => b.add('s', x, x)),
    betweenDense('add of vectors', 10, 3, (b, x) => b.add('s', x, b.dense('d', x, { features: 10, activation: 'relu' }))),
    bare('add of the input', [3, 5, 4], 2, (b, x) =>
      b.dense('head', b.add('s', x, b.conv('c', x, { kernel: 3, filters: 3 })), { features: 4 }),
    ),
    between('add of averages over the pixels and a dense layer', [10, 4, 5], 3, (b, x) => {
      const p = b.globalAvgPool('p', x);
      return b.add('s', b.dense('d', p, { features: 10, activation: 'relu' }), p);
    }),
    between('add of sums that share their parts', [10, 5, 4], 2, (b, x) => {
      const c = b.conv('c', x, { kernel: 3, filters: 10, activation: 'relu' });
      const s = b.add('s', x, c);
      return b.add('t', s, b.activation('r', s, 'relu'), c);
    }),
  ],
  multiply: [
    between('product of two images', [10, 5, 4], 2, (b, x) => b.multiply('m', x, b.conv('c', x, { kernel: 3, filters: 10 }))),
    between('product of a tensor with itself', [17, 4, 5], 2, (b, x) => b.multiply('m', x, x)),
    between('product of 16 channels, which are also used alone', [16, 5, 4], 2, (b, x) => {
      const c = b.conv('c', x, { kernel: 1, filters: 16, activation: 'sigmoid' });
      return b.add('a', b.multiply('m', x, c), c);
    }),
    betweenDense('product of vectors', 17, 5, (b, x) => b.multiply('m', b.dense('d', x, { features: 17 }), x)),
    between('product of averages over the pixels and a dense layer', [10, 4, 5], 3, (b, x) => {
      const p = b.globalAvgPool('p', x);
      const d = b.dense('d', p, { features: 10, activation: 'relu' });
      return b.multiply('m', b.multiply('l', d, p), d);
    }),
    bare('product of the input and a factor for each of its channels', [3, 5, 4], 2, (b, x) =>
      b.dense('head', b.multiply('m', x, b.dense('d', x, { features: 3 })), { features: 4 }),
    ),
    ...(
      [
        [10, 'relu', 'hardSigmoid'],
        [16, 'silu', 'sigmoid'],
        [40, 'relu', 'hardSigmoid'],
      ] as const
    ).flatMap(([channels, squeeze, excite]) => [
      between(`squeeze and excitation of ${channels} channels with dense layers`, [channels, 5, 4], 3, (b, x) => {
        const squeezed = b.dense('d', b.globalAvgPool('p', x), { features: 6, activation: squeeze });
        return b.multiply('m', x, b.dense('g', squeezed, { features: channels, activation: excite }));
      }),
      between(`squeeze and excitation of ${channels} channels with convolutions`, [channels, 5, 4], 3, (b, x) => {
        const squeezed = b.conv('c', b.avgPool('p', x, { kernel: [5, 4] }), { kernel: 1, filters: 6, activation: squeeze });
        return b.multiply('m', x, b.conv('g', squeezed, { kernel: 1, filters: channels, activation: excite }));
      }),
    ]),
    between('product with averages over the pixels', [16, 4, 5], 2, (b, x) => b.multiply('m', x, b.globalAvgPool('p', x))),
    between('product with a factor that is used twice', [10, 5, 4], 2, (b, x) => {
      const g = b.dense('g', b.globalAvgPool('p', x), { features: 10, activation: 'sigmoid' });
      const c = b.conv('c', b.multiply('m', x, g), { kernel: 3, filters: 10 });
      return b.multiply('n', c, g);
    }),
    between('product of one pixel and its factors', [10, 1, 1], 2, (b, x) =>
      b.multiply('m', x, b.conv('g', x, { kernel: 1, filters: 10, activation: 'sigmoid' })),
    ),
  ],
  scale: [
    between('scale of an image', [10, 5, 4], 2, (b, x) => b.scale('s', x, -2.5)),
    bare('scale of the logits', [7], 3, (b, x) => b.scale('s', b.dense('d', x, { features: 5 }), 1 / 9)),
    between('scale of a tensor that is also used without', [5, 4, 5], 2, (b, x) => b.add('both', b.scale('s', x, 3), x)),
  ],
  custom: [
    between('custom layer with a parameter for each channel', [10, 5, 4], 3, (b, x) => b.custom('g', x, scaledTanh)),
    between('custom layer of 16 channels, and the tensor without', [16, 4, 4], 2, (b, x) =>
      b.add('both', b.custom('g', x, scaledTanh), x),
    ),
    betweenDense('custom layer of a vector', 17, 3, (b, x) => b.custom('g', x, scaledTanh, { power: 2 })),
    bare('custom layer straight on the input', [3, 5, 4], 2, (b, x) =>
      b.dense('head', b.custom('g', x, scaledTanh), { features: 4 }),
    ),
    bare('custom layer as the output', [7], 2, (b, x) => b.custom('g', b.dense('d', x, { features: 5 }), scaledTanh)),
    between('custom layer of two tensors, the second an average over the pixels', [10, 4, 4], 2, (b, x) =>
      b.custom('g', [x, b.globalAvgPool('p', x)], averageDifference),
    ),
    between('custom layer of one tensor twice', [5, 4, 3], 2, (b, x) => b.custom('g', [x, x], averageDifference)),
    between('custom layer that changes the shape', [16, 4, 6], 2, (b, x) =>
      b.conv('c', b.custom('g', x, everyOther), { kernel: 3, filters: 5 }),
    ),
    between('custom layer between a convolution with ReLU and a pool', [10, 6, 6], 2, (b, x) =>
      b.maxPool('p', b.custom('g', b.conv('c', x, { kernel: 3, filters: 10, activation: 'relu' }), scaledTanh), { kernel: 2 }),
    ),
  ],
  flatten: [
    between('flatten of a pool, 10 channels', [10, 7, 5], 2, (b, x) =>
      b.flatten('f', b.maxPool('p', x, { kernel: 3, stride: 2 })),
    ),
    between('flatten of 16 channels, then two dense layers', [16, 4, 5], 2, (b, x) =>
      b.dense('d', b.flatten('f', x), { features: 10, activation: 'relu' }),
    ),
    bare('flatten of the input', [3, 5, 4], 2, (b, x) => b.dense('d', b.flatten('f', x), { features: 4 })),
    between('flatten of a vector', [5, 4, 5], 2, (b, x) => b.flatten('g', b.flatten('f', x))),
    between('flatten, then elements one by one', [5, 4, 5], 2, (b, x) =>
      b.scale('s', b.activation('r', b.flatten('f', x), 'relu'), 2),
    ),
  ],
};

/** `[kind, case name, case]` for `test.each`. */
export const allLayerCases: readonly (readonly [LayerKind, string, LayerCase])[] = Object.entries(layerCases).flatMap(
  ([kind, cases]) => cases.map((layerCase) => [kind as LayerKind, layerCase.name, layerCase] as const),
);

/**
 * A first convolution with its pool, not in the table for its size: the tensor between them takes 147,456 bytes an image in float32, which of 64 images
 * (in bf16 of 128) is more than two threads take at once. The kernel is small, for the reference engine's sake.
 */
export function caseByParts(batchSize: number): LayerCase {
  return bare('by parts', [3, 32, 24], batchSize, (b, x) => {
    const pooled = b.maxPool('p', b.conv('c', x, { kernel: [1, 3], filters: 48, activation: 'relu' }), { kernel: 3, stride: 2 });
    return b.globalAvgPool('mean', pooled);
  });
}

/** The batch `[N, C, H, W]` of a case: standard normal. */
export function caseInput({ name, network, batchSize }: LayerCase): Float32Array {
  return normals(batchSize * sizeOf(network.inputShape), `input:${name}`);
}

/** d loss / d output of a case, `[N, classes]`: standard normal. The loss is the sum of its products with the output. */
export function caseOutputGradient({ name, network, batchSize }: LayerCase): Float32Array {
  return normals(batchSize * sizeOf(network.outputShape), `output gradient:${name}`);
}

/** Values for all parameters of a network by name, none of them at a special value (biases are not zero, scales not one). */
export function caseParameters(network: Network): ReadonlyMap<string, Float32Array> {
  return new Map(network.parameters.map((spec) => [spec.name, parameterValues(spec, `${network.name}:${spec.name}`)]));
}

function parameterValues(spec: ParameterSpec, purpose: string): Float32Array {
  const length = sizeOf(spec.shape);
  switch (spec.role) {
    case 'weight':
      return normals(length, purpose).map((value) => value / Math.sqrt(spec.fanIn));
    case 'bias':
    case 'shift':
    case 'mean':
      return normals(length, purpose).map((value) => 0.3 * value);
    case 'scale':
    case 'variance':
      return Float32Array.from({ length }, (_, i) => 0.5 + uniform(streamKey(caseSeed, purpose), i));
    default:
      return spec.role satisfies never;
  }
}

function normals(length: number, purpose: string): Float32Array {
  const key = streamKey(caseSeed, purpose);
  return Float32Array.from({ length }, (_, i) => normal(key, i));
}

const tiny = 1e-8;

/**
 * max |actual - expected| / max |expected| over a tensor; infinite for another length and for anything that is not a number.
 *
 * @param least tensors of smaller numbers are compared by their absolute error, in units of this
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, least = tiny): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let largest = Math.max(least, tiny);
  for (let i = 0; i < expected.length; i++) {
    if (Number.isNaN(actual[i]! - expected[i]!)) return Infinity;
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference / largest;
}
