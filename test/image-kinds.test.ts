/** Grey images of 28x28 and rectangles of 96x128, from a folder of pictures to C code, by the command line. The page is in demo.test.ts. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { missingTool } from './missing-tool.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-image-kinds-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const inFolder = (name: string) => join(folder, name);

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runCli([...args, '--json'], { cwd: folder });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

interface Kind {
  readonly name: string;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** What the network sees. */
  readonly input: readonly [height: number, width: number];
  readonly query: string;
  readonly steps: number;
}

const kinds: readonly Kind[] = [
  { name: 'grey', channels: 1, height: 28, width: 28, input: [28, 28], query: 'size=28&channels=1&test=0.25', steps: 40 },
  { name: 'wide', channels: 3, height: 96, width: 128, input: [72, 96], query: 'size=96x128&test=0.25', steps: 12 },
];

/** Two classes that differ in brightness. */
function writeImages({ name, channels, height, width }: Kind): void {
  for (const [label, from] of [
    ['dark', 0],
    ['light', 140],
  ] as const) {
    mkdirSync(inFolder(`${name}/${label}`), { recursive: true });
    for (let i = 0; i < 24; i++) {
      const samples = Uint8Array.from({ length: height * width * channels }, (_, k) => from + (uint32(i, k) % 110));
      writeFileSync(inFolder(`${name}/${label}/${i}.png`), encodePng({ width, height, channels, samples }));
    }
  }
}

const widths = ['conv1.filters=4', 'stage1.filters=4', 'stage2.filters=6', 'stage3.filters=8', 'standardization=channel'];
const small = widths.flatMap((set) => ['--set', set]);

describe.each(kinds)('$name images', (kind) => {
  const { name, channels, input, query, steps } = kind;
  const data = `images:${name}?${query}`;
  const runs = ['--runs-dir', `runs-${name}`];

  test('are trained on, told apart, frozen, labelled, quantized and exported', { timeout: 120_000 }, async () => {
    writeImages(kind);
    const size = ['--set', `inputSize=${input.join('x')}`];
    const length = ['--steps', String(steps), '--batch-size', '8', '--threads', '1', '--eval-every', '0'];
    await json('train', 'resnet8', '--recipe', 'modern', '--data', data, ...small, ...size, ...length, ...runs);
    expect(await json('eval', 'resnet8/1', ...runs)).toMatchObject({ images: 12, accuracy: 1 });

    const frozen = await json('freeze', 'resnet8/1', '-o', `${name}.onnx`, ...runs);
    expect(frozen).toMatchObject({ classes: ['dark', 'light'] });
    const pictures = [`${name}/dark/0.png`, `${name}/light/0.png`];
    const calibrated = ['--data', data, '--images', '32', '--threads', '1'];
    const exported = ['--c', `${name}-c`, '--tflite', `${name}.tflite`, '--vectors', '4'];
    const [quantized, device] = await Promise.all([
      json('quantize', `${name}.onnx`, '-o', `${name}.int8.onnx`, ...calibrated),
      json('export', `${name}.onnx`, ...exported, ...calibrated),
    ]);
    expect(quantized).toMatchObject({ test: { accuracy: 1, floatAccuracy: 1, images: 12 } });
    expect(device).toMatchObject({ accuracy: 1, floatAccuracy: 1, images: 12 });
    for (const file of [`${name}.onnx`, `${name}.int8.onnx`]) {
      const labelled = (await json('label', file, ...pictures, '--runs', '1')) as unknown as { top: { label: string }[] }[];
      expect(labelled.map(({ top }) => top[0]!.label)).toEqual(['dark', 'light']);
    }

    const [height, width] = input;
    const header = readFileSync(inFolder(`${name}-c/resnet8.h`), 'utf8');
    for (const size of [`HEIGHT ${height}`, `WIDTH ${width}`, `CHANNELS ${channels}`])
      expect(header).toContain(`#define RESNET8_${size}`);
    expect(readFileSync(inFolder(`${name}.tflite`)).toString('latin1', 4, 8)).toBe('TFL3');
    if (missingTool('cc') !== undefined || missingTool('make') !== undefined) return;
    const said = execFileSync('make', ['-C', inFolder(`${name}-c`), 'check', 'CFLAGS=-O1'], { encoding: 'utf8' });
    expect(said).toContain('4 of 4 images gave the expected logits');
  });
});
