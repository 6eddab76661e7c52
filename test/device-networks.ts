/** Small networks of every kind of layer that devices can compute, with weights and images that are functions of their names. */
import type { ImageSet } from '../src/data/dataset.ts';
import { allocateImages } from '../src/data/new-image-set.ts';
import type { Standardization } from '../src/data/preprocessing.ts';
import type { TrainedClassifier } from '../src/deploy/mcu/build.ts';
import { foldBatchNorms } from '../src/deploy/onnx/fold.ts';
import { NetworkBuilder, type Network, type Tensor } from '../src/nn/network.ts';
import type { Weights } from '../src/deploy/onnx/rule.ts';
import type { ParameterSpec } from '../src/nn/parameter.ts';
import { sizeOf } from '../src/nn/shape.ts';
import { integer, normal, streamKey, uniform } from '../src/util/random.ts';

type Build = (b: NetworkBuilder, x: Tensor) => Tensor;

/** Byte x is (x - 128) / 64. */
const simple: Standardization = {
  type: 'channel',
  mean: [128, 128, 128].map((m) => m / 255),
  deviation: [64, 64, 64].map((d) => d / 255),
};
/** Another zero for every channel: those of CIFAR-10. */
const perChannel: Standardization = { type: 'channel', mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] };

export interface DeviceCase {
  readonly name: string;
  readonly side: number;
  readonly classes: number;
  readonly trained: TrainedClassifier;
  /** As trained, batch normalizations apart. */
  readonly weights: Weights;
}

function deviceCase(
  name: string,
  build: Build,
  { side = 10, standardization = simple }: { side?: number; standardization?: Standardization } = {},
): DeviceCase {
  const b = new NetworkBuilder(name, [3, side, side]);
  const network = b.build(build(b, b.input));
  const weights = weightsOf(network);
  const classes = Array.from({ length: network.outputShape[0]! }, (_, i) => `class ${i}`);
  const classifier = {
    network,
    preprocessing: { inputSize: side, standardization },
    classes,
    imageShape: [3, side, side],
  } as const;
  return { name, side, classes: classes.length, trained: { classifier, folded: foldBatchNorms(network, weights) }, weights };
}

/** Convolution, batch normalization, ReLU. */
function block(b: NetworkBuilder, name: string, x: Tensor, filters: number, stride = 1, relu = true): Tensor {
  const y = b.batchNorm(`${name}/norm`, b.conv(name, x, { kernel: 3, stride, filters, bias: false }));
  return relu ? b.activation(`${name}/relu`, y, 'relu') : y;
}

function head(b: NetworkBuilder, x: Tensor): Tensor {
  return b.dense('logits', b.globalAvgPool('average', x), { features: 4 });
}

