import type { CellState } from '../../protocol.ts';

const words: Readonly<Record<CellState, string>> = {
  running: 'running',
  finished: 'finished',
  failed: 'failed',
  diverged: 'diverged',
  interrupted: 'interrupted',
  unreadable: 'unreadable',
  waiting: 'waiting',
  stopped: 'stopped early',
};

/** A state in words, with its mark: never told by colour alone. */
export function StateBadge({ state, silent }: { readonly state: CellState; readonly silent?: string | undefined }) {
  return (
    <span class={`state ${state}`} title={silent === undefined ? undefined : `no word of it for ${silent}`}>
      <Mark state={state} />
      {silent === undefined ? words[state] : 'silent'}
    </span>
  );
}

/** The mark alone; what it means must be said beside it. */
export function Mark({ state }: { readonly state: CellState }) {
  return (
    <svg class={`mark ${state}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {marks[state]}
    </svg>
  );
}

const marks: Readonly<Record<CellState, preact.ComponentChildren>> = {
  running: <circle cx="6" cy="6" r="3.5" />,
  finished: <path d="M2.5 6.5l2.5 2.5 4.5-5.5" />,
  failed: <path d="M3 3l6 6M9 3l-6 6" />,
  diverged: <path d="M1.5 9.5c4 0 5-2 6-7M5.5 3.2l2-1 1.2 2" />,
  interrupted: <path d="M4 2.5v7M8 2.5v7" />,
  unreadable: <path d="M6 2v5M6 9.3v.4" />,
  waiting: <circle cx="6" cy="6" r="3.5" />,
  stopped: <rect x="3" y="3" width="6" height="6" rx="1" />,
};
