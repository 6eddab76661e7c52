import { expect, test } from 'vitest';
import { largestDepth, type Bound, type Gpu } from './gpu.ts';
import { openLanes } from './lanes.ts';

test('what lanes do together stays within the workgroups of a dimension, whoever is ahead', () => {
  const depths: number[] = [];
  const enqueue: Gpu['enqueue'] = (_bound, [, , depth], sets) => void depths.push(depth * (sets?.length ?? 1));
  const lanes = openLanes({ enqueue, flush: () => undefined } as unknown as Gpu, 64);
  const bound = (layer: string) => ({ pipeline: { label: layer }, buffers: [] }) as unknown as Bound;
  const [shared, own] = [bound('shared'), bound('own')];
  lanes.forEach((lane, i) => {
    lane.enqueue(shared, [1, 1, 2048], Uint32Array.of(i));
    if (i === 40) lane.enqueue(own, [1, 1, 1], Uint32Array.of(i));
  });
  lanes[0]!.flushAll();
  expect(Math.max(...depths)).toBeLessThanOrEqual(largestDepth);
  expect(depths.reduce((sum, depth) => sum + depth, 0)).toBe(64 * 2048 + 1);
});
