/** What the loader's workers do, done here: the ring that they share with the loader's thread, and what they write into it. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createRing, ringConsumer, ringProducer, slotViews } from './batch-ring.ts';
import type { ImageSet } from './dataset.ts';
import { batchesPerPass, createFill, evaluationCount, type EvaluationTask, type TrainingTask } from './fill.ts';
import { allocateImages } from './new-image-set.ts';
import { permutation, streamKey } from '../util/random.ts';

afterEach(() => void vi.restoreAllMocks());

const preprocessing = { inputSize: 2, standardization: { type: 'channel', mean: [0], deviation: [1 / 255] } } as const;

/** Image i is [i, 100 + i, 0, 0], with the label i. */
function numbered(count: number): ImageSet {
  const set = allocateImages(count, [1, 2, 2]);
  for (let i = 0; i < count; i++) {
    set.images.set([i, 100 + i, 0, 0], 4 * i);
    set.labels[i] = i;
  }
  return set;
}

const training: TrainingTask = { type: 'training', seed: 5, firstStep: 0, rank: 0, worldSize: 1 };
const plain: EvaluationTask = { type: 'evaluation', view: { mirror: false, shift: [0, 0] } };

/** The labels of batch n; inputs must belong to them. Rows beyond `count` must be left alone. */
function batch(count: number, batchSize: number, task: TrainingTask | EvaluationTask, n: number, rows = batchSize): number[] {
  const fill = createFill({ images: numbered(count), shape: [1, 2, 2], preprocessing, batchSize, task });
  const slot = { inputs: new Float32Array(4 * batchSize).fill(-1), labels: new Uint8Array(batchSize).fill(255) };
  fill(n, slot);
  for (let row = 0; row < batchSize; row++) {
    const label = slot.labels[row]!;
    const expected = row < rows ? [label, 100 + label, 0, 0] : [-1, -1, -1, -1];
    expect([...slot.inputs.subarray(4 * row, 4 * row + 4)].map(Math.round)).toEqual(expected);
    if (row >= rows) expect(label).toBe(255);
  }
  return [...slot.labels.subarray(0, rows)];
}

const upTo = (end: number): number[] => [...Array(end).keys()];
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

describe('training', () => {
  const stream = (batchSize: number, batches: number, task = training): number[] =>
    upTo(batches).flatMap((n) => batch(7, batchSize, task, n));

  test('every epoch is a permutation, and examples follow across its border', () => {
    const seen = stream(3, 14);
    for (let epoch = 0; epoch < 6; epoch++) expect(sorted(seen.slice(7 * epoch, 7 * epoch + 7))).toEqual(upTo(7));
    expect(stream(7, 6)).toEqual(seen);
    expect(stream(21, 2)).toEqual(seen);
  });

  test('a resumed run goes on in the stream; processes have the parts of a batch side by side', () => {
    const seen = stream(2, 21);
    expect(stream(2, 16, { ...training, firstStep: 5 })).toEqual(seen.slice(10));
    const ofRank = (rank: number) => (step: number) => batch(7, 2, { ...training, rank, worldSize: 3 }, step);
    const together = upTo(7).flatMap((step) => [0, 1, 2].flatMap((rank) => ofRank(rank)(step)));
    expect(together).toEqual(seen);
    expect(batch(7, 2, { ...training, firstStep: 2, rank: 1, worldSize: 3 }, 1)).toEqual(ofRank(1)(3));
  });

  test('the order of an epoch is the permutation of its own stream of draws', () => {
    for (const epoch of [0, 1, 5]) {
      expect(batch(7, 7, training, epoch)).toEqual([...permutation(streamKey(training.seed, 'shuffle', epoch), 7)]);
    }
  });

  test('batches may be asked for in any order', () => {
    const fill = createFill({ images: numbered(7), shape: [1, 2, 2], preprocessing, batchSize: 7, task: training });
    const slot = { inputs: new Float32Array(28), labels: new Uint8Array(7) };
    for (const n of [3, 0, 1, 1]) {
      fill(n, slot);
      expect([...slot.labels]).toEqual(batch(7, 7, training, n));
    }
  });
});

describe('evaluation', () => {
  test('every image once in the order stored, the last batch partial, then from the first again', () => {
    expect(batch(7, 3, plain, 0)).toEqual([0, 1, 2]);
    expect(batch(7, 3, plain, 1)).toEqual([3, 4, 5]);
    expect(batch(7, 3, plain, 2, 1)).toEqual([6]);
    expect(batch(7, 3, plain, 3)).toEqual([0, 1, 2]);
    expect(batch(7, 3, plain, 5, 1)).toEqual([6]);
  });

  test('the counts of batches', () => {
    expect([1, 2, 3, 4, 6, 7].map((count) => batchesPerPass(count, 3))).toEqual([1, 1, 1, 2, 2, 3]);
    expect(upTo(6).map((n) => evaluationCount(n, 7, 3))).toEqual([3, 3, 1, 3, 3, 1]);
    expect(upTo(4).map((n) => evaluationCount(n, 6, 3))).toEqual([3, 3, 3, 3]);
    expect(evaluationCount(0, 2, 3)).toBe(2);
  });

  test('sees images as its view says', () => {
    const task: EvaluationTask = { type: 'evaluation', view: { mirror: true, shift: [0, 0] } };
    const fill = createFill({ images: numbered(2), shape: [1, 2, 2], preprocessing, batchSize: 2, task });
    const slot = { inputs: new Float32Array(8), labels: new Uint8Array(2) };
    fill(0, slot);
    expect([...slot.inputs].map(Math.round)).toEqual([100, 0, 0, 0, 101, 1, 0, 0]);
  });
});

