/** Plans of one operator each, with scales at which many results are halves, or as near to them as a float32 of a decimal fraction is. */
import {
  pointWindow,
  type ConvNode,
  type CurveActivation,
  type Extent,
  type Graph,
  type GraphNode,
} from '../src/deploy/mcu/graph.ts';
import type { IntegerScale } from '../src/deploy/mcu/input.ts';
import { integerPlan } from '../src/deploy/mcu/integers.ts';
import type { Plan } from '../src/deploy/mcu/plan.ts';
import { integer, streamKey } from '../src/util/random.ts';

export interface OperatorCase {
  readonly name: string;
  readonly plan: Plan;
  /** `[images, height, width, channels]` */
  readonly pixels: Uint8Array;
}

export function operatorCases(): readonly OperatorCase[] {
  return [
    ...[1, 0.35].map((scale) => {
      const node = convNode('convolution', vector(4), 64);
      return operatorCase(vector(4), [node], { input: [scale, 9], convolution: [500, -3] }, 200);
    }),
    operatorCase(vector(4), [{ ...convNode('hard sigmoid', vector(4), 64, 1e-5), clamp: 'unit' }], {
      ...{ input: [1, 9], 'hard sigmoid': [Math.fround(1 / 255), -128] },
    }),
    operatorCase(image(3, 16), [depthwiseNode(image(3, 16))], { input: [1, -40], depthwise: [300, 20] }),
    ...[1, 0.25, 0.7].map((scale) =>
      operatorCase(image(10, 32), [{ ...nodeOf('globalAverage', vector(32)), name: 'average over all' }], {
        ...{ input: [1, 3], 'average over all': [scale, 1] },
      }),
    ),
    operatorCase(image(3, 32), [{ ...nodeOf('avgPool', vector(32)), window: wholeWindow(image(3, 32)) }], {
      ...{ input: [1, 3], avgPool: [1, 3] },
    }),
    ...[100, 70, 300].map((scale) =>
      operatorCase(vector(8), [...pairOf('a', 'b'), { ...nodeOf('multiply', vector(64)), inputs: ['a', 'b'] }], {
        ...{ input: [1, 9], a: [500, -3], b: [500, 30], multiply: [500 * 500 * scale, 11] },
      }),
    ),
    ...[300, 700, 1000].map((scale) =>
      operatorCase(vector(8), [...pairOf('a', 'b'), { ...nodeOf('add', vector(64)), inputs: ['a', 'b'], clamp: null }], {
        ...{ input: [1, 9], a: [500, -3], b: [scale, 30], add: [900, 11] },
      }),
    ),
    ...curves.flatMap(([activation, low]) =>
      [0.02, 0.1, 0.3].map((scale, i) => {
        const input = [scale, -60 + 50 * i] as const;
        const node = { ...nodeOf('curve', vector(256)), activation, name: activation.type };
        return operatorCase(vector(256), [node], { input, [activation.type]: curveScale(activation, low, input) }, 1);
      }),
    ),
  ];
}

/** And the least value of each. */
const curves: readonly (readonly [CurveActivation, number])[] = [
  [{ type: 'relu' }, 0],
  [{ type: 'relu6' }, 0],
  [{ type: 'sigmoid' }, 0],
  [{ type: 'gelu' }, -0.17],
  [{ type: 'silu' }, -0.28],
  [{ type: 'hardSwish' }, -0.375],
  [{ type: 'leakyRelu', slope: 0.2 }, -10],
  // Of so small a slope XNNPACK makes nothing.
  [{ type: 'leakyRelu', slope: 0.001 }, -0.05],
];

type Scale = readonly [scale: number, zeroPoint: number];

/** As fine as all values allow. */
function curveScale({ type }: CurveActivation, low: number, [scale, zeroPoint]: Scale): Scale {
  if (type === 'relu6') return [scale, zeroPoint];
  if (type === 'sigmoid') return [1 / 256, -128];
  const fine = ((127 - zeroPoint) * scale - low) / 255;
  return [fine, Math.round(-low / fine) - 128];
}

function vector(channels: number): Extent {
  return { height: 1, width: 1, channels };
}

function image(side: number, channels: number): Extent {
  return { height: side, width: side, channels };
}

/** With random images. */
function operatorCase(
  input: Extent,
  nodes: readonly GraphNode[],
  scales: Readonly<Record<string, Scale>>,
  images = 100,
): OperatorCase {
  const { name } = nodes.at(-1)!;
  const graph: Graph = { input: { name: 'input', extent: input }, nodes, output: name };
  const tensors = Object.entries(scales).map(([tensor, [scale, zeroPoint]]): [string, IntegerScale] => [
    tensor,
    { scale: Math.fround(scale), zeroPoint },
  ]);
  const length = images * input.height * input.width * input.channels;
  const key = streamKey(3, name);
  // All bytes of one image; many images of random ones.
  const pixels = Uint8Array.from({ length }, (_, i) => (images === 1 ? i : integer(key, i, 256)));
  return { name: `${name} ${JSON.stringify(scales)}`, plan: integerPlan(graph, new Map(tensors)), pixels };
}

function nodeOf<K extends GraphNode['kind']>(kind: K, output: Extent) {
  return { kind, name: kind as string, inputs: ['input'], output } as const;
}

/** Whole numbers as weights, of which one is 127, times 1, 0.9, 0.8 and so on; biases that cover all results. */
function convNode(name: string, input: Extent, filters: number, unit = 1): ConvNode {
  const key = streamKey(4, name);
  const length = input.height * input.width * input.channels;
  const scaleOf = (filter: number) => unit * (1 - 0.1 * (filter % 8));
  return {
    ...nodeOf('conv', vector(filters)),
    name,
    window: wholeWindow(input),
    groups: 1,
    weights: Float64Array.from({ length: filters * length }, (_, i) => {
      const value = i % length === 0 ? 127 : integer(key, i, 255) - 127;
      return value * scaleOf(Math.floor(i / length));
    }),
    bias: Float64Array.from({ length: filters }, (_, filter) => 100 * scaleOf(filter) * (integer(key, 1e6 + filter, 400) - 200)),
    clamp: null,
  };
}

function depthwiseNode(input: Extent): ConvNode {
  const { weights, bias, ...node } = convNode('depthwise', { ...input, channels: 1 }, input.channels);
  return { ...node, window: wholeWindow(input), groups: input.channels, weights, bias };
}

/** Two layers over the same image. */
function pairOf(...names: readonly string[]): readonly GraphNode[] {
  return names.map((name) => convNode(name, vector(8), 64));
}

function wholeWindow(input: Extent): ConvNode['window'] {
  const size = [input.height, input.width] as const;
  return { ...pointWindow(vector(1)), kernel: size, input: size };
}
