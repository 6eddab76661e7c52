import { describe, expect, test } from 'vitest';
import { buildGraph, type GraphBuilder } from '../../deploy/onnx/graph.ts';
import type { GraphProto } from '../../deploy/onnx/schema.ts';
import { weightedLayers, withoutLayers } from './layers.ts';
import { integerTensors, scaleGroups } from './placement.ts';

/** Shapes do not matter here: what operators there are, and what is connected, does. */
function graphOf(build: (graph: GraphBuilder) => string): GraphProto {
  const face = {
    name: 'g',
    input: { name: 'x', type: 'float', shape: ['N', 1, 8, 8] },
    outputs: [{ name: 'logits', type: 'float', shape: ['N', 2] }],
  } as const;
  return buildGraph(face, (graph) => [build(graph)]);
}

function conv(graph: GraphBuilder, name: string, input: string): string {
  return graph.node('Conv', name, [input, graph.floats(`${name}.weight`, [1], [1, 1, 1, 1])]);
}

function dense(graph: GraphBuilder, name: string, input: string): string {
  return graph.node('Gemm', name, [input, graph.floats(`${name}.weight`, [1], [1, 1])], { transB: 1 });
}

/** As in tuto. */
const tutorial = graphOf((g) => {
  const standardized = g.node('Div', 'standardized', ['x', g.floats('deviation', [2])]);
  const conv1 = g.node('Relu', 'conv1/relu', [conv(g, 'conv1', standardized)]);
  const lrn1 = g.node('LRN', 'lrn1', [g.node('MaxPool', 'pool1', [conv1])], { size: 9 });
  const conv2 = g.node('Relu', 'conv2/relu', [conv(g, 'conv2', lrn1)]);
  const pool2 = g.node('MaxPool', 'pool2', [g.node('LRN', 'lrn2', [conv2], { size: 9 })]);
  const dense1 = g.node('Relu', 'dense1/relu', [dense(g, 'dense1', g.node('Flatten', 'flatten', [pool2]))]);
  return dense(g, 'logits', dense1);
});

const scaled = graphOf((g) => g.node('Mul', 'scaled', [dense(g, 'dense', 'x'), g.floats('factor', [2])]));

const names = (graph: GraphProto, ...keepFloat: readonly string[]) => [
  ...integerTensors(graph, withoutLayers(weightedLayers(graph), keepFloat)),
];

describe('which tensors become integers', () => {
  test('inputs and outputs of layers, through pools and across ReLUs; never the logits', () => {
    expect(weightedLayers(tutorial).map(({ name }) => name)).toEqual(['conv1', 'conv2', 'dense1', 'logits']);
    expect(names(tutorial)).toEqual([
      'standardized',
      'conv1/relu',
      'pool1',
      'lrn1',
      'conv2/relu',
      'lrn2',
      'pool2',
      'flatten',
      'dense1/relu',
    ]);
  });

  test('layers that stay float give and take floats', () => {
    expect(names(tutorial, 'conv1', 'logits')).toEqual(['lrn1', 'conv2/relu', 'lrn2', 'pool2', 'flatten', 'dense1/relu']);
    // What scales the logits of a dense layer does so in float.
    expect(names(scaled)).toEqual([]);
  });

  test('an unknown layer is named, and the nearest; one must be left', () => {
    const layers = weightedLayers(tutorial);
    expect(() => withoutLayers(layers, ['conv3'])).toThrow(/no layer "conv3" to keep in float\. Did you mean "conv1"/);
    expect(() => withoutLayers(layers, ['conv1', 'conv2', 'dense1', 'logits'])).toThrow(/leaves none to quantize/);
  });

  test('sums, averages and ReLUs between layers; float operators are left alone', () => {
    const residual = graphOf((g) => {
      const a = conv(g, 'a', 'x');
      const b = conv(g, 'b', g.node('Relu', 'relu', [a]));
      const sum = g.node('Add', 'sum', [a, b]);
      const gelu = g.node('Erf', 'erf', [conv(g, 'c', sum)]);
      const plusOne = g.node('Add', 'plus', [gelu, g.floats('one', [1])]);
      return g.node('GlobalAveragePool', 'average', [conv(g, 'd', plusOne)]);
    });
    // The last average makes the logits of integers, but is no integer itself.
    expect(names(residual)).toEqual(['a', 'relu', 'b', 'sum', 'c', 'plus', 'd']);
  });
});

