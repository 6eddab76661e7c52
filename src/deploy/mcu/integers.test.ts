import { expect, test } from 'vitest';
import { factorOf } from './fixed-point.ts';
import { pointWindow, type ConvNode, type Graph, type GraphNode } from './graph.ts';
import { integerPlan } from './integers.ts';
import type { AddStep, ConvStep, CurveStep } from './plan.ts';

const extent = (channels: number, side = 1) => ({ height: side, width: side, channels });

function conv(weights: readonly number[], bias: readonly number[], clamp: ConvNode['clamp'] = null): ConvNode {
  const filters = bias.length;
  const window = pointWindow(extent(1));
  return {
    ...{ kind: 'conv', name: 'c', inputs: ['input'], output: extent(filters), window, groups: 1, clamp },
    weights: Float64Array.from(weights),
    bias: Float64Array.from(bias),
  };
}

const graphOf = (node: GraphNode, channels: number): Graph => ({
  input: { name: 'input', extent: extent(channels) },
  nodes: [node],
  output: node.name,
});

const image = { scale: 0.5, zeroPoint: -10 };

test('weights have a scale for each filter, biases the unit of its sums, factors are their quotient', () => {
  const node = conv([1.27, -0.5, 2.54, 0], [3, -4]);
  const step = integerPlan(
    graphOf(node, 2),
    new Map([
      ['input', image],
      ['c', { scale: 0.25, zeroPoint: 5 }],
    ]),
  ).steps[0] as ConvStep;
  expect([...step.weightScales].map((scale) => scale.toFixed(4))).toEqual(['0.0100', '0.0200']);
  expect([...step.weights]).toEqual([127, -50, 127, 0]);
  expect([...step.bias]).toEqual([600, -400]);
  // 0.5 * 0.01 / 0.25 and twice as much.
  expect(step.factors.map(({ multiplier, shift }) => multiplier * 2 ** (-31 - shift))).toEqual([
    expect.closeTo(0.02, 8),
    expect.closeTo(0.04, 8),
  ]);
  expect(step).toMatchObject({ low: -128, high: 127 });
});

test('ReLUs cut at what stands for zero and for six', () => {
  const output = new Map([
    ['input', image],
    ['c', { scale: 0.05, zeroPoint: -100 }],
  ]);
  const limits = (clamp: ConvNode['clamp']) => {
    const { low, high } = integerPlan(graphOf(conv([1], [0], clamp), 1), output).steps[0] as ConvStep;
    return [low, high];
  };
  expect(limits('relu')).toEqual([-100, 127]);
  expect(limits('relu6')).toEqual([-100, 20]);
  expect(limits(null)).toEqual([-128, 127]);
});

test('a filter of zeros, and one whose bias is far larger than its weights', () => {
  const node = conv([0, 1e-9], [0.7, 5]);
  const { steps } = integerPlan(
    graphOf(node, 1),
    new Map([
      ['input', image],
      ['c', { scale: 0.1, zeroPoint: 0 }],
    ]),
  );
  const { weights, bias, factors } = steps[0] as ConvStep;
  expect([...weights]).toEqual([0, 0]);
  const outputs = factors.map(({ multiplier, shift }, i) => (bias[i]! * multiplier) / 2 ** (31 + shift));
  expect(outputs).toEqual([expect.closeTo(7, 2), expect.closeTo(50, 4)]);
});

test('sums have the multipliers of XNNPACK: 21 bits for the larger, ties to even, and a shift that leaves room in 32 bits', () => {
  const sum = { kind: 'add', name: 's', inputs: ['input', 'b'], output: extent(1), clamp: null } as const;
  const graph: Graph = {
    input: { name: 'input', extent: extent(1) },
    nodes: [{ kind: 'maxPool', name: 'b', inputs: ['input'], output: extent(1), window: pointWindow(extent(1)) }, sum],
    output: 's',
  };
  const stepFor = (a: number, b: number) => {
    const scales = [a, b, 1].map((scale) => ({ scale, zeroPoint: 0 }));
    const plan = integerPlan(graph, new Map(['input', 'b', 's'].map((name, i) => [name, scales[i]!])));
    const { multipliers, shift } = plan.steps[1] as AddStep;
    return [...multipliers, shift];
  };
  expect(stepFor(1, 0.5)).toEqual([2 ** 20, 2 ** 19, 20]);
  expect(stepFor(0.75, 1 + 2 ** -21)).toEqual([0.75 * 2 ** 20, 2 ** 20, 20]);
  expect(stepFor(0.75, 1 + 3 * 2 ** -21)).toEqual([0.75 * 2 ** 20, 2 ** 20 + 2, 20]);
  expect(stepFor(100, 1)).toEqual([100 * 2 ** 14, 2 ** 14, 14]);
  expect(stepFor(2 ** -20, 2 ** -21)).toEqual([2 ** 10, 2 ** 9, 30]);
});

test('no filter is so fine that an activation is made of a sum that float32 rounds', () => {
  const node = conv([1e-7, 1], [0, 0]);
  const scales = new Map([
    ['input', image],
    ['c', { scale: 1, zeroPoint: -128 }],
  ]);
  const { weights, factors } = integerPlan(graphOf(node, 1), scales).steps[0] as ConvStep;
  expect(factors.map((factor) => 255 < factorOf(factor) * 2 ** 24)).toEqual([true, true]);
  expect([...weights]).toEqual([0, 127]);
});

test('an average over so many pixels that float32 rounds their sum is refused', () => {
  const node = { kind: 'globalAverage', name: 'g', inputs: ['input'], output: extent(1) } as const;
  const graph = (side: number): Graph => ({ ...graphOf(node, 1), input: { name: 'input', extent: extent(1, side) } });
  const scales = new Map([
    ['input', image],
    ['g', image],
  ]);
  expect(integerPlan(graph(256), scales).steps).toHaveLength(1);
  expect(() => integerPlan(graph(257), scales)).toThrow(
    'layer "g" averages 66049 pixels, of which float32 cannot hold every sum',
  );
});

test('sums that could leave 32 bits are refused', () => {
  const node = conv(new Array<number>(70_000).fill(1), [0]);
  const scales = new Map([
    ['input', image],
    ['c', { scale: 100, zeroPoint: 0 }],
  ]);
  expect(() => integerPlan(graphOf(node, 70_000), scales)).toThrow(
    'the sums of layer "c" over 70000 inputs (1x1 pixels) do not fit into integers of 32 bits',
  );
});

test('a curve is a table of what every integer becomes', () => {
  const node = { kind: 'curve', name: 'c', inputs: ['input'], output: extent(1), activation: { type: 'sigmoid' } } as const;
  const scales = new Map([
    ['input', { scale: 0.1, zeroPoint: 0 }],
    ['c', { scale: 1 / 256, zeroPoint: -128 }],
  ]);
  const { table } = integerPlan(graphOf(node, 1), scales).steps[0] as CurveStep;
  const at = (q: number) => table[q + 128];
  const sigmoid = (x: number) => Math.round(256 / (1 + Math.exp(-x))) - 128;
  expect([at(-128), at(-30), at(0), at(15), at(30), at(127)]).toEqual([-128, sigmoid(-3), 0, sigmoid(1.5), sigmoid(3), 127]);
});
