import { expect, test } from 'vitest';
import { NetworkBuilder, type Tensor } from '../../nn/network.ts';
import type { Window2d } from '../../nn/shape.ts';
import { foldBatchNorms } from '../onnx/fold.ts';
import { consumersOf, type Clamp, type ConvNode, type Graph, type GraphNode } from './graph.ts';
import { lowerNetwork } from './lower.ts';
import { simplify } from './simplify.ts';

/** The nodes that are left, each as `name = kind(inputs) clamp`. */
function simplified(build: (b: NetworkBuilder, x: Tensor) => Tensor, statistic = 1): string[] {
  const b = new NetworkBuilder('n', [3, 6, 6]);
  const network = b.build(build(b, b.input));
  const weights = new Map(
    network.parameters.map(({ name, shape, role }) => {
      const value = role === 'scale' ? statistic : role === 'variance' ? 1 : 0.5;
      return [name, { shape, data: new Float32Array(shape.reduce((a, n) => a * n, 1)).fill(value) }];
    }),
  );
  const graph = simplify(lowerNetwork(network, foldBatchNorms(network, weights)));
  for (const { name } of graph.nodes) {
    if (name !== graph.output) expect(consumersOf(graph, name).length, name).toBeGreaterThan(0);
  }
  return graph.nodes.map((node) => {
    const what = node.kind === 'curve' ? node.activation.type : node.kind;
    const clamp = 'clamp' in node && node.clamp !== null ? ` ${node.clamp}` : '';
    return `${node.name} = ${what}(${node.inputs.join()})${clamp}`;
  });
}

const conv = (b: NetworkBuilder, name: string, x: Tensor, filters = 4) => b.conv(name, x, { kernel: 3, filters });

test('normalization, scale and ReLU belong to the convolution before them', () => {
  const chain = simplified((b, x) =>
    b.globalAvgPool('p', b.activation('r', b.scale('s', b.batchNorm('n', conv(b, 'c', x)), 3), 'relu6')),
  );
  expect(chain).toEqual(['c = conv(input) relu6', 'p = globalAverage(c)']);
});

test('behind a ReLU, only a factor above zero without a shift can be', () => {
  const scaled = (factor: number) =>
    simplified((b, x) => b.globalAvgPool('p', b.scale('s', b.activation('r', conv(b, 'c', x), 'relu'), factor)));
  expect(scaled(3)).toEqual(['c = conv(input) relu', 'p = globalAverage(c)']);
  expect(scaled(-3)).toEqual(['c = conv(input) relu', 's = conv(c)', 'p = globalAverage(s)']);
  const normalized = simplified((b, x) => b.globalAvgPool('p', b.batchNorm('n', b.activation('r', conv(b, 'c', x), 'relu'))));
  expect(normalized).toEqual(['c = conv(input) relu', 'n = conv(c)', 'p = globalAverage(n)']);
});

test('normalization moves before a max pool where no factor is negative', () => {
  const network = (b: NetworkBuilder, x: Tensor) =>
    b.globalAvgPool('p', b.activation('r', b.batchNorm('n', b.maxPool('m', conv(b, 'c', x), { kernel: 2 })), 'relu'));
  expect(simplified(network)).toEqual(['c = conv(input) relu', 'm = maxPool(c)', 'p = globalAverage(m)']);
  expect(simplified(network, -1)).toEqual(['c = conv(input)', 'm = maxPool(c)', 'n = conv(m) relu', 'p = globalAverage(n)']);
});

test('a ReLU moves before max pools and concats only where it then belongs to a layer', () => {
  const joined = simplified((b, x) =>
    b.globalAvgPool('p', b.activation('r', b.concat('j', conv(b, 'c', x), conv(b, 'd', x)), 'relu')),
  );
  expect(joined).toEqual(['c = conv(input) relu', 'd = conv(input) relu', 'j = concat(c,d)', 'p = globalAverage(j)']);
  // Somebody else reads the convolution.
  const shared = simplified((b, x) => {
    const c = conv(b, 'c', x);
    return b.globalAvgPool('p', b.add('s', c, b.activation('r', b.maxPool('m', c, { kernel: 3, stride: 1 }), 'relu')));
  });
  expect(shared).toEqual(['c = conv(input)', 'm = maxPool(c)', 'r = relu(m)', 's = add(c,r)', 'p = globalAverage(s)']);
});

