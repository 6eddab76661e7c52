import { expect, test } from 'vitest';
import { freeProcessors, measureFreeProcessors } from './processor-time.ts';

const start = { wallMs: 1000, ownMs: 200, busyMs: 5000, processors: 4 };

test.each([
  ['nothing else runs', 100, 100, 4],
  ['others use one and a half', 0, 1500, 2.5],
  ['our own work does not count', 2000, 3000, 3],
  ['others use more than there is, by clocks that differ', 0, 5000, 0],
  ['clocks that say less than we used', 500, 400, 4],
])('%s', (_, ownMs, busyMs, free) => {
  const after = { wallMs: 2000, ownMs: start.ownMs + ownMs, busyMs: start.busyMs + busyMs, processors: 4 };
  expect(freeProcessors(start, after)).toBe(free);
});

test('a measurement is a number of the processors of this machine', async () => {
  const free = await measureFreeProcessors();
  expect(free).toBeGreaterThanOrEqual(0);
  expect(free).toBeLessThanOrEqual(1024);
});
