/**
 * A device and its queue: compiled kernels, buffers, and the order in which work is done. Dispatches are gathered and handed over together, with their numbers
 * of the moment in one buffer; nothing waits but reading. What goes wrong meanwhile is thrown at the next await.
 */
import { messageOf } from '../../util/errors.ts';
import { DeviceError } from '../device-error.ts';
import type { KernelTime, KernelTimes, KernelWork } from '../kernel-times.ts';
import { createKernelClock, type KernelClock } from './kernel-clock.ts';
import type { Wait } from './resting-wait.ts';
import type { Tuning } from './tuning.ts';

/** A kernel whose text is compiled, for buffers that it reads and writes. */
export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** A compiled kernel with its buffers. */
export interface Bound {
  readonly label: string;
  /** What it is for, where times are asked for. */
  readonly work: KernelWork;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly buffers: readonly GPUBuffer[];
}

/** Elements: what kernels see of a buffer starts at a multiple of it. */
export const alignment = 64;

/** Numbers of the moment, each a word of four bytes. */
export type Words = Uint32Array;

/** Sets of numbers that a kernel's run may have: how many lanes are done together at most. */
export const largestTogether = 64;
/** Words in a set at most; sets begin at multiples of `setWords`. */
const largestSet = 32;
const setWords = 4;

/** WebGPU's least maximum of workgroups in a dimension. */
export const largestDepth = 65535;

/** Bytes of a slot of the uniform buffer: the alignment of a dynamic offset. A run takes as many as its numbers need. */
const slotBytes = 256;
const slotWords = slotBytes / 4;
const slots = 2048;
const noNumbers: Words = new Uint32Array(1);
/** Bytes that a kernel sees of the uniform buffer. */
const seenBytes = 4 * largestTogether * largestSet;

export interface GpuOptions {
  /** What the device's buffers and shaders are used through; kept as long as the device. */
  readonly owner: unknown;
  readonly device: GPUDevice;
  readonly tuning: Tuning;
  readonly description: string;
  /** How what the device does is waited for; as it comes by default. */
  readonly wait?: Wait;
}

export class Gpu {
  readonly device: GPUDevice;
  /** Set before the first plan is compiled. */
  tuning: Tuning;
  readonly description: string;
  readonly #wait: Wait;
  /** What `create` of the package returned: collected by V8, it would take the device with it. */
  #owner: unknown;
  readonly #pipelines = new Map<string, Promise<Compiled> | Compiled>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #uniformLayout: GPUBindGroupLayout;
  readonly #uniforms: GPUBuffer;
  readonly #uniformGroup: GPUBindGroup;
  readonly #numbers = new Uint32Array(slots * slotWords);
  #slotsUsed = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #error: DeviceError | undefined;
  #disposed = false;
  /** While kernels are timed by the device. */
  #clock: KernelClock | undefined;
  /** While they are timed by waiting: those that have not run yet, and the times of those that have. */
  #deferred: Parameters<Gpu['enqueue']>[] | undefined;
  #deferredTimes: KernelTime[] | undefined;
  /** Counts what changes buffers: what was read before the last change may be read again without asking the device. */
  #changes = 0;
  readonly #reads = new Map<GPUBuffer, { readonly changes: number; readonly values: Promise<ArrayBuffer> }>();

