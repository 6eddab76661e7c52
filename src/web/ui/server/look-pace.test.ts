import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ProcessorTime } from '../../../util/processor-time.ts';
import { createLookPace, pace } from './look-pace.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

test('where other processes leave no processor free, runs are looked at seldom; as before when one is free again', () => {
  const machine = { ownMs: 0, busyMs: 0, processors: 2 };
  const times = (): ProcessorTime => ({ ...machine, wallMs: performance.now() });
  /** Processors that others and this process use for two seconds. */
  function pass(others: number, own = 0): void {
    vi.advanceTimersByTime(2000);
    machine.ownMs += 2000 * own;
    machine.busyMs += 2000 * (others + own);
  }
  const next = createLookPace(times);
  expect(next()).toBe(pace.usual);
  pass(1.6);
  expect(next()).toBe(pace.usual);
  pass(1.95);
  expect(next()).toBe(pace.busy);
  // What was found holds until the next measurement.
  vi.advanceTimersByTime(1000);
  expect(next()).toBe(pace.busy);
  vi.advanceTimersByTime(1000);
  expect(next()).toBe(pace.usual);
  // The server's own work is none of another's.
  pass(1.5, 0.5);
  expect(next()).toBe(pace.usual);
});
