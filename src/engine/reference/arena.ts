import type { ParameterSpec } from '../../nn/parameter.ts';
import { formatShape, sizeOf } from '../../nn/shape.ts';
import type { ArenaEntry, ParameterArena } from '../engine.ts';
import { newArray, valuesOf } from './array.ts';
import { vectorMath } from './vector-math.ts';

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
    values: newArray(length),
    gradients: newArray(options.gradients ? length : 0),
    allocate: () => newArray(length),
    unpack: (entry, from, plain) => vectorMath.copy(from.part(entry.offset, entry.offset + entry.length), plain),
    pack: (entry, plain, into) => vectorMath.copy(plain, into.part(entry.offset, entry.offset + entry.length)),
    read: (entry, from) => from.part(entry.offset, entry.offset + entry.length).read(),
    // eslint-disable-next-line @typescript-eslint/require-await -- what is wrong rejects, as it does on a device
    async write({ spec, offset, length: expected }, plain, into) {
      if (plain.length !== expected) {
        throw new RangeError(`parameter "${spec.name}" ${formatShape(spec.shape)} has ${expected} elements, not ${plain.length}`);
      }
      valuesOf(into).set(plain, offset);
    },
  };
}
