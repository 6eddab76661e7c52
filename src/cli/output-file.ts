/** Files that commands write where `-o` says: claimed before the work, written after it, and never at the cost of something else. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { requireReplaceable, writeFilesAtomic } from '../util/atomic-file.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { fileError } from '../util/file-error.ts';
import { formatBytes } from '../util/format.ts';
import { jsonObjectAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { readTextFile } from '../util/regular-file.ts';
import { quoted } from '../util/shell.ts';
import { note } from './output.ts';

export const forceOption = ['--force', 'replace an existing file, whatever it was made of'] as const;

export interface OutputClaim {
  /** The run or file that the result is made of. */
  readonly source: string;
  /** What is done to it: `freeze`. */
  readonly what: string;
  /** `--force`. */
  readonly force: boolean;
  /** What the file that is there was made of. Without it, it could be anything. */
  readonly existing?: ExistingFile | undefined;
}

export interface ExistingFile {
  /** Whether it was made by the same command of the same source, and may be replaced without asking. */
  readonly isOwn: boolean;
  /** What it is, in words: `a frozen file of tuto/1`. */
  readonly description: string;
}

export interface Output {
  /** For `writeTogether`. */
  prepare(bytes: Uint8Array): Writing;
  /** Writes the file whole or not at all, and says what it replaced. */
  write(bytes: Uint8Array): void;
}

/** Files where they were claimed. */
export interface Writing {
  /** What each path gets. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** What was there, in words. */
  readonly replaced: string | undefined;
}

/** Writes all files or, if one cannot be written, none, and says what they replaced. @returns their paths */
export function writeTogether(writings: readonly Writing[]): readonly string[] {
  const files = new Map(writings.flatMap((writing) => [...writing.files]));
  writeFilesAtomic(files);
  for (const { replaced } of writings) if (replaced !== undefined) note(`replaced ${replaced}`);
  return [...files.keys()];
}

/**
 * That a result cannot be written where `-o` says is told before the work, not after it.
 *
 * @throws ConfigurationError if `file` is the source; AblateError if its folder does not exist, it is no file, or one that was made of
 *   something else and `force` is not given
 */
export function claimOutput(file: string, { source, what, force, existing }: OutputClaim): Output {
  if (resolve(file) === resolve(source)) {
    throw new ConfigurationError(`output (=${file}) is the file to ${what}`, { fix: 'name another file: -o <file>' });
  }
  requireWritableFolder(file);
  if (!existsSync(file)) return outputTo(file, undefined);
  const description = existing?.description ?? `a file of ${formatBytes(statSync(file).size)}`;
  if (!force && existing === undefined) {
    throw new AblateError(`${file} exists, ${description}`, { fix: 'replace it with --force, or name another file' });
  }
  if (!force && existing?.isOwn !== true) {
    throw new AblateError(`${file} exists, ${description}, and was not made of ${source} in the same way`, {
      fix: 'name another file (-o <file>), or replace it with --force',
    });
  }
  return outputTo(file, `${file}, ${description}`);
}

function outputTo(file: string, replaced: string | undefined): Output {
  const prepare = (bytes: Uint8Array): Writing => ({ files: new Map([[file, bytes]]), replaced });
  return {
    prepare,
    write(bytes) {
      writeTogether([prepare(bytes)]);
    },
  };
}

export interface FolderClaim {
  /** The run or file that the result is made of. */
  readonly source: string;
  /** `--force`. */
  readonly force: boolean;
  /** A line that every file has which was made of the same source by the same command. */
  readonly mark: string;
}

export interface OutputFolder {
  /** Makes the folder if it is not there. */
  prepare(files: ReadonlyMap<string, string>): Writing;
}

/**
 * That files cannot be written into a folder is told before the work. Other files in it stay.
 *
 * @param names of the files that will be written
 * @throws AblateError if the folder cannot be made, or has a file of such a name that was made of something else and `force` is not given
 */
export function claimFolder(folder: string, names: readonly string[], { source, force, mark }: FolderClaim): OutputFolder {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) requireParent(folder);
  else if (!stats.isDirectory()) {
    throw new AblateError(`cannot write into ${folder}: it is no folder`, {
      fix: 'name a folder, which is made if it is not there',
    });
  }
  const there = names.map((name) => join(folder, name)).filter((path) => existsSync(path));
  for (const path of there) {
    requireReplaceable(path);
    if (force || textOf(path)?.includes(mark) === true) continue;
    throw new AblateError(`${path} exists, and was not made of ${source} in the same way`, {
      fix: 'name another folder, or replace it with --force',
    });
  }
  return {
    prepare(files) {
      makeFolder(folder);
      return {
        files: new Map([...files].map(([name, text]) => [join(folder, name), text])),
        replaced: there.length > 0 ? there.join(', ') : undefined,
      };
    },
  };
}

function requireParent(folder: string): void {
  const parent = dirname(resolve(folder));
  if (existsSync(parent)) return;
  throw new AblateError(`cannot make the folder ${folder}: there is no folder ${parent}`, { fix: `mkdir -p ${quoted(parent)}` });
}

/** The beginning of a file is enough to know it by; undefined if it cannot be read as text. */
function textOf(path: string): string | undefined {
  try {
    return readTextFile(path).slice(0, 4096);
  } catch {
    return undefined;
  }
}

export interface ReportClaim {
  /** The file of the folder that records what the report is of, and the key that says it. */
  readonly record: 'report.json' | 'compress.json';
  readonly key: 'name' | 'source';
  /** What it is of: the name of a study, the run or file that is compressed. */
  readonly of: string;
  /** `--force`. */
  readonly force: boolean;
}

/**
 * That a report cannot be written, or would take the place of another one or of a page of the user's, is told before the work.
 *
 * @throws AblateError if there can be no such folder, or it has a report of something else, or pages that no report made, and `force` is not given
 */
export function claimReport(folder: string, { record, key, of, force }: ReportClaim): void {
  requireFolder(folder);
  const pages = ['index.html', 'report.md', 'report.json', 'compress.json'].filter((name) => existsSync(join(folder, name)));
  if (force || pages.length === 0) return;
  // Of none, or a damaged one, nobody knows what the pages are of.
  const recorded = (jsonObjectAt(join(folder, record)) as Readonly<Record<string, unknown>> | undefined)?.[key];
  if (recorded === of) return;
  const what = typeof recorded === 'string' ? `the report of ${recorded}` : pages[0]!;
  throw new AblateError(`${folder} has ${what}, which is not of ${of}`, {
    fix: 'name another folder, or replace it with --force',
  });
}

/** That a folder is there, or can be made: the nearest one above it that exists takes entries. */
function requireFolder(folder: string): void {
  let nearest = resolve(folder);
  while (!existsSync(nearest) && nearest !== dirname(nearest)) nearest = dirname(nearest);
  const place = nearest === resolve(folder) ? 'it' : nearest;
  if (!statSync(nearest).isDirectory()) {
    throw new AblateError(`cannot write a report to ${folder}: ${place} is not a folder`, { fix: 'name another folder' });
  }
  try {
    accessSync(nearest, constants.W_OK);
  } catch (error) {
    throw fileError('write', folder, error);
  }
}

function requireWritableFolder(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder))
    throw new AblateError(`cannot write ${file}: there is no folder ${folder}`, { fix: `mkdir -p ${quoted(folder)}` });
  if (existsSync(file) && statSync(file).isDirectory()) {
    throw new AblateError(`cannot write ${file}: it is a folder`, { fix: `name a file: -o ${quoted(join(file, 'model.onnx'))}` });
  }
  requireReplaceable(file);
}
