import type { DeviceArray, Staging } from '../engine.ts';
import type { Lane } from './lanes.ts';

/** As in the registry of engines. */
export const engineName = 'webgpu';

/** Some of a buffer's elements. */
export class GpuArray implements DeviceArray {
  readonly engine = engineName;
  readonly lane: Lane;
  readonly buffer: GPUBuffer;
  /** Of the first element in the buffer. */
  readonly start: number;
  readonly length: number;

  constructor(lane: Lane, buffer: GPUBuffer, start: number, length: number) {
    this.lane = lane;
    this.buffer = buffer;
    this.start = start;
    this.length = length;
  }

  part(start: number, end: number): GpuArray {
    if (!(start >= 0 && start <= end && end <= this.length)) {
      throw new RangeError(`elements ${start} to ${end} are not all in an array of ${this.length}`);
    }
    return new GpuArray(this.lane, this.buffer, this.start + start, end - start);
  }

  async read(): Promise<Float32Array> {
    return new Float32Array(await this.lane.read(this.buffer, this.start, this.start + this.length));
  }

  // The values are copied before it returns.
  // eslint-disable-next-line @typescript-eslint/require-await -- an error rejects
  async write(values: Float32Array): Promise<void> {
    if (values.length !== this.length) throw new RangeError(`the array has ${this.length} elements, not ${values.length}`);
    this.lane.gpu.check();
    this.lane.write(this.buffer, this.start, values);
  }

  stage(): Staging {
    const host = new Float32Array(this.length);
    return {
      ...{ host, direct: false },
      fetch: async () => host.set(await this.read()),
      store: () => this.write(host),
    };
  }
}

/** @throws Error for an array of another engine or lane: a defect of the caller's */
export function requireOwn(lane: Lane, array: DeviceArray): GpuArray {
  if (array instanceof GpuArray && array.lane === lane) return array;
  throw new Error(`an array of the engine ${array.engine} cannot be used with one of another device or network`);
}
