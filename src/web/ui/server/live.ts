/**
 * Looks at the folder again and again, as long as a page is open, and tells all pages what has changed. On a slow disk, or with very many
 * runs, it looks less often: what it takes stays a small part of the time. So it does beside work that needs every processor (look-pace.ts).
 */
import type { LiveEvents, RunRow } from '../protocol.ts';
import { createLookPace } from './look-pace.ts';
import type { RunIndex } from './run-index.ts';
import type { Studies } from './studies.ts';

export interface Live {
  /** Looks at everything now: what the page is told first. */
  refresh(): Promise<void>;
  /** The reader is told from now on, until it leaves by the function that is returned. */
  join(reader: LiveReader): () => void;
}

/** Told of changes. What it has not passed on yet is its own business. */
export type LiveReader = (changes: Changes) => void;

export type Changes = { readonly [K in keyof LiveEvents]?: LiveEvents[K] };

/** How often everything is looked at. */
const scanMs = 2000;
/** Parts of the time that either may take: few runs are trained at a time, and all of them are looked at for what is new to all. */
const share = { look: 0.05, scan: 0.02 };

export function createLive(index: RunIndex, studies: Studies): Live {
  const readers = new Set<LiveReader>();
  const lookMs = createLookPace();
  let timer: NodeJS.Timeout | undefined;
  let scanDue = -Infinity;
  let scanning: Promise<unknown> | undefined;
  let problem = index.problem;

  function tell(changes: Changes): void {
    if (Object.keys(changes).length > 0) for (const reader of readers) reader(changes);
  }

  function runsChange(changed: readonly RunRow[], removed: readonly string[]): LiveEvents['runs'] {
    return { changed, removed, ...(index.problem !== undefined && { problem: index.problem }) };
  }

  async function scan(): Promise<void> {
    // Studies first: rows say to which they belong.
    const studiesChanged = studies.scan();
    const began = performance.now();
    const { changed, removed, grown } = await index.scan();
    scanDue = began + Math.max(scanMs, (performance.now() - began) / share.scan);
    const problemChanged = index.problem !== problem;
    problem = index.problem;
    tell({
      ...((changed.length > 0 || removed.length > 0 || problemChanged) && { runs: runsChange(changed, removed) }),
      ...(grown.length > 0 && { grown }),
      ...((studiesChanged || changed.some(belongsToStudy)) && { studies: studies.summaries() }),
    });
  }

  function look(): void {
    const { changed, removed, grown } = index.look();
    tell({
      ...(changed.length > 0 && { runs: runsChange(changed, removed) }),
      ...(grown.length > 0 && { grown }),
      ...(changed.some(belongsToStudy) && { studies: studies.summaries() }),
    });
  }

  /** One at a time. */
  function refresh(): Promise<void> {
    const mine = (scanning ?? Promise.resolve()).then(scan);
    scanning = mine.finally(() => {
      if (scanning === mine) scanning = undefined;
    });
    return mine;
  }

  async function turn(): Promise<void> {
    const before = performance.now();
    const isScan = before >= scanDue;
    try {
      if (isScan) await refresh();
      else look();
    } finally {
      const took = performance.now() - before;
      if (readers.size > 0) schedule(isScan ? lookMs() : Math.max(lookMs(), took / share.look));
    }
  }

  function schedule(delay: number): void {
    // A turn may still be under way when the first reader comes again.
    clearTimeout(timer);
    timer = setTimeout(() => void turn(), delay);
    // The server keeps the process alive, not this.
    timer.unref();
  }

  return {
    refresh,
    join(reader) {
      readers.add(reader);
      if (readers.size === 1) schedule(lookMs());
      return () => {
        readers.delete(reader);
        if (readers.size === 0) clearTimeout(timer);
      };
    },
  };
}

function belongsToStudy({ studies }: { readonly studies: readonly string[] }): boolean {
  return studies.length > 0;
}
