/**
 * What is recorded of a study beside its runs: `<runs>/.studies/<name>/study.json`, with the file it was started from and which run
 * stands for which variant and seed. How far each run is, its folder says.
 */
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { DataError } from '../util/errors.ts';
import { jsonObjectAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { TrainingFacts } from '../train/classifier.ts';
import { statIfReachable } from '../util/regular-file.ts';

/** `waiting`: not started or interrupted. `diverged`: a result like any other. `stopped`: by a search, as it was not among the best. */
export type StudyRunState = 'waiting' | 'running' | 'finished' | 'diverged' | 'failed' | 'stopped';

/** Whether there is nothing more to do about a run. */
export function isOver(state: StudyRunState): boolean {
  return state !== 'waiting' && state !== 'running';
}

export interface StudyRun {
  readonly variant: string;
  readonly seed: number;
  /** `tuto/3`; undefined until it is started. */
  readonly run?: string | undefined;
  readonly state: StudyRunState;
  /** Why it failed, diverged or was stopped. */
  readonly reason?: string | undefined;
}

export interface StudyState {
  readonly name: string;
  /** The study file: where it was, and its text. */
  readonly file: { readonly path: string; readonly text: string };
  readonly dataset: RecordedDataset;
  readonly runs: readonly StudyRun[];
  /** ISO 8601. */
  readonly updatedAt: string;
}

/** The images that a study was run on. */
export interface RecordedDataset extends TrainingFacts {
  readonly name: string;
  readonly fingerprint: string;
  readonly synthetic: boolean;
}

const format = 'ablate-study-1';

/** The folder of all studies' states. Its name begins with a dot: it is no model. */
export function studiesFolder(runsFolder: string): string {
  return join(runsFolder, '.studies');
}

export function studyFolder(runsFolder: string, name: string): string {
  return join(studiesFolder(runsFolder), name);
}

export function writeStudyState(runsFolder: string, state: Omit<StudyState, 'updatedAt'>): void {
  const folder = studyFolder(runsFolder, state.name);
  makeFolder(folder);
  const stamped = { format, ...state, updatedAt: new Date().toISOString() };
  writeFileAtomic(join(folder, 'study.json'), `${JSON.stringify(stamped, undefined, 2)}\n`);
}

/**
 * @returns undefined if the study was never started
 * @throws DataError if the file is damaged or no state of a study
 */
export function readStudyState(runsFolder: string, name: string): StudyState | undefined {
  const path = join(studyFolder(runsFolder, name), 'study.json');
  if (statIfReachable(path) === undefined) return undefined;
  const state = jsonObjectAt(path) as (StudyState & { readonly format?: string }) | undefined;
  if (state?.format === format) return state;
  throw new DataError(`${path} is not the state of a study`, {
    fix: 'remove it, and run the study again: finished runs are reused',
  });
}
