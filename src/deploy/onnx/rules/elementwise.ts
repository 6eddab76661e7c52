import type { OnnxRule } from '../rule.ts';

export const reluRule: OnnxRule<'relu'> = ({ name }, { graph, inputs }) => graph.node('Relu', name, inputs);

/**
 * x * Phi(x) = x * (1 + erf(x / sqrt(2))) / 2, spelt out: the Gelu operator needs a newer operator set, and ONNX Runtime recognizes
 * this form.
 */
export const geluRule: OnnxRule<'gelu'> = ({ name }, { graph, inputs }) => {
  const [x] = inputs as readonly [string];
  const scaled = graph.node('Div', `${name}/scaled`, [x, graph.floats(`${name}/sqrt2`, [Math.SQRT2])]);
  const erf = graph.node('Erf', `${name}/erf`, [scaled]);
  const shifted = graph.node('Add', `${name}/shifted`, [erf, graph.floats(`${name}/one`, [1])]);
  const product = graph.node('Mul', `${name}/product`, [x, shifted]);
  return graph.node('Mul', name, [product, graph.floats(`${name}/half`, [0.5])]);
};

/** The identity at inference: nothing is written. */
export const dropoutRule: OnnxRule<'dropout'> = (_, { inputs }) => inputs[0]!;

export const scaleRule: OnnxRule<'scale'> = ({ name, attributes }, { graph, inputs }) =>
  graph.node('Mul', name, [...inputs, graph.floats(`${name}/factor`, [attributes.factor])]);

/** One two-operand Add after the other, which runtimes fuse, rather than the n-ary Sum, which they do not. */
export const addRule: OnnxRule<'add'> = ({ name }, { graph, inputs }) =>
  inputs.reduce((sum, input) => graph.node('Add', name, [sum, input]));