test('products, sigmoids and leaky ReLUs of integers; a ReLU6 belongs to its layer', () => {
  const silu = graphOf((g) => {
    const a = conv(g, 'a', 'x');
    const b = conv(g, 'b', g.node('Mul', 'silu', [a, g.node('Sigmoid', 'sigmoid', [a])]));
    const ends = [g.floats('min', [0]), g.floats('max', [6])];
    const c = conv(g, 'c', g.node('Clip', 'relu6', [g.node('LeakyRelu', 'leaky', [b]), ...ends]));
    return conv(g, 'd', g.node('Clip', 'c/relu6', [c, ...ends]));
  });
  expect(names(silu)).toEqual(['a', 'sigmoid', 'silu', 'b', 'leaky', 'relu6', 'c/relu6']);
});

test('a product with a factor that is float is float; a dense layer before it is not rounded for it', () => {
  const excitation = graphOf((g) => {
    const a = conv(g, 'a', 'x');
    const average = g.node('Flatten', 'flatten', [g.node('GlobalAveragePool', 'average', [a])]);
    const factor = g.node('HardSigmoid', 'factor', [dense(g, 'excite', average)]);
    const spread = g.node('Unsqueeze', 'spread', [factor, g.integers('axes', [2, 3])]);
    return conv(g, 'b', g.node('Mul', 'product', [a, spread]));
  });
  expect(names(excitation)).toEqual(['a', 'average', 'flatten', 'product']);
  // With a sigmoid all of it is integers.
  const sigmoid = graphOf((g) => {
    const a = conv(g, 'a', 'x');
    const average = g.node('Flatten', 'flatten', [g.node('GlobalAveragePool', 'average', [a])]);
    const factor = g.node('Sigmoid', 'factor', [dense(g, 'excite', average)]);
    const spread = g.node('Unsqueeze', 'spread', [factor, g.integers('axes', [2, 3])]);
    return conv(g, 'b', g.node('Mul', 'product', [a, spread]));
  });
  expect(names(sigmoid)).toEqual(['a', 'average', 'flatten', 'excite', 'factor', 'spread', 'product']);
  expect(scaleGroups(sigmoid, new Set(names(sigmoid)))).toContainEqual({ tensors: ['factor', 'spread'], observed: ['spread'] });
});

test('an output of the graph stays float, whatever makes it', () => {
  expect(names(graphOf((g) => conv(g, 'b', conv(g, 'a', 'x'))))).toEqual(['a']);
  expect(names(graphOf((g) => g.node('MaxPool', 'pool', [conv(g, 'a', 'x')])))).toEqual(['a']);
  // A ReLU that makes the output is not taken for its layer's.
  expect(names(graphOf((g) => g.node('Relu', 'relu', [dense(g, 'a', 'x')])))).toEqual([]);
});

test('what only moves values shares a scale, decided by those that are computed with', () => {
  const module = graphOf((g) => {
    const stem = conv(g, 'stem', 'x');
    const left = g.node('Relu', 'left/relu', [conv(g, 'left', stem)]);
    const right = conv(g, 'right', g.node('MaxPool', 'pool', [stem]));
    return dense(g, 'out', g.node('Flatten', 'flatten', [g.node('Concat', 'concat', [left, right], { axis: 1 })]));
  });
  const groups = scaleGroups(module, new Set(names(module)));
  expect(groups).toEqual([
    { tensors: ['stem', 'pool'], observed: ['stem', 'pool'] },
    { tensors: ['left/relu', 'right', 'concat', 'flatten'], observed: ['flatten'] },
  ]);
});
