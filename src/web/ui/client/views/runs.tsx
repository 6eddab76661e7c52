/** All runs: what they are, how far they are, and the curves of those that are selected. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { RunRow, ShownState } from '../../protocol.ts';
import { CurvePanel } from '../charts/curve-panel.tsx';
import { countOfRuns } from '../charts/format.ts';
import { shortKey, type ShownRun } from '../charts/groups.ts';
import { Empty, Menu } from '../parts/controls.tsx';
import { Mark } from '../parts/state-badge.tsx';
import { useApp } from '../state/app.ts';
import { choose, type Place } from '../state/location.ts';
import { lookOf, selectionOf } from '../state/run-selection.ts';
import { useStore } from '../state/store.ts';
import { coloursOf, useTheme } from '../state/theme.ts';
import { columns, RunTable, searchText } from './run-table.tsx';

const states: readonly ShownState[] = ['running', 'finished', 'interrupted', 'failed', 'diverged', 'unreadable'];

export function RunsView({ place }: { readonly place: Place }) {
  const { live } = useApp();
  const version = useStore(live);
  const colours = coloursOf(useTheme());
  const [highlight, setHighlight] = useState<string>();
  const { choices } = place;
  const search = choices.get('find') ?? '';
  const stateFilter = new Set((choices.get('state') ?? '').split(' ').filter(Boolean));
  const sort = sortOf(choices.get('sort'));
  const selection = selectionOf(place, live.runs);

  const all = useMemo(() => [...live.runs.values()], [version]);
  const rows = useMemo(
    () => sorted(found(all, search, stateFilter), sort),
    [all, search, choices.get('state'), choices.get('sort')],
  );
  const same = useMemo(() => commonFacts(rows), [rows]);
  const chosen = choices.get('columns');
  const hidden =
    chosen === null
      ? hiddenByDefault(same, rows)
      : new Set(columns.map(({ key }) => key).filter((key) => !chosen.split(' ').includes(key)));
  const shownRuns = useMemo(
    () =>
      [...selection.slots].flatMap(([id, slot]): ShownRun[] => {
        const row = live.runs.get(id);
        return row === undefined ? [] : [{ id, label: id, row, ...lookOf(slot, colours.lines) }];
      }),
    [version, choices.get('runs'), colours],
  );
  const searchField = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement && event.target.type === 'search';
      if (event.key === '/' && !isTyping) {
        event.preventDefault();
        searchField.current?.focus();
      }
    };
    addEventListener('keydown', onKey);
    return () => {
      removeEventListener('keydown', onKey);
    };
  }, []);

  if (all.length === 0) {
    return (
      <Empty title="No runs yet">
        <p>
          Train a model, and its run appears here by itself: <code>ablate train tuto</code>
        </p>
      </Empty>
    );
  }
  return (
    <div class="runs-view">
      <section class="list card" aria-label="Runs">
        <div class="toolbar">
          <input
            ref={searchField}
            type="search"
            class="search"
            placeholder="Find runs ( / )"
            aria-label="Find runs by name, state, data set or what differs"
            value={search}
            onInput={(event) => {
              const { value } = event.currentTarget;
              choose({ find: value === '' ? undefined : value });
            }}
          />
          <span class="quiet count" role="status">
            {rows.length < all.length && `${rows.length} of `}
            {countOfRuns(all.length)}, {shownRuns.length} selected
          </span>
          {selection.slots.size > 0 && (
            <button type="button" class="text-button" onClick={selection.clear}>
              clear
            </button>
          )}
          <Menu label="Columns">
            <ul class="checks">
              {columns.map(({ key, title }) => (
                <li key={key}>
                  <label>
                    <input
                      type="checkbox"
                      checked={!hidden.has(key)}
                      onChange={() => {
                        const shown = columns
                          .map((each) => each.key)
                          .filter((each) => (each === key) === hidden.has(each) || (each !== key && !hidden.has(each)));
                        choose({ columns: shown.join(' ') });
                      }}
                    />
                    {title}
                  </label>
                </li>
              ))}
            </ul>
          </Menu>
          <StateFilter rows={all} chosen={stateFilter} />
        </div>
        {Object.keys(same).length > 0 && (
          <p class="same quiet">
            {rows.length > 1 ? 'The same for all listed: ' : ''}
            {Object.entries(same)
              .map(([key, value]) => `${key} ${value}`)
              .join(' · ')}
          </p>
        )}
        <RunTable
          rows={rows}
          hidden={hidden}
          selection={selection}
          colourOf={(id) => {
            const slot = selection.slots.get(id);
            return slot === undefined ? undefined : lookOf(slot, colours.lines).colour;
          }}
          sort={sort}
          onSort={(key) => {
            choose({ sort: sort.key === key && !sort.isReversed ? `-${key}` : key });
          }}
          highlight={highlight}
          onHighlight={setHighlight}
        />
      </section>
      <CurvePanel place={place} runs={shownRuns} highlight={highlight} onHighlight={setHighlight} />
    </div>
  );
}

function StateFilter({ rows, chosen }: { readonly rows: readonly RunRow[]; readonly chosen: ReadonlySet<string> }) {
  const counts = new Map<ShownState, number>();
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1);
  const present = states.filter((state) => counts.has(state));
  if (present.length < 2) return null;
  return (
    <div class="chips" role="group" aria-label="Only runs in these states">
      {present.map((state) => (
        <button
          key={state}
          type="button"
          class={`chip state ${state}`}
          aria-pressed={chosen.has(state)}
          onClick={() => {
            const next = new Set(chosen);
            if (!next.delete(state)) next.add(state);
            choose({ state: next.size === 0 ? undefined : [...next].join(' ') });
          }}
        >
          <Mark state={state} />
          {state} <span class="count">{counts.get(state)}</span>
        </button>
      ))}
    </div>
  );
}

interface Sort {
  readonly key: string;
  readonly isReversed: boolean;
}

function sortOf(text: string | null): Sort {
  return text === null
    ? { key: 'created', isReversed: false }
    : { key: text.replace(/^-/, ''), isReversed: text.startsWith('-') };
}

/** All words must be found. */
function found(rows: readonly RunRow[], search: string, chosen: ReadonlySet<string>): RunRow[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (chosen.size > 0 && !chosen.has(row.state)) return false;
    if (words.length === 0) return true;
    const text = searchText(row);
    return words.every((word) => text.includes(word));
  });
}

