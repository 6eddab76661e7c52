/**
 * What is recorded of a study beside its runs: `<runs>/.studies/<name>/study.json`, with the file it was started from and which run
 * stands for which variant and seed. How far each run is, its folder says.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { requiredRecordAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { statIfReachable } from '../util/regular-file.ts';

const run = z.object({
  variant: z.string(),
  seed: z.int(),
  /** `tuto/3`; undefined until it is started. */
  run: z.string().optional(),
  /** `waiting`: not started or interrupted. `diverged`: a result like any other. `stopped`: by a search, as it was not among the best. */
  state: z.enum(['waiting', 'running', 'finished', 'diverged', 'failed', 'stopped']),
  /** Why it failed, diverged or was stopped. */
  reason: z.string().optional(),
});

/** The images that a study was run on. */
const dataset = z.object({
  name: z.string(),
  fingerprint: z.string(),
  synthetic: z.boolean(),
  classes: z.array(z.string()).readonly(),
  shape: z.tuple([z.int(), z.int(), z.int()]).readonly(),
  train: z.object({ count: z.int() }).readonly(),
});

/** What a state must be that is read: people edit files. */
const schema = z.object({
  format: z.literal('ablate-study-1'),
  name: z.string(),
  /** The study file: where it was, and its text. */
  file: z.object({ path: z.string(), text: z.string() }).readonly(),
  dataset: dataset.readonly(),
  runs: z.array(run.readonly()).readonly(),
  /** ISO 8601. */
  updatedAt: z.string(),
});

export type StudyState = Readonly<Omit<z.output<typeof schema>, 'format'>>;
export type StudyRun = StudyState['runs'][number];
export type StudyRunState = StudyRun['state'];
export type RecordedDataset = StudyState['dataset'];

/** Whether there is nothing more to do about a run. */
export function isOver(state: StudyRunState): boolean {
  return state !== 'waiting' && state !== 'running';
}

/** The folder of all studies' states. Its name begins with a dot: it is no model. */
export function studiesFolder(runsFolder: string): string {
  return join(runsFolder, '.studies');
}

export function studyFolder(runsFolder: string, name: string): string {
  return join(studiesFolder(runsFolder), name);
}

/** Of the studies that were started in this folder, in order; none where there is no such folder. */
export function studyNames(runsFolder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(studiesFolder(runsFolder));
  } catch {
    return [];
  }
  return names.filter((name) => statIfReachable(statePath(runsFolder, name)) !== undefined).sort();
}

/** The file of a study's state. */
export function statePath(runsFolder: string, name: string): string {
  return join(studyFolder(runsFolder, name), 'study.json');
}

export function writeStudyState(runsFolder: string, state: Omit<StudyState, 'updatedAt'>): void {
  makeFolder(studyFolder(runsFolder, state.name));
  const stamped = { format: schema.shape.format.value, ...state, updatedAt: new Date().toISOString() };
  writeFileAtomic(statePath(runsFolder, state.name), `${JSON.stringify(stamped, undefined, 2)}\n`);
}

/**
 * @returns undefined if the study was never started
 * @throws DataError if the file is damaged or no state of a study
 */
export function readStudyState(runsFolder: string, name: string): StudyState | undefined {
  const path = statePath(runsFolder, name);
  if (statIfReachable(path) === undefined) return undefined;
  return requiredRecordAt(
    path,
    schema,
    'is not the state of a study',
    'remove it, and run the study again: finished runs are reused',
  );
}