describe('the ring', () => {
  test('slots are aligned to 64 bytes, apart from each other and from the cells', () => {
    const ring = createRing(3, 5, 7);
    const views = slotViews(ring).flatMap(({ inputs, labels }) => [inputs, labels]);
    expect(views.map((view) => view.length)).toEqual([35, 5, 35, 5, 35, 5]);
    // 5 cells of 4 bytes, three times 140 bytes of inputs, three times 5 of labels, each in whole pieces of 64.
    expect(ring.memory.byteLength).toBe(64 + 3 * 192 + 3 * 64);
    views.forEach((view, i) => {
      expect(view.byteOffset % 64).toBe(0);
      expect(view.byteOffset).toBeGreaterThanOrEqual(64);
      view.fill(i + 1);
    });
    views.forEach((view, i) => expect(new Set(view)).toEqual(new Set([i + 1])));
    expect(new Set(new Uint8Array(ring.memory, 0, 64))).toEqual(new Set([0]));
  });

  test('many slots have their cells before the inputs', () => {
    const ring = createRing(40, 1, 1);
    expect(slotViews(ring)[0]!.inputs.byteOffset).toBe(192);
    const producer = ringProducer(ring);
    for (let n = 0; n < 40; n++) producer.markReady(n);
    expect(slotViews(ring).every(({ inputs, labels }) => inputs[0] === 0 && labels[0] === 0)).toBe(true);
  });

  test('a batch is ready once it is marked, until its slot has the next', () => {
    const ring = createRing(2, 1, 1);
    const [consumer, producer] = [ringConsumer(ring), ringProducer(ring)];
    expect([0, 1, 2].map((n) => consumer.isReady(n))).toEqual([false, false, false]);
    producer.markReady(1);
    expect([0, 1, 2, 3].map((n) => consumer.isReady(n))).toEqual([false, true, false, false]);
    producer.markReady(3);
    expect([1, 3].map((n) => consumer.isReady(n))).toEqual([false, true]);
  });

  test('a message is sent once for each time that it is asked for', () => {
    const ring = createRing(2, 1, 1);
    const [consumer, producer] = [ringConsumer(ring), ringProducer(ring)];
    expect(producer.markReady(0)).toBe(false);
    consumer.askForMessage();
    expect(producer.markReady(1)).toBe(true);
    expect(producer.markReady(2)).toBe(false);
    consumer.askForMessage();
    expect(producer.markReady(3)).toBe(true);
  });

  test('a worker waits until its slot is given back, however long that takes', () => {
    const ring = createRing(2, 1, 1);
    const [consumer, producer] = [ringConsumer(ring), ringProducer(ring)];
    // Others give back one batch after the other while it sleeps.
    let released = 0;
    const wait = vi.spyOn(Atomics, 'wait').mockImplementation((cells: Int32Array | BigInt64Array, cell, value) => {
      expect(Number(cells[cell])).toBe(value);
      expect(value).toBe(released);
      consumer.releaseBefore(++released);
      return 'ok';
    });
    producer.waitForSlot(0);
    producer.waitForSlot(1);
    expect(wait).toHaveBeenCalledTimes(0);
    producer.waitForSlot(2);
    expect(wait).toHaveBeenCalledTimes(1);
    producer.waitForSlot(5);
    expect(wait).toHaveBeenCalledTimes(4);
    producer.waitForSlot(5);
    expect(wait).toHaveBeenCalledTimes(4);
  });

  test('giving batches back wakes whoever sleeps on the cell', () => {
    const notify = vi.spyOn(Atomics, 'notify');
    ringConsumer(createRing(2, 1, 1)).releaseBefore(1);
    expect(notify).toHaveBeenCalledWith(expect.any(Int32Array), 0);
  });

  test('numbers go on beyond 32 bits', () => {
    const ring = createRing(2, 1, 1);
    const [consumer, producer] = [ringConsumer(ring), ringProducer(ring)];
    const wait = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new Error('waits');
    });
    for (const n of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]) {
      consumer.releaseBefore(n);
      producer.waitForSlot(n + 1);
      expect(() => producer.waitForSlot(n + 2)).toThrow('waits');
      producer.markReady(n);
      expect(consumer.isReady(n)).toBe(true);
      expect(consumer.isReady(n + 2)).toBe(false);
    }
    expect(wait).toHaveBeenCalledTimes(6);
  });
});

test('no part of a slot shares memory with another part, nor with the cells that coordinate', () => {
  for (const [slots, batchSize, inputLength] of [
    [1, 1, 1],
    [3, 40, 7],
    [5, 128, 16],
  ] as const) {
    for (const mixed of [false, true]) {
      const ring = createRing(slots, batchSize, inputLength, mixed);
      const views = slotViews(ring);
      const parts = views.flatMap(({ inputs, labels, mixed: other }) =>
        [inputs, labels, other?.labels, other?.share].flatMap((v) => v ?? []),
      );
      expect(parts).toHaveLength(slots * (mixed ? 4 : 2));
      const spans = parts
        .map(({ byteOffset, byteLength }) => [byteOffset, byteOffset + byteLength] as const)
        .sort(([a], [b]) => a - b);
      let end = 4 * (2 + slots);
      for (const [first, last] of spans) {
        expect(first).toBeGreaterThanOrEqual(end);
        expect(first % 64).toBe(0);
        end = last;
      }
      expect(end).toBeLessThanOrEqual(ring.memory.byteLength);
      expect(parts.every(({ buffer }) => buffer === ring.memory)).toBe(true);
    }
  }
});

test('a ring beyond all memory is refused', () => {
  expect(() => createRing(4, 2 ** 40, 3072)).toThrow('batchSize (=1099511627776)');
  expect(() => createRing(4, 2 ** 40, 3072)).toThrow(expect.objectContaining({ fix: 'use smaller batches' }) as Error);
});
