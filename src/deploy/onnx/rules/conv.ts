import type { OnnxRule } from '../rule.ts';
import { withActivation } from './activation.ts';
import { windowAttributes } from './window.ts';

/** ONNX's weights are `[filters, C / groups, kH, kW]`, like ours. */
export const convRule: OnnxRule<'conv'> = ({ name, attributes }, { graph, inputs, parameter }) => {
  const { groups, bias, activation } = attributes;
  const operands = [...inputs, parameter('weight'), ...(bias ? [parameter('bias')] : [])];
  const y = graph.node('Conv', name, operands, { ...windowAttributes(attributes), group: groups });
  return withActivation(graph, name, y, activation);
};
