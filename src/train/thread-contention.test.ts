import { afterEach, expect, test, vi } from 'vitest';
import type { ProcessorTime } from '../util/processor-time.ts';
import { contentionIn, watchContention, type Window } from './thread-contention.ts';

const zero: ProcessorTime = { wallMs: 0, ownMs: 0, busyMs: 0, processors: 2 };

/** Ten seconds in which this process uses `own` processors and others use `others`. */
function seconds(own: number, others: number, more: Partial<Window> = {}, processors = 2): string | undefined {
  const after = { wallMs: 10_000, ownMs: own * 10_000, busyMs: (own + others) * 10_000, processors };
  return contentionIn({ threads: 2, before: zero, after, stepMs: 10, fastestMs: 10, ...more });
}

const advice =
  'other processes use 1.0 of the 2 processors, and the 2 threads wait for each other: --threads 1 would probably be faster';

afterEach(() => vi.useRealTimers());

test('threads that wait for each other, as others have a processor, are noticed', () => {
  // Waiting asleep: little time is used. Waiting awake: all that is left is used, and steps are slow.
  expect(seconds(0.6, 1)).toBe(advice);
  expect(seconds(1.6, 1, { stepMs: 16 })).toBe(advice);
});

test('nothing is said where the threads have their processors, or one thread trains, or steps are as fast as ever', () => {
  expect(seconds(0.6, 0.2)).toBeUndefined();
  expect(seconds(1.9, 0.1, { stepMs: 100 })).toBeUndefined();
  expect(seconds(0.6, 1, { threads: 1 })).toBeUndefined();
  expect(seconds(1.6, 1, { stepMs: 14 })).toBeUndefined();
  expect(seconds(0.6, 1, {}, 4)).toBeUndefined();
});

test('as many threads are proposed as processors are free', () => {
  expect(seconds(2, 1.5, { threads: 4 }, 4)).toContain('--threads 2 would');
  expect(seconds(0.1, 2)).toContain('--threads 1 would');
});

test('a training is told once, after ten seconds with enough steps', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const measure = () => {
    const wallMs = performance.now();
    return { wallMs, ownMs: 0.6 * wallMs, busyMs: 1.6 * wallMs, processors: 2 };
  };
  const afterStep = watchContention(2, measure);
  const said: (readonly [number, string])[] = [];
  for (let step = 1; step <= 40; step++) {
    vi.advanceTimersByTime(1000);
    const text = afterStep();
    if (text !== undefined) said.push([step, text]);
  }
  expect(said).toEqual([[10, advice]]);
});
