/** The activations that only cut. */
import type { ActivationType } from '../../nn/activation.ts';
import type { Clamp } from './graph.ts';

export function isClamp(type: ActivationType): type is Clamp {
  return type === 'relu' || type === 'relu6';
}

/** One after the other is one. */
export function joinClamps(first: Clamp | null, second: Clamp): Clamp {
  return first === 'relu6' ? 'relu6' : second;
}
