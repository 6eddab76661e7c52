/** The C code of devices: compiled here, without a warning, it gives the twin's logits to the bit. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kernelText } from '../src/deploy/mcu/c/kernels.ts';
import { factorOf, fixedPointOf, requantize } from '../src/deploy/mcu/fixed-point.ts';
import { integer, streamKey, uniform } from '../src/util/random.ts';
import { deviceCode } from './device-code-files.ts';
import { deviceCases } from './device-networks.ts';
import { missingTool } from './missing-tool.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-device-code-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const imagesOfEach = 20;
/** For every case, so many images after one another, each behind the number of the case; and the logits of all. */
let input: Uint8Array;
let expected: Int8Array;

/** Reads images from standard input and writes logits to standard output. */
const runner = `
${deviceCases.map((_, i) => `#include "case${i}.h"`).join('\n')}
#include <stdio.h>

int main(void)
{
    static uint8_t image[3 * 16 * 16];
    int8_t logits[16];
    int number, best;
    size_t pixels, classes;
    while ((number = getchar()) != EOF) {
        switch (number) {
${deviceCases
  .map(
    ({ side, classes }, i) => `        case ${i}:
            pixels = ${3 * side * side};
            classes = ${classes};
            if (fread(image, 1, pixels, stdin) != pixels) return 1;
            best = case${i}_classify(image, logits);
            break;`,
  )
  .join('\n')}
        default:
            return 1;
        }
        for (number = 0; number < (int)classes; number++) {
            if (logits[number] > logits[best] || (number < best && logits[number] == logits[best])) return 2;
        }
        fwrite(logits, 1, classes, stdout);
    }
    return 0;
}
`;

beforeAll(async () => {
  const inputs: Uint8Array[] = [];
  const outputs: number[] = [];
  for (const [i, each] of deviceCases.entries()) {
    const { files, images, logits } = await deviceCode(each, `case${i}`, imagesOfEach);
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    for (const image of images) inputs.push(Uint8Array.of(i), image);
    outputs.push(...logits);
  }
  writeFileSync(join(folder, 'runner.c'), runner);
  input = Buffer.concat(inputs);
  expected = Int8Array.from(outputs);
});

const sources = ['runner.c', ...deviceCases.map((_, i) => `case${i}.c`)];
const strict = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Werror'];
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** Debian's clang comes without what its sanitizers link. */
function missingFor(compiler: string, flags: readonly string[]): string | undefined {
  const missing = missingTool(compiler);
  if (missing !== undefined || !flags.includes(sanitizers[0]!)) return missing;
  const { status } = spawnSync(compiler, [...sanitizers, '-x', 'c', '-', '-o', join(folder, 'empty')], {
    input: 'int main(void) { return 0; }',
  });
  return status === 0 ? undefined : `${compiler} has no sanitizers (Debian: apt-get install libclang-rt-dev)`;
}

// -O3 takes four times as long as all below it: once for each architecture.
describe.each([
  ['gcc', ['-std=c99', '-O0', '-g', ...sanitizers]],
  ['gcc', ['-std=c99', '-O3']],
  ['clang', ['-std=c99', '-O1', ...sanitizers]],
  ['g++', ['-x', 'c++', '-std=c++11', '-O2']],
])('%s %j', (compiler, flags) => {
  const missing = missingFor(compiler, flags);
  test.skipIf(missing !== undefined)(
    skippable('gives the logits of the twin', missing),
    () => {
      const program = join(folder, 'program');
      execFileSync(compiler, [...flags, ...strict, ...sources, '-o', program], { cwd: folder, stdio: 'pipe' });
      const { stdout, stderr, status } = spawnSync(program, { input, maxBuffer: 2 ** 26 });
      expect(stderr.toString()).toBe('');
      expect(status).toBe(0);
      expect(Int8Array.from(stdout)).toEqual(expected);
    },
    240_000,
  );
});

const noSize = missingTool('gcc') ?? missingTool('size');
test.skipIf(noSize !== undefined)(skippable('the static memory can be left out', noSize), () => {
  const zeroedBytes = (flags: readonly string[]) => {
    execFileSync('gcc', ['-std=c99', ...flags, ...strict, '-c', 'case1.c', '-o', 'memory.o'], { cwd: folder, stdio: 'pipe' });
    const printed = execFileSync('size', ['memory.o'], { cwd: folder, encoding: 'utf8' });
    return Number(printed.trim().split('\n')[1]!.trim().split(/\s+/)[2]);
  };
  // Two tensors of 10x10x8 bytes.
  expect(zeroedBytes([])).toBeGreaterThan(1600);
  expect(zeroedBytes(['-DCASE1_NO_STATIC_MEMORY'])).toBe(0);
});

/** Reads sums, multipliers and shifts from standard input, and writes what becomes of them. */
const scaling = `
#include <stdint.h>
#include <stdio.h>
${kernelText(['scaled'])}

