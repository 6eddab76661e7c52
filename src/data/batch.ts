import type { Labels } from './dataset.ts';

/** A batch ready for a network, in shared memory that the loader owns: valid until the next call of `next` or `dispose`. */
export interface Batch {
  /** `[batchSize, C, H, W]` float32 over a SharedArrayBuffer; for a last partial batch the rows from `count` on are unspecified. */
  readonly inputs: Float32Array;
  /** `[batchSize]` class indices; entries from `count` on are unspecified. */
  readonly labels: Labels;
  /** Where examples are mixed in pairs, what the second of each pair is. */
  readonly mixed?: MixedLabels | undefined;
  /** Examples in this batch. */
  readonly count: number;
}

/** Of examples that are mixed in pairs: the label is (1 - share) times the own one plus share times the other's. */
export interface MixedLabels {
  /** `[batchSize]` class indices of the others. */
  readonly labels: Batch['labels'];
  /** From 0 to 1, for all examples of the batch. */
  readonly share: number;
}

/** Prepares batches ahead in worker threads. */
export interface BatchLoader {
  /**
   * The next batch; the batch returned before is given back to the workers. Training never ends. An evaluation gives undefined after
   * the last batch, and the call after that starts over: one loader serves every evaluation of a run.
   *
   * Rejects if a worker failed, with its error as the cause. Calls must not overlap.
   */
  next(): Promise<Batch | undefined>;
  /** Milliseconds that `next` has waited for the workers, in total. */
  readonly waitMs: number;
  /** Stops the workers. Safe to call twice. */
  dispose(): Promise<void>;
}