  constructor({ owner, device, tuning, description, wait = (promise) => promise }: GpuOptions) {
    this.#owner = owner;
    this.device = device;
    this.tuning = tuning;
    this.description = description;
    this.#wait = wait;
    this.#uniformLayout = device.createBindGroupLayout({
      entries: [{ binding: 0, visibility: computeStage, buffer: { type: 'uniform', hasDynamicOffset: true } }],
    });
    this.#uniforms = device.createBuffer({
      size: slots * slotBytes + seenBytes,
      usage: bufferUsage.uniform | bufferUsage.copyTo,
    });
    this.#uniformGroup = device.createBindGroup({
      layout: this.#uniformLayout,
      entries: [{ binding: 0, resource: { buffer: this.#uniforms, size: seenBytes } }],
    });
    device.addEventListener('uncapturederror', ({ error }) => {
      // The classes of errors are no globals in Node.
      const fix = error.constructor.name === 'GPUOutOfMemoryError' ? 'a smaller batch needs less memory' : undefined;
      this.#fail(error.message, fix);
    });
    void device.lost.then(({ message }) => {
      const fix =
        'ablate doctor says whether the driver answers; a smaller batch keeps a card that others use too from running out of memory';
      if (!this.#disposed) this.#fail(`the device was lost: ${message}`, fix);
    });
  }

  #fail(
    message: string,
    fix = '--engine onednn computes on the processor; this is an error of ablate or of the driver, worth a report',
  ): void {
    this.#error ??= new DeviceError(`WebGPU on ${this.description}: ${message}`, { fix });
  }

  /** @throws AblateError for what the device has reported since it was opened */
  check(): void {
    if (this.#disposed) throw new Error('the device has been given back');
    if (this.#error !== undefined) throw this.#error;
  }

  /** The kernel with this text, compiled at most once. */
  async compile(code: string, written: readonly boolean[]): Promise<Compiled> {
    const known = this.#pipelines.get(code);
    if (known !== undefined) return known;
    const made = this.#compileNew(code, written);
    this.#pipelines.set(code, made);
    const compiled = await made;
    this.#pipelines.set(code, compiled);
    return compiled;
  }

  async #compileNew(code: string, written: readonly boolean[]): Promise<Compiled> {
    const descriptor = this.#describe(code, written);
    try {
      const pipeline = await this.#wait(this.device.createComputePipelineAsync(descriptor.pipeline));
      return { pipeline, layout: descriptor.layout };
    } catch (error) {
      this.check();
      throw new Error(`a kernel does not compile: ${messageOf(error)}\n${code}`, { cause: error });
    }
  }

  /** The same, at once: for small kernels that are made while others wait. */
  compileNow(code: string, written: readonly boolean[]): Compiled {
    const known = this.#pipelines.get(code);
    if (known !== undefined && !(known instanceof Promise)) return known;
    const { pipeline, layout } = this.#describe(code, written);
    const compiled = { pipeline: this.device.createComputePipeline(pipeline), layout };
    this.#pipelines.set(code, compiled);
    return compiled;
  }

  #describe(code: string, written: readonly boolean[]) {
    const key = written.join();
    const layout =
      this.#layouts.get(key) ??
      this.device.createBindGroupLayout({
        entries: written.map((isWritten, binding) => ({
          binding,
          visibility: computeStage,
          buffer: { type: isWritten ? ('storage' as const) : ('read-only-storage' as const) },
        })),
      });
    this.#layouts.set(key, layout);
    const module = this.device.createShaderModule({ code });
    const pipelineLayout = this.device.createPipelineLayout({ bindGroupLayouts: [layout, this.#uniformLayout] });
    return { layout, pipeline: { layout: pipelineLayout, compute: { module, entryPoint: 'main' } } };
  }

  /** @param work what the kernel is for, by default a part of the update that `label` names */
  bind({ pipeline, layout }: Compiled, buffers: readonly GPUBuffer[], label: string, work: Partial<KernelWork> = {}): Bound {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bytes = buffers.reduce((sum, { size }) => sum + size, 0);
    const known = { layer: '', pass: 'optimizer', implementation: label, operations: 0, bytes, ...work };
    return { label, work: known, pipeline, buffers, group: this.device.createBindGroup({ layout, entries }) };
  }

  /** Zeroed memory for `length` elements of four bytes. */
  createBuffer(length: number, label: string): GPUBuffer {
    const size = Math.max(4 * Math.ceil(length), 16);
    return this.device.createBuffer({ size, label, usage: bufferUsage.storage | bufferUsage.copyTo | bufferUsage.copyFrom });
  }

  /** Bytes of the largest array. */
  get largestBuffer(): number {
    return Math.min(this.device.limits.maxStorageBufferBindingSize, this.device.limits.maxBufferSize);
  }

  /**
   * Adds a kernel's run to what will be handed over.
   *
   * @param workgroups for each set of numbers
   * @param sets the numbers of the moment: one set or more, of the same length; by default one of a kernel that has none
   */
  enqueue(bound: Bound, workgroups: readonly [number, number, number], sets: readonly Words[] = [noNumbers]): void {
    if (this.#deferred !== undefined) {
      this.#deferred.push([bound, workgroups, sets.map((words) => words.slice())]);
      return;
    }
    const { pipeline, group, work } = bound;
    const [{ length }] = sets as readonly [Words];
    if (length > largestSet) throw new Error(`a kernel has ${length} numbers of the moment, more than ${largestSet}`);
    const step = setWords * Math.ceil(length / setWords);
    const needed = Math.ceil((step * sets.length) / slotWords);
    if (this.#slotsUsed + needed > slots) this.flush();
    this.#encoder ??= this.device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass(this.#clock?.passFor(work));
    const [across, down, deep] = workgroups;
    const first = this.#slotsUsed;
    this.#slotsUsed += needed;
    sets.forEach((words, i) => this.#numbers.set(words, first * slotWords + i * step));
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, group);
    this.#pass.setBindGroup(1, this.#uniformGroup, [first * slotBytes]);
    this.#pass.dispatchWorkgroups(across, down, deep * sets.length);
    this.#changes++;
    if (this.#clock === undefined) return;
    this.#pass.end();
    this.#pass = undefined;
  }

  /**
   * Times each kernel that is enqueued until the promise of `work` has resolved: by the device's clock, or, where it shows none, one after the other with a wait
   * for each.
   */
  async time(work: () => unknown, timedBy = this.clock): Promise<KernelTimes> {
    this.flush();
    await this.device.queue.onSubmittedWorkDone();
    const kernels = timedBy === 'timestamps' ? await this.#timeByDevice(work) : await this.#timeByWaiting(work);
    this.check();
    return { timedBy, kernels };
  }

  /** What kernels are timed by. */
  get clock(): KernelTimes['timedBy'] {
    return this.device.features.has('timestamp-query') ? 'timestamps' : 'wall time';
  }

  async #timeByDevice(work: () => unknown): Promise<KernelTime[]> {
    const clock = createKernelClock(this.device);
    this.#clock = clock;
    try {
      await work();
      this.flush();
    } finally {
      this.#clock = undefined;
    }
    return await clock.take();
  }

  async #timeByWaiting(work: () => unknown): Promise<KernelTime[]> {
    const times: KernelTime[] = [];
    this.#deferredTimes = times;
    this.#deferred = [];
    try {
      await work();
      await this.#runDeferred();
    } finally {
      this.#deferred = this.#deferredTimes = undefined;
    }
    return times;
  }

  /** Runs what waits to be timed by this process's clock. */
  async #runDeferred(): Promise<void> {
    const [kernels, times] = [this.#deferred, this.#deferredTimes];
    if (kernels === undefined || times === undefined) return;
    this.#deferred = undefined;
    for (const [bound, workgroups, words] of kernels) {
      const start = performance.now();
      this.enqueue(bound, workgroups, words);
      this.flush();
      await this.device.queue.onSubmittedWorkDone();
      times.push({ ...bound.work, ms: performance.now() - start });
    }
    this.#deferred = [];
  }

  /** Hands over what was gathered. */
  flush(): void {
    if (this.#encoder === undefined) return;
    this.#pass?.end();
    const { queue } = this.device;
    if (this.#slotsUsed > 0) queue.writeBuffer(this.#uniforms, 0, this.#numbers, 0, this.#slotsUsed * slotWords);
    queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
    this.#pass = undefined;
    this.#slotsUsed = 0;
  }

  /** Overwrites elements from `start` on, before what has been enqueued, but not handed over; `values` may change afterwards. */
  writeAhead(buffer: GPUBuffer, start: number, values: Float32Array | Uint32Array): void {
    this.#changes++;
    // The binding takes no views of shared memory.
    const own = values.buffer instanceof ArrayBuffer ? values : values.slice();
    this.device.queue.writeBuffer(buffer, 4 * start, own);
  }

  /** Elements `start` to before `end`. Reads of the same buffer with no change in between share one transfer. */
  async read(buffer: GPUBuffer, start: number, end: number): Promise<ArrayBuffer> {
    this.check();
    if (start === end) return new ArrayBuffer(0);
    const known = this.#reads.get(buffer);
    if (known?.changes === this.#changes) return (await known.values).slice(4 * start, 4 * end);
    // The first of several reads takes its part; when a second one comes, the whole buffer is worth it.
    const whole = this.#lastRead?.buffer === buffer && this.#lastRead.changes === this.#changes;
    this.#lastRead = { buffer, changes: this.#changes };
    if (!whole) return this.#transfer(buffer, 4 * start, 4 * (end - start));
    const values = this.#transfer(buffer, 0, buffer.size);
    this.#reads.set(buffer, { changes: this.#changes, values });
    const all = await values;
    this.#reads.delete(buffer);
    return all.slice(4 * start, 4 * end);
  }

  #lastRead: { readonly buffer: GPUBuffer; readonly changes: number } | undefined;

  async #transfer(buffer: GPUBuffer, start: number, size: number): Promise<ArrayBuffer> {
    await this.#runDeferred();
    this.flush();
    const staging = this.device.createBuffer({ size, usage: bufferUsage.mapRead | bufferUsage.copyTo });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, start, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    try {
      await this.#wait(staging.mapAsync(mapRead));
    } catch (error) {
      this.check();
      throw new DeviceError(`WebGPU on ${this.description}: ${messageOf(error)}`, { cause: error });
    }
    this.check();
    const values = staging.getMappedRange().slice(0);
    staging.unmap();
    staging.destroy();
    return values;
  }

  /** Runs `allocate`; if the device has no memory for all that it makes, `refusal` is thrown. What was made is the caller's, then too. */
  async guardMemory(allocate: () => void, refusal: (message: string) => Error): Promise<void> {
    this.device.pushErrorScope('out-of-memory');
    this.device.pushErrorScope('validation');
    allocate();
    const errors = Promise.all([this.device.popErrorScope(), this.device.popErrorScope()]);
    const [invalid, outOfMemory] = await this.#wait(errors);
    if (outOfMemory !== null) throw refusal(outOfMemory.message);
    if (invalid !== null) throw new Error(`WebGPU on ${this.description}: ${invalid.message}`);
  }

  /** Gives the device back. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder = undefined;
    this.#pipelines.clear();
    this.#layouts.clear();
    this.#reads.clear();
    this.#uniforms.destroy();
    this.device.destroy();
    this.#owner = undefined;
  }

  /** Whether what the device belongs to is still held. */
  get isOpen(): boolean {
    return this.#owner !== undefined;
  }
}

// The values of GPUBufferUsage, GPUShaderStage and GPUMapMode, which are globals in browsers alone.
const bufferUsage = { mapRead: 0x1, copyFrom: 0x4, copyTo: 0x8, uniform: 0x40, storage: 0x80 };
const computeStage = 0x4;
const mapRead = 0x1;
