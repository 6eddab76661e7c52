/** Quantizing from the command line, and using the file as any other frozen file. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { freezeUntrained } from './freeze-untrained.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { initialValues } from '../src/nn/parameter.ts';
import { saveCheckpoint } from '../src/runs/checkpoint.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { encodePng } from '../src/runs/png.ts';
import { createRun } from '../src/runs/run-folder.ts';
import { encodeSafetensors, readSafetensors } from '../src/runs/safetensors.ts';
import { createClassifier, encodeClassifier } from '../src/train/classifier.ts';
import { resolveConfig } from '../src/train/config.ts';
import { uint32 } from '../src/util/random.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-quantize-cli-'));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });
const data = ['--data', 'images:images'];

/** Ten classes of noise of different brightness: 8 images to train and 2 to test of each. */
function writeImages(): void {
  for (const [split, count] of [
    ['train', 8],
    ['test', 2],
  ] as const) {
    for (const [label, name] of cifar10Classes.entries()) {
      mkdirSync(inFolder(`images/${split}/${name}`), { recursive: true });
      for (let i = 0; i < count; i++) {
        const samples = Uint8Array.from({ length: 32 * 32 * 3 }, (_, k) => 15 * label + (uint32(100 * label + i, k) % 120));
        const png = encodePng({ width: 32, height: 32, channels: 3, samples });
        writeFileSync(inFolder(`images/${split}/${name}/${i}.png`), png);
      }
    }
  }
}

