/**
 * Waiting for a device without keeping a core busy. The package `webgpu` asks the device whether what is waited for is there as often as the event loop
 * turns, and lets it turn without pause: so the loop is made to pause.
 */

/** What the promise of something that the device does resolves to. */
export type Wait = <T>(promise: Promise<T>) => Promise<T>;

/** Of the time that a wait has taken so far, the part for which the event loop pauses next: that much later is the end noticed at most. */
const pausedPart = 1 / 8;
/** Milliseconds for which the event loop stands still at most. */
const longestPause = 1;

/** Not for pages, whose event loop may not stand still. */
export function createRestingWait(): Wait {
  const starts = new Map<symbol, number>();
  /** What nobody changes, to wait for in vain. */
  const unchanged = new Int32Array(new SharedArrayBuffer(4));
  let isPausing = false;
  const pause = () => {
    isPausing = starts.size > 0;
    if (!isPausing) return;
    const waited = performance.now() - Math.max(...starts.values());
    Atomics.wait(unchanged, 0, 0, Math.min(waited * pausedPart, longestPause));
    setImmediate(pause);
  };
  return async (promise) => {
    const own = Symbol();
    starts.set(own, performance.now());
    if (!isPausing) {
      isPausing = true;
      setImmediate(pause);
    }
    try {
      return await promise;
    } finally {
      starts.delete(own);
    }
  };
}