test('a hard sigmoid belongs to the convolution before it, and is a layer of factors elsewhere', () => {
  const chain = simplified((b, x) => {
    const c = b.activation('r', b.activation('h', conv(b, 'c', x), 'hardSigmoid'), 'relu6');
    return b.globalAvgPool('p', b.activation('g', b.conv('d', c, { kernel: 1, filters: 4, activation: 'relu' }), 'hardSigmoid'));
  });
  expect(chain).toEqual(['c = conv(input) unit', 'd = conv(c) relu', 'g = conv(d) unit', 'p = globalAverage(g)']);
});

test('what follows a hard sigmoid stays behind it', () => {
  const scaled = simplified((b, x) => b.globalAvgPool('p', b.scale('s', b.activation('h', conv(b, 'c', x), 'hardSigmoid'), 3)));
  expect(scaled).toEqual(['c = conv(input) unit', 's = conv(c)', 'p = globalAverage(s)']);
});

test('sums take ReLUs; curves stay', () => {
  const sum = simplified((b, x) => {
    const c = conv(b, 'c', x);
    return b.globalAvgPool('p', b.activation('g', b.activation('r', b.add('s', c, conv(b, 'd', c), c), 'relu'), 'gelu'));
  });
  expect(sum).toEqual([
    ...['c = conv(input)', 'd = conv(c)', 's/part1 = add(c,d)', 's = add(s/part1,c) relu', 'g = gelu(s)'],
    'p = globalAverage(g)',
  ]);
});

test('concats of concats are one; an average over all pixels is one whatever it is called, and none of one pixel', () => {
  const network = simplified((b, x) => {
    const [c, d, e] = ['c', 'd', 'e'].map((name) => conv(b, name, x)) as [Tensor, Tensor, Tensor];
    const pooled = b.avgPool('a', b.concat('j', c, b.concat('i', d, e)), { kernel: 6 });
    return b.dense('logits', b.globalAvgPool('g', pooled), { features: 2 });
  });
  expect(network.slice(3)).toEqual(['j = concat(c,d,e)', 'a = globalAverage(j)', 'logits = conv(a)']);
});

test.each([
  ['a factor of the image', (b, x) => b.scale('s', x, 3), ['s = conv(input)']],
  ['a ReLU of the image', (b, x) => b.activation('r', x, 'relu'), ['r = relu(input)']],
  [
    'a factor behind a pool of the image',
    (b, x) => b.scale('s', b.maxPool('m', x, { kernel: 2 }), 3),
    ['m = maxPool(input)', 's = conv(m)'],
  ],
  [
    'a ReLU behind a pool of the image',
    (b, x) => b.activation('r', b.maxPool('m', x, { kernel: 2 }), 'relu'),
    ['m = maxPool(input)', 'r = relu(m)'],
  ],
  [
    'another function behind a pool',
    (b, x) => b.activation('g', b.maxPool('m', conv(b, 'c', x), { kernel: 2 }), 'gelu'),
    ['c = conv(input)', 'm = maxPool(c)', 'g = gelu(m)'],
  ],
  [
    'another function behind joined layers',
    (b, x) => b.activation('g', b.concat('j', conv(b, 'c', x), conv(b, 'd', x)), 'gelu'),
    ['c = conv(input)', 'd = conv(input)', 'j = concat(c,d)', 'g = gelu(j)'],
  ],
  [
    'a ReLU behind a layer and the image',
    (b, x) => b.activation('r', b.concat('j', conv(b, 'c', x), x), 'relu'),
    ['c = conv(input)', 'j = concat(c,input)', 'r = relu(j)'],
  ],
  [
    'a ReLU behind a layer and a pool',
    (b, x) =>
      b.activation('r', b.concat('j', conv(b, 'c', x), b.maxPool('m', conv(b, 'd', x), { kernel: 3, stride: 1 })), 'relu'),
    ['c = conv(input)', 'd = conv(input)', 'm = maxPool(d)', 'j = concat(c,m)', 'r = relu(j)'],
  ],
  [
    'a ReLU behind layers of which another reads one',
    (b, x) => {
      const c = conv(b, 'c', x);
      return conv(b, 'e', b.concat('k', c, b.activation('r', b.concat('j', conv(b, 'd', x), c), 'relu')));
    },
    ['c = conv(input)', 'd = conv(input)', 'j = concat(d,c)', 'r = relu(j)', 'k = concat(c,r)', 'e = conv(k)'],
  ],
  [
    'joined channels that another reads',
    (b, x) => {
      const i = b.concat('i', conv(b, 'c', x), conv(b, 'd', x));
      return b.concat('k', conv(b, 'f', b.concat('j', i, conv(b, 'e', x))), conv(b, 'g', i));
    },
    [
      ...['c = conv(input)', 'd = conv(input)', 'i = concat(c,d)', 'e = conv(input)', 'j = concat(i,e)', 'f = conv(j)'],
      ...['g = conv(i)', 'k = concat(f,g)'],
    ],
  ],
  [
    'joined channels that are joined with themselves',
    (b, x) => {
      const i = b.concat('i', conv(b, 'c', x), conv(b, 'd', x));
      return b.concat('j', i, i);
    },
    ['c = conv(input)', 'd = conv(input)', 'i = concat(c,d)', 'j = concat(i,i)'],
  ],
] satisfies [string, (b: NetworkBuilder, x: Tensor) => Tensor, string[]][])('stays where it is: %s', (_, build, expected) => {
  const last = expected.at(-1)!.split(' ')[0]!;
  expect(simplified((b, x) => b.globalAvgPool('p', build(b, x)))).toEqual([...expected, `p = globalAverage(${last})`]);
});

