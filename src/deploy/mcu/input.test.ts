import { expect, test } from 'vitest';
import type { Standardization } from '../../data/preprocessing.ts';
import { resolveWindow, type Padding } from '../../nn/shape.ts';
import { DataError } from '../../util/errors.ts';
import type { ConvNode, Graph, GraphNode } from './graph.ts';
import { foldInput, identityNode, requireConstants } from './input.ts';

type Constants = Extract<Standardization, { readonly type: 'channel' }>;

const extent = { height: 4, width: 4, channels: 3 };

/** A convolution of the image whose weights and biases are functions of their indices. */
function conv(name: string, padding: Padding, { groups = 1, filters = 6 } = {}): ConvNode {
  const window = resolveWindow([4, 4], [2, 2], [1, 1], padding)!;
  const [height, width] = window.output;
  return {
    kind: 'conv',
    name,
    inputs: ['image'],
    output: { height, width, channels: filters },
    window,
    groups,
    weights: Float64Array.from({ length: (filters * 4 * 3) / groups }, (_, i) => Math.sin(i + 1)),
    bias: Float64Array.from({ length: filters }, (_, i) => i / 7),
    clamp: null,
  };
}

const pool: GraphNode = {
  kind: 'maxPool',
  name: 'pool',
  inputs: ['image'],
  output: extent,
  window: resolveWindow([4, 4], [3, 3], [1, 1], 'same')!,
};

function graphOf(...nodes: readonly GraphNode[]): Graph {
  return { input: { name: 'image', extent }, nodes, output: nodes.at(-1)!.name };
}

/** Standardization under which the integer `zeros[channel]` (a byte less 128) is 0, and a byte more adds `steps[channel]`. */
function constants(zeros: readonly number[], steps: readonly number[]): Constants {
  return {
    type: 'channel',
    mean: zeros.map((zero) => (zero + 128) / 255),
    deviation: steps.map((step) => 1 / (255 * step)),
  };
}

/** What a filter makes of a window full of integers, one for each of its weights. */
function valueOf(node: ConvNode, filter: number, pixels: (channel: number) => number): number {
  const length = node.weights.length / node.output.channels;
  const channels = 3 / node.groups;
  const first = Math.floor((filter * node.groups) / node.output.channels) * channels;
  let sum = node.bias[filter]!;
  for (let i = 0; i < length; i++) sum += node.weights[filter * length + i]! * pixels(first + (i % channels));
  return sum;
}

test('standardization by the mean and deviation of each image is refused', () => {
  const fix = 'train it with constants, which cost nothing: --set standardization=channel';
  const message =
    "the network standardizes every image by the image's own mean and deviation, which integers on a device cannot do cheaply";
  expect(() => requireConstants({ type: 'image' })).toThrow(new DataError(message, { fix }));
  expect(() => foldInput(graphOf(pool), { type: 'image' })).toThrow(message);
  expect(() => requireConstants(constants([0, 0, 0], [1, 1, 1]))).not.toThrow();
});

test.each([
  [[-20, 3, 10.4], [0.01, 0.03, 0.02], { scale: Math.fround(0.03), zeroPoint: -2 }],
  // What no byte stands for becomes the nearest that one does.
  [[-200, -180, -190], [0.01, 0.01, 0.01], { scale: Math.fround(0.01), zeroPoint: -128 }],
  [[200, 180, 190], [0.01, 0.01, 0.01], { scale: Math.fround(0.01), zeroPoint: 127 }],
])('zeros %j and steps %j have the scale %j', (zeros, steps, expected) => {
  const { image } = foldInput(graphOf(pool), constants(zeros, steps));
  expect(image.zeroPoint).toBe(expected.zeroPoint);
  expect(image.scale).toBeCloseTo(expected.scale, 8);
  expect(Math.fround(image.scale)).toBe(image.scale);
});

