/** A program that runs jobs on the machines of a cluster: what batch.ts needs of it, and no more. */
export interface Scheduler {
  /** For people: `Slurm`. */
  readonly name: string;
  /**
   * @returns an id for each task
   * @throws AblateError if the scheduler refuses or does not answer
   */
  submit(submission: Submission): Promise<readonly string[]>;
  /** Those of the tasks that still exist. Throws AblateError if the scheduler does not answer. */
  states(ids: readonly string[]): Promise<ReadonlyMap<string, TaskState>>;
  /** Asks a task to end: a running one saves first. */
  stop(id: string, state: TaskState): Promise<void>;
  /** What the scheduler says of a task that is gone: `TIMEOUT`. Undefined if it keeps no record. */
  explain(id: string): Promise<string | undefined>;
}

/** Scripts, by their paths on a file system that all machines see. */
export interface Submission {
  /** One script for all tasks, each with its number in SLURM_ARRAY_TASK_ID. */
  readonly array: string;
  /** Or a script for each. */
  readonly tasks: readonly string[];
}

export type TaskState = 'waiting' | 'running';