test('sums behind pools and concats take ReLUs too', () => {
  const sum = (b: NetworkBuilder, x: Tensor) => b.add('s', conv(b, 'c', x), conv(b, 'd', x));
  const pooled = simplified((b, x) => b.globalAvgPool('p', b.activation('r', b.maxPool('m', sum(b, x), { kernel: 2 }), 'relu')));
  expect(pooled.slice(2)).toEqual(['s = add(c,d) relu', 'm = maxPool(s)', 'p = globalAverage(m)']);
  const joined = simplified((b, x) =>
    b.globalAvgPool('p', b.activation('r', b.concat('j', sum(b, x), conv(b, 'e', x)), 'relu6')),
  );
  expect(joined.slice(2)).toEqual(['s = add(c,d) relu6', 'e = conv(input) relu6', 'j = concat(s,e)', 'p = globalAverage(j)']);
});

test('the first of several joined tensors may be joined channels', () => {
  const network = simplified((b, x) => {
    const [c, d, e, f] = ['c', 'd', 'e', 'f'].map((name) => conv(b, name, x)) as [Tensor, Tensor, Tensor, Tensor];
    return b.globalAvgPool('p', b.concat('j', b.concat('i', c, d), e, f));
  });
  expect(network.slice(4)).toEqual(['j = concat(c,d,e,f)', 'p = globalAverage(j)']);
});

test('the pool makes the logits where what moved before it did', () => {
  const network = simplified((b, x) => b.activation('r', b.maxPool('m', conv(b, 'c', x), { kernel: 6 }), 'relu'));
  expect(network).toEqual(['c = conv(input) relu', 'm = maxPool(c)']);
});

const point: Window2d = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], input: [4, 3], output: [4, 3] };
const extentOfTwo = ([height, width]: Window2d['output']) => ({ height, width, channels: 2 });

/** Each of its two filters reads both channels. */
const layer = (clamp: Clamp | null, weights: number[], bias: number[]): ConvNode => ({
  ...{ kind: 'conv', name: 'c', inputs: ['image'], output: extentOfTwo(point.output), window: point, groups: 1, clamp },
  ...{ weights: Float64Array.from(weights), bias: Float64Array.from(bias) },
});
const plain = (clamp: Clamp | null) => layer(clamp, [1, -2, 3, 4], [5, 6]);

/** Each of its two filters reads its own channel: with one pixel, a factor and a shift. */
const depthwise = (input: string, weights: number[], bias: number[], window: Partial<Window2d> = {}): ConvNode => ({
  ...plain(null),
  ...{
    name: 's',
    inputs: [input],
    output: extentOfTwo(window.output ?? point.output),
    window: { ...point, ...window },
    groups: 2,
  },
  ...{ weights: Float64Array.from(weights), bias: Float64Array.from(bias) },
});

