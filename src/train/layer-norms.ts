/** How large the weights of each layer are, and their gradients: what a person looks at who wonders why a network does not learn. */
import type { ArenaEntry, ParameterArena } from '../engine/engine.ts';
import type { Metrics } from '../runs/metrics.ts';

/** Records are many, and curves of norms need no more. */
const digits = 5;

/**
 * Measures the Euclidean norms of the weights of each layer that has any (not of biases, nor of what normalizes), and of the mean gradient of
 * the step that was taken last: `weightNorm/<layer>` and `gradientNorm/<layer>`. One pass over both arrays, to be called when a record is
 * written. The padding of blocked layouts is zero.
 */
export function layerNorms({ entries, values, gradients }: ParameterArena): Metrics {
  const layers = new Map<string, ArenaEntry[]>();
  for (const entry of entries) {
    const { kind, shape, layer } = entry.spec;
    if (kind === 'trainable' && shape.length > 1) layers.set(layer, [...(layers.get(layer) ?? []), entry]);
  }
  const norms = (name: string, array: Float32Array) =>
    [...layers].map(([layer, of]): [string, number] => [`${name}/${layer}`, normOf(of, array)]);
  return Object.fromEntries([...norms('weightNorm', values), ...norms('gradientNorm', gradients)]);
}

function normOf(entries: readonly ArenaEntry[], array: Float32Array): number {
  let sum = 0;
  for (const { offset, length } of entries) {
    for (let i = offset; i < offset + length; i++) sum += array[i]! * array[i]!;
  }
  return Number(Math.sqrt(sum).toPrecision(digits));
}