/** Those that are trained now first, then the newest; or by a column, those without a value last. */
function sorted(rows: readonly RunRow[], { key, isReversed }: Sort): RunRow[] {
  const isRunning = ({ state }: RunRow) => Number(state === 'running');
  const byName = (a: RunRow, b: RunRow) => a.id.localeCompare(b.id, 'en', { numeric: true });
  if (key === 'created')
    return [...rows].sort((a, b) => isRunning(b) - isRunning(a) || b.createdMs - a.createdMs || byName(a, b));
  const direction = isReversed ? -1 : 1;
  const column = columns.find((each) => each.key === key);
  if (column === undefined) return [...rows].sort((a, b) => direction * byName(a, b));
  return [...rows].sort((a, b) => {
    const [x, y] = [column.sortKey(a), column.sortKey(b)];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined) || byName(a, b);
    const order =
      typeof x === 'number' && typeof y === 'number' ? y - x : String(x).localeCompare(String(y), 'en', { numeric: true });
    return direction * order || byName(a, b);
  });
}

/** What is the same for all rows need not be in each of them. */
function commonFacts(rows: readonly RunRow[]): Record<string, string> {
  const facts: Record<string, string> = {};
  const [first] = rows;
  if (first?.choices === undefined) return facts;
  const keys = ['dataset', 'recipe', 'batchSize', 'learningRate', 'steps'];
  for (const key of keys) {
    const value = first.choices.config[key];
    const isSame = rows.every(({ choices }) => choices === undefined || choices.config[key] === value);
    if (value !== undefined && isSame)
      facts[key === 'dataset' ? 'data set' : shortKey(key)] = key === 'dataset' ? first.choices.dataset : value;
  }
  return facts;
}

/** Columns that say nothing here: what is the same for all is said above. */
function hiddenByDefault(same: Readonly<Record<string, string>>, rows: readonly RunRow[]): ReadonlySet<string> {
  const hasTimeLeft = rows.some(({ secondsLeft }) => secondsLeft !== undefined);
  return new Set([
    'seed',
    ...(hasTimeLeft ? [] : ['left']),
    ...('data set' in same ? ['dataset'] : []),
    ...('recipe' in same ? ['recipe'] : []),
  ]);
}