test.each([
  { groups: 1, filters: 6 },
  { groups: 3, filters: 6 },
])('a convolution of $groups groups computes the same from integers as from standardized pixels', (shape) => {
  const [zeros, steps] = [
    [-20, 3, 10.4],
    [0.01, 0.03, 0.02],
  ];
  const plain = conv('c', 'valid', shape);
  const after = { ...conv('d', 'valid'), inputs: ['c'] };
  const { graph, image } = foldInput(graphOf(plain, after), constants(zeros, steps));
  expect(graph.nodes.map(({ name }) => name)).toEqual(['c', 'd']);
  expect(graph.nodes[1]).toEqual(after);
  const folded = graph.nodes[0] as ConvNode;
  expect({ ...folded, weights: [], bias: [] }).toEqual({ ...plain, weights: [], bias: [] });
  for (let filter = 0; filter < 6; filter++) {
    for (const byte of [0, 1, 77, 255]) {
      const integer = (channel: number) => byte - 128 + 9 * channel;
      const standardized = valueOf(plain, filter, (channel) => (integer(channel) - zeros[channel]!) * steps[channel]!);
      const actual = valueOf(folded, filter, (channel) => (integer(channel) - image.zeroPoint) * image.scale);
      expect(actual).toBeCloseTo(standardized, 10);
    }
  }
});

/** Zeros of which each is as near to an integer as the bytes that pad can be. */
const near = [2.25, 1.75, 2];
const far = [2, 2, 3.75];

test.each<[string, readonly GraphNode[], readonly number[], boolean]>([
  ['a convolution without padding', [conv('c', 'valid')], far, true],
  ['a padded one, whose padding is 0 in every channel', [conv('c', 'same')], near, true],
  ['a padded one, whose padding is not', [conv('c', 'same')], far, false],
  ['padding on one side', [conv('c', [0, 0, 1, 0])], far, false],
  ['a pool', [pool], near, false],
  ['a convolution and a pool', [conv('c', 'valid'), pool], near, false],
  ['two convolutions', [conv('c', 'valid'), conv('d', 'valid')], far, true],
])('%s reads integers with zeros %j: %s', (_, nodes, zeros, isFolded) => {
  const { graph } = foldInput(graphOf(...nodes), constants(zeros, [0.01, 0.03, 0.02]));
  if (isFolded) {
    expect(graph.nodes.map(({ name }) => name)).toEqual(nodes.map(({ name }) => name));
    return;
  }
  const [first, ...others] = graph.nodes;
  expect(first).toMatchObject({ kind: 'conv', name: 'standardize', inputs: ['image'], output: extent, groups: 3 });
  expect(others).toEqual(nodes.map((node) => ({ ...node, inputs: ['standardize'] })));
  // (q - zeroPoint) * scale, per channel: the largest step is the scale.
  const { weights, bias } = first as ConvNode;
  expect(weights[1]).toBeCloseTo(1, 6);
  expect(bias[2]).toBeCloseTo((Math.round((zeros[0]! + zeros[1]! + zeros[2]!) / 3) - zeros[2]!) * 0.02, 10);
});

test('a layer that only gives another scale has a name of its own', () => {
  const names = (graph: Graph, tensor: string) => identityNode(graph, tensor, 'same').name;
  expect(names(graphOf(conv('c', 'valid')), 'c')).toBe('same');
  expect(names(graphOf(conv('same', 'valid')), 'same')).toBe('same1');
  expect(names(graphOf(conv('same', 'valid'), conv('same1', 'valid')), 'same')).toBe('same2');
  const named = graphOf(conv('c', 'valid'));
  expect(names({ ...named, input: { name: 'same', extent } }, 'c')).toBe('same1');
});

test('it has one weight, 1, for each channel of what it reads', () => {
  const graph = graphOf(conv('c', 'valid'), conv('d', 'valid', { filters: 3 }));
  const output = { height: 3, width: 3, channels: 3 };
  expect(identityNode(graph, 'd', 'same')).toEqual({
    ...{ kind: 'conv', name: 'same', inputs: ['d'], output, groups: 3, clamp: null },
    window: { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], input: [3, 3], output: [3, 3] },
    weights: new Float64Array(3).fill(1),
    bias: new Float64Array(3),
  });
});
