import { expect, test } from 'vitest';
import { planMemory } from './program.ts';
import type { Storage } from './tensor.ts';

const storage = (label: string, length: number): Storage => ({ label, length });
const uses = (...storages: readonly Storage[]) => ({
  uses: storages.map((each) => ({ name: each.label, type: 'f32', storage: each }) as const),
});

test('storages share a buffer only if one is last used before the other is first used', () => {
  const [a, b, c, d] = [storage('a', 10), storage('b', 20), storage('c', 30), storage('d', 5)];
  // a -> b -> c -> d, and b is read again with d.
  const { buffers, sizes } = planMemory([uses(a, b), uses(b, c), uses(b, c, d)]);
  expect(buffers.get(a)).toBe(buffers.get(c));
  expect(new Set([b, c, d].map((each) => buffers.get(each))).size).toBe(3);
  expect(sizes[buffers.get(c)!]).toBe(30);
  expect(sizes[buffers.get(b)!]).toBe(20);
});

test('the smallest buffer that is long enough is taken again', () => {
  const [a, b, c, d] = [storage('a', 100), storage('b', 40), storage('c', 50), storage('d', 30)];
  const { buffers, sizes } = planMemory([uses(a, b, c), uses(d)]);
  expect(buffers.get(d)).toBe(buffers.get(b));
  expect(sizes).toEqual([100, 40, 50]);
});

test('memory that there is before the program is not planned', () => {
  const fixed = { ...storage('parameters', 10), buffer: {} as GPUBuffer };
  expect(planMemory([uses(fixed)]).sizes).toEqual([]);
});
