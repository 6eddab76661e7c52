/** Pruning from the command line: real processes and files, and what it says of bad input. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { latestCheckpoint, loadCheckpoint } from '../src/runs/checkpoint.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { encodeSafetensors, readSafetensors } from '../src/runs/safetensors.ts';
import { readSavedModel } from '../src/train/saved-model.ts';
import { writeNoiseImages } from './noise-images.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

const settings = ['conv1.filters=8', 'conv2.filters=12', 'dense1.features=24', 'dense2=false', 'inputSize=16', 'saveEvery=2'];

beforeAll(async () => {
  writeNoiseImages(inFolder('images'), { train: 16, test: 8, side: 16 });
  const set = settings.flatMap((setting) => ['--set', setting]);
  const options = ['--data', 'images:images', '--batch-size', '8', '--steps', '4', '--threads', '1', '--no-augment'];
  const { code, stderr } = await ablate('train', 'tuto', ...options, ...set);
  expect(code, stderr).toBe(0);
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Side {
  readonly parameters: number;
  readonly operations: number;
  readonly weights: number;
  readonly nonZeroWeights: number;
  readonly sparsity: number;
  readonly bytes: number;
  readonly compressedBytes: number;
  readonly evaluation: { readonly split: string; readonly accuracy: number; readonly loss: number; readonly images: number };
  readonly layers: readonly { readonly name: string; readonly weights: number; readonly nonZero: number }[];
}

interface Report {
  readonly method: string;
  readonly run: string | null;
  readonly file: string;
  readonly before: Side;
  readonly after: Side;
  readonly layers: readonly { readonly name: string; readonly before: number; readonly after: number }[];
}

async function prune(...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await ablate('prune', ...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Report;
}

async function evaluate(file: string): Promise<{ readonly accuracy: number; readonly loss: number }> {
  const { code, stdout, stderr } = await ablate('eval', file, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as { accuracy: number; loss: number };
}

test('weights: the file has as many zeros as asked for, loads again, and evaluates as reported', async () => {
  const { before, after, run, file, method } = await prune(
    'tuto/1',
    '--sparsity',
    '0.9',
    '--rounds',
    '2',
    '--steps',
    '3',
    '-o',
    'sparse.safetensors.gz',
  );
  expect([method, file]).toEqual(['weights', 'sparse.safetensors.gz']);
  expect(after.nonZeroWeights).toBe(after.weights - Math.round(0.9 * after.weights));
  expect(after.layers.reduce((sum, { nonZero }) => sum + nonZero, 0)).toBe(after.nonZeroWeights);
  expect([after.parameters, after.operations]).toEqual([before.parameters, before.operations]);
  expect(statSync(inFolder(file)).size).toBe(after.compressedBytes);
  expect(after.compressedBytes).toBeLessThan(0.4 * before.compressedBytes);
  const tensors = [...readSafetensors(inFolder(file)).tensors];
  const zeros = tensors
    .filter(([name]) => name.endsWith('.weight'))
    .reduce((sum, [, { data }]) => sum + data.filter((value) => value === 0).length, 0);
  expect(zeros).toBe(Math.round(0.9 * after.weights));
  expect((await evaluate(file)).loss).toBeCloseTo(after.evaluation.loss, 6);
  expect((await evaluate('tuto/1')).loss).toBeCloseTo(before.evaluation.loss, 6);
  const checkpoint = loadCheckpoint(latestCheckpoint(openRun(inFolder(`runs/${run!}`)))!.path);
  expect(checkpoint.step).toBe(6);
  const frozen = await ablate('freeze', file, '-o', 'sparse.onnx');
  expect(frozen.code, frozen.stderr).toBe(0);
}, 60_000);

test('stopped or killed, and resumed, a pruning ends in the same weights and the same report', async () => {
  const args = ['tuto/1', '--sparsity', '0.8', '--rounds', '3', '--steps', '100', '--set', 'logEvery=1'];
  const straight = await prune(...args, '-o', 'straight.safetensors');
  const checkpointOf = (run: string) => readFileSync(latestCheckpoint(openRun(inFolder(`runs/${run}`)))!.path);
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    let asked = false;
    const stopped = await runCli(['prune', ...args, '-o', 'stopped.safetensors'], {
      cwd: folder,
      onStderr: (text) => {
        // In the second round, with checkpoints at every second step.
        if (asked || !/^step 1\d\d\//m.test(text)) return undefined;
        asked = true;
        return signal;
      },
    });
    expect(stopped.code, stopped.stderr).toBe(signal === 'SIGINT' ? 130 : null);
    const run = /^recording in runs\/(\S+)$/m.exec(stopped.stderr)![1]!;
    if (signal === 'SIGINT') expect(stopped.stderr).toContain(`ablate prune --resume runs/${run} continues`);
    expect(existsSync(inFolder('stopped.safetensors'))).toBe(false);
    const { step } = latestCheckpoint(openRun(inFolder(`runs/${run}`)))!;
    expect([step > 90, step < 300]).toEqual([true, true]);
    const file = `resumed-${signal}.safetensors`;
    const resumed = await prune('--resume', run, '-o', file);
    expect({ ...resumed, run: '', file: '' }).toEqual({ ...straight, run: '', file: '' });
    expect(readFileSync(inFolder(file)).equals(readFileSync(inFolder('straight.safetensors')))).toBe(true);
    expect(checkpointOf(run).equals(checkpointOf(straight.run!))).toBe(true);
  }
  // Killed between its last checkpoint and its file.
  await prune('--resume', straight.run!, '-o', 'finished.safetensors');
  expect(readFileSync(inFolder('finished.safetensors')).equals(readFileSync(inFolder('straight.safetensors')))).toBe(true);
}, 120_000);

test('filters: the file is of a smaller network, which is trained, evaluated and shown as any other', async () => {
  const { before, after, run, file, layers } = await prune(
    'tuto',
    '--structured',
    '--operations',
    '0.5',
    '--steps',
    '2',
    '-o',
    'small.safetensors',
  );
  expect(after.operations).toBeLessThanOrEqual(0.5 * before.operations);
  expect(after.parameters).toBeLessThan(before.parameters);
  expect(after.bytes).toBeLessThan(before.bytes);
  expect(statSync(inFolder(file)).size).toBe(after.bytes);
  expect(layers.map(({ name }) => name)).toEqual(['conv1', 'conv2', 'dense1']);
  const { classifier } = readSavedModel(inFolder(file), {});
  expect(classifier!.network.layers[0]!.outputShape[0]).toBe(layers[0]!.after);
  expect((await evaluate(file)).loss).toBeCloseTo(after.evaluation.loss, 6);
  expect((await evaluate(run!)).loss).toBeCloseTo(after.evaluation.loss, 6);
  const once = await prune('tuto/1', '--structured', '--filters', '0.5', '--steps', '0', '-o', 'untrained.safetensors');
  expect([once.run, once.layers.map(({ after: left }) => left)]).toEqual([null, [4, 6, 12]]);
  expect((await evaluate('untrained.safetensors')).loss).toBeCloseTo(once.after.evaluation.loss, 6);
}, 60_000);

test('filters of a network with pruned weights: what is zero stays zero', async () => {
  const sparse = await prune('tuto/1', '--sparsity', '0.9', '--steps', '2', '-o', 'zeros.safetensors');
  const shrink = (steps: string) =>
    prune(sparse.run!, '--structured', '--filters', '0.7', '--steps', steps, '-o', `zeros-${steps}.safetensors`);
  const untrained = await shrink('0');
  expect(untrained.after.sparsity).toBeGreaterThan(0.5);
  expect((await shrink('2')).after.layers).toEqual(untrained.after.layers);
}, 60_000);

test('before and after are of the same images', async () => {
  const { before, after } = await prune(
    'tuto/1',
    '--sparsity',
    '0.5',
    '--steps',
    '2',
    '--set',
    'val=true',
    '-o',
    'val.safetensors',
  );
  expect([before.evaluation.split, after.evaluation.split]).toEqual(['val', 'val']);
  expect(before.evaluation.images).toBe(after.evaluation.images);
}, 60_000);

describe('a frozen file is refused where weights are wanted to train on', () => {
  test.each([
    [['prune', 'small.onnx', '--sparsity', '0.5']],
    [['prune', 'tuto/1', '--sparsity', '0.5', '--rewind', 'small.onnx']],
    [['prune', 'tuto/1', '--sparsity', '0.5', '--set', 'teacher=small.onnx']],
    [['compress', 'small.onnx', '--operations', '0.5']],
    [['train', 'tuto', '--data', 'images:images', '--init', 'small.onnx']],
    [['train', 'tuto', '--data', 'images:images', '--teacher', 'small.onnx.gz']],
  ])('ablate %j', async (args) => {
    for (const name of ['small.onnx', 'small.onnx.gz']) writeFileSync(inFolder(name), 'weights that nobody looks at');
    const { code, stdout, stderr } = await ablate(...args);
    expect(stderr).toMatch(
      /error: small\.onnx(\.gz)? is a frozen file, which cannot be trained on\ngive the run, or the file of weights, that it was frozen from/,
    );
    expect(stderr).not.toMatch(/^\s+at /m);
    expect([code, stdout]).toEqual([1, '']);
  });
});

describe('bad input ends with the code, the reason, and nothing written', () => {
  test.each([
    [['tuto/1', '--sparsity', '1.5'], 2, /sparsity \(=1\.5\) must be a number in \(0, 1\)/],
    [['tuto/1'], 2, /how much to prune is missing\n--sparsity 0\.9, or --structured/],
    [['tuto/1', '--operations', '0.5'], 2, /--operations removes filters\nAdd --structured/],
    [['tuto/1', '--structured'], 2, /--structured needs one of --operations and --filters/],
    [
      ['tuto/1', '--structured', '--operations', '0.00001'],
      2,
      /operations \(=0\.00001\) must be at least 0\.\d+ for model "tuto"/,
    ],
    [['tuto/1', '--sparsity', '0.99999', '--steps', '2'], 2, /pruning\.sparsity \(=0\.99999\) must be at most 0\.99\d+/],
    [
      ['tuto/1', '--sparsity', '0.5', '--steps', '0', '--rounds', '2'],
      2,
      /rounds \(=2\) must be 1 without training between them/,
    ],
    [
      ['tuto/1', '--sparsity', '0.5', '--set', 'steps=3'],
      2,
      /steps cannot be set here: the network and the other options decide it/,
    ],
    [['tuto/1', '--sparsity', '0.5', '--set', 'recipe=modern'], 2, /recipe cannot be set here.*\nset each key of the recipe/],
    [
      ['tuto/1', '--sparsity', '0.5', '--set', 'dataset=synthetic'],
      2,
      /dataset cannot be set here.*\ngive the images with --data/,
    ],
    [['tuto/1', '--sparsity', '0.5', '--set', 'lrn=false'], 2, /lrn cannot be set here: the network has it already/],
    [
      ['tuto/1', '--structured', '--filters', '0.5', '--steps', '0', '--set', 'inputSize=12'],
      2,
      /inputSize cannot be set here: the network has it already/,
    ],
    [['other.safetensors', '--model', 'tuto', '--sparsity', '0.5', '-o', 'other.safetensors'], 2, /is the file to prune/],
    [['tuto/1', '--sparsity', '0.5', '-o', 'x.bin'], 2, /output \(=x\.bin\) must end in \.safetensors/],
    [['tuto/99', '--sparsity', '0.5'], 1, /there is no run "tuto\/99"/],
    [['--resume', 'tuto/1'], 2, /tuto\/1 has no pruning\.json: ablate prune did not start it\nablate train --resume tuto\/1/],
    [['--resume', 'tuto/1', '--sparsity', '0.5'], 2, /--sparsity was decided when the run was started/],
    [
      ['other.safetensors', '--sparsity', '0.5'],
      2,
      /other\.safetensors does not say which model its weights are for\nadd --model <name>/,
    ],
  ])('ablate prune %j', async (args, code, message) => {
    writeFileSync(
      inFolder('other.safetensors'),
      encodeSafetensors(new Map([['a.weight', { shape: [1], data: Float32Array.of(1) }]]), {}),
    );
    const result = await ablate('prune', ...args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(existsSync(inFolder('tuto-pruned.safetensors.gz'))).toBe(false);
  });
});
