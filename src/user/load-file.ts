/**
 * Files of the user's own code (a network, data, an augmentation), TypeScript or JavaScript: the one place that runs them. A file is bundled with
 * all that it imports, so that one text is what ran: a run keeps it, and its checksum says whether it has changed.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { createRequire, SourceMap, type SourceMapPayload } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type * as Esbuild from 'esbuild';
import { type AblateError, ConfigurationError, messageOf } from '../util/errors.ts';
import { importText, placesInTraces } from '../util/import-text.ts';
import { readTextFile } from '../util/regular-file.ts';

export interface UserFile {
  /** As the user gave it. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Its default export. */
  readonly value: unknown;
  /** One JavaScript module, with all that the file imports but ablate itself. */
  readonly code: string;
  /** Of the file and all files that it imports, in the order of their names: in hexadecimal digits. */
  readonly sha256: string;
  /** Of the code, as JSON. */
  readonly sourceMap: string;
  /** Makes an error that its code has thrown one for the user: with its name, and the line where that is known. */
  explain(error: unknown): ConfigurationError;
}

export interface LoadFileOptions {
  /** What the name is relative to; default the working directory. */
  readonly folder?: string;
  /** For commands: whether to say on stderr that a file takes long to load, or that its code has ended the program. Default false. */
  readonly watched?: boolean;
  /** The module that the file imports as `ablate`: it becomes part of the code, which then runs anywhere. Default the whole library, as it runs here. */
  readonly library?: string | undefined;
  /** What such a file looks like, for the error where it exports nothing. Default a network. */
  readonly example?: string;
}

/**
 * Bundles a file, runs it, and returns its default export. The file imports ablate by its name, wherever it lies.
 *
 * @throws DataError if there is no such file; ConfigurationError, with file and line, if it cannot be compiled, throws, or has no default export
 */
export async function loadFile(name: string, options: LoadFileOptions = {}): Promise<UserFile> {
  const { folder = '', watched = false, library, example = 'export default defineModel({ ... })' } = options;
  const path = resolve(folder, name);
  // Before it is compiled: whether it is there, and a file of sensible size.
  readTextFile(path);
  const { code, sourceMap, sha256 } = bundleOf(path, name, library);
  const explain = (error: unknown): ConfigurationError => explainError(error, { name, path, sourceMap });
  let value: unknown;
  try {
    value = await whileWatched(watched ? name : undefined, () => run(code));
  } catch (error) {
    throw explain(error);
  }
  if (value === undefined) {
    throw new ConfigurationError(`${name} has no default export`, { fix: example });
  }
  return { name, path, value, code, sourceMap, sha256, explain };
}

/** Does work that runs code of a file's: what that throws is an error for the user. */
export function explaining<T>({ explain }: Pick<UserFile, 'explain'>, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explain(error);
  }
}

/** The checksum that `loadFile` would give, without running the file. Throws what it throws. */
export function checksumOfFile(path: string, library?: string): string {
  return bundleOf(path, path, library).sha256;
}

/** As `UserFile.explain`, of what is known of a file elsewhere: in another process, say. */
export function explainError(error: unknown, file: Pick<UserFile, 'name' | 'path' | 'sourceMap'>): ConfigurationError {
  const { name } = file;
  const place = placeOf(error, file);
  // Code that the library is a part of has its errors too.
  const { fix } = Object(error) as Partial<AblateError>;
  const key = error instanceof ConfigurationError ? error.key : undefined;
  return new ConfigurationError(`${name}${place}: ${messageOf(error)}`, { cause: error, fix, key });
}

