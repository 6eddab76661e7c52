/**
 * The functions of node:fs, watched: for tests of what is done in which order, and of what others do in between. test/set-up.ts puts them
 * in the place of node:fs.
 */
import type * as fs from 'node:fs';

export interface FsCall {
  readonly name: string;
  readonly args: readonly unknown[];
  /** The path of the file or folder, also where a descriptor is used. */
  readonly path: string;
}

interface Watch {
  before?: ((call: FsCall) => void) | undefined;
  unsynced?: boolean;
}

const watch: Watch = {};

/** Calls `before` ahead of each call that `work` makes of node:fs; what `before` itself does is not watched. */
export function watchFs<T>(before: (call: FsCall) => void, work: () => T): T {
  watch.before = (call) => {
    const outer = watch.before;
    watch.before = undefined;
    try {
      before(call);
    } finally {
      watch.before = outer;
    }
  };
  try {
    return work();
  } finally {
    watch.before = undefined;
  }
}

/** The calls that `work` makes, as `name path`. */
export function callsOf(work: () => void): FsCall[] {
  const calls: FsCall[] = [];
  watchFs((call) => calls.push(call), work);
  return calls;
}

/** Whether nothing waits for the disk: for tests of what writes much, and not of what survives a power cut. */
export function skipSync(skip: boolean): void {
  watch.unsynced = skip;
}

/** The path of each open descriptor, whichever file has replaced node:fs with it. */
const paths = new Map<unknown, string>();

export function watchedFs(original: typeof fs): typeof fs {
  const wrapped = Object.fromEntries(
    Object.entries(original).map(([name, value]: [string, unknown]) => {
      if (typeof value !== 'function' || !name.endsWith('Sync')) return [name, value];
      const call = value as (...args: unknown[]) => unknown;
      const watched = (...args: unknown[]) => {
        const [first] = args;
        watch.before?.({ name, args, path: typeof first === 'number' ? (paths.get(first) ?? '') : String(first) });
        if (name === 'fsyncSync' && watch.unsynced === true) return undefined;
        const result = call(...args);
        if (name === 'openSync') paths.set(result, String(first));
        return result;
      };
      // realpathSync has a `native`.
      return [name, Object.assign(watched, value)];
    }),
  ) as unknown as typeof fs;
  return { ...wrapped, default: wrapped } as typeof fs;
}