export const deviceCases: readonly DeviceCase[] = [
  deviceCase('convolution, pools, average', (b, x) => {
    const y = b.maxPool('pool', b.conv('conv1', x, { kernel: 3, filters: 9, activation: 'relu' }), { kernel: 3, stride: 2 });
    return b.globalAvgPool('logits', b.conv('conv2', y, { kernel: 1, filters: 4 }));
  }),
  deviceCase('residual', (b, x) => {
    const first = block(b, 'first', x, 8);
    const sum = b.add('sum', block(b, 'c', block(b, 'a', first, 8), 8, 1, false), first);
    const y = b.activation('sum/relu', sum, 'relu');
    const halved = block(b, 'e', block(b, 'd', y, 12, 2), 12, 1, false);
    const shortcut = b.conv('shortcut', y, { kernel: 1, stride: 2, filters: 12 });
    return head(b, b.activation('last', b.add('sum2', halved, shortcut), 'relu'));
  }),
  deviceCase('fire modules', (b, x) => {
    const stem = b.maxPool('pool', block(b, 'stem', x, 8), { kernel: 2 });
    const fire = (name: string, input: Tensor) => {
      const squeezed = b.conv(`${name}/squeeze`, input, { kernel: 1, filters: 5, activation: 'relu' });
      const one = b.conv(`${name}/one`, squeezed, { kernel: 1, filters: 6 });
      const three = b.conv(`${name}/three`, squeezed, { kernel: 3, filters: 7 });
      return b.activation(`${name}/relu`, b.concat(name, one, three), 'relu');
    };
    return head(b, fire('fire2', fire('fire1', stem)));
  }),
  deviceCase('depthwise, ReLU6', (b, x) => {
    const relu6 = (name: string, y: Tensor) => b.activation(`${name}/relu6`, b.batchNorm(`${name}/norm`, y), 'relu6');
    const stem = relu6('stem', b.conv('stem', x, { kernel: 3, stride: 2, filters: 8, bias: false }));
    const wide = relu6('expand', b.conv('expand', stem, { kernel: 1, filters: 18, bias: false }));
    const deep = relu6('depthwise', b.conv('depthwise', wide, { kernel: 3, filters: 18, groups: 18, bias: false }));
    const flat = b.batchNorm('project/norm', b.conv('project', deep, { kernel: 1, filters: 8, bias: false }));
    const twice = b.conv('twice', b.add('sum', stem, flat), { kernel: 3, stride: 2, filters: 16, groups: 8, activation: 'relu' });
    return head(b, b.conv('groups', twice, { kernel: 3, filters: 12, groups: 4, activation: 'relu' }));
  }),
  deviceCase('depthwise of four filters at a time, groups of six channels', (b, x) => {
    const stem = b.conv('stem', x, { kernel: 3, stride: 2, filters: 8, activation: 'relu' });
    const deep = b.conv('depthwise', stem, { kernel: 3, filters: 8, groups: 8, activation: 'relu' });
    const wide = b.conv('wide', deep, { kernel: 1, filters: 12, activation: 'relu' });
    return head(b, b.conv('groups', wide, { kernel: 3, filters: 6, groups: 2, activation: 'relu' }));
  }),
  deviceCase('GELU behind pools, as in air94', (b, x) => {
    const y = b.activation('gelu1', b.conv('whitening', x, { kernel: 2, padding: 'valid', filters: 10 }), 'gelu');
    const pooled = b.maxPool('pool1', b.conv('conv1', y, { kernel: 3, filters: 8, bias: false }), {
      kernel: 2,
      padding: 'valid',
    });
    const z = b.activation('gelu2', b.batchNorm('norm1', pooled, { scale: false }), 'gelu');
    const last = b.maxPool('pool2', z, { kernel: 3, padding: 'valid' });
    return b.scale('logits', b.dense('dense', last, { features: 4, bias: false }), 1 / 9);
  }),
  deviceCase('curves', (b, x) => {
    const y = b.conv('leaky', x, { kernel: 3, filters: 6, activation: { type: 'leakyRelu', slope: 0.2 } });
    const z = b.conv('silu', y, { kernel: 3, stride: 2, filters: 6, activation: 'silu' });
    const w = b.conv('swish', z, { kernel: 1, filters: 6, activation: 'hardSwish' });
    return head(b, b.conv('sigmoid', w, { kernel: 1, filters: 6, activation: 'sigmoid' }));
  }),
  deviceCase('squeeze and excitation', (b, x) => {
    const y = b.conv('stem', x, { kernel: 3, stride: 2, filters: 8, activation: 'hardSwish' });
    const squeezed = b.dense('reduce', b.globalAvgPool('average', y), { features: 3, activation: 'relu' });
    const factor = b.dense('expand', squeezed, { features: 8, activation: 'hardSigmoid' });
    const scaled = b.multiply('scaled', y, factor);
    return b.globalAvgPool('logits', b.conv('last', b.multiply('square', scaled, scaled), { kernel: 1, filters: 4 }));
  }),
  deviceCase(
    'average pools, uneven padding, dropout, dense layers on an image',
    (b, x) => {
      const y = b.avgPool('average', b.conv('conv1', x, { kernel: 3, padding: [0, 1, 2, 0], filters: 5 }), {
        kernel: 3,
        stride: 2,
      });
      const z = b.conv('conv2', y, { kernel: [1, 3], stride: [2, 1], filters: 7, activation: 'relu' });
      const hidden = b.dense('hidden', b.flatten('flat', b.dropout('drop', z, 0.5)), { features: 11, activation: 'relu' });
      return b.dense('logits', hidden, { features: 3 });
    },
    { side: 11 },
  ),
  deviceCase('an image that is padded with another byte in each channel', (b, x) => head(b, block(b, 'conv1', x, 6)), {
    standardization: perChannel,
  }),
  deviceCase(
    'an image that is not padded',
    (b, x) => head(b, b.conv('conv1', x, { kernel: 3, padding: 'valid', filters: 6, activation: 'relu' })),
    { standardization: perChannel },
  ),
  deviceCase('an image that is joined, pooled, added and averaged', (b, x) => {
    const joined = b.concat(
      'joined',
      x,
      b.conv('conv1', x, { kernel: 3, filters: 3 }),
      b.maxPool('pool', x, { kernel: 3, stride: 1 }),
    );
    const sum = b.add('sum', x, b.conv('conv2', joined, { kernel: 1, filters: 3 }), x);
    return b.dense('logits', b.globalAvgPool('average', sum), { features: 4 });
  }),
  deviceCase('a dense layer on an image', (b, x) => b.dense('logits', x, { features: 5 }), { side: 6 }),
  deviceCase('normalization behind ReLU, ReLUs of their own, joins of joins', (b, x) => {
    const y = b.batchNorm('norm1', b.conv('conv1', x, { kernel: 3, filters: 6, activation: 'relu' }));
    const relu = b.activation('relu1', y, 'relu');
    const inner = b.concat('inner', relu, b.conv('conv2', y, { kernel: 1, filters: 2 }));
    const outer = b.concat('outer', b.activation('relu2', b.maxPool('pool', y, { kernel: 3, stride: 1 }), 'relu6'), inner);
    return head(b, b.conv('conv3', outer, { kernel: 3, stride: 2, filters: 5, activation: 'relu' }));
  }),
];

