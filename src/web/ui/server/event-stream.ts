/** Server-sent events to one page: https://html.spec.whatwg.org/multipage/server-sent-events.html */
import type { RunRow } from '../protocol.ts';
import type { Changes, Live } from './live.ts';

/** Between signs of life, so that neither end takes the connection for dead. */
const pingMs = 20_000;

/**
 * The body of an answer that tells what changes, until it is cancelled. What a slow reader has not taken yet is put together: of each run
 * only its newest row waits.
 */
export function eventStream(live: Live): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let waiting = emptyChanges();
  let wake: (() => void) | undefined;
  let leave: () => void = () => undefined;
  let isOver = false;

  // Asked anew each time: it changes while the reader is waited for.
  const isCancelled = () => isOver;

  const text = (): string => {
    const { rows, removed, grown, studies, problem, hasRuns } = waiting;
    waiting = emptyChanges();
    const runs = { changed: [...rows.values()], removed: [...removed], ...(problem !== undefined && { problem }) };
    return [
      ...(hasRuns ? [`event: runs\ndata: ${JSON.stringify(runs)}\n\n`] : []),
      ...(grown.size > 0 ? [`event: grown\ndata: ${JSON.stringify([...grown])}\n\n`] : []),
      ...(studies !== undefined ? [`event: studies\ndata: ${JSON.stringify(studies)}\n\n`] : []),
    ].join('');
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode('retry: 1000\n\n'));
        leave = live.join((changes) => {
          add(waiting, changes);
          wake?.();
        });
      },
      async pull(controller) {
        let next = text();
        while (next === '' && !isCancelled()) {
          let timer: NodeJS.Timeout | undefined;
          const isQuiet = await new Promise<boolean>((resolve) => {
            wake = () => resolve(false);
            timer = setTimeout(() => resolve(true), pingMs);
          });
          clearTimeout(timer);
          wake = undefined;
          next = isQuiet ? ': still here\n\n' : text();
        }
        if (!isCancelled()) controller.enqueue(encoder.encode(next));
      },
      cancel() {
        isOver = true;
        leave();
        wake?.();
      },
    },
    { highWaterMark: 1 },
  );
}

interface Waiting {
  readonly rows: Map<string, RunRow>;
  readonly removed: Set<string>;
  readonly grown: Set<string>;
  studies: Changes['studies'];
  problem: string | undefined;
  hasRuns: boolean;
}

function emptyChanges(): Waiting {
  return { rows: new Map(), removed: new Set(), grown: new Set(), studies: undefined, problem: undefined, hasRuns: false };
}

function add(waiting: Waiting, { runs, grown = [], studies }: Changes): void {
  if (runs !== undefined) {
    waiting.hasRuns = true;
    waiting.problem = runs.problem;
    for (const row of runs.changed) {
      waiting.rows.set(row.id, row);
      waiting.removed.delete(row.id);
    }
    for (const id of runs.removed) {
      waiting.removed.add(id);
      waiting.rows.delete(id);
    }
  }
  for (const id of grown) waiting.grown.add(id);
  if (studies !== undefined) waiting.studies = studies;
}
