/** This engine's arrays: memory of the host that kernels work on. */
import type { DeviceArray } from '../engine.ts';
import { HostArray } from '../host-array.ts';
import { asFloat32 } from './program.ts';

const engine = 'onednn';

/** The memory as an array, without a copy. */
export function arrayOf(bytes: Uint8Array): DeviceArray {
  return new HostArray(engine, asFloat32(bytes), { stagedDirectly: true });
}

/** The elements themselves. Throws a TypeError for an array of another engine. */
export function valuesOf(array: DeviceArray): Float32Array {
  return HostArray.valuesOf(array, engine);
}