/** As they might be after training: centred weights of unit gain, positive variances. */
function weightsOf(network: Network) {
  return new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: valuesOf(spec, network.name) }]));
}

function valuesOf({ name, role, shape, fanIn }: ParameterSpec, network: string): Float32Array {
  const key = streamKey(1, `${network}:${name}`);
  const draw = {
    weight: (i: number) => normal(key, i) * Math.sqrt(2 / fanIn),
    bias: (i: number) => 0.2 * normal(key, i),
    scale: (i: number) => 0.5 + uniform(key, i),
    shift: (i: number) => 0.3 * normal(key, i),
    mean: (i: number) => 0.3 * normal(key, i),
    variance: (i: number) => 0.5 + uniform(key, i),
  }[role];
  return Float32Array.from({ length: sizeOf(shape) }, (_, i) => draw(i));
}

/** Images of coloured slopes and noise: `[count, 3, side, side]`. */
export function deviceImages(side: number, count: number, seed = 1): ImageSet {
  const set = allocateImages(count, [3, side, side]);
  const key = streamKey(seed, 'device-images');
  set.images.forEach((_, i) => {
    const [image, channel] = [Math.floor(i / (3 * side * side)), Math.floor(i / (side * side)) % 3];
    const slope = (1 + (image % 5)) * ((i % side) - side / 2) * (channel === 0 ? 4 : 2);
    const level = 256 * uniform(key, 3 * image + channel);
    set.images[i] = Math.min(Math.max(Math.round(level + slope + integer(key, 1000 + i, 81) - 40), 0), 255);
  });
  return set;
}
