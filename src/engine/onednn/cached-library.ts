/**
 * oneDNN in the user's cache, for machines on which nobody may install packages: Intel's own build, from its wheel for Python on PyPI. `ablate setup` puts
 * it there; it is loaded where the system has none.
 */
import { join } from 'node:path';
import { userCacheFolder } from '../../util/user-cache.ts';

/** A wheel, which is a zip archive, and what is taken of it. */
export interface Wheel {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The library within the archive. */
  readonly entry: string;
  /** Its name in the cache: that by which its loader knows it. */
  readonly file: string;
}

const files = 'https://files.pythonhosted.org/packages';

/** oneDNN 2.6, which has Winograd's kernels for AVX-512. */
const linux2: Wheel = {
  name: 'onednn-cpu-gomp 2022.2.1',
  url: `${files}/c6/83/6bff7807635cf05efde27c161f0aa37021d1f63443db2fc1273382e9f314/onednn_cpu_gomp-2022.2.1-py2.py3-none-manylinux1_x86_64.whl`,
  sha256: '091357f4d66ebd6a391d4327e0bee2401597b30753f087222bb3559c1b4e625e',
  sizeBytes: 29_884_709,
  entry: 'onednn_cpu_gomp-2022.2.1.data/data/lib/libdnnl.so.2',
  file: 'libdnnl.so.2',
};

/** oneDNN 3.2. */
const linux3: Wheel = {
  name: 'onednn-cpu-gomp 2023.2.0',
  url: `${files}/65/b4/792e6d3ef02a0e14fdc0392bd378dc78f3c8356e6a40fda8c0b9366628a1/onednn_cpu_gomp-2023.2.0-py2.py3-none-manylinux1_x86_64.whl`,
  sha256: '2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb',
  sizeBytes: 38_888_991,
  entry: 'onednn_cpu_gomp-2023.2.0.data/data/lib/libdnnl.so.3',
  file: 'libdnnl.so.3',
};

const windows3: Wheel = {
  name: 'onednn-cpu-vcomp 2023.2.0',
  url: `${files}/ca/dd/6629e4251854db3722978e1f3c14f32eff876500c567f9928962d341313a/onednn_cpu_vcomp-2023.2.0-py2.py3-none-win_amd64.whl`,
  sha256: 'a6316b7287aa308ba30282bbe1550e30281020671f2c66e5c863cb91e0cf2b05',
  sizeBytes: 7_455_946,
  entry: 'onednn_cpu_vcomp-2023.2.0.data/data/Library/bin/dnnl.dll',
  file: 'dnnl.dll',
};

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly hasAvx512: boolean;
}

/** The wheels that work on a machine, the better one first. */
export function wheelsFor({ platform, arch, hasAvx512 }: Machine): readonly Wheel[] {
  if (arch !== 'x64') return [];
  if (platform === 'linux') return hasAvx512 ? [linux2, linux3] : [linux3, linux2];
  return platform === 'win32' ? [windows3] : [];
}

/** Where libraries of wheels are kept. */
export function cachedLibraryFolder(): string {
  return join(userCacheFolder(), 'onednn');
}
