import type { Activation } from '../../../nn/activation.ts';
import type { GraphBuilder } from '../graph.ts';
import type { OnnxRule } from '../rule.ts';

/** Writes f(x) as nodes of which the last is called `name`. */
export function addActivation(graph: GraphBuilder, name: string, x: string, activation: Activation): string {
  switch (activation.type) {
    case 'relu':
      return graph.node('Relu', name, [x]);
    case 'relu6':
      return graph.node('Clip', name, [x, graph.floats(`${name}/min`, [0]), graph.floats(`${name}/max`, [6])]);
    case 'leakyRelu':
      return graph.node('LeakyRelu', name, [x], { alpha: { float: activation.slope } });
    case 'gelu': {
      // x * Phi(x) = x * (1 + erf(x / sqrt(2))) / 2, spelt out: the Gelu operator needs a newer operator set, and ONNX Runtime recognizes this form.
      const scaled = graph.node('Div', `${name}/scaled`, [x, graph.floats(`${name}/sqrt2`, [Math.SQRT2])]);
      const erf = graph.node('Erf', `${name}/erf`, [scaled]);
      const shifted = graph.node('Add', `${name}/shifted`, [erf, graph.floats(`${name}/one`, [1])]);
      const product = graph.node('Mul', `${name}/product`, [x, shifted]);
      return graph.node('Mul', name, [product, graph.floats(`${name}/half`, [0.5])]);
    }
    case 'sigmoid':
      return graph.node('Sigmoid', name, [x]);
    case 'silu':
      return graph.node('Mul', name, [x, graph.node('Sigmoid', `${name}/sigmoid`, [x])]);
    case 'hardSigmoid':
      return graph.node('HardSigmoid', name, [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
    case 'hardSwish':
      return graph.node('HardSwish', name, [x]);
    default:
      return activation satisfies never;
  }
}

/** The activation inside a layer, if it has one, behind what the layer computes. */
export function withActivation(graph: GraphBuilder, layer: string, x: string, activation: Activation | null): string {
  return activation === null ? x : addActivation(graph, `${layer}/${activation.type}`, x, activation);
}

export const activationRule: OnnxRule<'activation'> = ({ name, attributes }, { graph, inputs }) =>
  addActivation(graph, name, inputs[0]!, attributes);
