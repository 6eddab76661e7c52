/** What `ablate doctor`, the set-up and a run's environment record say about oneDNN. */
import koffi from 'koffi';
import { AblateError, messageOf } from '../../util/errors.ts';
import type { EngineProbe } from '../engine.ts';
import { loadLibrary } from './native.ts';

export interface OnednnProbe {
  /** Whether a supported version loads. */
  readonly ok: boolean;
  /** `2.6.3` */
  readonly version?: string;
  /** Best instruction set that the library uses on this processor: `avx512_core_bf16`. */
  readonly isa?: string;
  /** As given to the system's loader. */
  readonly path?: string;
  /** Why it does not load, and how it is installed. */
  readonly error?: string;
  readonly fix?: string;
}

/** dnnl_cpu_isa_t, sets of bits that contain one another. */
const instructionSetNames: Readonly<Record<number, string>> = {
  0x1: 'sse41',
  0x3: 'avx',
  0x7: 'avx2',
  0x27: 'avx512_core',
  0x67: 'avx512_core_vnni',
  0xe7: 'avx512_core_bf16',
};
const instructionSetNamesV2: Readonly<Record<number, string>> = {
  ...instructionSetNames,
  0xf: 'avx512_mic',
  0x1f: 'avx512_mic_4ops',
  0x3e7: 'avx512_core_amx',
  0x407: 'avx2_vnni',
};
const instructionSetNamesV3: Readonly<Record<number, string>> = {
  ...instructionSetNames,
  0xf: 'avx2_vnni',
  0x1f: 'avx2_vnni_2',
  0x1ef: 'avx512_core_fp16',
  0xfef: 'avx512_core_amx',
  0x1fef: 'avx512_core_amx_fp16',
};

/** Loads the library into this process and asks it. Never throws: what is missing is in the answer. */
export function probeOnednn(): OnednnProbe {
  try {
    const { library, path } = loadLibrary();
    const version = library.func('const int *dnnl_version()')() as unknown;
    const [major, minor, patch] = koffi.decode(version, koffi.array('int', 3)) as Int32Array;
    const isa = library.func('int dnnl_get_effective_cpu_isa()')() as number;
    const names = major === 2 ? instructionSetNamesV2 : instructionSetNamesV3;
    return { ok: true, version: `${major}.${minor}.${patch}`, isa: names[isa] ?? `0x${isa.toString(16)}`, path };
  } catch (error) {
    const fix = error instanceof AblateError ? error.fix : undefined;
    return { ok: false, error: messageOf(error), ...(fix !== undefined && { fix }) };
  }
}

/** What the choice of an engine asks: whether oneDNN is here, and has vectorized kernels for this processor. Only those of x86 come with it. */
export function probeEngine(probe = probeOnednn(), architecture: string = process.arch): EngineProbe {
  const { ok, version = 'of an unknown version', isa = 'unknown instructions', error = 'oneDNN was not found', fix } = probe;
  if (!ok) return { available: false, fast: false, reason: error, ...(fix !== undefined && { fix }) };
  if (architecture === 'x64') return { available: true, fast: true, reason: `oneDNN ${version} (${isa})` };
  return {
    available: true,
    fast: false,
    reason: `oneDNN ${version}, slow: it has no vectorized kernels for ${architecture} processors`,
  };
}
