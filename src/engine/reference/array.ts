/** This engine's arrays: on the host, but for nobody else to see. What others do to them they do to a copy, as with an array on a device. */
import type { DeviceArray } from '../engine.ts';
import { HostArray } from '../host-array.ts';

const engine = 'reference';

export function newArray(length: number): DeviceArray {
  return new HostArray(engine, new Float32Array(length), { stagedDirectly: false });
}

/** The elements themselves. */
export function valuesOf(array: DeviceArray): Float32Array {
  return HostArray.valuesOf(array, engine);
}
