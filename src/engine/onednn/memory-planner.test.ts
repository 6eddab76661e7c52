import { expect, test } from 'vitest';

import { integer, streamKey } from '../../util/random.ts';
import { alignment, planMemory, type Lifetime } from './memory-planner.ts';

test('buffers that live at different times share memory', () => {
  const plan = planMemory([
    { sizeBytes: 1000, firstUse: 0, lastUse: 1 },
    { sizeBytes: 500, firstUse: 1, lastUse: 2 },
    { sizeBytes: 1000, firstUse: 2, lastUse: 3 },
  ]);
  expect(plan.offsets[0]).toBe(plan.offsets[2]);
  expect(plan.totalBytes).toBe(1024 + 512);
});

test('buffers that live together never overlap, whatever their lifetimes, and are aligned', () => {
  const key = streamKey(1, 'lifetimes');
  const buffers = Array.from({ length: 200 }, (_, i): Lifetime => {
    const firstUse = integer(key, 3 * i, 50);
    return { sizeBytes: 1 + integer(key, 3 * i + 1, 5000), firstUse, lastUse: firstUse + integer(key, 3 * i + 2, 20) };
  });
  const { offsets, totalBytes } = planMemory(buffers);
  buffers.forEach((a, i) => {
    expect(offsets[i]! % alignment).toBe(0);
    expect(offsets[i]! + a.sizeBytes).toBeLessThanOrEqual(totalBytes);
    buffers.slice(0, i).forEach((b, j) => {
      const together = a.firstUse <= b.lastUse && b.firstUse <= a.lastUse;
      const overlap = offsets[i]! < offsets[j]! + b.sizeBytes && offsets[j]! < offsets[i]! + a.sizeBytes;
      expect(together && overlap).toBe(false);
    });
  });
  expect(totalBytes).toBeLessThan(buffers.reduce((sum, buffer) => sum + buffer.sizeBytes, 0));
});
