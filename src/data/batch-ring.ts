/**
 * The ring of batches that a loader's thread shares with its workers. Batch n (0, 1, 2 ...) goes to slot n % slots and is prepared by worker
 * n % workers. Three kinds of 32-bit cells coordinate them, all accessed atomically:
 *
 * - `released`: number of batches given back. Batch n may be written once n < released + slots; workers sleep on this cell.
 * - `waiting`: 1 while the loader's thread waits for a message that a batch is ready.
 * - `ready[slot]`: n + 1 once batch n is in the slot.
 *
 * The numbers are stored (by Atomics.store itself) and compared modulo 2^32, so that a loader never runs out of them.
 */
import { requireMemory } from '../util/limits.ts';
import type { Labels } from './dataset.ts';

/** Sizes and memory of the ring, as sent to the workers. */
export interface BatchRing {
  readonly slots: number;
  readonly batchSize: number;
  /** Numbers in one example: C * H * W. */
  readonly inputLength: number;
  /** Whether slots also have the labels of the examples that theirs are mixed with. */
  readonly mixed: boolean;
  readonly memory: SharedArrayBuffer;
}

const alignment = 64;
const cells = { released: 0, waiting: 1, ready: 2 };

export function createRing(slots: number, batchSize: number, inputLength: number, mixed = false): BatchRing {
  const mixedBytes = mixed ? labelBytes(batchSize) + alignment : 0;
  const size = controlBytes(slots) + slots * (inputBytes(batchSize, inputLength) + labelBytes(batchSize) + mixedBytes);
  requireMemory(size, `batchSize (=${batchSize})`, 'use smaller batches');
  return { slots, batchSize, inputLength, mixed, memory: new SharedArrayBuffer(size) };
}

/** Views of one slot: `[batchSize, inputLength]` inputs and `[batchSize]` labels, each starting at a multiple of 64 bytes. */
export interface Slot {
  readonly inputs: Float32Array;
  readonly labels: Labels;
  /** Where examples are mixed in pairs: `[batchSize]` labels of the second ones, and their share, one number. */
  readonly mixed?: { readonly labels: Labels; readonly share: Float64Array } | undefined;
}

export function slotViews(ring: BatchRing): Slot[] {
  const { slots, batchSize, inputLength, mixed, memory } = ring;
  const stride = inputBytes(batchSize, inputLength);
  const firstLabels = controlBytes(slots) + slots * stride;
  const firstOthers = firstLabels + slots * labelBytes(batchSize);
  const firstShare = firstOthers + slots * labelBytes(batchSize);
  return Array.from({ length: slots }, (_, slot) => ({
    inputs: new Float32Array(memory, controlBytes(slots) + slot * stride, batchSize * inputLength),
    labels: new Uint16Array(memory, firstLabels + slot * labelBytes(batchSize), batchSize),
    ...(mixed && {
      mixed: {
        labels: new Uint16Array(memory, firstOthers + slot * labelBytes(batchSize), batchSize),
        share: new Float64Array(memory, firstShare + slot * alignment, 1),
      },
    }),
  }));
}

/** The side of the thread that takes batches. */
export interface RingConsumer {
  isReady(batch: number): boolean;
  /** Asks the workers for a message when they have written a batch. Look at `isReady` once more after asking. */
  askForMessage(): void;
  /** Gives back all batches before `batch`. */
  releaseBefore(batch: number): void;
}

export function ringConsumer(ring: BatchRing): RingConsumer {
  const control = controlCells(ring);
  return {
    isReady: (batch) => Atomics.load(control, cells.ready + (batch % ring.slots)) === ((batch + 1) | 0),
    askForMessage: () => {
      Atomics.store(control, cells.waiting, 1);
    },
    releaseBefore: (batch) => {
      Atomics.store(control, cells.released, batch);
      Atomics.notify(control, cells.released);
    },
  };
}

/** The side of a worker. */
export interface RingProducer {
  /** Sleeps until the slot of `batch` is free. (Terminating a worker wakes it.) */
  waitForSlot(batch: number): void;
  /** Hands `batch` over; true if the loader's thread waits for a message about it. */
  markReady(batch: number): boolean;
}

export function ringProducer(ring: BatchRing): RingProducer {
  const control = controlCells(ring);
  return {
    waitForSlot: (batch) => {
      for (;;) {
        const released = Atomics.load(control, cells.released);
        if (((batch - released) | 0) < ring.slots) return;
        Atomics.wait(control, cells.released, released);
      }
    },
    markReady: (batch) => {
      Atomics.store(control, cells.ready + (batch % ring.slots), batch + 1);
      return Atomics.exchange(control, cells.waiting, 0) === 1;
    },
  };
}

function controlCells(ring: BatchRing): Int32Array {
  return new Int32Array(ring.memory, 0, cells.ready + ring.slots);
}

function controlBytes(slots: number): number {
  return aligned(4 * (cells.ready + slots));
}

function inputBytes(batchSize: number, inputLength: number): number {
  return aligned(4 * batchSize * inputLength);
}

function labelBytes(batchSize: number): number {
  return aligned(Uint16Array.BYTES_PER_ELEMENT * batchSize);
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
