/**
 * Trainings side by side on one device. Each is a lane: it enqueues its own work, in its order, on its own parts of buffers that all lanes share. Where the
 * lanes are at the same work it is done in one go: a kernel's run has a workgroup for each of the lanes' workgroups, and numbers of the moment for each lane.
 * What is done together decides nothing but the time: lanes share no element, so that each computes the same bits as alone. The usual case is one lane.
 *
 * So that the lanes stay at the same work, none begins a step before all have come to the beginning of one, or wait for something that the device computes.
 */
import { alignment, largestDepth, largestTogether, type Bound, type Gpu, type Words } from './gpu.ts';

/** Work that was enqueued and not handed over. */
type Item = { readonly bound: Bound; readonly workgroups: readonly [number, number, number]; readonly words: Words } | Write;

interface Write {
  readonly buffer: GPUBuffer;
  readonly start: number;
  readonly values: Float32Array | Uint32Array;
  /** Of the input of a step, which several lanes may have as their first item: what it was copied from, and whose part it writes. */
  readonly input?: { readonly source: Float32Array; readonly lane: Lane };
}

/** What lanes share, as long as one of them uses it. */
interface Shared {
  readonly thing: unknown;
  readonly destroy: () => void;
  users: number;
}

/** A part of a shared buffer. */
export interface OwnPart {
  readonly buffer: GPUBuffer;
  /** Of its first element. */
  readonly start: number;
  readonly release: () => void;
}

/** @throws RangeError for more lanes than a kernel can serve */
export function openLanes(gpu: Gpu, count: number): readonly Lane[] {
  if (!(count >= 1 && count <= largestTogether)) throw new RangeError(`there can be 1 to ${largestTogether} lanes, not ${count}`);
  const group = new Lanes(gpu, count);
  return group.lanes;
}

class Lanes {
  readonly gpu: Gpu;
  readonly lanes: readonly Lane[];
  /** Those that go on. */
  readonly open: Set<Lane>;
  readonly shared = new Map<string, Shared>();

  constructor(gpu: Gpu, count: number) {
    this.gpu = gpu;
    this.lanes = Array.from({ length: count }, (_, number) => new Lane(this, number));
    this.open = new Set(this.lanes);
  }

  /** Once nobody would enqueue more: does what there is, and lets go on who waits for results, or else who is at the beginning of a step. */
  settle(): void {
    const open = [...this.open];
    if (open.length === 0 || !open.every((lane) => lane.waits)) return;
    this.flush();
    const reading = open.filter(({ readers }) => readers.length > 0);
    for (const lane of reading.length > 0 ? reading : open) lane.goOn();
  }

  /**
   * Hands over all work. Lanes' next items that are the same are done together. The one with the most left goes first: what a lane does that the others do not
   * is so done before what they share.
   */
  flush(): void {
    const { gpu } = this;
    const next = this.#writeFirst();
    const left = (lane: Lane) => lane.items.length - next.get(lane)!;
    let busy = [...next.keys()].filter((lane) => left(lane) > 0);
    /** Lanes with kernels among those that will be handed over together: what is written would come before them. */
    const encoded = new Set<Lane>();
    for (; busy.length > 0; busy = busy.filter((lane) => left(lane) > 0)) {
      const leader = busy.reduce((most, lane) => (left(lane) > left(most) ? lane : most));
      const item = leader.items[next.get(leader)!]!;
      if ('values' in item) {
        if (encoded.has(leader)) {
          gpu.flush();
          encoded.clear();
        }
        gpu.writeAhead(item.buffer, item.start, item.values);
        next.set(leader, next.get(leader)! + 1);
        continue;
      }
      const most = Math.max(1, Math.floor(largestDepth / item.workgroups[2]));
      const words: Words[] = [];
      for (const lane of [leader, ...busy.filter((each) => each !== leader)]) {
        if (words.length === most) break;
        const own = lane.items[next.get(lane)!]!;
        if ('values' in own || !isSame(own, item)) continue;
        words.push(own.words);
        encoded.add(lane);
        next.set(lane, next.get(lane)! + 1);
      }
      gpu.enqueue(item.bound, item.workgroups, words);
    }
    for (const lane of next.keys()) lane.items.length = 0;
    gpu.flush();
  }

  /** Writes what each lane wants written before its first kernel, what several share once, and returns where each goes on. */
  #writeFirst(): Map<Lane, number> {
    const written = new Set<Write>();
    const next = new Map<Lane, number>();
    for (const lane of this.lanes.filter(({ items }) => items.length > 0)) {
      let count = 0;
      for (const item of lane.items) {
        if (!('values' in item)) break;
        if (!written.has(item)) this.gpu.writeAhead(item.buffer, item.start, item.values);
        written.add(item);
        count++;
      }
      next.set(lane, count);
    }
    return next;
  }
}

type Run = Extract<Item, { readonly bound: Bound }>;

function isSame(a: Run, b: Run): boolean {
  if (a.bound === b.bound) return true;
  const sameBuffers =
    a.bound.buffers.length === b.bound.buffers.length && a.bound.buffers.every((buffer, i) => buffer === b.bound.buffers[i]);
  return a.bound.pipeline === b.bound.pipeline && sameBuffers && a.workgroups.every((count, i) => count === b.workgroups[i]);
}

export class Lane {
  readonly gpu: Gpu;
  /** From 0. */
  readonly number: number;
  readonly items: Item[] = [];
  /** Who waits for results. */
  readonly readers: (() => void)[] = [];
  #atStep: (() => void) | undefined;
  /** Whether a step has begun and its input was not written yet. */
  #mayShare = false;
  /** Whether other lanes read this one's input in this step. */
  #lends = false;
  readonly #group: Lanes;
  /** How often each kind of shared thing was asked for: the n-th of a lane is the n-th of the others. */
  readonly #asked = new Map<string, number>();

