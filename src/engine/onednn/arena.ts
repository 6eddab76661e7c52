/** The flat arrays in which all parameters and all gradients of a plan lie, each parameter in the layout its kernels want. */
import type { ArenaEntry, DeviceArray, ParameterArena } from '../engine.ts';
import { arrayOf, valuesOf } from './array.ts';
import type { PlacedParameter } from './context.ts';
import type { Dnnl, MemoryDescriptor } from './dnnl.ts';
import { alignment, alignUp } from './memory-planner.ts';
import { allocateAligned } from './native.ts';
import { asFloat32 } from './program.ts';

/** Gives every placed parameter its bytes: trainable and frozen ones first, statistics behind them, all aligned to cache lines. */
export function createArena(dnnl: Dnnl, placed: readonly PlacedParameter[], training: boolean): ParameterArena {
  const isStatistic = (parameter: PlacedParameter): boolean => parameter.spec.kind === 'statistic';
  const ordered = [...placed.filter((parameter) => !isStatistic(parameter)), ...placed.filter(isStatistic)];
  let bytes = 0;
  let trainableBytes = 0;
  const places = ordered.map((parameter) => {
    const place = { parameter, byteOffset: bytes };
    bytes += alignUp(parameter.descriptor.sizeBytes);
    if (!isStatistic(parameter)) trainableBytes = bytes;
    return place;
  });
  const values = allocateAligned(bytes, alignment);
  const gradients = allocateAligned(training ? trainableBytes : 0, alignment);
  const entries = places.map(({ parameter, byteOffset }): ArenaEntry => {
    const { spec, descriptor } = parameter;
    parameter.values.storage.fixed = values.subarray(byteOffset, byteOffset + descriptor.sizeBytes);
    if (parameter.gradients !== undefined) {
      parameter.gradients.storage.fixed = gradients.subarray(byteOffset, byteOffset + descriptor.sizeBytes);
    }
    return { spec, offset: byteOffset / 4, length: descriptor.sizeBytes / 4 };
  });
  const length = bytes / 4;
  const conversions = new Map(
    places.map(({ parameter }, i) => [entries[i]!.spec.name, layoutConversion(dnnl, parameter.descriptor)]),
  );
  const conversionOf = (entry: ArenaEntry): LayoutConversion => conversions.get(entry.spec.name)!;
  const part = (entry: ArenaEntry, array: DeviceArray): Float32Array =>
    valuesOf(array).subarray(entry.offset, entry.offset + entry.length);
  return {
    entries,
    length,
    trainableLength: trainableBytes / 4,
    values: arrayOf(values),
    gradients: arrayOf(gradients),
    allocate: () => arrayOf(allocateAligned(bytes, alignment)),
    unpack: (entry, from, plain) => conversionOf(entry).unpack(part(entry, from), valuesOf(plain)),
    pack: (entry, plain, into) => conversionOf(entry).pack(valuesOf(plain), part(entry, into)),
    // eslint-disable-next-line @typescript-eslint/require-await -- an error rejects
    read: async (entry, from) => conversionOf(entry).toPlain(part(entry, from)),
    // eslint-disable-next-line @typescript-eslint/require-await -- an error rejects
    write: async (entry, plain, into) => {
      conversionOf(entry).fromPlain(plain, part(entry, into));
    },
  };
}

interface LayoutConversion {
  readonly toPlain: (blocked: Float32Array) => Float32Array;
  readonly fromPlain: (plain: Float32Array, blocked: Float32Array) => void;
  /** As these, between given arrays each time. */
  readonly unpack: (blocked: Float32Array, plain: Float32Array) => () => void;
  readonly pack: (plain: Float32Array, blocked: Float32Array) => () => void;
}

function layoutConversion(dnnl: Dnnl, descriptor: MemoryDescriptor): LayoutConversion {
  const plainDescriptor = dnnl.plain(descriptor.dims, 'f32');
  if (dnnl.equal(descriptor, plainDescriptor)) {
    return {
      toPlain: (blocked) => blocked.slice(),
      fromPlain: (plain, blocked) => {
        requireLength(plain, plainDescriptor);
        blocked.set(plain);
      },
      unpack: (blocked, plain) => {
        requireLength(plain, plainDescriptor);
        return () => {
          plain.set(blocked);
        };
      },
      pack: (plain, blocked) => {
        requireLength(plain, plainDescriptor);
        return () => {
          blocked.set(plain);
        };
      },
    };
  }
  const plainBytes = allocateAligned(plainDescriptor.sizeBytes, alignment);
  const blockedBytes = allocateAligned(descriptor.sizeBytes, alignment);
  const reorder = (src: MemoryDescriptor, from: Uint8Array, dst: MemoryDescriptor, to: Uint8Array) => {
    const primitive = dnnl.primitive({ kind: 'reorder', src, dst });
    if (primitive === undefined) throw new Error('oneDNN cannot reorder a parameter to plain layout');
    return dnnl.execution(
      primitive,
      new Map([
        ['src', dnnl.memory(src, from)],
        ['dst', dnnl.memory(dst, to)],
      ]),
    );
  };
  const toPlain = reorder(descriptor, blockedBytes, plainDescriptor, plainBytes);
  const fromPlain = reorder(plainDescriptor, plainBytes, descriptor, blockedBytes);
  return {
    toPlain(blocked) {
      asFloat32(blockedBytes).set(blocked);
      toPlain();
      return asFloat32(plainBytes).slice();
    },
    fromPlain(plain, blocked) {
      requireLength(plain, plainDescriptor);
      asFloat32(plainBytes).set(plain);
      // The reorder writes zeros into the padding.
      fromPlain();
      blocked.set(asFloat32(blockedBytes));
    },
    unpack(blocked, plain) {
      requireLength(plain, plainDescriptor);
      return reorder(descriptor, bytesOf(blocked), plainDescriptor, bytesOf(plain));
    },
    pack(plain, blocked) {
      requireLength(plain, plainDescriptor);
      return reorder(plainDescriptor, bytesOf(plain), descriptor, bytesOf(blocked));
    },
  };
}

function requireLength(plain: Float32Array, descriptor: MemoryDescriptor): void {
  if (plain.length * 4 !== descriptor.sizeBytes) {
    throw new Error(`${String(plain.length)} values for a parameter of shape ${descriptor.dims.join('x')}`);
  }
}

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
