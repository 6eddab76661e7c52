/** The C code of devices: compiled here, without a warning, it gives the twin's logits to the bit. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlan } from '../src/deploy/mcu/build.ts';
import { codeFiles } from '../src/deploy/mcu/c/files.ts';
import { planMemory } from '../src/deploy/mcu/memory.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { toInterleaved } from '../src/deploy/pixels.ts';
import { deviceCases, deviceImages } from './device-networks.ts';
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
  for (const [i, { trained, side, classes }] of deviceCases.entries()) {
    const calibration = {
      images: deviceImages(side, 64),
      shape: [3, side, side],
      range: { method: 'min-max', percentile: 100 },
    } as const;
    const { plan } = await buildPlan(trained, calibration);
    const twin = createTwin(plan);
    const pixels = toInterleaved(deviceImages(side, imagesOfEach, 2).images, imagesOfEach, side, side);
    const logits = new Int8Array(imagesOfEach * classes);
    for (let n = 0; n < imagesOfEach; n++) {
      const image = pixels.subarray(n * 3 * side * side, (n + 1) * 3 * side * side);
      twin.run(image, logits.subarray(n * classes, (n + 1) * classes));
      inputs.push(Uint8Array.of(i), image);
    }
    outputs.push(...logits);
    const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
    const options = { name: `case${i}`, plan, memory: planMemory(plan), classes: names, origin: [`case ${i}`] };
    const vectors = { images: pixels, logits, count: imagesOfEach };
    for (const [name, text] of codeFiles(options, vectors)) writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, 'runner.c'), runner);
  input = Buffer.concat(inputs);
  expected = Int8Array.from(outputs);
});

const sources = ['runner.c', ...deviceCases.map((_, i) => `case${i}.c`)];
const strict = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Werror'];
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

describe.each([
  ['gcc', ['-std=c99', '-O0', '-g', ...sanitizers]],
  ['gcc', ['-std=c99', '-O3']],
  ['clang', ['-std=c99', '-O0']],
  ['clang', ['-std=c99', '-O3', ...sanitizers]],
  ['g++', ['-x', 'c++', '-std=c++11', '-O2']],
])('%s %j', (compiler, flags) => {
  const missing = missingTool(compiler);
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

test.skipIf(missingTool('make') !== undefined)(skippable('make check tries the test images', missingTool('make')), () => {
  const printed = execFileSync('make', ['check'], { cwd: folder, encoding: 'utf8' });
  const last = deviceCases.length - 1;
  expect(printed).toContain(`./case${last}_test`);
  expect(printed).toContain(`${imagesOfEach} of ${imagesOfEach} images gave the expected logits`);
  // main.c and Makefile are those of the last case that was written.
  writeFileSync(join(folder, 'main.c'), 'int main(void) { return 3; }\n');
  expect(spawnSync('make', ['check'], { cwd: folder }).status).not.toBe(0);
});
