/**
 * Run folders: `<root>/<model>/<n>/`, one for each training run, with everything that is known about it.
 *
 *     config.json  environment.json  status.json  metrics.jsonl  events.out.tfevents.*  checkpoints/step-000010000.safetensors
 *
 * This file makes and finds them; run-status.ts, run-lock.ts, metrics.ts, event-file.ts and checkpoint.ts own what is inside.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize, resolve, sep } from 'node:path';
import { removeTemporary, syncFolder, temporaryPath, writeFileAtomic, writeNewFile } from '../util/atomic-file.ts';
import { ConfigurationError, DataError, messageOf } from '../util/errors.ts';
import { errorCode, fileError } from '../util/file-error.ts';
import { jsonObjectAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { readTextFile, specialKind, statIfReachable } from '../util/regular-file.ts';
import { renameFile } from '../util/rename.ts';
import { quoted } from '../util/shell.ts';
import { didYouMean } from '../util/suggest.ts';
import { checkEnvironment, type EnvironmentRecord } from './environment.ts';
import { firstStatus } from './run-status.ts';

/** Where a run is. */
export interface Run {
  /** The folder, absolute. */
  readonly path: string;
  readonly model: string;
  /** Positive, counted for each model; undefined for a folder that was renamed, or copied to where it has no number. */
  readonly number: number | undefined;
}

/** `tuto/3`: how a run is called on the command line and in tables; one without a number by its path. */
export function runName({ model, number, path }: Run): string {
  return number === undefined ? path : `${model}/${number}`;
}

export function metricsPath(run: Run): string {
  return join(run.path, 'metrics.jsonl');
}

export function checkpointsFolder(run: Run): string {
  return join(run.path, 'checkpoints');
}

/**
 * Makes the folder of a new run, under the next number that is free. It appears whole or not at all; processes that ask at the
 * same moment get different numbers.
 *
 * @param root The folder of all runs, made if it is missing.
 * @param config The resolved configuration, saved as config.json.
 * @param records What else is known of it from the start, by the names of the files: text as it is, all else as JSON.
 * @throws ConfigurationError if `model` cannot be a folder's name; AblateError if the folder cannot be written.
 */
export function createRun(
  root: string,
  model: string,
  config: { readonly steps: number },
  environment: EnvironmentRecord,
  records: Readonly<Record<string, unknown>> = {},
): Run {
  checkModelName(model);
  const folder = resolve(root, model);
  const prepared = temporaryPath(join(folder, 'new'));
  try {
    makeFolder(folder);
    makeFolder(join(prepared, 'checkpoints'));
    writeNewFile(join(prepared, 'config.json'), json(config));
    writeNewFile(join(prepared, 'environment.json'), json(environment));
    writeNewFile(join(prepared, 'status.json'), json(firstStatus(config.steps)));
    writeNewFile(join(prepared, 'metrics.jsonl'), '');
    for (const [name, record] of Object.entries(records)) {
      writeNewFile(join(prepared, name), typeof record === 'string' ? record : json(record));
    }
    syncFolder(prepared);
    const number = moveToNextNumber(prepared, folder);
    syncFolder(folder);
    return { path: join(folder, String(number)), model, number };
  } catch (error) {
    removeTemporary(prepared);
    throw fileError('create', folder, error);
  }
}

/**
 * The run in a folder, wherever it is.
 *
 * @throws DataError if there is no run in it.
 */
export function openRun(path: string): Run {
  const absolute = resolve(path);
  if (!isRunFolder(absolute)) {
    throw new DataError(`${path} is not the folder of a run: it has no config.json`, { fix: 'ablate runs list' });
  }
  const number = runNumber(basename(absolute));
  const folder = basename(dirname(absolute));
  const model = recordedModel(absolute) ?? (number === undefined ? undefined : folder);
  if (model === undefined) {
    throw new DataError(`${path} does not say which model it trains: its config.json has no model`, {
      fix: 'give the folder its name again: <model>/<number>',
    });
  }
  return { path: absolute, model, number: model === folder ? number : undefined };
}

/** The model that a run's configuration names; undefined if it is damaged. */
function recordedModel(path: string): string | undefined {
  const { model } = (jsonObjectAt(join(path, 'config.json')) ?? {}) as { readonly model?: unknown };
  return typeof model === 'string' ? model : undefined;
}

