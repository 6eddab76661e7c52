/** The curves that are shown, and nothing else: asked for in pieces, and followed while they grow. */
import { pointColumns, type CurveCursor, type CurvesHeader, type CurvesRequest } from '../../protocol.ts';
import type { LiveState } from './live.ts';
import { createStore, type Store } from './store.ts';

/** One metric of a run. All arrays have the same length. */
export interface Curve extends CurveCursor {
  readonly step: Float32Array;
  readonly seconds: Float32Array;
  readonly least: Float32Array;
  readonly greatest: Float32Array;
  readonly mean: Float32Array;
  readonly hasGaps: boolean;
}

export interface RunCurves {
  /** Metrics that the run has. */
  readonly keys: readonly string[];
  readonly curves: ReadonlyMap<string, Curve>;
  /** Why there are none. */
  readonly problem: string | undefined;
  readonly isWhole: boolean;
}

export interface Curves extends Store {
  of(id: string): RunCurves | undefined;
  /** Says what is shown from now on. What is no longer shown is forgotten. */
  show(ids: readonly string[], keys: readonly string[]): void;
}

/** Runs in a request of those that are not there yet, so that the first curves are there soon. */
const newAtOnce = 12;
/** Points of all curves of a metric together, about: more than can be told apart. */
const pointsInAll = 120_000;
const [fewestPoints, mostPoints] = [200, 1024];
/** Twelve pictures a second. */
const pauseMs = 80;

export function followCurves(live: LiveState): Curves {
  const store = createStore(pauseMs);
  const known = new Map<string, RunCurves>();
  let ids: readonly string[] = [];
  let keys: readonly string[] = [];
  /** Runs to ask for. */
  const wanted = new Set<string>();
  let isAsking = false;

  live.onGrown((grown) => {
    for (const id of grown ?? ids) if (ids.includes(id)) wanted.add(id);
    ask();
  });

  function ask(): void {
    if (isAsking || wanted.size === 0) return;
    isAsking = true;
    askInTurns()
      // The connection is lost: once it is there again, everything is asked for anew.
      .catch(() => undefined)
      .finally(() => {
        isAsking = false;
      });
  }

  async function askInTurns(): Promise<void> {
    while (wanted.size > 0) {
      const began = performance.now();
      const missing = [...wanted].filter((id) => known.get(id)?.isWhole !== true);
      const asked = missing.length > 0 ? missing.slice(0, newAtOnce) : [...wanted];
      for (const id of asked) wanted.delete(id);
      const most = Math.max(fewestPoints, Math.min(mostPoints, Math.round(pointsInAll / Math.max(1, ids.length))));
      const request: CurvesRequest = {
        runs: asked.map((id) => ({ id, have: cursorsOf(known.get(id)) })),
        keys,
        most,
      };
      const response = await fetch('api/curves', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(request),
      });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      take(await response.arrayBuffer());
      store.changed();
      const isFirst = wanted.size > 0;
      // What grows is asked for as often as it is drawn.
      if (!isFirst) await pause(began + pauseMs - performance.now());
    }
  }

  function take(bytes: ArrayBuffer): void {
    const headerBytes = new DataView(bytes).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, headerBytes))) as CurvesHeader;
    let at = 4 + headerBytes;
    for (const { id, keys: all, more, problem, series } of header.runs) {
      const before = known.get(id)?.curves;
      // All that were asked for and are there: what is missing is no longer in the file.
      const curves = new Map<string, Curve>();
      for (const { key, generation, unit, first, points, hasGaps } of series) {
        const rows = new Float32Array(bytes, at, points * pointColumns);
        at += rows.byteLength;
        const earlier = before?.get(key);
        if (first > 0 && (earlier?.generation !== generation || earlier.points < first)) {
          // What it goes on from was forgotten meanwhile.
          wanted.add(id);
        } else {
          const isAsBefore =
            earlier?.generation === generation &&
            earlier.unit === unit &&
            earlier.hasGaps === hasGaps &&
            earlier.points === first + points &&
            agrees(earlier, first, rows);
          curves.set(key, isAsBefore ? earlier : { ...joined(earlier, first, rows), generation, unit, hasGaps });
        }
      }
      if (!ids.includes(id)) {
        wanted.delete(id);
        continue;
      }
      known.set(id, { keys: all, curves, problem, isWhole: !more });
      if (more) wanted.add(id);
    }
  }

  return {
    get version() {
      return store.version;
    },
    subscribe: store.subscribe,
    of: (id) => known.get(id),
    show(newIds, newKeys) {
      const keysChanged = newKeys.join('\n') !== keys.join('\n');
      const isFewer = newIds.length < ids.length / 2;
      const before = new Set(ids);
      ids = newIds;
      keys = newKeys;
      const shown = new Set(ids);
      for (const id of known.keys()) if (!shown.has(id)) known.delete(id);
      // Of far fewer runs there may be more points of each.
      for (const id of ids) if (keysChanged || isFewer || !before.has(id) || !known.has(id)) wanted.add(id);
      for (const id of wanted) if (!shown.has(id)) wanted.delete(id);
      ask();
    },
  };
}

function cursorsOf(run: RunCurves | undefined): Readonly<Record<string, CurveCursor>> {
  const entries = [...(run?.curves ?? [])].map(
    ([key, { generation, unit, points }]) => [key, { generation, unit, points }] as const,
  );
  return Object.fromEntries(entries);
}

/** The first `kept` points of a curve, and new ones behind them. */
function joined(earlier: Curve | undefined, kept: number, rows: Float32Array) {
  const added = rows.length / pointColumns;
  const column = (index: number, before: Float32Array | undefined): Float32Array => {
    const values = new Float32Array(kept + added);
    if (before !== undefined) values.set(before.subarray(0, kept));
    for (let i = 0; i < added; i++) values[kept + i] = rows[i * pointColumns + index]!;
    return values;
  };
  return {
    points: kept + added,
    step: column(0, earlier?.step),
    seconds: column(1, earlier?.seconds),
    least: column(2, earlier?.least),
    greatest: column(3, earlier?.greatest),
    mean: column(4, earlier?.mean),
  };
}

/** Whether a curve has these points from `first` on: the last one is always sent again, as it may have grown. */
function agrees({ step, seconds, least, greatest, mean }: Curve, first: number, rows: Float32Array): boolean {
  const columns = [step, seconds, least, greatest, mean];
  return rows.every((value, i) => Object.is(value, columns[i % pointColumns]![first + Math.floor(i / pointColumns)]));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