beforeAll(async () => {
  writeImages();
  const frozen = await freezeUntrained(referenceEngine, { model: 'squeeze0' });
  writeFileSync(inFolder('model.onnx'), frozen.encode(null));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The one JSON document on stdout. */
async function json(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await ablate(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

test('a quantized file is measured, labels, is evaluated and benchmarked like any other', async () => {
  const result = await json('quantize', 'model.onnx', ...data, '--images', '40', '--keep-float', 'conv1');
  expect(result).toMatchObject({
    file: 'model.int8.onnx',
    bytes: readFileSync(inFolder('model.int8.onnx')).length,
    sourceBytes: readFileSync(inFolder('model.onnx')).length,
    scheme: 'int8',
    weightBits: 7,
    calibration: { method: 'mse', images: 40, seed: 1 },
    floatLayers: ['conv1'],
    test: { images: 20 },
    check: null,
  });
  const { test: measured } = result as { test: { accuracy: number } };
  const evaluated = await json('eval', 'model.int8.onnx', ...data);
  expect(evaluated).toMatchObject({ images: 20, accuracy: measured.accuracy });
  const image = 'images/test/cat/0.png';
  expect(await json('label', 'model.int8.onnx', image, '--runs', '1')).toMatchObject([{ image }]);
  const bench = ['--threads', '1', '--batch-sizes', '1', '--rounds', '1', '--round-ms', '10'];
  expect(await json('bench', 'infer', 'model.int8.onnx', ...bench)).toMatchObject([{ model: 'squeeze0' }, { runtime: 'ablate' }]);
});

test('compressed files are read and written like any other', async () => {
  writeFileSync(inFolder('packed.onnx.gz'), gzipSync(readFileSync(inFolder('model.onnx'))));
  const args = ['packed.onnx.gz', '--weights-only', 'int8', '--no-evaluate'];
  const result = await json('quantize', ...args, '-o', 'packed.int8.onnx.gz');
  const bytes = readFileSync(inFolder('packed.int8.onnx.gz'));
  const plain = await json('quantize', ...args);
  const uncompressed = readFileSync(inFolder('packed.int8-weights.onnx'));
  expect(gunzipSync(bytes)).toEqual(uncompressed);
  const sizes = { uncompressedBytes: uncompressed.length, sourceBytes: readFileSync(inFolder('model.onnx')).length };
  expect(result).toMatchObject({ file: 'packed.int8.onnx.gz', bytes: bytes.length, ...sizes });
  expect(plain).toMatchObject({ file: 'packed.int8-weights.onnx', bytes: uncompressed.length, ...sizes });
  const image = 'images/test/cat/0.png';
  expect(await json('label', 'packed.int8.onnx.gz', image, '--runs', '1')).toMatchObject([{ image }]);
  expect(await json('eval', 'packed.int8.onnx.gz', ...data)).toMatchObject({ images: 20 });
  const bench = ['--threads', '1', '--batch-sizes', '1', '--rounds', '1', '--round-ms', '10'];
  expect(await json('bench', 'infer', 'packed.int8.onnx.gz', ...bench)).toMatchObject([{ bytes: uncompressed.length }, {}]);
  const words = await ablate('quantize', ...args, '-o', 'words.onnx.gz');
  expect(words.stdout).toMatch(/^wrote words\.onnx\.gz: .* kB, uncompressed .* kB, \d+\.\d% of .* kB$/m);
});

test('the result in words, with a table of the layers', async () => {
  const args = ['--images', '40', '--max-drop', '100', '-o', 'words.onnx', '--no-reduce-range'];
  const { code, stdout, stderr } = await ablate('quantize', 'model.onnx', ...data, ...args);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^wrote words\.onnx: .* kB, \d+\.\d% of .* kB$/m);
  expect(stdout).toMatch(/^integer arithmetic, weights of 8 bits, activations of 8; mse on 40 training images$/m);
  expect(stdout).toMatch(/^conv1 +-?\d+\.\d\d +\d\.\de[+-]\d+ +quantized$/m);
  expect(stdout).toMatch(/^together /m);
  expect(stdout).toMatch(/^test accuracy .*, before .*, on 20 images; .* get the same label$/m);
});

describe('weights from elsewhere are frozen first', () => {
  beforeAll(() => {
    const tensors = new Map(
      buildModel('nin0').parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }] as const),
    );
    writeFileSync(inFolder('weights.safetensors'), encodeSafetensors(tensors, {}));
  });

  test('without images only the accuracy is not known', async () => {
    const args = ['weights.safetensors', '--model', 'nin0', '--weights-only', 'float16', '--data-dir', 'nowhere'];
    const { code, stdout, stderr } = await ablate('quantize', ...args);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('The accuracy is not measured: ');
    expect(stdout).toContain('wrote weights.float16.onnx');
    expect(existsSync(inFolder('weights.float16.onnx'))).toBe(true);
  });

  test('and trained on with rounded weights before', async () => {
    const args = ['--model', 'nin0', '--images', '40', '--fine-tune', '1', '--threads', '1', '--no-evaluate'];
    const tuned = await json('quantize', 'weights.safetensors', ...data, ...args, '-o', 'tuned.onnx');
    expect(tuned).toMatchObject({ model: 'nin0', fineTuningSteps: 1, test: null, run: null });
    expect(existsSync(inFolder('runs'))).toBe(false);
  });

  test('with a teacher, which a run or a file is', async () => {
    const config = resolveConfig({ model: 'nin0', dataset: 'images:images', batchSize: 8, precision: 'bf16', threads: 1 });
    const run = createRun(inFolder('teachers'), 'nin0', config, describeEnvironment({ ...config, libraries: {} }));
    const { tensors } = readSafetensors(inFolder('weights.safetensors'));
    const doubled = new Map([...tensors].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => 2 * x) }]));
    const classifier = createClassifier(config, { shape: [3, 32, 32], classes: cifar10Classes });
    const metadata = {
      model: 'nin0',
      config: JSON.stringify(config),
      classifier: JSON.stringify(encodeClassifier(classifier)),
    };
    saveCheckpoint(run, { step: 1, tensors: doubled, metadata });
    const args = ['quantize', 'nin0', '--runs-dir', 'teachers', ...data, '--images', '40', '--fine-tune', '1', '--no-evaluate'];
    // The run that is trained on is of bf16 itself.
    await json(...args, '-o', 'alone.onnx', '--threads', '1');
    await json(...args, '-o', 'taught.onnx', '--threads', '1', '--teacher', 'nin0');
    expect(readFileSync(inFolder('taught.onnx')).equals(readFileSync(inFolder('alone.onnx')))).toBe(false);
    const missing = await ablate(...args, '-o', 'missing.onnx', '--teacher', 'nowhere.safetensors');
    expect(missing.stderr).toContain('there is no file nowhere.safetensors');
    expect(missing.code).toBe(1);
  });
});

describe('bad input leaves no file', () => {
  test.each([
    [['--images', '8'], 2, 'images (=8) must be at least 32'],
    [['--calibration', 'kl'], 2, "argument 'kl' is invalid. It must be one of min-max, percentile, mse."],
    [['--keep-float', 'conv9'], 2, 'no layer "conv9" to keep in float'],
    [['--max-drop', '-1'], 2, 'maxDrop (=-1) must be a number of at least 0'],
    [['--fine-tune', '10'], 2, '--fine-tune needs weights to train'],
    [['--teacher', 'nin0'], 2, 'teacher (=nin0) is for training on before the weights are rounded\nadd --fine-tune <steps>'],
    [['-o', 'model.onnx'], 2, 'output (=model.onnx) is the file to quantize'],
  ])('%j', async (flags, exitCode, message) => {
    const before = readdirSync(folder);
    const { code, stdout, stderr } = await ablate('quantize', 'model.onnx', ...data, ...flags);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(code).toBe(exitCode);
    expect(readdirSync(folder)).toEqual(before);
  });
});
