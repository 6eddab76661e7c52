/** Compression from the command line: rounds, their limits, going on after an interruption, and the report. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompressionData } from '../src/report/compression-data.ts';
import type { DeviceFigures } from '../src/deploy/mcu/figures.ts';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { runCli, type CliOptions } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-compress-'));
const inFolder = (name: string) => join(folder, name);
const ablate = (args: readonly string[], options: CliOptions = {}) => runCli(args, { cwd: folder, ...options });

/** Two classes: dark and bright noise. */
function writeImages(): void {
  for (const [split, count] of [
    ['train', 30],
    ['test', 8],
  ] as const) {
    for (const [label, base] of [
      ['dark', 0],
      ['bright', 100],
    ] as const) {
      mkdirSync(inFolder(`images/${split}/${label}`), { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: 16 * 16 * 3 }, (_, k) => base + (uint32(1000 * base + i, k) % 156));
        writeFileSync(inFolder(`images/${split}/${label}/${i}.png`), encodePng({ width: 16, height: 16, channels: 3, samples }));
      }
    }
  }
}

const trainTuto = (...more: readonly string[]) => trainModel('tuto', ...more);

async function trainModel(model: string, ...more: readonly string[]): Promise<void> {
  const settings = ['conv1.filters=8', 'conv2.filters=12', 'dense1.features=24', 'dense2=false', 'inputSize=16'];
  const set = settings.flatMap((setting) => ['--set', setting]);
  const options = ['--data', 'images:images', '--batch-size', '8', '--threads', '1', '--no-augment'];
  const { code, stderr } = await ablate(['train', model, ...options, ...set, ...more]);
  expect(code, stderr).toBe(0);
}

beforeAll(async () => {
  writeImages();
  await trainTuto('--steps', '4', '--set', 'saveEvery=2');
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('rounds go on to the limits, are not trained twice, and end in a file and a report', async () => {
  // The name of the model stands for its newest run, which the rounds must not become.
  const args = [
    'compress',
    'tuto',
    '--shrink',
    '0.6',
    '--operations',
    '0.45',
    '--bytes',
    '14000',
    '--latency',
    '1000',
    '--steps',
    '200',
    '--set',
    'logEvery=1',
  ];
  /** Runs the command until a run has taken, and saved, some steps, then sends it a signal. */
  const stoppedIn = (run: string, signal: NodeJS.Signals) => {
    let asked = false;
    return ablate([...args, '-o', 'small.onnx'], {
      onStderr: (text) => {
        if (asked || !new RegExp(`recording in runs/${run}\\n[^]*^step [2-9]\\d/200`, 'm').test(text)) return undefined;
        asked = true;
        return signal;
      },
    });
  };
  const killed = await stoppedIn('tuto/2', 'SIGKILL');
  expect(killed.code, killed.stderr).not.toBe(0);
  const stopped = await stoppedIn('tuto/3', 'SIGINT');
  expect(stopped.code, stopped.stderr).toBe(130);
  expect(stopped.stderr).toMatch(/^continuing after step \d+ in runs\/tuto\/2$/m);
  expect(stopped.stderr).toMatch(
    /stopped in round 2 after step \d+ of 200, which is saved in runs\/tuto\/3\nthe same command continues/,
  );
  expect([existsSync(inFolder('small.onnx')), existsSync(inFolder('small-report'))]).toEqual([false, false]);

  const { code, stdout, stderr } = await ablate([...args, '-o', 'small.onnx', '--json']);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/^round 1, quantized \(trained before\): /m);
  expect(stderr).toMatch(/^continuing after step \d+ in runs\/tuto\/3$/m);
  const data = JSON.parse(stdout) as CompressionData & { readonly report: string };
  const { stages, targets, result, layers } = data;
  expect(stages.map(({ name, run }) => [name, run])).toEqual([
    ['original', null],
    ['round 1', 'tuto/2'],
    ['round 2', 'tuto/3'],
  ]);
  const parts = stages.map(({ operations }, i) => operations / (stages[i - 1]?.operations ?? operations));
  expect(parts[1]).toBeLessThanOrEqual(0.6);
  expect(parts[1]).toBeGreaterThan(0.4);
  // Less than a whole round was enough.
  expect(parts[2]).toBeGreaterThan(0.6);
  expect([data.source, data.reason, result]).toEqual(['tuto/1', 'limits', stages.length - 1]);
  expect(targets.map(({ target, met }) => [target, met])).toEqual([
    ['operations', true],
    ['bytes', true],
    ['latencyMs', true],
  ]);
  const { int8 } = stages[result]!;
  expect(targets.map(({ value }) => value)).toEqual([
    stages[result]!.operations / stages[0]!.operations,
    int8.bytes,
    int8.latencyMs,
  ]);
  expect(statSync(inFolder('small.onnx')).size).toBe(int8.bytes);
  expect(int8.bytes).toBeLessThanOrEqual(14000);
  const evaluated = await ablate(['eval', 'small.onnx', '--data', 'images:images', '--json']);
  expect(evaluated.code, evaluated.stderr).toBe(0);
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ accuracy: int8.testAccuracy, images: 16 });
  expect(layers.map(({ name, before }) => [name, before])).toEqual([
    ['conv1', 8],
    ['conv2', 12],
    ['dense1', 24],
    ['logits', 2],
  ]);

  expect(data.report).toBe('small-report/index.html');
  expect(readdirSync(inFolder('small-report')).sort()).toEqual(['compress.json', 'figures', 'index.html', 'report.md']);
  expect(readdirSync(inFolder('small-report/figures')).sort()).toEqual([
    'accuracy-bytes.svg',
    'accuracy-bytes.vl.json',
    'accuracy-latency.svg',
    'accuracy-latency.vl.json',
  ]);
  const recorded = JSON.parse(readFileSync(inFolder('small-report/compress.json'), 'utf8')) as CompressionData;
  expect({ ...recorded, report: data.report }).toEqual(data);
  const texts = ['index.html', 'report.md'].map((name) => readFileSync(inFolder(`small-report/${name}`), 'utf8'));
  for (const text of texts) {
    expect(text).toContain('npx ablate compress tuto/1 --shrink 0.6 --operations 0.45');
    for (const { name } of [...stages, ...layers]) expect(text).toContain(name);
  }
  expect(texts[0]!.match(/<svg/g)).toHaveLength(2);
}, 300_000);

