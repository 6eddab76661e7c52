/**
 * What the processes of one training do together. Every process calls the same operations in the same order; one process alone is
 * the implementation `singleProcess`, so nothing that trains has to ask how many there are.
 */
export interface Collective {
  /** This process, 0 to worldSize - 1. Process 0 evaluates, saves and reports. */
  readonly rank: number;
  readonly worldSize: number;
  /** Replaces every element by its mean over the processes, the same bits everywhere. */
  allReduceMean(buffer: Float32Array): void | Promise<void>;
  /** Replaces the buffer of every process by that of process `root`. */
  broadcast(buffer: Float32Array, root: number): void | Promise<void>;
  /** Returns when every process has called it. */
  barrier(): void | Promise<void>;
  dispose(): void;
}

/** One process: its values are the mean, and there is nobody to wait for. */
export const singleProcess: Collective = {
  rank: 0,
  worldSize: 1,
  allReduceMean: () => undefined,
  broadcast: () => undefined,
  barrier: () => undefined,
  dispose: () => undefined,
};