int main(void)
{
    int32_t numbers[3], value;
    while (fread(numbers, sizeof numbers, 1, stdin) == 1) {
        value = scaled(numbers[0], numbers[1], numbers[2]);
        fwrite(&value, sizeof value, 1, stdout);
    }
    return 0;
}
`;

const noGcc = missingTool('gcc');
test.skipIf(noGcc !== undefined)(skippable('a sum is scaled as float32 does it, close to halves too', noGcc), () => {
  writeFileSync(join(folder, 'scaling.c'), scaling);
  const program = join(folder, 'scaling');
  execFileSync('gcc', ['-std=c99', '-O1', ...sanitizers, ...strict, 'scaling.c', '-o', program], { cwd: folder, stdio: 'pipe' });
  const key = streamKey(1, 'sums');
  const rows = Array.from({ length: 200_000 }, (_, i) => {
    const factor = fixedPointOf(Math.fround(2 ** (-1.001 - 20 * uniform(key, 4 * i))));
    const half = integer(key, 4 * i + 1, 511) - 255.5;
    const close = Math.round(half / factorOf(factor));
    const any = integer(key, 4 * i + 2, 2 ** 25 - 1) - 2 ** 24 + 1;
    return { sum: i % 4 === 0 || Math.abs(close) >= 2 ** 24 ? any : close, factor };
  });
  const numbers = Int32Array.from(rows.flatMap(({ sum, factor: { multiplier, shift } }) => [sum, multiplier, shift]));
  const { stdout, stderr } = spawnSync(program, { input: new Uint8Array(numbers.buffer), maxBuffer: 2 ** 26 });
  expect(stderr.toString()).toBe('');
  const got = new Int32Array(Uint8Array.from(stdout).buffer);
  expect(got).toEqual(Int32Array.from(rows, ({ sum, factor }) => requantize(sum, factorOf(factor))));
  // Some are not what one rounding of the exact product gives.
  const other = rows.filter(({ sum, factor }, i) => got[i] !== Math.floor(sum * factorOf(factor) + 0.5));
  expect(other.length).toBeGreaterThan(100);
});

/** Tries the test images of all cases. */
const bareMain = `
${deviceCases.map((_, i) => `#include "case${i}_test_vectors.h"`).join('\n')}
#include <stdio.h>
#include <string.h>

int main(void)
{
    int8_t logits[16];
    int i, right = 0;
${deviceCases
  .map(
    ({ classes }, i) => `    for (i = 0; i < CASE${i}_TEST_VECTORS; i++) {
        case${i}_classify(case${i}_test_images[i], logits);
        right += memcmp(logits, case${i}_test_logits[i], ${classes}) == 0;
    }`,
  )
  .join('\n')}
    printf("%d right\\n", right);
    return 0;
}
`;

const noArm = missingTool('arm-none-eabi-gcc') ?? missingTool('qemu-system-arm');
describe.each([
  ['cortex-m3', 'mps2-an385', '-O2'],
  ['cortex-m4', 'mps2-an386', '-O3'],
  ['cortex-m7', 'mps2-an500', '-O2'],
])('%s in QEMU', (core, board, optimization) => {
  test.skipIf(noArm !== undefined)(
    skippable(`gives the logits of the twin, compiled with ${optimization}`, noArm),
    () => {
      const cortex = join(import.meta.dirname, 'cortex-m');
      writeFileSync(join(folder, 'bare.c'), bareMain);
      const flags = ['-std=c99', optimization, `-mcpu=${core}`, '-mthumb', '--specs=rdimon.specs', '-nostartfiles', ...strict];
      const files = [join(cortex, 'startup.c'), 'bare.c', ...deviceCases.map((_, i) => `case${i}.c`)];
      execFileSync('arm-none-eabi-gcc', [...flags, '-T', join(cortex, 'link.ld'), ...files, '-o', 'bare.elf'], {
        cwd: folder,
        stdio: 'pipe',
      });
      const machine = ['-M', board, '-nographic', '-semihosting-config', 'enable=on,target=native', '-kernel', 'bare.elf'];
      const { stdout, status } = spawnSync('qemu-system-arm', machine, { cwd: folder, encoding: 'utf8', timeout: 120_000 });
      expect(stdout).toContain(`${imagesOfEach * deviceCases.length} right`);
      expect(status).toBe(0);
    },
    240_000,
  );
});

test.skipIf(missingTool('make') !== undefined)(skippable('make check tries the test images', missingTool('make')), () => {
  const printed = execFileSync('make', ['check'], { cwd: folder, encoding: 'utf8' });
  const last = deviceCases.length - 1;
  expect(printed).toContain(`./case${last}_test`);
  expect(printed).toContain(`${imagesOfEach} of ${imagesOfEach} images gave the expected logits`);
  // main.c and Makefile are those of the last case that was written.
  writeFileSync(join(folder, 'main.c'), 'int main(void) { return 3; }\n');
  expect(spawnSync('make', ['check'], { cwd: folder }).status).not.toBe(0);
});