function bundleOf(path: string, name: string, library?: string): Pick<UserFile, 'code' | 'sourceMap' | 'sha256'> {
  const folder = dirname(path);
  // Loaded here, since most trainings have no such file.
  const { buildSync } = createRequire(import.meta.url)('esbuild') as typeof Esbuild;
  try {
    const { outputFiles, metafile } = buildSync({
      metafile: true,
      entryPoints: [path],
      absWorkingDir: folder,
      outfile: join(folder, 'bundle.mjs'),
      write: false,
      bundle: true,
      ...(library === undefined ? { external: ['ablate'] } : { alias: { ablate: library } }),
      format: 'esm',
      platform: 'node',
      target: 'node20',
      define: { 'import.meta.url': JSON.stringify(pathToFileURL(path).href) },
      sourcemap: 'external',
      logLevel: 'silent',
    });
    const [map, code] = ['.map', '.mjs'].map((suffix) => outputFiles.find((file) => file.path.endsWith(suffix))!.text);
    const sources = Object.keys(metafile.inputs)
      .sort()
      .map((source) => resolve(folder, source))
      .filter((source) => library === undefined || !source.startsWith(ownFolder()));
    return { code: code!, sourceMap: map!, sha256: checksumOf(sources) };
  } catch (error) {
    const [problem] = (error as Partial<Esbuild.BuildFailure>).errors ?? [];
    if (problem === undefined) throw error;
    throw new ConfigurationError(`${placeIn(problem, folder, path, name)}: ${textOf(problem, library)}`, { cause: error });
  }
}

/** Of the library as such files see it, nobody needs to know the path. */
function textOf({ text }: Esbuild.Message, library: string | undefined): string {
  const [, missing] = /^No matching export in ".*" for import "(.*)"$/.exec(text) ?? [];
  const isOfLibrary = library !== undefined && text.includes(basename(library));
  return missing !== undefined && isOfLibrary ? `"${missing}" is nothing that a file of this kind can import from ablate` : text;
}

function checksumOf(sources: readonly string[]): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  return hash.digest('hex');
}

function placeIn({ location }: Esbuild.Message, folder: string, path: string, name: string): string {
  if (location === null) return name;
  const file = resolve(folder, location.file);
  return `${file === path ? name : relative('', file)}:${location.line}`;
}

async function run(code: string): Promise<unknown> {
  const ablate = JSON.stringify(ownAddress());
  const linked = code.replace(
    /^(import\b[^'"\n]*|export\b[^'"\n]*from\s*)"ablate";$/gm,
    (_, before: string) => `${before}${ablate};`,
  );
  return (await importText(linked)).default;
}

/** Of the library, as the very modules that run now. */
function ownAddress(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`../index.${extension}`, import.meta.url).href;
}

/** Where the modules of this program are. */
function ownFolder(): string {
  return fileURLToPath(new URL('../', import.meta.url));
}

/** `:12`, the line of the user's file that an error comes from; nothing if it is not in the trace. */
function placeOf(error: unknown, { path, sourceMap }: Pick<UserFile, 'path' | 'sourceMap'>): string {
  const trace = error instanceof Error ? (error.stack ?? '') : '';
  const map = new SourceMap(JSON.parse(sourceMap) as SourceMapPayload);
  for (const [, line, column] of trace.matchAll(placesInTraces)) {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    const isOwn = 'originalSource' in entry && resolve(dirname(path), entry.originalSource) === path;
    if (isOwn) return `:${entry.originalLine + 1}`;
  }
  return '';
}

const patienceMs = 5000;

/** From another thread: code that never ends keeps this one. */
const watcher = `
  const { workerData } = require('node:worker_threads');
  setTimeout(() => require('node:fs').writeSync(2, workerData.text), workerData.patienceMs);
`;

/**
 * Runs code of the file called `name`, which may take for ever, end the program, or fail where nobody awaits it. Throws what it throws, and what it throws
 * in the background meanwhile.
 *
 * @param name undefined: nobody is told
 */
export async function whileWatched<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
  if (name === undefined) return await work();
  const text = `still loading ${name}, whose code has not ended yet; Ctrl-C stops it\n`;
  const worker = new Worker(watcher, { eval: true, workerData: { text, patienceMs } });
  worker.unref();
  let onFailure: (error: unknown) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => (onFailure = reject));
  const onExit = (code: number): void => {
    if (code >= firstOfSignals) return;
    const why = 'it calls process.exit, or waits for what never happens';
    writeSync(2, `error: the program has ended while the code of ${name} was loaded: ${why}\n`);
    process.exitCode = 1;
  };
  process.on('uncaughtException', onFailure).on('exit', onExit);
  try {
    const value = await Promise.race([work(), failure]);
    // What it throws in the background after a failure is of no interest.
    process.off('uncaughtException', onFailure);
    return value;
  } finally {
    process.off('exit', onExit);
    await worker.terminate();
  }
}

/** Exit codes from here on are of programs that a signal has ended. */
const firstOfSignals = 128;
