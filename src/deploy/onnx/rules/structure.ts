import type { OnnxRule } from '../rule.ts';

export const concatRule: OnnxRule<'concat'> = ({ name }, { graph, inputs }) => graph.node('Concat', name, inputs, { axis: 1 });

/** NCHW in memory, so C, H, W order. */
export const flattenRule: OnnxRule<'flatten'> = ({ name }, { graph, inputs }) => graph.node('Flatten', name, inputs, { axis: 1 });
