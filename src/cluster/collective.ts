import { AblateError } from '../util/errors.ts';

/** The other processes do not answer, or are gone: nothing is wrong with the training, which may be continued. */
export class CommunicationError extends AblateError {}

/**
 * What the processes of one training do together. Every process makes the same calls in the same order; one process alone is the
 * implementation `singleProcess`, so nothing that trains has to ask how many there are.
 *
 * Calls return when the work is done (those that return a promise at its end), without giving the event loop a turn: processes that train together wait for each other for
 * milliseconds, and whatever is asked of them meanwhile (a signal) can wait as long.
 */
export interface Collective {
  /** This process, 0 to worldSize - 1. Process 0 saves and reports. */
  readonly rank: number;
  readonly worldSize: number;
  /** This process among those on the same machine, 0 to localSize - 1. */
  readonly localRank: number;
  /** Processes on this machine, which share its cores. */
  readonly localSize: number;
  /** Replaces every element by its sum over the processes, the same bits everywhere. */
  sum(values: Numbers): void;
  /** A sum of one buffer that is done again and again, while the process computes. Every process must make its sums in the same order. */
  backgroundSum(buffer: Numbers | Stageable, options?: BackgroundSumOptions): BackgroundSum;
  /** Replaces the bytes of every process by those of process 0. */
  broadcast(bytes: Uint8Array): void;
  /** Replaces the elements of every process's array by those of process 0. */
  broadcastArray(array: Stageable): Promise<void>;
  /**
   * Returns when every process has called it.
   *
   * @param patienceSeconds how long the others may take; default as long as any other call
   */
  barrier(patienceSeconds?: number): void;
  /**
   * For the record, by metric: `train/gradientWaitMs` is the time a step waited in `finish` of its background sums, since the last call.
   * Nothing for a process alone.
   */
  metrics(steps: number): Readonly<Record<string, number>>;
  /** Leaves the other processes in order; waits until they leave too. Nothing may be called afterwards. */
  dispose(): void;
}

export type Numbers = Float32Array | Float64Array;

/** An array that may lie elsewhere than in this process's memory: an engine's. */
export interface Stageable {
  stage(): Staged;
}

/** Where such an array comes to be summed or sent. */
export interface Staged {
  readonly host: Float32Array;
  /** Whether `host` is the array itself, in which numbers are as soon as they are computed; otherwise they are brought and taken back. */
  readonly direct: boolean;
  fetch(): Promise<void>;
  store(): Promise<void>;
}

export interface BackgroundSumOptions {
  /** Where the buffer may be cut, ascending; by default nowhere. Parts are summed as they become final, the last first. */
  readonly boundaries?: readonly number[];
  /** How the numbers travel. `bf16` halves the traffic: each process's share and the sum are rounded once, the addition is exact to float32. */
  readonly precision?: 'f32' | 'bf16';
}

export interface BackgroundSum {
  /**
   * Says that this process has computed the elements from `finalFrom` on, and moves on what is under way. Cheap: to be called often. The
   * elements must not be touched until `finish` has returned.
   */
  advance(finalFrom: number): void;
  /** Resolves when the whole buffer is summed. The next `advance` begins anew. */
  finish(): Promise<void>;
}

const nothing = Promise.resolve();
const alreadySummed: BackgroundSum = { advance: () => undefined, finish: () => nothing };

/** One process: its values are the sum, and there is nobody to wait for. */
export const singleProcess: Collective = {
  rank: 0,
  worldSize: 1,
  localRank: 0,
  localSize: 1,
  sum: () => undefined,
  backgroundSum: () => alreadySummed,
  broadcast: () => undefined,
  broadcastArray: () => nothing,
  barrier: () => undefined,
  metrics: () => ({}),
  dispose: () => undefined,
};