/**
 * Finds a run.
 *
 * @param reference The path of a run's folder, `<model>/<n>` in `root`, or `<model>`: its run of the highest number.
 * @throws DataError if there is none; it says which there are.
 */
export function findRun(root: string, reference: string): Run {
  for (const path of [reference, join(root, reference)]) {
    if (isRunFolder(path)) return openRun(path);
  }
  const [model = reference, number, ...more] = normalize(reference)
    .split(sep)
    .filter((part) => part !== '');
  const numbers = runNumbers(join(root, model));
  const latest = numbers.at(-1);
  if (number === undefined && latest !== undefined) return openRun(join(root, model, String(latest)));
  const problem = `there is no run "${reference}" in ${root}`;
  if (latest !== undefined && more.length === 0) {
    throw new DataError(`${problem}: the runs of ${model} are ${ranges(numbers)}`, {
      fix: `ablate runs list --model ${quoted(model)}`,
    });
  }
  const models = modelsWithRuns(root);
  if (models.length === 0) throw new DataError(`${problem}: it holds no runs`, { fix: 'ablate train <model>' });
  throw new DataError(`${problem}: it holds runs of ${models.join(', ')}.${didYouMean(model, models)}`, {
    fix: 'ablate runs list',
  });
}

/** All runs under `root`, by model and number; none if the folder is missing. Reads folders only. */
export function allRuns(root: string, models: readonly string[] = modelFolders(root)): Run[] {
  return models.flatMap((model) => {
    const folder = resolve(root, model);
    return runNumbers(folder).map((number) => ({ path: join(folder, String(number)), model, number }));
  });
}

/** The configuration that a run was started with, as parsed JSON. */
export function readConfig(run: Run): object {
  return readJsonObject(join(run.path, 'config.json'));
}

/** Changes keys of the configuration that a run has recorded. */
export function amendConfig(run: Run, keys: object): void {
  writeFileAtomic(join(run.path, 'config.json'), json({ ...readConfig(run), ...keys }));
}

/** The machine that a run was started on. */
export function readEnvironment(run: Run): EnvironmentRecord {
  const path = join(run.path, 'environment.json');
  return checkEnvironment(readJsonObject(path), path);
}

/** A folder renamed onto one with files in it fails, so that of two processes one gets the number and the other the next. */
function moveToNextNumber(prepared: string, folder: string): number {
  for (let number = (runNumbers(folder).at(-1) ?? 0) + 1; ; number++) {
    try {
      renameFile(prepared, join(folder, String(number)));
      return number;
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  }
}

function checkModelName(model: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(model)) {
    throw new ConfigurationError(
      `model (="${model}") must be letters, digits, ".", "_" and "-", and start with a letter or a digit`,
    );
  }
}

/** The number that a folder's name says, if it is one. */
function runNumber(name: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(name) ? Number(name) : undefined;
}

/** The numbers of the runs in a model's folder, ascending; none if it is missing or cannot be read, so that those of others can be used. */
function runNumbers(folder: string): number[] {
  if (statIfReachable(folder) === undefined) return [];
  return names(folder)
    .flatMap((name) => runNumber(name) ?? [])
    .sort((a, b) => a - b);
}

/** Names in the folder of all runs that may be models. */
export function modelFolders(root: string): string[] {
  const stats = statIfReachable(root);
  if (stats !== undefined && !stats.isDirectory()) {
    throw new DataError(`${root} is no folder of runs: it is ${specialKind(stats) ?? 'a file'}`, { fix: 'check --runs-dir' });
  }
  return names(root)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

function modelsWithRuns(root: string): string[] {
  return modelFolders(root).filter((model) => runNumbers(join(root, model)).length > 0);
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fileError('read', folder, error);
  }
}

function isRunFolder(path: string): boolean {
  return existsSync(join(path, 'config.json')) && statSync(path).isDirectory();
}

/** `1-5, 8`. */
function ranges(ascending: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const number of ascending) {
    const part = parts.at(-1);
    if (part?.[1] === number - 1) part[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function readJsonObject(path: string): object {
  const text = readTextFile(path);
  const fix = 'restore the file, or use another run';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${path} is not JSON: ${messageOf(error)}`, { fix });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new DataError(`${path} must be a JSON object`, { fix });
}
