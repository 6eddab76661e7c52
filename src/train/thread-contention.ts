/**
 * Notices that threads wait for each other because other processes take their processors: every kernel ends when its last thread does, so that one
 * thread without a processor of its own stops all of them, and fewer threads are faster.
 */
import { percentile } from '../util/percentile.ts';
import { processorTime, type ProcessorTime } from '../util/processor-time.ts';

/** As long as is looked at as one. */
const windowMs = 10_000;
/** Steps of which the middle one says something. */
const fewestSteps = 5;
/** How much slower than the fastest the middle step is, or how little of their processors the threads use, when they wait for each other. */
const slowdown = 1.5;
const leastUse = 0.75;

export interface Window {
  readonly threads: number;
  readonly before: ProcessorTime;
  readonly after: ProcessorTime;
  /** Of the window's steps, the median. */
  readonly stepMs: number;
  /** The fastest step of the run so far. */
  readonly fastestMs: number;
}

/**
 * What to say of a window in which other processes left too few processors for the threads and these were slow for it; undefined otherwise. On a
 * machine with more processors than a container may use it says nothing, since it cannot know.
 */
export function contentionIn({ threads, before, after, stepMs, fastestMs }: Window): string | undefined {
  const wallMs = after.wallMs - before.wallMs;
  const ownMs = after.ownMs - before.ownMs;
  const others = Math.max(0, (after.busyMs - before.busyMs - ownMs) / wallMs);
  const { processors } = after;
  if (threads === 1 || processors - others > threads - 0.5) return undefined;
  const isSlow = stepMs > slowdown * fastestMs || ownMs < leastUse * threads * wallMs;
  if (!isSlow) return undefined;
  const fewer = Math.max(1, Math.min(threads - 1, Math.floor(processors - others)));
  return `other processes use ${others.toFixed(1)} of the ${processors} processors, and the ${threads} threads wait for each other: --threads ${fewer} would probably be faster`;
}

/**
 * Watches a training; what is returned is called after every step and says what to tell the user, once in a run.
 *
 * @param threads of the training
 */
export function watchContention(threads: number, measure: () => ProcessorTime = processorTime): () => string | undefined {
  let before = measure();
  let lastMs: number | undefined;
  let fastestMs = Infinity;
  let steps: number[] = [];
  let isOver = threads === 1;
  return () => {
    if (isOver) return undefined;
    const nowMs = performance.now();
    if (lastMs !== undefined) {
      steps.push(nowMs - lastMs);
      fastestMs = Math.min(fastestMs, nowMs - lastMs);
    }
    lastMs = nowMs;
    if (nowMs - before.wallMs < windowMs || steps.length < fewestSteps) return undefined;
    const after = measure();
    const advice = contentionIn({ threads, before, after, stepMs: percentile(steps, 0.5), fastestMs });
    isOver = advice !== undefined;
    before = after;
    steps = [];
    return advice;
  };
}
