/**
 * Files of the user's own code (a network, data, an augmentation), TypeScript or JavaScript: the one place that runs them. A file is bundled with
 * all that it imports, so that one text is what ran: a run keeps it, and its checksum says whether it has changed.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildSync, type BuildFailure, type Message } from 'esbuild';
import { AblateError, ConfigurationError, messageOf } from '../util/errors.ts';
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
  /** Makes an error that its code has thrown one for the user: with its name, and the line where that is known. */
  explain(error: unknown): ConfigurationError;
}

export interface LoadFileOptions {
  /** What the name is relative to; default the working directory. */
  readonly folder?: string;
  /** Whether to say on stderr which file is being loaded, if that takes long. Default false. */
  readonly saysWhenSlow?: boolean;
}

/** Whether a name is that of a file of code and not, say, of a model. */
export function isCodeFile(name: string): boolean {
  return /\.[cm]?[jt]s$/.test(name);
}

/**
 * Bundles a file, runs it, and returns its default export. The file imports ablate by its name, wherever it lies.
 *
 * @throws DataError if there is no such file; ConfigurationError, with file and line, if it cannot be compiled, throws, or has no default export
 */
export async function loadFile(name: string, { folder = '', saysWhenSlow = false }: LoadFileOptions = {}): Promise<UserFile> {
  const path = resolve(folder, name);
  // Before it is compiled: whether it is there, and a file of sensible size.
  readTextFile(path);
  const bundle = bundleOf(path, name);
  const { code, sha256 } = bundle;
  const explain = (error: unknown): ConfigurationError => explained(error, name, placeOf(error, bundle, path));
  const value = await whileWatched(saysWhenSlow ? name : undefined, () => run(code, explain));
  if (value === undefined) {
    throw new ConfigurationError(`${name} has no default export`, { fix: 'export default defineModel({ ... })' });
  }
  return { name, path, value, code, sha256, explain };
}

/** The checksum that `loadFile` would give, without running the file. Throws what it throws. */
export function checksumOfFile(path: string): string {
  return bundleOf(path, path).sha256;
}

function explained(error: unknown, name: string, place: string): ConfigurationError {
  const fix = error instanceof AblateError ? error.fix : undefined;
  const key = error instanceof ConfigurationError ? error.key : undefined;
  return new ConfigurationError(`${name}${place}: ${messageOf(error)}`, { cause: error, fix, key });
}

interface Bundle {
  readonly code: string;
  readonly map: SourceMap;
  /** What the paths in the map are relative to. */
  readonly folder: string;
  readonly sha256: string;
}

function bundleOf(path: string, name: string): Bundle {
  const folder = dirname(path);
  try {
    const { outputFiles, metafile } = buildSync({
      metafile: true,
      entryPoints: [path],
      absWorkingDir: folder,
      outfile: join(folder, 'bundle.mjs'),
      write: false,
      bundle: true,
      external: ['ablate'],
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
      .map((source) => resolve(folder, source));
    return { code: code!, map: new SourceMap(JSON.parse(map!) as SourceMapPayload), folder, sha256: checksumOf(sources) };
  } catch (error) {
    const [problem] = (error as Partial<BuildFailure>).errors ?? [];
    if (problem === undefined) throw error;
    throw new ConfigurationError(`${placeIn(problem, folder, path, name)}: ${problem.text}`, { cause: error });
  }
}

function checksumOf(sources: readonly string[]): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  return hash.digest('hex');
}

function placeIn({ location }: Message, folder: string, path: string, name: string): string {
  if (location === null) return name;
  const file = resolve(folder, location.file);
  return `${file === path ? name : relative('', file)}:${location.line}`;
}

/** From memory: nothing is left behind where the code never ends and the process is killed. */
async function run(code: string, explain: (error: unknown) => Error): Promise<unknown> {
  const ablate = JSON.stringify(ownAddress());
  const linked = code.replace(
    /^(import\b[^'"\n]*|export\b[^'"\n]*from\s*)"ablate";$/gm,
    (_, before: string) => `${before}${ablate};`,
  );
  try {
    const { default: value } = (await import(`${addressPrefix}${base64(linked)}`)) as { readonly default?: unknown };
    return value;
  } catch (error) {
    throw explain(error);
  }
}

const addressPrefix = 'data:text/javascript;base64,';

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Of the library, as the very modules that run now. */
function ownAddress(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`../index.${extension}`, import.meta.url).href;
}

/** `:12`, the line of the user's file that an error comes from; nothing if it is not in the trace. */
function placeOf(error: unknown, { map, folder }: Bundle, path: string): string {
  const trace = error instanceof Error ? (error.stack ?? '') : '';
  for (const [, line, column] of trace.matchAll(/data:text\/javascript;base64,[\w+/=]*:(\d+):(\d+)/g)) {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if ('originalSource' in entry && resolve(folder, entry.originalSource) === path) return `:${entry.originalLine + 1}`;
  }
  return '';
}

const patienceMs = 5000;

/** From another thread: code that never ends keeps this one. */
const watcher = `
  const { workerData } = require('node:worker_threads');
  setTimeout(() => require('node:fs').writeSync(2, workerData.text), workerData.patienceMs);
`;

async function whileWatched<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
  if (name === undefined) return await work();
  const text = `still loading ${name}, whose code has not ended yet; Ctrl-C stops it\n`;
  const worker = new Worker(watcher, { eval: true, workerData: { text, patienceMs } });
  worker.unref();
  try {
    return await work();
  } finally {
    await worker.terminate();
  }
}
