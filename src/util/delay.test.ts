import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { delay } from './delay.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** The time after which a wait ends. */
async function lasting(wait: Promise<void>): Promise<number> {
  const begin = performance.now();
  const end = wait.then(() => performance.now());
  await vi.runAllTimersAsync();
  return (await end) - begin;
}

test('a wait lasts as long as asked for, or until the signal is aborted, and leaves nothing behind', async () => {
  expect(await lasting(delay(700))).toBe(700);
  const controller = new AbortController();
  expect(await lasting(delay(700, controller.signal))).toBe(700);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  const cut = delay(700, controller.signal);
  setTimeout(() => controller.abort(), 200);
  expect(await lasting(cut)).toBe(200);
  expect([getEventListeners(controller.signal, 'abort'), vi.getTimerCount()]).toEqual([[], 0]);
  const none = delay(700, controller.signal);
  expect(vi.getTimerCount()).toBe(0);
  expect(await lasting(none)).toBe(0);
});
