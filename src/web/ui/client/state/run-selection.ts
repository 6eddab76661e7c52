/** Which runs are selected, and their colours. Both are in the address, so that a colour keeps to its run. */
import type { RunRow } from '../../protocol.ts';
import { choose, decoded, type Place } from './location.ts';

export interface Selection {
  /** By run, the number of its colour. */
  readonly slots: ReadonlyMap<string, number>;
  has(id: string): boolean;
  toggle(ids: readonly string[], isOn?: boolean): void;
  clear(): void;
}

/** Runs shown before anything was chosen: the newest ones. */
const shownFirst = 6;
/** More cannot be told apart, and cost time. */
export const mostSelected = 500;
const nothing = '-';

export function selectionOf({ choices }: Place, rows: ReadonlyMap<string, RunRow>): Selection {
  const given = choices.get('runs');
  const slots = given === null ? newest(rows) : parsed(given);
  const write = (changed: ReadonlyMap<string, number>) => {
    const text = [...changed].map(([id, slot]) => `${slot}:${encodeURIComponent(id)}`).join(' ');
    choose({ runs: text === '' ? nothing : text });
  };
  return {
    slots,
    has: (id) => slots.has(id),
    toggle(ids, isOn) {
      const changed = new Map(slots);
      for (const id of ids) {
        if (!(isOn ?? !changed.has(id))) changed.delete(id);
        else if (!changed.has(id) && changed.size < mostSelected) changed.set(id, freeSlot(changed));
      }
      write(changed);
    },
    clear() {
      write(new Map());
    },
  };
}

function parsed(text: string): ReadonlyMap<string, number> {
  if (text === nothing) return new Map();
  const entries = text.split(' ').flatMap((part): [string, number][] => {
    const [, slot, id] = /^(\d{1,4}):(.+)$/.exec(part) ?? [];
    return slot === undefined || id === undefined ? [] : [[decoded(id), Number(slot)]];
  });
  return new Map(entries.slice(0, mostSelected));
}

function freeSlot(slots: ReadonlyMap<string, number>): number {
  const taken = new Set(slots.values());
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

function newest(rows: ReadonlyMap<string, RunRow>): ReadonlyMap<string, number> {
  const order = [...rows.values()]
    .filter(({ state }) => state !== 'unreadable' && state !== 'diverged')
    .sort((a, b) => Number(b.state === 'running') - Number(a.state === 'running') || b.createdMs - a.createdMs);
  return new Map(order.slice(0, shownFirst).map(({ id }, slot) => [id, slot]));
}

const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** The look of a line: the colours in turn, and behind the last of them dashed. */
export function lookOf(slot: number, colours: readonly string[]): { readonly colour: string; readonly dash: readonly number[] } {
  return { colour: colours[slot % colours.length]!, dash: dashes[Math.floor(slot / colours.length) % dashes.length]! };
}
