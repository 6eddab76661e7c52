import type { ParameterSpec } from '../../nn/parameter.ts';
import { formatShape, sizeOf } from '../../nn/shape.ts';
import type { ArenaEntry, ParameterArena } from '../engine.ts';

/** An arena in which every parameter lies in plain layout, without padding: trainable and frozen ones first, then the statistics. */
export function createPlainArena(parameters: readonly ParameterSpec[], options: { readonly gradients: boolean }): ParameterArena {
  const learned = parameters.filter((spec) => spec.kind !== 'statistic');
  const statistics = parameters.filter((spec) => spec.kind === 'statistic');
  const entries: ArenaEntry[] = [];
  let length = 0;
  for (const spec of [...learned, ...statistics]) {
    entries.push({ spec, offset: length, length: sizeOf(spec.shape) });
    length += sizeOf(spec.shape);
  }
  const trainableLength = learned.reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
  return {
    entries,
    length,
    trainableLength,
    values: new Float32Array(length),
    gradients: new Float32Array(options.gradients ? length : 0),
    allocate: () => new Float32Array(length),
    unpack: (entry, from, plain) => () => {
      plain.set(from.subarray(entry.offset, entry.offset + entry.length));
    },
    pack: (entry, plain, into) => () => {
      into.set(plain, entry.offset);
    },
    read: (entry, from) => from.slice(entry.offset, entry.offset + entry.length),
    write({ spec, offset, length: expected }, plain, into) {
      if (plain.length !== expected) {
        throw new RangeError(`parameter "${spec.name}" ${formatShape(spec.shape)} has ${expected} elements, not ${plain.length}`);
      }
      into.set(plain, offset);
    },
  };
}
