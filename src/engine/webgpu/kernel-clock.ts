/** The device's clock around each kernel: every kernel gets a pass of its own, at whose ends the device writes down the time. */
import type { KernelTime, KernelWork } from '../kernel-times.ts';

/** The most that a set holds. */
const queriesInSet = 4096;

export interface KernelClock {
  /** For the pass of the next kernel. */
  passFor(work: KernelWork): GPUComputePassDescriptor;
  /** The times of all passes, once they have been handed over. */
  take(): Promise<KernelTime[]>;
}

/** @param device one with the feature `timestamp-query` */
export function createKernelClock(device: GPUDevice): KernelClock {
  const works: KernelWork[] = [];
  const sets: GPUQuerySet[] = [];
  return {
    passFor(work) {
      const first = (2 * works.length) % queriesInSet;
      if (first === 0) sets.push(device.createQuerySet({ type: 'timestamp', count: queriesInSet }));
      works.push(work);
      return {
        timestampWrites: { querySet: sets.at(-1)!, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 },
      };
    },

    async take() {
      const times: bigint[] = [];
      for (const [i, set] of sets.entries()) {
        const count = Math.min(queriesInSet, 2 * works.length - i * queriesInSet);
        times.push(...(await resolve(device, set, count)));
        set.destroy();
      }
      // A clock that starts anew gives no negative times.
      return works.map((work, i) => ({ ...work, ms: Math.max(0, Number(times[2 * i + 1]! - times[2 * i]!) / 1e6) }));
    },
  };
}

/** Nanoseconds. */
async function resolve(device: GPUDevice, set: GPUQuerySet, count: number): Promise<BigUint64Array> {
  const size = 8 * count;
  const resolved = device.createBuffer({ size, usage: bufferUsage.queryResolve | bufferUsage.copyFrom });
  const staging = device.createBuffer({ size, usage: bufferUsage.mapRead | bufferUsage.copyTo });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(set, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(mapRead);
  const times = new BigUint64Array(staging.getMappedRange().slice(0));
  staging.destroy();
  resolved.destroy();
  return times;
}

// The values of GPUBufferUsage and GPUMapMode, which are globals in browsers alone.
const bufferUsage = { mapRead: 0x1, copyFrom: 0x4, copyTo: 0x8, queryResolve: 0x200 };
const mapRead = 0x1;
