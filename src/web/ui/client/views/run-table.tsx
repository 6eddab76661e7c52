/** The table of runs: as many rows as are in view, however many there are, and as many columns as there is room for. */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { RunRow } from '../../protocol.ts';
import { formatCount } from '../../../../util/format.ts';
import { Swatch } from '../charts/chart.tsx';
import { shortKey } from '../charts/groups.ts';
import { ago, compact, duration } from '../charts/format.ts';
import { ProgressBar } from '../parts/controls.tsx';
import { StateBadge } from '../parts/state-badge.tsx';
import { addressOf } from '../state/location.ts';
import type { Selection } from '../state/run-selection.ts';

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly isNumber?: boolean;
  /** Takes the room that others leave. */
  readonly isElastic?: boolean;
  /** Least width in pixels. */
  readonly width: number;
  /** What is left out first where there is little room: the greatest. */
  readonly rank: number;
  /** By what it is sorted; greatest first where `isNumber`. */
  readonly sortKey: (row: RunRow) => number | string | undefined;
  readonly cell: (row: RunRow, now: number) => ComponentChildren;
}

const silentAfterMs = 3 * 60_000;

function silence({ state, updatedMs }: RunRow, now: number): string | undefined {
  return state === 'running' && now - updatedMs > silentAfterMs ? duration((now - updatedMs) / 1000) : undefined;
}

const percent = (fraction: number | undefined) => (fraction === undefined ? '' : `${(100 * fraction).toFixed(2)}%`);

export const columns: readonly Column[] = [
  {
    key: 'state',
    title: 'state',
    width: 104,
    rank: 2,
    sortKey: ({ state }) => state,
    cell: (row, now) => <StateBadge state={row.state} silent={silence(row, now)} />,
  },
  {
    key: 'accuracy',
    title: 'accuracy',
    isNumber: true,
    width: 80,
    rank: 1,
    sortKey: ({ accuracy }) => accuracy,
    cell: ({ accuracy }) => percent(accuracy),
  },
  {
    key: 'progress',
    title: 'steps',
    isNumber: true,
    width: 118,
    rank: 3,
    sortKey: ({ step }) => step,
    cell: ({ step, steps, state }) =>
      steps === 0 ? (
        ''
      ) : (
        <span class="progress">
          {step >= steps ? formatCount(steps) : `${compact(step)} / ${compact(steps)}`}
          {step < steps && <ProgressBar share={step / steps} state={state} />}
        </span>
      ),
  },
  {
    key: 'loss',
    title: 'loss',
    isNumber: true,
    width: 70,
    rank: 6,
    sortKey: ({ trainLoss }) => (trainLoss === undefined ? undefined : -trainLoss),
    cell: ({ trainLoss }) => (trainLoss === undefined ? '' : trainLoss.toFixed(3)),
  },
  {
    key: 'left',
    title: 'left',
    isNumber: true,
    width: 72,
    rank: 5,
    sortKey: ({ secondsLeft }) => (secondsLeft === undefined ? undefined : -secondsLeft),
    cell: ({ secondsLeft }) => (secondsLeft === undefined ? '' : duration(secondsLeft)),
  },
  {
    key: 'speed',
    title: 'images/s',
    isNumber: true,
    width: 84,
    rank: 7,
    sortKey: ({ imagesPerSecond }) => imagesPerSecond,
    cell: ({ imagesPerSecond }) => (imagesPerSecond === undefined ? '' : formatCount(Math.round(imagesPerSecond))),
  },
  {
    key: 'updated',
    title: 'updated',
    isNumber: true,
    width: 92,
    rank: 8,
    sortKey: ({ updatedMs }) => updatedMs,
    cell: ({ updatedMs }, now) => ago(updatedMs, now),
  },
  {
    key: 'dataset',
    title: 'data set',
    width: 110,
    rank: 9,
    sortKey: ({ choices }) => choices?.dataset,
    cell: ({ choices }) => choices?.dataset ?? '',
  },
  {
    key: 'recipe',
    title: 'recipe',
    width: 84,
    rank: 10,
    sortKey: ({ choices }) => choices?.recipe,
    cell: ({ choices }) => choices?.recipe ?? '',
  },
  {
    key: 'seed',
    title: 'seed',
    isNumber: true,
    width: 52,
    rank: 11,
    sortKey: ({ choices }) => (choices === undefined ? undefined : -choices.seed),
    cell: ({ choices }) => choices?.seed ?? '',
  },
  {
    key: 'changes',
    title: 'changes to the recipe',
    isElastic: true,
    width: 140,
    rank: 4,
    sortKey: ({ choices }) => (choices === undefined ? undefined : changesText(choices.changes)),
    cell: (row) =>
      row.choices === undefined ? (
        <span class="quiet">{row.reason}</span>
      ) : (
        <span class="changes">
          {Object.entries(row.choices.changes).map(([key, value]) => (
            <span key={key} title={`${key} ${value}`}>
              {shortKey(key)} <b>{value}</b>
            </span>
          ))}
        </span>
      ),
  },
];