test('a drop alone: rounds go on until there are no more; of pruned weights the report says which part of each layer is zero; the file can be compressed', async () => {
  const pruned = await ablate(['prune', 'tuto/1', '--sparsity', '0.8', '--steps', '0', '-o', 'sparse.safetensors']);
  expect(pruned.code, pruned.stderr).toBe(0);
  const args = ['compress', 'sparse.safetensors', '--steps', '2', '--rounds', '1', '--shrink', '0.9', '--max-drop', '100'];
  const { code, stdout, stderr } = await ablate([...args, '-o', 'sparse.onnx.gz', '--json']);
  expect(code, stderr).toBe(0);
  const { layers, stages, result, reason } = JSON.parse(stdout) as CompressionData;
  expect([result, reason]).toEqual([1, 'rounds']);
  const weights = layers.reduce((sum, layer) => sum + layer.weights, 0);
  const zeros = layers.reduce((sum, layer) => sum + layer.weights * layer.sparsity, 0);
  expect(zeros / weights).toBeGreaterThan(0.7);
  const { bytes, testAccuracy } = stages[result]!.int8;
  const written = readFileSync(inFolder('sparse.onnx.gz'));
  expect([gunzipSync(written).length, written.length < bytes]).toEqual([bytes, true]);
  const evaluated = await ablate(['eval', 'sparse.onnx.gz', '--data', 'images:images', '--json']);
  expect(evaluated.code, evaluated.stderr).toBe(0);
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ accuracy: testAccuracy });
  expect(readFileSync(inFolder('sparse-report/report.md'), 'utf8')).toMatch(/\| layer .* \| zero % \|/);
}, 120_000);

test('a target that is missed is told with exit code 1, and the file is written all the same', async () => {
  await trainTuto('--steps', '300', '--runs-dir', 'learnt');
  // One filter in every layer and hardly any training: what is left knows nothing of what the original has learnt.
  const limits = ['--operations', '0.07', '--shrink', '0.07', '--rounds', '1', '--max-drop', '0'];
  const training = ['--steps', '2', '--set', 'learningRate=1e-6', '--runs-dir', 'learnt'];
  const { code, stdout, stderr } = await ablate(['compress', 'tuto/1', ...limits, ...training, '-o', 'missed.onnx']);
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(
    /^error: the file was written, but misses a target: drop on validation images: \d+\.\d\d points, above 0\.00 points\nallow a larger --max-drop/m,
  );
  expect(stdout).toMatch(/^operations of the original +7\.00% +6\.\d\d% +met$/m);
  expect(stdout).toMatch(/^drop on validation images +0\.00 points +\d+\.\d\d points +missed$/m);
  expect(existsSync(inFolder('missed.onnx'))).toBe(true);
  expect(readFileSync(inFolder('missed-report/report.md'), 'utf8')).toContain('Missed: drop on validation images.');
}, 180_000);

test('a latency alone is a limit; the same again replaces the file, which is its own', async () => {
  const args = ['compress', 'tuto/1', '--latency', '1000', '-o', 'fast.onnx', '--report', 'page'];
  const { code, stdout, stderr } = await ablate(args);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^latency of one image +1000\.0 ms +\d+\.\d+ ms +met$/m);
  expect(stdout).toMatch(/^The result is the original, only quantized: 100\.00% of the operations/m);
  expect(stdout).toMatch(/^wrote fast\.onnx: /m);
  expect(readdirSync(inFolder('page'))).toContain('index.html');

  const content = readFileSync(inFolder('fast.onnx'));
  const again = await ablate(args);
  expect([again.code, again.stderr]).toEqual([
    0,
    expect.stringContaining('replaced fast.onnx, a quantized file of weights of tuto, step 4'),
  ]);
  expect(readFileSync(inFolder('fast.onnx')).equals(content)).toBe(true);
}, 180_000);

