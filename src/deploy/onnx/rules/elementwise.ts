import type { OnnxRule } from '../rule.ts';

/** The identity at inference: nothing is written. */
export const dropoutRule: OnnxRule<'dropout'> = (_, { inputs }) => inputs[0]!;

export const scaleRule: OnnxRule<'scale'> = ({ name, attributes }, { graph, inputs }) =>
  graph.node('Mul', name, [...inputs, graph.floats(`${name}/factor`, [attributes.factor])]);

/** ONNX spreads a factor `[N, C, 1, 1]` over the pixels of its channel. */
export const multiplyRule: OnnxRule<'multiply'> = ({ name, inputShapes }, { graph, inputs }) => {
  const [x, factor] = inputs as readonly [string, string];
  const isVector = inputShapes[1]!.length < inputShapes[0]!.length;
  const image = () => graph.node('Unsqueeze', `${name}/factor`, [factor, graph.integers(`${name}/axes`, [2, 3])]);
  return graph.node('Mul', name, [x, isVector ? image() : factor]);
};

/** One two-operand Add after the other, which runtimes fuse, rather than the n-ary Sum, which they do not. */
export const addRule: OnnxRule<'add'> = ({ name }, { graph, inputs }) =>
  inputs.reduce((sum, input) => graph.node('Add', name, [sum, input]));
