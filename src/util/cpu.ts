/** The processor of this machine: what a timing must be reported with, and what decides the default number of threads. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { cpuLimit } from './cpu-limit.ts';

/** Instruction sets that decide which kernels oneDNN picks, under Linux's names. */
export const instructionSets = [
  'avx2',
  'avx512f',
  'avx512_vnni',
  'avx512_bf16',
  'avx_vnni',
  'amx_bf16',
  'neon',
  'sve',
  'bf16',
] as const;

export type InstructionSet = (typeof instructionSets)[number];

export interface CpuInfo {
  readonly model: string;
  /** Hardware threads of the machine. */
  readonly logicalCores: number;
  /** Cores that share no execution units with another; the logical cores where the system does not say. */
  readonly physicalCores: number;
  /** Hardware threads that this process may use at a time (affinity, limits of a container), at least 1. */
  readonly availableCores: number;
  readonly instructionSets: readonly InstructionSet[];
}

export function cpuInfo(): CpuInfo {
  const logical = cpus();
  const found = process.platform === 'linux' ? linuxCpu() : process.platform === 'darwin' ? macCpu() : undefined;
  return {
    model: found?.model ?? logical[0]?.model.trim() ?? 'unknown',
    logicalCores: logical.length,
    physicalCores: found?.physicalCores ?? logical.length,
    availableCores: Math.max(1, Math.min(availableParallelism(), Math.floor(cpuLimit() ?? Infinity))),
    instructionSets: found?.instructionSets ?? [],
  };
}

/**
 * Physical cores, or those that a limit of the container allows, divided among `processes` of this machine, as far as this process may use
 * them; at least 1. (Hardware threads beyond the physical cores only get in each other's way in convolutions.)
 */
export function defaultThreads(processes = 1): number {
  const { physicalCores, availableCores } = cpuInfo();
  const shared = Math.min(physicalCores, cpuLimit() ?? Infinity);
  return Math.max(1, Math.min(Math.floor(shared / processes), availableCores));
}

/** As many threads as a network was trained with, perhaps on another machine, where there are as many here. */
export function threadsAsRecorded(threads: number): number {
  return Math.min(threads, cpuInfo().availableCores);
}

export interface ParsedCpu {
  readonly model: string | undefined;
  readonly physicalCores: number | undefined;
  readonly instructionSets: readonly InstructionSet[];
}

/** Reads the text of /proc/cpuinfo: x86 says `model name`, `flags`, `physical id` and `core id`; ARM only `Features`. */
export function parseProcCpuinfo(text: string): ParsedCpu {
  const processors = text.split(/\n\s*\n/).map(parseFields);
  const first = processors.find((fields) => fields.has('processor'));
  const cores = new Set<string>();
  for (const fields of processors) {
    if (fields.has('core id')) cores.add(`${fields.get('physical id') ?? '0'}:${fields.get('core id')}`);
  }
  const flags = (first?.get('flags') ?? first?.get('Features') ?? '').split(' ');
  return {
    model: first?.get('model name'),
    physicalCores: cores.size > 0 ? cores.size : undefined,
    instructionSets: knownSets(flags.map((flag) => (flag === 'asimd' ? 'neon' : flag))),
  };
}

/** Reads the output of `sysctl machdep.cpu hw`, whose names differ from Linux's. */
export function parseSysctl(text: string): ParsedCpu {
  const fields = parseFields(text);
  const x86 = `${fields.get('machdep.cpu.features') ?? ''} ${fields.get('machdep.cpu.leaf7_features') ?? ''}`;
  const flags = x86.toLowerCase().split(' ');
  const has = (name: string) => fields.get(`hw.optional.${name}`) === '1';
  if (has('avx2_0')) flags.push('avx2');
  if (has('avx512f')) flags.push('avx512f');
  if (has('neon') || has('AdvSIMD')) flags.push('neon');
  if (has('arm.FEAT_BF16')) flags.push('bf16');
  const cores = Number(fields.get('hw.physicalcpu'));
  return {
    model: fields.get('machdep.cpu.brand_string'),
    physicalCores: cores > 0 ? cores : undefined,
    instructionSets: knownSets(flags),
  };
}

function linuxCpu(): ParsedCpu | undefined {
  try {
    return parseProcCpuinfo(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return undefined; // /proc is not mounted: the caller falls back to what Node knows.
  }
}

function macCpu(): ParsedCpu | undefined {
  try {
    return parseSysctl(execFileSync('sysctl', ['machdep.cpu', 'hw'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return undefined; // No sysctl in the path: the caller falls back to what Node knows.
  }
}

/** Lines of `name : value` or `name: value`. */
function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}

function knownSets(flags: readonly string[]): InstructionSet[] {
  return instructionSets.filter((name) => flags.includes(name));
}
