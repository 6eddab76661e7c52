import { cpus } from 'node:os';
import { expect, test } from 'vitest';
import { cpuInfo, defaultThreads, parseProcCpuinfo, parseSysctl, threadsAsRecorded } from './cpu.ts';

const processor = (number: number, core: number, socket = 0) =>
  [
    `processor\t: ${number}`,
    'model name\t: AMD EPYC 9B45',
    `physical id\t: ${socket}`,
    `core id\t\t: ${core}`,
    'flags\t\t: fpu avx avx2 avx512f avx512_bf16 avx_vnni avx512_vnni',
  ].join('\n');

test('counts the physical cores of two sockets with two threads a core, and keeps the flags of interest', () => {
  const text = [processor(0, 0), processor(1, 0), processor(2, 1), processor(3, 1), processor(4, 0, 1)].join('\n\n');
  expect(parseProcCpuinfo(text)).toEqual({
    model: 'AMD EPYC 9B45',
    physicalCores: 3,
    instructionSets: ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'avx_vnni'],
  });
});

test('reads the /proc/cpuinfo of ARM, which names neither a model nor cores', () => {
  const text = 'processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve bf16\nCPU part\t: 0xd40\n\n';
  expect(parseProcCpuinfo(text)).toEqual({
    model: undefined,
    physicalCores: undefined,
    instructionSets: ['neon', 'sve', 'bf16'],
  });
});

test('reads the sysctl of both kinds of Mac', () => {
  expect(
    parseSysctl(
      'machdep.cpu.brand_string: Apple M2\nhw.physicalcpu: 8\nhw.optional.neon: 1\nhw.optional.AdvSIMD: 1\nhw.optional.arm.FEAT_BF16: 1\n',
    ),
  ).toEqual({ model: 'Apple M2', physicalCores: 8, instructionSets: ['neon', 'bf16'] });
  expect(
    parseSysctl('machdep.cpu.brand_string: Intel(R) Core(TM) i7\nmachdep.cpu.leaf7_features: BMI1 AVX2\nhw.physicalcpu: 4\n'),
  ).toEqual({ model: 'Intel(R) Core(TM) i7', physicalCores: 4, instructionSets: ['avx2'] });
});

test('describes this machine', () => {
  const cpu = cpuInfo();
  expect(cpu.model).not.toBe('');
  expect(cpu.logicalCores).toBe(cpus().length);
  expect(cpu.physicalCores).toBeGreaterThan(0);
  expect(cpu.physicalCores).toBeLessThanOrEqual(cpu.logicalCores);
});

test('threads are shared out among processes, and every process has one', () => {
  const { physicalCores, availableCores } = cpuInfo();
  expect(defaultThreads()).toBe(Math.min(physicalCores, availableCores));
  expect(defaultThreads(2)).toBeLessThanOrEqual(Math.max(1, physicalCores / 2));
  expect(defaultThreads(10_000)).toBe(1);
  expect(threadsAsRecorded(1)).toBe(1);
  expect(threadsAsRecorded(100_000)).toBe(availableCores);
});
