import { expect, test } from 'vitest';
import type { Clamp, ConvNode, CurveActivation, Graph, GraphNode } from './graph.ts';
import type { IntegerScale } from './input.ts';
import { groupsToCalibrate, separateFixed, sharedScales, withFineSums, type SharedScale } from './scales.ts';

const image: IntegerScale = { scale: 0.25, zeroPoint: 5 };
const ofSigmoid: IntegerScale = { scale: 1 / 256, zeroPoint: -128 };
const ofUnit: IntegerScale = { scale: Math.fround(1 / 255), zeroPoint: -128 };

const extent = { height: 4, width: 2, channels: 3 };
const window = { kernel: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0], input: [4, 2], output: [4, 2] } as const;

/** A factor for each channel. */
const conv = (name: string, input: string, clamp: Clamp | null = null, factors = [1, 1, 1]): ConvNode => ({
  ...{ kind: 'conv', name, inputs: [input], output: extent, window, groups: 3, clamp },
  ...{ weights: Float64Array.from(factors), bias: new Float64Array(3) },
});
const maxPool = (name: string, input: string): GraphNode => ({ kind: 'maxPool', name, inputs: [input], output: extent, window });
const avgPool = (name: string, input: string): GraphNode => ({ kind: 'avgPool', name, inputs: [input], output: extent, window });
const average = (name: string, input: string): GraphNode => ({
  ...{ kind: 'globalAverage', name, inputs: [input], output: { height: 1, width: 1, channels: 3 } },
});
const add = (name: string, ...inputs: [string, string]): GraphNode => ({
  kind: 'add',
  name,
  inputs,
  output: extent,
  clamp: null,
});
const multiply = (name: string, ...inputs: [string, string]): GraphNode => ({ kind: 'multiply', name, inputs, output: extent });
const concat = (name: string, ...inputs: string[]): GraphNode => ({
  ...{ kind: 'concat', name, inputs, output: { ...extent, channels: 3 * inputs.length } },
});
const curve = (name: string, input: string, type: Exclude<CurveActivation['type'], 'leakyRelu'>): GraphNode => ({
  ...{ kind: 'curve', name, inputs: [input], output: extent, activation: { type } },
});

/** Ends in the last node. */
const graphOf = (...nodes: GraphNode[]): Graph => ({ input: { name: 'image', extent }, nodes, output: nodes.at(-1)!.name });

const separated = (...nodes: GraphNode[]) => separateFixed({ graph: graphOf(...nodes), image });

test.each([
  ['the image', 'image', []],
  ['a pool of the image', 'p', [avgPool('p', 'image')]],
  ['a sigmoid', 's', [curve('s', 'c', 'sigmoid')]],
  ['a layer between 0 and 1', 'u', [conv('u', 'c', 'unit')]],
  ['a pool of a layer between 0 and 1', 'p', [conv('u', 'c', 'unit'), maxPool('p', 'u')]],
  ['a ReLU6 of a sigmoid', 'r', [curve('s', 'c', 'sigmoid'), curve('r', 's', 'relu6')]],
] satisfies [string, string, GraphNode[]][])('what is joined gets a scale that it may share: %s', (_, fixed, makers) => {
  // Not all that is joined has a scale of its own, nor all that is in front of it.
  const others = [conv('c', 'image'), curve('g', 'c', 'gelu'), ...makers];
  expect(separated(...others, concat('j', 'c', fixed, 'g'), average('a', 'j'))).toEqual({
    graph: graphOf(...others, conv('j/rescaled', fixed), concat('j', 'c', 'j/rescaled', 'g'), average('a', 'j')),
    image,
  });
});

test('every one of several such tensors gets one, in each concat', () => {
  const before = [conv('c', 'image'), curve('s', 'c', 'sigmoid')];
  expect(separated(...before, concat('j', 's', 'c', 'image', 's'), concat('k', 'j', 's'))).toEqual({
    graph: graphOf(
      ...before,
      ...[conv('j/rescaled', 's'), conv('j/rescaled1', 'image'), concat('j', 'j/rescaled', 'c', 'j/rescaled1', 'j/rescaled')],
      ...[conv('k/rescaled', 's'), concat('k', 'j', 'k/rescaled')],
    ),
    image,
  });
});

