/** status.json: how far a run is. Small and rewritten whole, so that listing thousands of runs reads one small file for each. */
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { messageOf } from '../util/errors.ts';
import { processState, thisProcess } from '../util/process-identity.ts';
import * as z from 'zod';
import { readTextFile } from '../util/regular-file.ts';
import { check } from '../util/schema.ts';

const progress = {
  /** `interrupted`: stopped by a signal or a crash, can be resumed. `failed`: stopped by an error, such as a loss that is not a number. */
  status: z.enum(['running', 'finished', 'failed', 'interrupted']),
  /** Steps done. */
  step: z.int().min(0),
  /** Steps to do in all. */
  steps: z.int().min(0),
  /** Of the latest evaluation, a fraction in [0, 1]. */
  accuracy: z.number().min(0).max(1).exactOptional(),
  /** Why the run failed or was interrupted. */
  reason: z.string().exactOptional(),
  /** Whether a checkpoint has been saved; absent if that is not known. */
  saved: z.boolean().exactOptional(),
  /** Whether it failed because its training diverged: that is its result, and another try would come to the same. */
  diverged: z.boolean().exactOptional(),
};

/** What a status must be that is read: people edit files. */
export const statusSchema = z.object({
  ...progress,
  // Who reported it: util/process-identity.ts.
  pid: z.int().min(1),
  host: z.string(),
  startTicks: z.string().exactOptional(),
  /** ISO 8601. */
  updatedAt: z.string(),
});

/** Progress, and who reported it when. */
export type RunStatus = Readonly<z.output<typeof statusSchema>>;
export type RunProgress = Pick<RunStatus, keyof typeof progress>;
export type RunState = RunStatus['status'];

/** As people are told it: a training that diverged has not failed like one whose disk was full. */
export function shownState<S extends string>({
  status,
  diverged,
}: {
  readonly status: S;
  readonly diverged?: boolean;
}): S | 'diverged' {
  return diverged === true ? 'diverged' : status;
}

/** The status that a run is made with: running, at step 0. */
export function firstStatus(steps: number): RunStatus {
  return stamped({ status: 'running', step: 0, steps, saved: false });
}

/**
 * Replaces the status of a run by this process's report. Cheap enough for every few seconds: it does not wait for the disk.
 *
 * @throws AblateError if the file cannot be written.
 */
export function writeStatus(run: { readonly path: string }, progress: RunProgress): void {
  writeFileAtomic(statusPath(run), `${JSON.stringify(stamped(progress), undefined, 2)}\n`, { durable: false });
}

/**
 * The status of a run, as it is now: one that says `running` while its process on this host is gone is `interrupted`. So is one
 * whose file is missing or damaged; its reason says so, and its step is 0.
 */
export function readStatus(run: { readonly path: string }): RunStatus {
  return currentStatus(recordedStatus(run));
}

/** The status as the file has it, which may say `running` of a process that is gone. */
export function recordedStatus(run: { readonly path: string }): RunStatus {
  const { status, problem } = tryStatus(run);
  return status ?? unknownStatus(problem);
}

/** The status as the file has it, or why it cannot be read. */
export function tryStatus(run: {
  readonly path: string;
}): { readonly status: RunStatus; readonly problem?: undefined } | { readonly status?: undefined; readonly problem: string } {
  try {
    return { status: check(statusSchema, JSON.parse(readTextFile(statusPath(run)))) };
  } catch (error) {
    return { problem: `status.json cannot be read: ${messageOf(error)}` };
  }
}

/** Of a run that does not say how far it is. */
export function unknownStatus(reason: string): RunStatus {
  return { status: 'interrupted', step: 0, steps: 0, reason, pid: 0, host: '', updatedAt: new Date(0).toISOString() };
}

/** What a recorded status means now. */
export function currentStatus(status: RunStatus): RunStatus {
  if (status.status === 'running' && processState(status) === 'dead') {
    return { ...status, status: 'interrupted', reason: `process ${status.pid} is gone` };
  }
  return status;
}

/** The file of a run's status. */
export function statusPath(run: { readonly path: string }): string {
  return join(run.path, 'status.json');
}

function stamped(progress: RunProgress): RunStatus {
  return { ...progress, ...thisProcess(), updatedAt: new Date().toISOString() };
}
