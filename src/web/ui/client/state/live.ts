/** What the server says of runs and studies, kept up to date. */
import type { LiveEvents, PageState, RunRow, StudySummary } from '../../protocol.ts';
import { createStore, type MutableStore, type Store } from './store.ts';

/** `connecting`: for the first time. `lost`: the server does not answer. */
export type Connection = 'connecting' | 'live' | 'lost';

export interface LiveState extends Store {
  readonly connection: Connection;
  /** Undefined until the server has answered for the first time. */
  readonly page: Omit<PageState, 'runs' | 'studies'> | undefined;
  readonly runs: ReadonlyMap<string, RunRow>;
  readonly studies: readonly StudySummary[];
  /** Is told which runs have new records; undefined stands for any, after a break. */
  onGrown(listener: (ids: readonly string[] | undefined) => void): () => void;
}

/** Rows change more often than anybody reads them. */
const pauseMs = 250;

export function connect(): LiveState {
  const store: MutableStore = createStore(pauseMs);
  const grownListeners = new Set<(ids: readonly string[] | undefined) => void>();
  const runs = new Map<string, RunRow>();
  let connection: Connection = 'connecting';
  let page: LiveState['page'];
  let studies: readonly StudySummary[] = [];
  let source: EventSource | undefined;

  function tellGrown(ids: readonly string[] | undefined): void {
    for (const listener of grownListeners) listener(ids);
  }

  async function start(): Promise<void> {
    const response = await fetch('api/state');
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const { runs: rows, studies: all, ...rest } = (await response.json()) as PageState;
    runs.clear();
    for (const row of rows) runs.set(row.id, row);
    studies = all;
    page = rest;
    connection = 'live';
    store.changed();
    tellGrown(undefined);
  }

  function open(): void {
    const opened = new EventSource('api/events');
    source = opened;
    // The stream first: what changes while the state is asked for is not missed.
    opened.addEventListener('open', () => {
      start().catch(lose);
    });
    opened.addEventListener('error', lose);
    const on = <K extends keyof LiveEvents>(kind: K, use: (data: LiveEvents[K]) => void) => {
      opened.addEventListener(kind, (event) => {
        use(JSON.parse((event as MessageEvent<string>).data) as LiveEvents[K]);
      });
    };
    on('runs', ({ changed, removed, problem }) => {
      for (const row of changed) runs.set(row.id, row);
      for (const id of removed) runs.delete(id);
      if (page !== undefined) {
        const { folder, version, control, reach, tQuantiles } = page;
        page = { folder, version, control, reach, tQuantiles, ...(problem !== undefined && { problem }) };
      }
      store.changed();
    });
    on('grown', tellGrown);
    on('studies', (all) => {
      studies = all;
      store.changed();
    });
  }

  function lose(): void {
    connection = 'lost';
    store.changed();
  }

  // A browser opens few connections to a server: a page that nobody sees holds none, and costs nothing.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      source?.close();
      source = undefined;
    } else if (source === undefined) open();
  });
  if (!document.hidden) open();

  return {
    get version() {
      return store.version;
    },
    subscribe: store.subscribe,
    get connection() {
      return connection;
    },
    get page() {
      return page;
    },
    runs,
    get studies() {
      return studies;
    },
    onGrown(listener) {
      grownListeners.add(listener);
      return () => grownListeners.delete(listener);
    },
  };
}