function changesText(changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
}

/** The words by which a run is found. */
export function searchText({ id, state, reason = '', host, studies, choices }: RunRow): string {
  const told =
    choices === undefined ? [] : [choices.dataset, choices.recipe, `seed ${choices.seed}`, changesText(choices.changes)];
  return [id, state, reason, host, ...studies, ...told].join(' ').toLowerCase();
}

interface Props {
  readonly rows: readonly RunRow[];
  readonly hidden: ReadonlySet<string>;
  readonly selection: Selection;
  readonly colourOf: (id: string) => string | undefined;
  readonly sort: { readonly key: string; readonly isReversed: boolean };
  readonly onSort: (key: string) => void;
  readonly highlight: string | undefined;
  readonly onHighlight: (id: string | undefined) => void;
}

const rowHeight = 40;
/** Rows above and below what is in view. */
const spare = 10;
/** Of the names of runs, in pixels: about what a letter takes, and the widest. */
const letterWidth = 8;
const widestName = 260;

export function RunTable({ rows, hidden, selection, colourOf, sort, onSort, highlight, onHighlight }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800, width: 1000 });
  const now = Date.now();
  useLayoutEffect(() => {
    const element = scroller.current!;
    const look = () => {
      const { scrollTop, clientHeight, clientWidth } = element;
      setView({ top: scrollTop, height: clientHeight, width: clientWidth });
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, []);
  const shown = columnsWithin(view.width - nameWidth(rows), hidden);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - spare);
  const end = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + spare);
  const focused = useRef<string | undefined>(undefined);

  const onKeyDown = (event: KeyboardEvent) => {
    const id = (event.target as HTMLElement).closest('tr')?.dataset['id'];
    const at = rows.findIndex((row) => row.id === id);
    if (at < 0 || (event.target as HTMLElement).tagName === 'A') return;
    const moves: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
    const next = moves[event.key];
    if (next !== undefined && rows[next] !== undefined) {
      event.preventDefault();
      focused.current = rows[next].id;
      const element = scroller.current!;
      const y = next * rowHeight;
      if (y < element.scrollTop) element.scrollTop = y;
      else if (y + 2 * rowHeight > element.scrollTop + element.clientHeight)
        element.scrollTop = y + 2 * rowHeight - element.clientHeight;
      focusRow(element, rows[next].id);
    } else if (event.key === 'Enter') location.hash = addressOf(['run', rows[at]!.id]);
  };

  // The row may be drawn only now.
  useEffect(() => {
    if (focused.current !== undefined && document.activeElement === document.body) focusRow(scroller.current!, focused.current);
  });

  const allSelected = rows.length > 0 && rows.every(({ id }) => selection.has(id));
  return (
    <div class="run-table scroll" ref={scroller}>
      <table aria-rowcount={rows.length + 1} onKeyDown={onKeyDown}>
        <thead>
          <tr>
            <th scope="col" class="pick">
              <input
                type="checkbox"
                aria-label="Select all runs that are listed"
                checked={allSelected}
                onChange={() => {
                  selection.toggle(
                    rows.map(({ id }) => id),
                    !allSelected,
                  );
                }}
              />
            </th>
            <SortableHead column={{ key: 'run', title: 'run' }} sort={sort} onSort={onSort} />
            {shown.map((column) => (
              <SortableHead key={column.key} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody
          onMouseLeave={() => {
            onHighlight(undefined);
          }}
        >
          {first > 0 && <Spacer height={first * rowHeight} />}
          {rows.slice(first, end).map((row, i) => {
            const { id } = row;
            const colour = colourOf(id);
            return (
              <tr
                key={id}
                data-id={id}
                class={`${colour === undefined ? '' : 'selected'} ${id === highlight ? 'highlight' : ''}`}
                aria-rowindex={first + i + 2}
                onMouseEnter={() => {
                  onHighlight(colour === undefined ? undefined : id);
                }}
              >
                <td class="pick">
                  <input
                    type="checkbox"
                    aria-label={`Show the curves of ${id}`}
                    checked={colour !== undefined}
                    style={colour === undefined ? undefined : { accentColor: colour }}
                    onChange={() => {
                      selection.toggle([id]);
                    }}
                  />
                </td>
                <th scope="row">
                  {colour !== undefined && <Swatch colour={colour} />}
                  <a href={addressOf(['run', id])} title={row.reason ?? id}>
                    {id}
                  </a>
                </th>
                {shown.map((column) => (
                  <td key={column.key} class={classOf(column)}>
                    {column.cell(row, now)}
                  </td>
                ))}
              </tr>
            );
          })}
          {end < rows.length && <Spacer height={(rows.length - end) * rowHeight} />}
        </tbody>
      </table>
    </div>
  );
}

function Spacer({ height }: { readonly height: number }) {
  return (
    <tr aria-hidden="true" class="spacer" style={{ height: `${height}px` }}>
      <td />
    </tr>
  );
}

function focusRow(element: HTMLElement, id: string): void {
  requestAnimationFrame(() => {
    element.querySelector<HTMLInputElement>(`tr[data-id="${CSS.escape(id)}"] input`)?.focus({ preventScroll: true });
  });
}

interface HeadProps {
  readonly column: Pick<Column, 'key' | 'title' | 'isNumber' | 'isElastic'>;
  readonly sort: Props['sort'];
  readonly onSort: Props['onSort'];
}

function classOf({ isNumber, isElastic }: Pick<Column, 'isNumber' | 'isElastic'>): string {
  return isNumber === true ? 'number' : isElastic === true ? 'elastic' : '';
}

function SortableHead({ column, sort, onSort }: HeadProps) {
  const { key, title, isNumber } = column;
  const isSorted = sort.key === key;
  return (
    <th
      scope="col"
      class={classOf(column)}
      aria-sort={!isSorted ? 'none' : (isNumber === true) !== sort.isReversed ? 'descending' : 'ascending'}
    >
      <button
        type="button"
        onClick={() => {
          onSort(key);
        }}
      >
        {title}
      </button>
    </th>
  );
}

function nameWidth(rows: readonly RunRow[]): number {
  return Math.min(widestName, 40 + letterWidth * rows.reduce((most, { id }) => Math.max(most, id.length), 0));
}

/** The columns that fit, in their order. */
function columnsWithin(room: number, hidden: ReadonlySet<string>): readonly Column[] {
  const wanted = columns.filter(({ key }) => !hidden.has(key));
  let left = room - 36;
  const kept = new Set<string>();
  for (const column of [...wanted].sort((a, b) => a.rank - b.rank)) {
    if (left < column.width) break;
    left -= column.width;
    kept.add(column.key);
  }
  return wanted.filter(({ key }) => kept.has(key));
}
