/** What a run keeps of the files of code that its model, its data and its augmentation were written in: a copy of all that ran, and a checksum. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import { requiredRecordAt } from '../util/json-file.ts';
import { quoted } from '../util/shell.ts';
import { checksumOfFile, type UserFile } from './load-file.ts';

const names = {
  model: { record: 'model-file.json', copy: 'model.mjs' },
  data: { record: 'data-file.json', copy: 'data.mjs' },
  augmentation: { record: 'augmentation-file.json', copy: 'augmentation.mjs' },
} as const;

export type RecordedKind = keyof typeof names;

const schema = z.object({ path: z.string(), sha256: z.string() });

/** Code that a run's augmentation had before: up to which step, and its copy in the run's folder. */
const earlierCode = z.object({ sha256: z.string(), until: z.int().min(1), copy: z.string() });

const augmentationSchema = schema.extend({
  copy: z.string().default(names.augmentation.copy),
  before: z.array(earlierCode).default([]),
});

/** What a run records of its augmentation: the file, the copy in the run's folder that is in use, and what was used before it was mended. */
export type AugmentationRecord = z.output<typeof augmentationSchema>;

/** For the records that a new run has from its beginning; none for a run without such a file. */
export function recordOfFile(kind: RecordedKind, file: UserFile | undefined): Readonly<Record<string, unknown>> {
  if (file === undefined) return {};
  const { path, sha256, code } = file;
  return { [names[kind].record]: { path, sha256 }, [names[kind].copy]: code };
}

/**
 * Checks that the files of a run's model and data are as they were when the run was started. A model's that is gone is no matter: the run has its network.
 *
 * @param run where it is
 * @throws ConfigurationError if a file has changed; DataError if a record is damaged
 */
export function requireSameFiles(run: { readonly path: string }): void {
  for (const [kind, another] of [
    ['model', 'another network'],
    ['data', 'other data'],
  ] as const) {
    const recorded = readRecord(kind, run);
    if (recorded !== undefined) requireSame(recorded, run, `a run is not continued with ${another}`);
  }
}

/** Undefined if the run has no augmentation of the user's. Throws DataError if the record is damaged. */
export function recordedAugmentation(run: { readonly path: string }): AugmentationRecord | undefined {
  return readRecordOf('augmentation', run, augmentationSchema);
}

/**
 * Where the code of a run's augmentation is: the file that it was started with, or where that is gone the run's own copy.
 *
 * @throws ConfigurationError if the file has changed
 */
export function augmentationFileOf(run: { readonly path: string }, recorded: AugmentationRecord, library: string): string {
  const copy = join(run.path, recorded.copy);
  if (!existsSync(recorded.path)) return copy;
  if (checksumOfFile(recorded.path, library) === recorded.sha256) return recorded.path;
  throw new ConfigurationError(`${recorded.path} has changed since the run ${run.path} was started with it`, {
    fix: `restore it (the run's copy is ${copy}), or let it count from here on: add --augment-with ${quoted(recorded.path)}`,
  });
}

/**
 * The record of a run that goes on from `step` with the code of `file`. Code that was never used for a step, or only for steps that are taken again, is left out.
 */
export function continuedWith(
  recorded: AugmentationRecord,
  step: number,
  file: { readonly path: string; readonly sha256: string },
): AugmentationRecord {
  const { sha256, copy } = recorded;
  const before: AugmentationRecord['before'] = [];
  const known = [...recorded.before, { sha256, until: step, copy }];
  for (const earlier of known) {
    const until = Math.min(earlier.until, step);
    if (until > (before.at(-1)?.until ?? 0)) before.push({ ...earlier, until });
  }
  if (before.at(-1)?.sha256 === file.sha256) before.pop();
  const copied = known.find((earlier) => earlier.sha256 === file.sha256)?.copy;
  return { path: file.path, sha256: file.sha256, copy: copied ?? `augmentation-${file.sha256.slice(0, 8)}.mjs`, before };
}

/** Names what a run was augmented with: the code, or where that was mended all of it, with the steps that each counted for. */
export function augmentationChecksumOf({ sha256, before }: AugmentationRecord): string {
  if (before.length === 0) return sha256;
  const parts = [...before.map((earlier) => [earlier.sha256, earlier.until]), sha256];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Keeps another code as that of a run's augmentation, beside what was used before. */
export function recordAugmentation(run: { readonly path: string }, record: AugmentationRecord, code: string): void {
  const copy = join(run.path, record.copy);
  if (!existsSync(copy)) writeFileAtomic(copy, code);
  writeFileAtomic(join(run.path, names.augmentation.record), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Where the file of a run's model was; undefined for one of the lab's own. Throws DataError if the record is damaged. */
export function recordedModelFile(run: { readonly path: string }): string | undefined {
  return readRecord('model', run)?.path;
}

/** Where the code of a run's model is: that file or, where it is gone, the run's own copy. */
export function modelCodeOf(run: { readonly path: string }): string | undefined {
  const recorded = readRecord('model', run);
  return recorded && (existsSync(recorded.path) ? recorded.path : recorded.copy);
}

interface RecordedFile extends z.output<typeof schema> {
  readonly copy: string;
}

function requireSame({ path, sha256, copy }: RecordedFile, run: { readonly path: string }, reason: string): void {
  if (!existsSync(path) || checksumOfFile(path) === sha256) return;
  throw new ConfigurationError(`${path} has changed since the run ${run.path} was started with it`, {
    fix: `restore it, or start a new run: ${reason} (its own copy is ${copy})`,
  });
}

function readRecord(kind: RecordedKind, run: { readonly path: string }): RecordedFile | undefined {
  const record = readRecordOf(kind, run, schema);
  return record && { ...record, copy: join(run.path, names[kind].copy) };
}

function readRecordOf<S extends z.ZodType>(kind: RecordedKind, run: { readonly path: string }, of: S): z.output<S> | undefined {
  const path = join(run.path, names[kind].record);
  if (!existsSync(path)) return undefined;
  return requiredRecordAt(path, of, 'is damaged', 'restore the file, or start a new run');
}
