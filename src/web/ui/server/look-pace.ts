import { freeProcessors, processorTime } from '../../../util/processor-time.ts';

/** Milliseconds until runs in training are looked at again: as often as a page can draw, or seldom where every processor has work of its own. */
export const pace = { usual: 80, busy: 1000 } as const;
/** Milliseconds over which processors are watched, and how much of one has to be left. */
const watchMs = 2000;
const leastFree = 0.3;

/**
 * Says how soon to look again. A page beside a training that uses all processors takes its time from that training: each drawing less is
 * time for it.
 *
 * @param times Of the machine; tests have their own.
 */
export function createLookPace(times = processorTime): () => number {
  let before = times();
  let current: number = pace.usual;
  return () => {
    if (performance.now() - before.wallMs < watchMs) return current;
    const after = times();
    current = freeProcessors(before, after) < leastFree ? pace.busy : pace.usual;
    before = after;
    return current;
  };
}
