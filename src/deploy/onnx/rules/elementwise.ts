import type { OnnxRule } from '../rule.ts';

/** The identity at inference: nothing is written. */
export const dropoutRule: OnnxRule<'dropout'> = (_, { inputs }) => inputs[0]!;

export const scaleRule: OnnxRule<'scale'> = ({ name, attributes }, { graph, inputs }) =>
  graph.node('Mul', name, [...inputs, graph.floats(`${name}/factor`, [attributes.factor])]);

/** One two-operand Add after the other, which runtimes fuse, rather than the n-ary Sum, which they do not. */
export const addRule: OnnxRule<'add'> = ({ name }, { graph, inputs }) =>
  inputs.reduce((sum, input) => graph.node('Add', name, [sum, input]));
