import { afterEach, describe, expect, test, vi } from 'vitest';
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

test('what is used is what was used between the two moments, and each bound is where it is said to be', () => {
  const window = (own: number, busy: number, more: Partial<Window> = {}) =>
    contentionIn({
      ...{ threads: 3, stepMs: 10, fastestMs: 10 },
      before: { wallMs: 5000, ownMs: 700, busyMs: 3000, processors: 4 },
      after: { wallMs: 6000, ownMs: 700 + own, busyMs: 3000 + busy, processors: 4 },
      ...more,
    });
  // Others use 1.5 processors: with three threads, half of one is missing.
  expect(window(1000, 2490)).toBeUndefined();
  expect(window(1000, 2500)).toBe(
    'other processes use 1.5 of the 4 processors, and the 3 threads wait for each other: --threads 2 would probably be faster',
  );
  // Three quarters of three processors are 2,250 ms of a second.
  expect(window(2250, 4250)).toBeUndefined();
  expect(window(2249, 4249)).toContain('--threads 2 would');
  expect(window(2300, 4300, { stepMs: 15 })).toBeUndefined();
  expect(window(2300, 4300, { stepMs: 15.1 })).toContain('use 2.0 of the 4');
  // Never more than one thread fewer, and one at least.
  expect(window(0, 1600)).toContain('--threads 2 would');
  expect(window(0, 3990)).toContain('--threads 1 would');
  expect(window(0, 1000, { threads: 1 })).toBeUndefined();
});

describe('a training', () => {
  const afterSteps = (milliseconds: readonly number[], { threads = 2, own = 0.6 } = {}) => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const measure = () => {
      const wallMs = performance.now();
      return { wallMs, ownMs: own * wallMs, busyMs: (own + 1) * wallMs, processors: 2 };
    };
    // Started after the process.
    vi.advanceTimersByTime(7000);
    const afterStep = watchContention(threads, measure);
    return milliseconds.flatMap((ms, step) => {
      vi.advanceTimersByTime(ms);
      const text = afterStep();
      return text === undefined ? [] : [[step + 1, text]];
    });
  };

  test('is told once, after ten seconds with enough steps', () => {
    expect(afterSteps(Array<number>(40).fill(1000))).toEqual([[10, advice]]);
    // The first step has no beginning: five more are needed.
    expect(afterSteps(Array<number>(12).fill(3000))).toEqual([[6, advice]]);
    expect(afterSteps(Array<number>(6).fill(1999))).toEqual([[6, advice]]);
  });

  test('is not told where it is not so, and looked at anew every ten seconds', () => {
    expect(afterSteps(Array<number>(40).fill(1000), { threads: 1 })).toEqual([]);
    expect(afterSteps(Array<number>(40).fill(1000), { own: 1.6 })).toEqual([]);
    // The fastest step of the run counts, that of another window too; of the window's steps the median.
    const slowed = [...Array<number>(11).fill(1000), ...Array<number>(5).fill(2000)];
    expect(afterSteps(slowed, { own: 1.6 })).toEqual([[16, advice]]);
    const rarely = [...Array<number>(11).fill(1000), 2000, 2000, 1000, 1000, 1000, 1000, 1000, 1000];
    expect(afterSteps(rarely, { own: 1.6 })).toEqual([]);
  });
});
