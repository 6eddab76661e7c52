import type { OnnxRule } from '../rule.ts';
import { windowAttributes } from './window.ts';

export const maxPoolRule: OnnxRule<'maxPool'> = ({ name, attributes }, { graph, inputs }) =>
  graph.node('MaxPool', name, inputs, windowAttributes(attributes));

/** Padding is not counted, in ONNX by default. */
export const avgPoolRule: OnnxRule<'avgPool'> = ({ name, attributes }, { graph, inputs }) =>
  graph.node('AveragePool', name, inputs, windowAttributes(attributes));

/** ONNX keeps the two spatial dimensions, as ones. */
export const globalAvgPoolRule: OnnxRule<'globalAvgPool'> = ({ name }, { graph, inputs }) => {
  const averages = graph.node('GlobalAveragePool', name, inputs);
  return graph.node('Flatten', `${name}/flatten`, [averages], { axis: 1 });
};
