import { afterEach, beforeEach, expect, test } from 'vitest';
import { deviceCases, deviceImages } from '../../../test/device-networks.ts';
import { fakePrograms, type FakePrograms } from '../../../test/fake-programs.ts';
import { buildPlan } from './build.ts';
import type { CodeOptions } from './c/source.ts';
import { codeSize, estimatedBytes } from './code-size.ts';
import { planMemory } from './memory.ts';

let programs: FakePrograms;
beforeEach(() => {
  programs = fakePrograms();
});
afterEach(() => programs.remove());

/** `convolution, pools, average`. */
async function options(): Promise<CodeOptions> {
  const { trained, side } = deviceCases[0]!;
  const range = { method: 'min-max', percentile: 100 } as const;
  const { plan } = await buildPlan(trained, { images: deviceImages(side, 40), shape: [3, side, side], range });
  return { name: 'net', plan, memory: planMemory(plan), classes: ['cat', 'horse'], origin: [] };
}

test('the code is compiled for a Cortex-M4, and its constants are taken off', async () => {
  const given = await options();
  programs.make('arm-none-eabi-gcc', { before: 'test -s net.h && test -s net.c || exit 1' });
  programs.make('arm-none-eabi-size', {
    stdout: '   text\t   data\t    bss\t    dec\t    hex\tfilename\n  90000\t      4\t      8\t  90012\t  15f9c\tcode.o\n',
  });
  const constants = given.plan.steps.reduce(
    (sum, step) => sum + (step.kind === 'conv' ? step.weights.length + 9 * step.bias.length : 0),
    0,
  );
  expect(await codeSize(given)).toEqual({ bytes: 90_000 - constants, compiler: 'arm-none-eabi-gcc' });
  expect(programs.calls('arm-none-eabi-gcc')).toEqual([
    ['-std=c99', '-O2', '-mcpu=cortex-m4', '-mthumb', '-c', 'net.c', '-o', 'code.o'],
  ]);
  expect(programs.calls('arm-none-eabi-size')).toEqual([['code.o']]);
});

test('without a compiler it is estimated from its functions, layers and names', async () => {
  const given = await options();
  programs.make('arm-none-eabi-gcc', { code: 1 });
  // convolve, maxPool, globalAverage and what scales their sums; two convolutions and two other layers; two names.
  const functions = 1566 + 252 + 174 + 198;
  const layers = 2 * (24 + 100) + 2 * (24 + 100 / 3);
  const bytes = Math.round(functions + layers + ('cat'.length + 5) + ('horse'.length + 5));
  expect(await codeSize(given)).toEqual({ bytes, compiler: null });
  expect(estimatedBytes(given)).toBe(bytes);
});
