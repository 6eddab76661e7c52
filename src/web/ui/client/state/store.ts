/** Values that change, and who is told of it. */
import { useEffect, useState } from 'preact/hooks';

export interface Store {
  /** Rises with each change. */
  readonly version: number;
  subscribe(listener: () => void): () => void;
}

export interface MutableStore extends Store {
  /** Tells all listeners, at most once in a frame and so many milliseconds. */
  changed(): void;
}

/** @param pauseMs least time between two notices */
export function createStore(pauseMs = 0): MutableStore {
  const listeners = new Set<() => void>();
  let version = 0;
  let toldAt = -Infinity;
  let isWaiting = false;

  function tell(): void {
    isWaiting = false;
    toldAt = performance.now();
    version++;
    for (const listener of [...listeners]) listener();
  }

  return {
    get version() {
      return version;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    changed() {
      if (isWaiting) return;
      isWaiting = true;
      const wait = toldAt + pauseMs - performance.now();
      // A page that is not shown has no frames; it is told later.
      if (wait > 0) setTimeout(() => requestAnimationFrame(tell), wait);
      else requestAnimationFrame(tell);
    },
  };
}

/** Renders the component anew when the store changes. */
export function useStore(store: Store): number {
  const [version, setVersion] = useState(store.version);
  useEffect(() => {
    const update = () => {
      setVersion(store.version);
    };
    update();
    return store.subscribe(update);
  }, [store]);
  return version;
}
