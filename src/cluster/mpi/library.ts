/**
 * Finds, pins and loads an MPI library, and knows how Open MPI and MPICH differ below the names they share: handles are addresses
 * of symbols in one and integers in the other. The only place that opens libmpi.
 */
import koffi from 'koffi';
import { AblateError, messageOf } from '../../util/errors.ts';
import type { Launch } from '../launch.ts';

export type NativeLibrary = ReturnType<typeof koffi.load>;

/** A communicator, datatype or operation, as the library wants it: an address or an integer. */
export type Handle = number | bigint;

/** Constants of the MPI standard whose values it leaves to the library. */
export interface Constants {
  readonly world: Handle;
  readonly float: Handle;
  readonly double: Handle;
  readonly byte: Handle;
  readonly sum: Handle;
  readonly infoNull: Handle;
  readonly typeShared: number;
  readonly inPlace: number;
  readonly statusIgnore: number;
}

export interface MpiLibrary {
  readonly library: NativeLibrary;
  /** `Open MPI v4.1.4`, `MPICH 4.0.2`. */
  readonly version: string;
  /** C type of a handle. */
  readonly handleType: 'intptr_t' | 'int';
  readonly constants: Constants;
}

/** Names of the shared objects that applications use; the names without a version belong to development packages. */
const libraryNames: Readonly<Record<Launch['family'], readonly string[]>> = {
  openmpi: ['libmpi.so.40', 'libmpi.40.dylib', '/opt/homebrew/lib/libmpi.40.dylib', '/usr/local/lib/libmpi.40.dylib'],
  mpich: [
    'libmpich.so.12',
    'libmpi.so.12',
    'libmpi.12.dylib',
    '/opt/homebrew/lib/libmpi.12.dylib',
    '/usr/local/lib/libmpi.12.dylib',
  ],
};

const installCommands: Readonly<Record<Launch['family'], string>> =
  process.platform === 'darwin'
    ? { openmpi: 'brew install open-mpi', mpich: 'brew install mpich' }
    : { openmpi: 'sudo apt-get install -y openmpi-bin', mpich: 'sudo apt-get install -y mpich' };

/**
 * Loads the MPI library of a family, or the one at `path`.
 *
 * @throws AblateError where there is none, or one that is neither Open MPI nor like MPICH
 */
export function loadMpi(family: Launch['family'], path: string | undefined): MpiLibrary {
  const names = path === undefined ? libraryNames[family] : [path];
  const failures: string[] = [];
  for (const name of names) {
    try {
      pin(name);
      const library = koffi.load(name);
      return identify(library, name);
    } catch (error) {
      if (error instanceof AblateError) throw error;
      failures.push(messageOf(error));
    }
  }
  const name = family === 'openmpi' ? 'Open MPI' : 'MPICH';
  throw new AblateError(`the library of ${name}, whose launcher started this process, was not found: ${failures[0]!}`, {
    fix: `${installCommands[family]}, on every machine; or ABLATE_MPI_LIBRARY=<path of libmpi>`,
  });
}

const RTLD_NOW = 0x2;
const [RTLD_GLOBAL, RTLD_NODELETE] = process.platform === 'darwin' ? [0x8, 0x80] : [0x100, 0x1000];

/**
 * Keeps the library in memory to the end: koffi unloads what it loaded at exit, under Open MPI's threads and exit handlers, and the
 * process ends in a segmentation fault. Global symbols are for Open MPI's plugins, which look for it.
 */
function pin(name: string): void {
  const libc = koffi.load(process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6');
  const dlopen = libc.func('void *dlopen(const char *path, int mode)');
  dlopen(name, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
}

/** MPI_MAX_LIBRARY_VERSION_STRING of MPICH, the larger. */
const versionBytes = 8192;

function identify(library: NativeLibrary, name: string): MpiLibrary {
  const text = new Uint8Array(versionBytes);
  const length = new Int32Array(1);
  library.func('int MPI_Get_library_version(void *version, void *length)')(text, length);
  const description = new TextDecoder().decode(text.subarray(0, length[0]));
  const openMpi = /^Open MPI v[\w.]+/.exec(description);
  if (openMpi !== null) return { library, version: openMpi[0], handleType: 'intptr_t', constants: openMpiConstants(library) };
  for (const { name: likeMpich, pattern } of mpichAlike) {
    const number = pattern.exec(description)?.[1];
    if (number === undefined) continue;
    return { library, version: `${likeMpich} ${number}`, handleType: 'int', constants: mpichConstants };
  }
  throw new AblateError(`${name} is an MPI that ablate does not know: ${description.split('\n')[0]!}`, {
    fix: 'use Open MPI, or MPICH or one with its binary interface (Intel MPI, MVAPICH)',
  });
}

/** Libraries with MPICH's binary interface, and how they give their version. */
const mpichAlike = [
  { name: 'MPICH', pattern: /^MPICH Version:\s*(\S+)/ },
  { name: 'Intel MPI', pattern: /^Intel\(R\) MPI Library (\S+)/ },
  { name: 'MVAPICH', pattern: /^MVAPICH\S* Version\s*:\s*(\S+)/ },
] as const;

/** Open MPI's handles are the addresses of its objects (ompi/include/mpi.h). */
function openMpiConstants(library: NativeLibrary): Constants {
  const address = (symbol: string): bigint => koffi.address(library.symbol(symbol) as never);
  return {
    world: address('ompi_mpi_comm_world'),
    float: address('ompi_mpi_float'),
    double: address('ompi_mpi_double'),
    byte: address('ompi_mpi_byte'),
    sum: address('ompi_mpi_op_sum'),
    infoNull: address('ompi_mpi_info_null'),
    typeShared: 0,
    inPlace: 1,
    statusIgnore: 0,
  };
}

/** MPICH's are numbers, the same in all that share its binary interface (mpi.h). */
const mpichConstants: Constants = {
  world: 0x44000000,
  float: 0x4c00040a,
  double: 0x4c00080b,
  byte: 0x4c00010d,
  sum: 0x58000003,
  infoNull: 0x1c000000,
  typeShared: 1,
  inPlace: -1,
  statusIgnore: 1,
};
