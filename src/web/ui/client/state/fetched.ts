/** Something of the server that is asked for again while it changes. */
import { useEffect, useState } from 'preact/hooks';
import { useApp } from './app.ts';

export interface Fetched<T> {
  /** Of the latest answer; undefined before the first. */
  readonly data: T | undefined;
  /** Why there is none. */
  readonly problem: string | undefined;
}

/**
 * @param url undefined for nothing
 * @param everyMs asks again after changes of the runs, at most so often; undefined: only once
 */
export function useFetched<T>(url: string | undefined, everyMs?: number): Fetched<T> {
  const { live } = useApp();
  const [fetched, setFetched] = useState<Fetched<T> & { readonly url?: string }>({ data: undefined, problem: undefined });
  useEffect(() => {
    if (url === undefined) return;
    const controller = new AbortController();
    let isAsking = false;
    let isStale = false;
    // Asked anew each time: it changes while an answer is waited for.
    const changedMeanwhile = () => isStale;
    let askedAt = -Infinity;
    let timer: number | undefined;

    const ask = async (): Promise<void> => {
      isAsking = true;
      isStale = false;
      askedAt = performance.now();
      try {
        const response = await fetch(url, { signal: controller.signal });
        if (response.ok) setFetched({ url, data: (await response.json()) as T, problem: undefined });
        else setFetched({ url, data: undefined, problem: await response.text() });
      } catch (error) {
        // A lost connection is told at the top of the page; what was there stays.
        if (!controller.signal.aborted && !(error instanceof TypeError)) throw error;
      }
      isAsking = false;
      if (changedMeanwhile()) schedule();
    };
    const schedule = (): void => {
      isStale = true;
      if (isAsking || timer !== undefined || controller.signal.aborted) return;
      timer = window.setTimeout(
        () => {
          timer = undefined;
          void ask();
        },
        Math.max(0, askedAt + (everyMs ?? 0) - performance.now()),
      );
    };
    void ask();
    const leave = everyMs === undefined ? undefined : live.subscribe(schedule);
    return () => {
      controller.abort();
      clearTimeout(timer);
      leave?.();
    };
  }, [url, everyMs, live]);
  // Of another address, what is there is of no use.
  return fetched.url === url ? fetched : { data: undefined, problem: undefined };
}
