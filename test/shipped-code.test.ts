/** The C code of the networks for microcontrollers that comes with ablate knows what it is said to know: all of it is integers, so that a count is exact. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { loadCifar10 } from '../src/data/cifar10.ts';
import { centralParts, imageBatches, type LabelledBatch } from '../src/deploy/pixels.ts';
import { environmentVariable } from '../src/util/env.ts';
import { missingTool } from './missing-tool.ts';
import { skippable } from './skippable.ts';

const shipped = fileURLToPath(new URL('../trained_models/microcontrollers', import.meta.url));
const names = readdirSync(shipped).flatMap((file) => (file.endsWith('.tflite') ? [file.slice(0, -'.tflite'.length)] : []));

const images = 2000;
/** Of so many first test images. */
const right: Readonly<Record<string, number>> = { small: 1765 };

const noGcc = missingTool('gcc');
const folder = mkdtempSync(join(tmpdir(), 'ablate-shipped-code-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Reads images from standard input and writes a byte for each: the number of its class. */
const runner = (prefix: string) => `
#include "${prefix}.h"
#include <stdio.h>

int main(void)
{
    static uint8_t image[${prefix.toUpperCase()}_HEIGHT * ${prefix.toUpperCase()}_WIDTH * 3];
    int8_t logits[${prefix.toUpperCase()}_CLASSES];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) putchar(${prefix}_classify(image, logits));
    return 0;
}
`;

describe.each(names)('%s', (name) => {
  const code = join(shipped, name);
  const prefix = `cifar10_${name}`;
  const compile = (output: string, ...sources: readonly string[]) =>
    execFileSync('gcc', ['-std=c99', '-O2', `-I${code}`, ...sources, join(code, `${prefix}.c`), '-o', output]);

  test.skipIf(noGcc)(skippable('gives the logits of the test images that come with it', noGcc), () => {
    const program = join(folder, `${name}-vectors`);
    compile(program, join(code, 'main.c'));
    expect(execFileSync(program, { encoding: 'utf8' })).toContain('8 of 8');
  });

  const realImages = environmentVariable('ABLATE_DATA_DIR') !== undefined;
  const whyNot = noGcc ?? (realImages ? undefined : 'ABLATE_DATA_DIR does not say where CIFAR-10 is');
  test.skipIf(whyNot)(skippable('knows the real test images', whyNot), { timeout: 120_000 }, async () => {
    const source = join(folder, `${name}.c`);
    writeFileSync(source, runner(prefix));
    const program = join(folder, name);
    compile(program, source);
    const { test: split, shape } = await loadCifar10();
    const { batch, labels } = imageBatches(split, shape, images, images).next().value as LabelledBatch;
    const side = Number(/_HEIGHT (\d+)/.exec(readFileSync(join(code, `${prefix}.h`), 'utf8'))![1]);
    const said = execFileSync(program, { input: centralParts(batch, { height: side, width: side }), maxBuffer: 2 ** 20 });
    expect([...said].filter((label, i) => label === labels[i]).length).toBe(right[name]);
  });
});
