/** The activations that only cut. */
import type { ActivationType } from '../../nn/activation.ts';
import type { Clamp, ReluClamp } from './graph.ts';

export function isRelu(type: ActivationType): type is ReluClamp {
  return type === 'relu' || type === 'relu6';
}

/** One after the other is one. */
export function joinClamps<First extends Clamp>(first: First | null, second: ReluClamp): First | ReluClamp {
  return first === 'relu6' || first === 'unit' ? first : second;
}
