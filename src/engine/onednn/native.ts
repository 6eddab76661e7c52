/**
 * Finds, pins and loads the oneDNN library, and turns its status codes into errors. The only place that opens libdnnl.
 */
import koffi from 'koffi';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cpuInfo } from '../../util/cpu.ts';
import { environmentVariable } from '../../util/env.ts';
import { AblateError, messageOf } from '../../util/errors.ts';
import { cachedLibraryFolder, wheelsFor, type Machine } from './cached-library.ts';

export function thisMachine(): Machine {
  const { platform, arch } = process;
  return { platform, arch, hasAvx512: cpuInfo().instructionSets.includes('avx512f') };
}

/**
 * Shared objects that may be oneDNN, the better one first: version 3, but version 2 on processors with AVX-512, for which only that one has
 * Winograd's kernels (docs/performance.md). The system's before those that `ablate setup` has put into the user's cache.
 */
export function libraryNames(machine = thisMachine()): readonly string[] {
  const cached = wheelsFor(machine).map(({ file }) => join(cachedLibraryFolder(), file));
  return [...systemLibraryNames(machine), ...cached.filter((path) => existsSync(path))];
}

function systemLibraryNames({ platform, hasAvx512 }: Machine): readonly string[] {
  switch (platform) {
    case 'linux':
      return hasAvx512 ? ['libdnnl.so.2', 'libdnnl.so.3'] : ['libdnnl.so.3', 'libdnnl.so.2'];
    case 'darwin':
      return ['libdnnl.3.dylib', '/opt/homebrew/lib/libdnnl.3.dylib', '/usr/local/lib/libdnnl.3.dylib', 'libdnnl.2.dylib'];
    case 'win32':
      return ['dnnl.dll'];
    default:
      return [];
  }
}

export type NativeLibrary = ReturnType<typeof koffi.load>;

export interface LoadedLibrary {
  readonly library: NativeLibrary;
  readonly path: string;
}

/** How to get the library on this platform. */
const installHint =
  process.platform === 'darwin'
    ? 'install oneDNN: brew install onednn'
    : process.platform === 'win32'
      ? 'ablate setup'
      : 'ablate setup, or install the system library: sudo apt-get install -y libdnnl2 (or the package of your distribution with libdnnl.so.3)';

/** What to do where a library is there and does not load; the loader's message names what is missing. */
function loadHint(failure: string): string | undefined {
  if (failure.includes('libgomp')) {
    return "install GCC's OpenMP runtime, which oneDNN computes with (Debian, Ubuntu: apt-get install libgomp1; Fedora: dnf install libgomp)";
  }
  // Windows says of a library only that something that it needs is not there.
  if (process.platform === 'win32' && failure.includes('dnnl.dll') && existsSync(join(cachedLibraryFolder(), 'dnnl.dll'))) {
    return "install Microsoft's Visual C++ redistributable, which oneDNN needs: winget install Microsoft.VCRedist.2015+.x64";
  }
  return undefined;
}

/**
 * Loads oneDNN. It is pinned first, with the OpenMP runtime: without that, unloading at exit pulls the code away from under
 * OpenMP's idle threads and the process ends in a segmentation fault.
 *
 * `$ABLATE_ONEDNN`, a path, takes the place of the names that are tried.
 *
 * @throws AblateError where none of them loads.
 */
export function loadLibrary(): LoadedLibrary {
  const given = environmentVariable('ABLATE_ONEDNN');
  const failures: string[] = [];
  for (const name of given === undefined ? libraryNames() : [given]) {
    try {
      pin(name);
      return { library: koffi.load(name), path: name };
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  const what = given === undefined ? 'the oneDNN library was not found' : `$ABLATE_ONEDNN (=${given}) is no library that loads`;
  throw new AblateError(`${what}: ${failures.join('; ')}`, {
    fix:
      failures.map(loadHint).find((hint) => hint !== undefined) ??
      (given === undefined ? installHint : 'give the path of libdnnl.so, or unset the variable'),
  });
}

const RTLD_NOW = 0x2;
const RTLD_NODELETE = process.platform === 'darwin' ? 0x80 : 0x1000;
const MADV_HUGEPAGE = 14;

export function openLibc(): NativeLibrary {
  const names: Partial<Record<NodeJS.Platform, string>> = { darwin: 'libSystem.B.dylib', win32: 'msvcrt.dll' };
  return koffi.load(names[process.platform] ?? 'libc.so.6');
}

function pin(name: string): void {
  if (process.platform === 'win32') {
    // Loaded once more than it is released: Windows keeps it then.
    koffi.load('kernel32.dll').func('void *LoadLibraryW(str16 name)')(name);
    return;
  }
  const dlopen = openLibc().func('void *dlopen(const char *path, int mode)');
  if (process.platform === 'linux') dlopen('libgomp.so.1', RTLD_NOW | RTLD_NODELETE);
  dlopen(name, RTLD_NOW | RTLD_NODELETE);
}

const hugePageBytes = 2 * 1024 * 1024;

/**
 * Zeroed memory that starts at a multiple of `alignment` (a power of two). Node's own buffers start at multiples of 16 bytes, where
 * 64-byte vectors cross cache lines. Large blocks ask Linux for huge pages.
 */
export function allocateAligned(sizeBytes: number, alignment: number): Uint8Array {
  const start = sizeBytes >= 2 * hugePageBytes ? hugePageBytes : alignment;
  const bytes = new Uint8Array(new ArrayBuffer(sizeBytes + start));
  const libc = openLibc();
  // memcpy of nothing returns the address it was given.
  const memcpy = libc.func('void *memcpy(void *dst, void *src, size_t size)') as (...args: unknown[]) => unknown;
  const address = koffi.address(memcpy(bytes, bytes, 0));
  const offset = Number((BigInt(start) - (address % BigInt(start))) % BigInt(start));
  const aligned = bytes.subarray(offset, offset + sizeBytes);
  if (start === hugePageBytes && process.platform === 'linux') {
    // Advice only: where it is refused, small pages do.
    libc.func('int madvise(void *address, size_t size, int advice)')(aligned, sizeBytes, MADV_HUGEPAGE);
  }
  return aligned;
}

/** OpenMP's number of threads is one for the process (in truth for the thread that calls): what was set last. */
let threadsNow: number | undefined;

/**
 * How an engine of a number of threads sees to it that OpenMP has that many: to be called before whatever creates or runs kernels, as another engine
 * of the process may have set another number. Costs nothing where it is the right one. A library without OpenMP has the threads that it has.
 */
export function threadSetter(library: NativeLibrary, threads: number): () => void {
  let set: (count: number) => void;
  try {
    // Found through oneDNN's own dependencies: whichever runtime it was linked with. Windows looks into the one library alone.
    const runtime = process.platform === 'win32' ? koffi.load('vcomp140.dll') : library;
    set = runtime.func('void omp_set_num_threads(int count)') as (count: number) => void;
  } catch {
    return () => undefined;
  }
  return () => {
    if (threadsNow === threads) return;
    set(threads);
    threadsNow = threads;
  };
}

const statusNames = [
  'success',
  'out of memory',
  'invalid arguments',
  'unimplemented',
  'iterator ends',
  'runtime error',
  'not required',
] as const;

/** A oneDNN call that failed. */
export class OnednnError extends AblateError {
  readonly status: number;

  constructor(call: string, status: number) {
    super(`oneDNN: ${call} failed with status ${String(status)} (${statusNames[status] ?? 'unknown'})`);
    this.status = status;
  }
}

export const statusUnimplemented = 3;
