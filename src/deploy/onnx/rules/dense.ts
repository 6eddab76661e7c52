import type { OnnxRule } from '../rule.ts';
import { withActivation } from './activation.ts';

/** y = x * W^T + b with weights `[features, inputs]`; an image is flattened in C, H, W order first. */
export const denseRule: OnnxRule<'dense'> = ({ name, attributes, inputShapes }, { graph, inputs, parameter }) => {
  const { bias, activation } = attributes;
  const isImage = inputShapes[0]!.length > 1;
  const x = isImage ? graph.node('Flatten', `${name}/flatten`, inputs, { axis: 1 }) : inputs[0]!;
  const operands = [x, parameter('weight'), ...(bias ? [parameter('bias')] : [])];
  const y = graph.node('Gemm', name, operands, { transB: 1 });
  return withActivation(graph, name, y, activation);
};