test('other tensors are joined as they are', () => {
  const nodes = [
    ...[conv('c', 'image', 'relu6'), maxPool('p', 'c'), curve('s', 'c', 'sigmoid'), curve('r', 's', 'relu'), conv('d', 's')],
    ...[add('a', 'c', 's'), multiply('m', 'c', 's'), concat('i', 'c', 'p'), concat('j', 'i', 'r', 'd', 'a', 'm')],
  ];
  expect(separated(...nodes)).toEqual({ graph: graphOf(...nodes), image });
});

const network = graphOf(
  ...[conv('c', 'image'), maxPool('p', 'c'), conv('d', 'c'), curve('r', 'd', 'relu6'), concat('j', 'p', 'r')],
  ...[curve('s', 'j', 'sigmoid'), avgPool('a', 's'), conv('u', 'a', 'unit'), maxPool('q', 'image'), curve('v', 'q', 'relu')],
  ...[multiply('m', 'u', 'v'), average('g', 'm'), conv('logits', 'g')],
);
const ofNetwork: readonly SharedScale[] = [
  { tensors: ['image', 'q'], fixed: image },
  { tensors: ['c', 'p', 'd', 'r', 'j'], fixed: undefined },
  { tensors: ['s', 'a'], fixed: ofSigmoid },
  { tensors: ['u'], fixed: ofUnit },
  ...['v', 'm', 'g', 'logits'].map((name) => ({ tensors: [name], fixed: undefined })),
];

test('pools, concats and ReLU6 share the scale of what they read', () => {
  expect(sharedScales({ graph: network, image })).toEqual(ofNetwork);
});

const onnxNames = (graph: Graph) => new Map(graph.nodes.map(({ name }) => [name, `onnx/${name}`]));

test('what is calibrated: scales that are not fixed, by what is computed with, and all values of the logits', () => {
  expect(groupsToCalibrate(network, ofNetwork, onnxNames(network))).toEqual([
    { tensors: ['c', 'p', 'd', 'r', 'j'], observed: ['onnx/c', 'onnx/j'], unclipped: false },
    ...['v', 'm', 'g'].map((name) => ({ tensors: [name], observed: [`onnx/${name}`], unclipped: false })),
    { tensors: ['logits'], observed: ['onnx/logits'], unclipped: true },
  ]);
  const pooled = graphOf(conv('c', 'image'), maxPool('p', 'c'));
  const shared = [{ tensors: ['c', 'p'], fixed: undefined }];
  expect(groupsToCalibrate(pooled, shared, onnxNames(pooled))).toEqual([
    { tensors: ['c', 'p'], observed: ['onnx/p'], unclipped: true },
  ]);
});

const twoInputs = (node: GraphNode) => graphOf(conv('b', 'image'), node);
const apart: readonly SharedScale[] = [
  { tensors: ['image'], fixed: image },
  { tensors: ['b'], fixed: undefined },
  { tensors: ['x'], fixed: undefined },
];
const b: IntegerScale = { scale: 0.5, zeroPoint: -3 };
/** Of the image, `b` and `x`, where calibration gave `x` this one. */
const fine = (node: GraphNode, x: IntegerScale) => withFineSums(twoInputs(node), apart, new Map(Object.entries({ b, x })));
const scales = (x: IntegerScale) => new Map(Object.entries({ image, b, x }));

test.each([
  ['the largest weight, of 127 integers', conv('x', 'image', null, [50, -127, 0]), 2.0001 * 0.25],
  ['an average of 4 x 2 pixels', average('x', 'image'), (2.0001 * 0.25) / 8],
  ['a product', multiply('x', 'image', 'b'), 2.0001 * 0.25 * 0.5],
  ['a sum with something coarser', add('x', 'image', 'b'), 0.5 / 255],
  ['a sum with something finer', add('x', 'b', 'image'), 0.5 / 255],
  ['a hard swish', curve('x', 'b', 'hardSwish'), 0.5 / 127],
] satisfies [string, GraphNode, number][])('an activation is as coarse as its sums want: %s', (_, node, bound) => {
  const enough = { scale: bound, zeroPoint: 0 };
  expect(fine(node, enough)).toEqual(scales(enough));
  // 128 integers below zero are 128 / 1.01 = 126.7 wider ones.
  const wider = { scale: Math.fround(1.01 * bound), zeroPoint: -1 };
  expect(fine(node, { scale: bound * (1 - 1e-9), zeroPoint: 0 })).toEqual(scales(wider));
});