  constructor(group: Lanes, number: number) {
    this.#group = group;
    this.gpu = group.gpu;
    this.number = number;
  }

  /** Lanes of the group, those that have ended too. */
  get count(): number {
    return this.#group.lanes.length;
  }

  get waits(): boolean {
    return this.readers.length > 0 || this.#atStep !== undefined;
  }

  get #isAlone(): boolean {
    return this.#group.open.size === 1;
  }

  goOn(): void {
    for (const resume of this.readers.splice(0)) resume();
    this.#atStep?.();
    this.#atStep = undefined;
  }

  /** Adds a kernel's run to what will be handed over. The words may change afterwards. */
  enqueue(bound: Bound, workgroups: readonly [number, number, number], words: Words): void {
    if (this.#isAlone && this.items.length === 0) this.gpu.enqueue(bound, workgroups, [words]);
    else this.items.push({ bound, workgroups, words: words.slice() });
  }

  /** Hands over what was enqueued, unless other lanes may come to the same. */
  flush(): void {
    if (this.#isAlone) this.#group.flush();
  }

  /** Hands over what all lanes have enqueued. */
  flushAll(): void {
    this.#group.flush();
  }

  /** Overwrites elements from `start` on, after what was enqueued before; `values` may change afterwards. */
  write(buffer: GPUBuffer, start: number, values: Float32Array | Uint32Array): void {
    if (values.length === 0) return;
    this.flush();
    if (this.items.length === 0) this.gpu.writeAhead(buffer, start, values);
    else this.items.push({ buffer, start, values: values.slice() });
  }

  /** The same before what was enqueued since the last write: for buffers that none of it reads. */
  writeAhead(buffer: GPUBuffer, start: number, values: Float32Array | Uint32Array): void {
    const at = this.items.findLastIndex((item) => 'values' in item);
    if (at < 0) this.gpu.writeAhead(buffer, start, values);
    else this.items.splice(at + 1, 0, { buffer, start, values: values.slice() });
  }

  /**
   * The same for the input of a step, which is read in this lane's part of the buffer or in that of another lane that has written the same array at the beginning
   * of the same step: what several lanes see goes to the device once.
   *
   * @returns the lane in whose part it is until the next step begins
   */
  writeInput(buffer: GPUBuffer, start: number, values: Float32Array): Lane {
    const mayShare = this.#mayShare && !this.#isAlone && this.items.length === 0;
    this.#mayShare = false;
    if (this.#lends) throw new Error('a lane whose input others read has not begun a step with them');
    if (!mayShare) {
      this.write(buffer, start, values);
      return this;
    }
    for (const { items } of this.#group.open) {
      const [first] = items;
      if (first === undefined || !('values' in first) || first.buffer !== buffer || first.input?.source !== values) continue;
      const { lane } = first.input;
      this.items.push(first);
      lane.#lends = true;
      return lane;
    }
    this.items.push({ buffer, start, values: values.slice(), input: { source: values, lane: this } });
    return this;
  }

  /** Elements `start` to before `end`, after all that was enqueued. To be awaited before more is. */
  async read(buffer: GPUBuffer, start: number, end: number): Promise<ArrayBuffer> {
    this.gpu.check();
    if (this.#isAlone) this.#group.flush();
    else {
      await new Promise<void>((resolve) => {
        this.readers.push(resolve);
        this.#group.settle();
      });
    }
    return await this.gpu.read(buffer, start, end);
  }

  /** To be awaited at the beginning of each step: all lanes begin it together. */
  async beginStep(): Promise<void> {
    if (!this.#isAlone) {
      await new Promise<void>((resolve) => {
        this.#atStep = resolve;
        this.#group.settle();
      });
    }
    // The others have ended their steps.
    this.#mayShare = true;
    this.#lends = false;
  }

  /**
   * What the other lanes have as well, made by the first that asks: lanes that ask for the same things in the same order share them.
   *
   * @param key whatever is different where the thing is
   * @returns the thing, and what is to be called when it is no longer needed
   */
  share<T>(key: string, make: () => T, destroy: (thing: T) => void): { readonly thing: T; readonly release: () => void } {
    const { shared } = this.#group;
    const asked = this.#asked.get(key) ?? 0;
    this.#asked.set(key, asked + 1);
    const name = `${asked} ${key}`;
    let known = shared.get(name);
    if (known === undefined) {
      const thing = make();
      known = { thing, destroy: () => destroy(thing), users: 0 };
      shared.set(name, known);
    }
    known.users++;
    const release = () => {
      if (--known.users > 0) return;
      if (shared.get(name) === known) shared.delete(name);
      known.destroy();
    };
    return { thing: known.thing as T, release };
  }

  /**
   * Zeroed memory for `length` elements of four bytes.
   *
   * @param owner what else it is shared with, and asked for with: a program and its arrays
   */
  createBuffer(length: number, label: string, owner = ''): OwnPart {
    const stride = strideOf(length);
    const { thing: buffer, release } = this.share(
      `${length} ${label} ${owner}`,
      () => this.gpu.createBuffer(this.count === 1 ? length : stride * this.count, label),
      (made) => made.destroy(),
    );
    return { buffer, start: stride * this.number, release };
  }

  /** The lane enqueues no more. */
  end(): void {
    const { open } = this.#group;
    if (!open.delete(this)) return;
    this.goOn();
    this.#group.settle();
  }
}

/** Elements from a lane's part of a buffer to the next lane's. */
export function strideOf(length: number): number {
  return alignment * Math.ceil(length / alignment);
}
