import type { OnnxRule } from '../rule.ts';

/** ONNX divides alpha by the size of the window, which our alpha (TensorFlow's) is not: y = x / (bias + alpha / size * sum)^beta. */
export const lrnRule: OnnxRule<'lrn'> = ({ name, attributes }, { graph, inputs }) => {
  const { depthRadius, bias, alpha, beta } = attributes;
  const size = 2 * depthRadius + 1;
  return graph.node('LRN', name, inputs, {
    size,
    alpha: { float: alpha * size },
    beta: { float: beta },
    bias: { float: bias },
  });
};

/** For the normalizations that no convolution takes in (see fold.ts). ONNX always has a scale and a shift. */
export const batchNormRule: OnnxRule<'batchNorm'> = ({ name, attributes, outputShape }, { graph, inputs, parameter }) => {
  const channels = outputShape[0]!;
  const constant = (role: string, value: number) =>
    graph.floats(`${name}.${role}`, new Float32Array(channels).fill(value), [channels]);
  const scale = attributes.scale ? parameter('scale') : constant('scale', 1);
  const shift = attributes.shift ? parameter('shift') : constant('shift', 0);
  const operands = [...inputs, scale, shift, parameter('mean'), parameter('variance')];
  return graph.node('BatchNormalization', name, operands, { epsilon: { float: attributes.epsilon } });
};