test.each([
  ['a max pool', maxPool('x', 'b')],
  ['an average pool', avgPool('x', 'b')],
  ['a concat', concat('x', 'b', 'image')],
  ['a table', curve('x', 'b', 'gelu')],
] satisfies [string, GraphNode][])('what has no sums may be as fine as it likes: %s', (_, node) => {
  const finest = { scale: 1e-30, zeroPoint: 7 };
  expect(fine(node, finest)).toEqual(scales(finest));
});

test('tensors of one scale get a coarser one together, and so does what reads them', () => {
  const graph = graphOf(
    ...[conv('c', 'image'), conv('d', 'c', null, [1, 127, 1]), maxPool('p', 'd'), conv('e', 'p', null, [63.5, 1, 1])],
    conv('logits', 'e'),
  );
  const shared = [['c'], ['d', 'p'], ['e'], ['logits']].map((tensors) => ({ tensors, fixed: undefined }));
  const c = { scale: 0.25, zeroPoint: 2 };
  const d = { scale: 0.375, zeroPoint: -28 };
  const e = { scale: 0.25, zeroPoint: -128 };
  const logits = { scale: 3, zeroPoint: 4 };
  const calibrated = new Map(Object.entries({ c, d, p: d, e, logits }));
  // The range begins at -(-28 + 128) * 0.375 = -37.5, now -74 times 1.01 * 2.0001 * 0.25 = 0.505.
  const widerD = { scale: Math.fround(1.01 * 2.0001 * 0.25), zeroPoint: 74 - 128 };
  const widerE = { scale: Math.fround(1.01 * 2.0001 * widerD.scale * 0.5), zeroPoint: -128 };
  expect(withFineSums(graph, [{ tensors: ['image'], fixed: image }, ...shared], calibrated)).toEqual(
    new Map(Object.entries({ image, c, d: widerD, p: widerD, e: widerE, logits })),
  );
  expect(calibrated.get('d')).toBe(d);
});

test('a scale that grows several times over makes others grow each time', () => {
  const chain = [conv('b', 'a1'), conv('c', 'b', null, [127, 1, 1]), conv('d', 'c', null, [127, 1, 1])];
  const parts = [conv('a2', 'image', null, [500, 1, 1]), conv('a3', 'image', null, [5000, 1, 1])];
  const graph = graphOf(conv('a1', 'image'), ...chain, ...parts, concat('j', 'a1', 'a2', 'a3'));
  const joined = ['a1', 'a2', 'a3', 'j'];
  const shared = [joined, ['b'], ['c'], ['d']].map((tensors) => ({ tensors, fixed: undefined }));
  const fine = new Map([...joined, 'b', 'c', 'd'].map((name) => [name, { scale: 1e-4, zeroPoint: 0 }]));
  const found = withFineSums(graph, [{ tensors: ['image'], fixed: image }, ...shared], fine);
  const scaleOf = (name: string) => found.get(name)!.scale;
  expect(new Set(joined.map(scaleOf)).size).toBe(1);
  // Weights of 5000 are 5000 / 127 for each of the image's integers, those of 127 are 1.
  expect(scaleOf('a3')).toBeGreaterThan((2 * 5000 * 0.25) / 127);
  expect(scaleOf('c')).toBeGreaterThan(2 * scaleOf('b'));
  expect(scaleOf('d')).toBeGreaterThan(2 * scaleOf('c'));
});

test.each([
  ['its scale is fixed', graphOf(conv('x', 'image', 'unit', [1, 1, 127])), [{ tensors: ['x'], fixed: ofUnit }]],
  [
    'it shares the scale of what it reads',
    graphOf(conv('c', 'image'), conv('x', 'c', null, [1, 1, 127]), concat('j', 'c', 'x')),
    [{ tensors: ['c', 'x', 'j'], fixed: undefined }],
  ],
] satisfies [string, Graph, SharedScale[]][])(
  'there is an end where an activation cannot be coarse enough: %s',
  (_, graph, shared) => {
    const calibrated = new Map(['c', 'x', 'j'].map((name) => [name, b]));
    expect(() => withFineSums(graph, [{ tensors: ['image'], fixed: image }, ...shared], calibrated)).toThrow(
      expect.objectContaining({
        name: 'DataError',
        message: 'the activations of the network are too small for its weights: 8-bit integers cannot hold both',
        fix: 'train it with more weight decay, or with batch normalization',
      }) as Error,
    );
  },
);