test('flash, RAM and the time on a microcontroller are limits', async () => {
  await trainModel('alex2', '--steps', '2', '--set', 'standardization=channel');
  const limits = ['--flash', '10k', '--ram', '2900', '--latency', '11ms@m4@100', '--shrink', '0.6', '--steps', '2'];
  const { code, stdout, stderr } = await ablate(['compress', 'alex2/1', ...limits, '-o', 'device.onnx']);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^network +as .* flash +RAM +ms there$/m);
  expect(stdout).toMatch(/^flash of a microcontroller +10\.0 kB +\d\.\d kB +met$/m);
  expect(stdout).toMatch(/^RAM of a microcontroller +2\.9 kB +2\.\d kB +met$/m);
  expect(stdout).toMatch(/^time of one image on a microcontroller, predicted +11 ms +1[01] ms +met$/m);
  expect(stdout).toMatch(/^for the microcontroller: ablate export alex2\/\d --c <folder>$/m);
  const { device, stages, result } = JSON.parse(readFileSync(inFolder('device-report/compress.json'), 'utf8')) as CompressionData;
  expect([device, result]).toEqual(['m4@100', stages.length - 1]);
  expect(readdirSync(inFolder('device-report/figures')).filter((name) => name.endsWith('.svg'))).toEqual(
    ['bytes', 'device-time', 'flash', 'latency', 'ram'].map((cost) => `accuracy-${cost}.svg`),
  );
  // The code of the result takes what was told, but for its estimate.
  const run = stages[result]!.run!;
  const options = ['--data', 'images:images', '--images', '40', '--device', 'm4@100', '--json'];
  const exported = await ablate(['export', run, '--c', 'c', ...options]);
  expect(exported.code, exported.stderr).toBe(0);
  const figures = JSON.parse(exported.stdout) as DeviceFigures;
  expect(figures.ramBytes.activations).toBe(stages[result]!.device!.ramBytes);
  expect(figures.cores[0]!.ms).toBe(stages[result]!.device!.deviceMs);
  const refused = await ablate(['compress', 'alex2/1', '--ram', '1k', '--rounds', '1', '-o', 'none.onnx']);
  expect(refused.stderr).toContain('ram (=1000) is out of reach: 0.7 of the operations in each of 1 rounds leave ');
  expect(refused.code).toBe(2);
  for (const [model, message] of [
    ['tuto/1', 'whose powers have no cheap form in integers'],
    ['alex2/1', 'device (=m9) must begin with a core'],
  ] as const) {
    const target = model === 'tuto/1' ? ['--flash', '64k'] : ['--latency', '5ms@m9'];
    const { stderr: words, code: exit } = await ablate(['compress', model, ...target, '-o', 'none.onnx']);
    expect(words).toContain(message);
    expect(exit).not.toBe(0);
  }
  expect(readdirSync(folder).filter((name) => name.startsWith('none'))).toEqual([]);
}, 180_000);

describe('bad input ends with the code, the reason, and nothing written', () => {
  test.each([
    [['tuto/1'], 2, 'what to reach is missing\n--operations 0.5'],
    [['tuto/1', '--operations', '1.5'], 2, 'operations (=1.5) must be a number in (0, 1)'],
    [
      ['tuto/1', '--operations', '0.00001'],
      2,
      'operations (=0.00001) is out of reach: 0.7 of the operations in each of 8 rounds leave 0.0576',
    ],
    [['tuto/1', '--operations', '0.00001', '--shrink', '0.1'], 2, 'operations (=0.00001) must be at least 0.'],
    [
      ['tuto/1', '--bytes', '13000', '--rounds', '1', '--shrink', '0.9'],
      2,
      'bytes (=13000) is out of reach: 0.9 of the operations in each of 1 rounds leave a file of ',
    ],
    [['tuto/1', '--max-drop', '1', '--steps', '0'], 2, 'It must be an integer from 1 to 999999999.'],
    [['tuto/1', '--max-drop', '1', '--steps', '1e12'], 2, 'It must be an integer from 1 to 999999999.'],
    [['tuto/1', '--max-drop', '1', '--set', 'val=false'], 2, 'val cannot be set here'],
    [['tuto/1', '--max-drop', '1', '--set', 'recipe=modern'], 2, 'recipe cannot be set here'],
    [['tuto/1', '--max-drop', '1', '--report', 'images/test/dark/0.png'], 1, 'it is not a folder\nname another folder'],
  ])('%j', async (args, code, message) => {
    const result = await ablate(['compress', ...args, '-o', 'none.onnx']);
    expect(result.stderr).toContain(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(readdirSync(folder).filter((name) => name.startsWith('none'))).toEqual([]);
  });
});
