import { expect, test } from 'vitest';
import { createRestingWait } from './resting-wait.ts';

/** Turns of the event loop until a time is over, as the package makes them. */
async function turnsIn(ms: number): Promise<number> {
  const end = performance.now() + ms;
  for (let turns = 0; ; turns++) {
    if (performance.now() > end) return turns;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('while something is waited for, the event loop turns slowly, then as before', async () => {
  const wait = createRestingWait();
  const turns = await wait(turnsIn(100));
  // Longer and longer pauses, the longest of a millisecond each.
  expect(turns).toBeLessThan(500);
  expect(await turnsIn(100)).toBeGreaterThan(turns);
});

test('several are waited for at once, and what fails fails', async () => {
  const wait = createRestingWait();
  const all = await Promise.allSettled([wait(turnsIn(5)), wait(Promise.resolve(3)), wait(Promise.reject(new Error('refused')))]);
  expect(all).toMatchObject([{ status: 'fulfilled' }, { value: 3 }, { reason: { message: 'refused' } }]);
});
