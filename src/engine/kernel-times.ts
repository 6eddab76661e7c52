/** What an engine on a device of its own says of its speed: how long each kernel of a step takes there, and what the device reaches at best. */

/** A kernel by what it is for. */
export interface KernelWork {
  /** The layer, or what else it is for. */
  readonly layer: string;
  readonly pass: string;
  /** How it computes: `product 128x64x16, 7 parts`. */
  readonly implementation: string;
  /** Multiplications and additions. */
  readonly operations: number;
  /** Of the arrays that it reads and writes, each once. */
  readonly bytes: number;
}

export interface KernelTime extends KernelWork {
  readonly ms: number;
}

export interface KernelTimes {
  /** The device's own clock, or this process's, with the wait for each kernel in it. */
  readonly timedBy: 'timestamps' | 'wall time';
  /** In the order in which they ran. */
  readonly kernels: readonly KernelTime[];
}

/** What the device reaches in a large matrix product, and in copying a large array (read and written bytes). */
export interface DeviceCeilings {
  readonly productGflops: number;
  readonly copyGBPerSecond: number;
}

/** A plan whose kernels its device can time. */
export interface TimedPlan {
  /** Times every kernel that is enqueued until the promise of `work` has resolved, those of all other arithmetic on arrays too. */
  timeKernels(work: () => Promise<unknown>): Promise<KernelTimes>;
  /** Measures them now: takes about a second. */
  measureCeilings(): Promise<DeviceCeilings>;
}

export function isTimed(plan: object): plan is TimedPlan {
  return 'timeKernels' in plan;
}