/** Ends in the last node. */
const graphOf = (...nodes: GraphNode[]): Graph => ({
  ...{ input: { name: 'image', extent: extentOfTwo(point.input) }, nodes, output: nodes.at(-1)!.name },
});

test.each([
  ['above zero', 'relu', [2, 3], [0, 0], layer('relu', [2, -4, 9, 12], [10, 18])],
  ['one below zero', 'relu', [2, -3], [0, 0], undefined],
  ['one of zero', 'relu', [2, 0], [0, 0], undefined],
  ['one with a shift', 'relu', [2, 3], [0, 1], undefined],
  ['above zero, behind a ReLU6', 'relu6', [2, 3], [0, 0], undefined],
] satisfies [string, Clamp, number[], number[], ConvNode | undefined][])(
  'behind a ReLU, every channel needs a factor above zero without a shift: %s',
  (_, clamp, factors, shifts, merged) => {
    const graph = graphOf(plain(clamp), depthwise('c', factors, shifts));
    expect(simplify(graph)).toEqual(merged === undefined ? graph : graphOf(merged));
  },
);

test.each([
  ['above zero', [2, 3], [0, 1], layer(null, [2, -4, 9, 12], [10, 19])],
  ['one below zero', [2, -3], [0, 1], undefined],
  ['one of zero', [2, 0], [0, 1], undefined],
] satisfies [string, number[], number[], ConvNode | undefined][])(
  'behind a max pool, every channel needs a factor above zero: %s',
  (_, factors, shifts, merged) => {
    const window: Window2d = { ...point, kernel: [2, 2], output: [3, 2] };
    const pool: GraphNode = { kind: 'maxPool', name: 'm', inputs: ['c'], output: extentOfTwo(window.output), window };
    const graph = graphOf(plain(null), pool, depthwise('m', factors, shifts, { input: [3, 2], output: [3, 2] }));
    expect(simplify(graph)).toEqual(merged === undefined ? graph : graphOf(merged, pool));
  },
);

test.each([
  ['windows of two pixels', [1, 2, 3, 4], { kernel: [2, 1], output: [3, 3] }],
  ['steps of two rows', [1, 2], { stride: [2, 1], output: [2, 3] }],
  ['steps of two columns', [1, 2], { stride: [1, 2], output: [4, 2] }],
  ['padding', [1, 2], { padding: [0, 0, 0, 1], output: [4, 4] }],
] satisfies [string, number[], Partial<Window2d>][])(
  'a filter for each channel is more than a factor: with %s',
  (_, weights, window) => {
    const graph = graphOf(plain(null), depthwise('c', weights, [0, 0], window));
    expect(simplify(graph)).toEqual(graph);
  },
);

test.each([
  ['all pixels', { kernel: [4, 3] }, true],
  ['more than all', { kernel: [6, 5], padding: [2, 2, 0, 0] }, true],
  ['not the last row', { kernel: [3, 3] }, false],
  ['not the last column', { kernel: [4, 2] }, false],
  ['not the last row, but one above', { kernel: [4, 3], padding: [1, 0, 0, 0] }, false],
  ['not the last column, but one to the left', { kernel: [4, 3], padding: [0, 1, 0, 0] }, false],
  ['all pixels, at several places', { kernel: [4, 3], padding: [0, 0, 1, 1], output: [2, 2] }, false],
] satisfies [string, Partial<Window2d>, boolean][])('whether an average is one over all pixels: %s', (_, change, expected) => {
  const window: Window2d = { ...point, stride: [9, 9], output: [1, 1], ...change };
  const base = { name: 'a', inputs: ['c'], output: extentOfTwo(window.output) };
  const graph = graphOf(plain(null), { kind: 'avgPool', ...base, window });
  expect(simplify(graph)).toEqual(expected ? graphOf(plain(null), { kind: 'globalAverage', ...base }) : graph);
});

test('an average of an image of one pixel stays: something has to make the logits', () => {
  const average: GraphNode = { kind: 'globalAverage', name: 'a', inputs: ['image'], output: extentOfTwo([1, 1]) };
  const graph: Graph = { input: { name: 'image', extent: extentOfTwo([1, 1]) }, nodes: [average], output: 'a' };
  expect(simplify(graph)).toEqual(graph);
});
