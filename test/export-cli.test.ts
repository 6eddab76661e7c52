/** Networks for microcontrollers from the command line. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cifar10Classes } from '../src/data/cifar10.ts';
import { freezeUntrained } from './freeze-untrained.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { countMultiplyAdds } from '../src/nn/network.ts';
import { initialValues } from '../src/nn/parameter.ts';
import { encodePng } from '../src/runs/png.ts';
import { encodeSafetensors } from '../src/runs/safetensors.ts';
import { uint32 } from '../src/util/random.ts';
import { missingTool } from './missing-tool.ts';
import { runCli } from './run-cli.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-export-cli-'));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });
const data = ['--data', 'images:images', '--images', '40', '--vectors', '6'];

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

const small = { model: 'squeeze0', 'conv1.filters': 8, inputSize: 16 } as const;

beforeAll(async () => {
  writeImages();
  const frozen = await freezeUntrained(referenceEngine, { ...small, standardization: 'channel' });
  writeFileSync(inFolder('model.onnx'), frozen.encode(null));
  const perImage = await freezeUntrained(referenceEngine, small);
  writeFileSync(inFolder('per-image.onnx'), perImage.encode(null));
  const lrn = await freezeUntrained(referenceEngine, { model: 'tuto', inputSize: 12, standardization: 'channel' });
  writeFileSync(inFolder('lrn.onnx'), lrn.encode(null));
  const network = buildModel('squeeze0', { settings: { 'conv1.filters': 8 }, input: 16 });
  const tensors = new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }]));
  writeFileSync(inFolder('other.tflite'), 'TFL3x');
  writeFileSync(inFolder('weights.safetensors'), encodeSafetensors(tensors, { model: 'squeeze0' }));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files = ['squeeze0.c', 'squeeze0.h', 'squeeze0_test_vectors.h', 'main.c', 'Makefile'];

describe('C code', () => {
  test('figures as JSON, files that can be written again, and what they say of themselves', async () => {
    const { code, stdout, stderr } = await ablate(
      'export',
      'model.onnx',
      '--c',
      'out',
      ...data,
      '--device',
      'm4@100,M7',
      '--json',
    );
    expect(code, stderr).toBe(0);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    const multiplyAdds = countMultiplyAdds(buildModel('squeeze0', { settings: { 'conv1.filters': 8 }, input: 16 }));
    expect(result).toMatchObject({
      files: files.map((name) => join('out', name)),
      multiplyAdds,
      cores: [
        { core: 'm4', clockMHz: 100 },
        { core: 'm7', clockMHz: 280 },
      ],
      images: 20,
      ramBytes: { peakLayer: 'fire1/expand1x1' },
    });
    const [m4, m7] = (result as { cores: { ms: number }[] }).cores;
    // More than a cycle for each product; both cores take as many instructions.
    expect(m4!.ms).toBeGreaterThan(multiplyAdds / 100_000);
    expect((m4!.ms * 100) / (m7!.ms * 280)).toBeCloseTo(1.25 / 0.85, 6);
    const { flashBytes, ramBytes, accuracy, floatAccuracy, agreement } = result as {
      flashBytes: { weights: number; code: number };
      ramBytes: { activations: number };
      [key: string]: unknown;
    };
    const memory = /windows\[(\d+)\];\s+int8_t tensors\[(\d+)\]/.exec(readFileSync(inFolder('out/squeeze0.h'), 'utf8'))!;
    expect(ramBytes.activations).toBe(4 * Number(memory[1]) + Number(memory[2]));
    expect(flashBytes.code).toBeGreaterThan(1000);
    expect(flashBytes.code).toBeLessThan(8000);
    for (const share of [accuracy, floatAccuracy, agreement]) expect(share).toBeTypeOf('number');

    const source = readFileSync(inFolder('out/squeeze0.c'), 'utf8');
    expect(source.split('\n').slice(0, 5)).toEqual([
      '/*',
      expect.stringMatching(/^ \* Made of model\.onnx \(squeeze0\) by ablate's export\. Training [0-9a-f]{12}\.$/),
      expect.stringMatching(/^ \* 8-bit integers, calibrated on 40 training images \(mse\); ablate \d/),
      expect.stringMatching(/^ \* Accuracy of these integers: [\d.]+% of 20 test images of images \(float32: [\d.]+%\)\.$/),
      ' */',
    ]);
    expect(source).not.toContain(folder);
    // The same images and options give the same bytes; what the command made itself, it replaces.
    const again = await ablate('export', 'model.onnx', '--c', 'out', ...data);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('replaced out/squeeze0.c');
    expect(again.stdout).toMatch(
      /^wrote out\/squeeze0\.c, .*\nflash: .*\nRAM: .*fire1\/expand1x1.*\n3\.05M multiply-adds .*\ntest accuracy .*\n$/s,
    );
    expect(readFileSync(inFolder('out/squeeze0.c'), 'utf8')).toBe(source);
  });

  test('weights give the same code as the file that was frozen of them', async () => {
    const settings = [
      '--set',
      'conv1.filters=8',
      '--set',
      'inputSize=16',
      '--set',
      'standardization=channel',
      '--set',
      'dataset=images',
    ];
    const classes = ['--classes', cifar10Classes.join(',')];
    const { code, stderr } = await ablate(
      'export',
      'weights.safetensors',
      '--c',
      'weights-out',
      ...settings,
      ...classes,
      ...data,
    );
    expect(code, stderr).toBe(0);
    await ablate('export', 'model.onnx', '--c', 'frozen-out', ...data);
    const code1 = readFileSync(inFolder('weights-out/squeeze0.c'), 'utf8').split('\n').slice(2);
    const code2 = readFileSync(inFolder('frozen-out/squeeze0.c'), 'utf8').split('\n').slice(2);
    expect(code1).toEqual(code2);
  });

  const missing = missingTool('make') ?? missingTool('cc');
  test.skipIf(missing !== undefined)(skippable('make check passes, under another name too', missing), async () => {
    const { code, stderr } = await ablate('export', 'model.onnx', '--c', 'named', '--name', 'eye2', '--no-evaluate', ...data);
    expect(code, stderr).toBe(0);
    expect(readdirSync(inFolder('named')).sort()).toEqual(['Makefile', 'eye2.c', 'eye2.h', 'eye2_test_vectors.h', 'main.c']);
    expect(readFileSync(inFolder('named/eye2.h'), 'utf8')).toContain('Its accuracy was not measured.');
    const printed = execFileSync('make', ['check'], { cwd: inFolder('named'), encoding: 'utf8' });
    expect(printed).toContain('6 of 6 images gave the expected logits');
  });
});

test('TensorFlow Lite, with C or alone, which says of itself what it is and may be replaced', async () => {
  const { code, stdout, stderr } = await ablate(
    'export',
    'model.onnx',
    '--c',
    'both',
    '--tflite',
    'a.tflite',
    '--no-evaluate',
    ...data,
    '--json',
  );
  expect(code, stderr).toBe(0);
  expect((JSON.parse(stdout) as { files: string[] }).files).toEqual([...files.map((name) => join('both', name)), 'a.tflite']);
  const bytes = readFileSync(inFolder('a.tflite'));
  for (const text of ['TFL3', "Made of model.onnx (squeeze0) by ablate's export.", `Classes: ${cifar10Classes.join(', ')}`]) {
    expect(bytes.includes(text), text).toBe(true);
  }
  const again = await ablate('export', 'model.onnx', '--tflite', 'a.tflite', '--no-evaluate', ...data);
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toContain('replaced a.tflite, an earlier export');
  expect(again.stdout).toMatch(/^wrote a\.tflite\n/);
  expect(readFileSync(inFolder('a.tflite'))).toEqual(bytes);
});

test('info and bench infer say what networks take on a core', async () => {
  const info = await ablate('info', 'resnet8', '--device', 'm4@120,m7', '--json');
  expect(info.code, info.stderr).toBe(0);
  const { device } = JSON.parse(info.stdout) as { device: object };
  expect(device).toMatchObject({
    multiplyAdds: 12_501_632,
    cores: [
      { core: 'm4', clockMHz: 120 },
      { core: 'm7', clockMHz: 280 },
    ],
  });
  const text = await ablate('info', 'resnet8', '--device', 'm4@120');
  expect(text.stdout).toMatch(
    /\nflash: 80\.5 kB of weights .*estimated.*\nRAM: .*\n12\.50M multiply-adds .* m4 at 120 MHz 230 ms\n$/,
  );
  const refused = await ablate('info', 'tuto', '--device', 'm4');
  expect(refused.stderr).toContain('layer "lrn1" is a local response normalization');
  expect(refused.code).toBe(1);

  const turns = ['--threads', '1', '--batch-sizes', '1', '--rounds', '1', '--round-ms', '5', '--device', 'm33'];
  const bench = await ablate('bench', 'infer', 'model.onnx', 'lrn.onnx', ...turns, '--json');
  expect(bench.code, bench.stderr).toBe(0);
  const results = JSON.parse(bench.stdout) as { file: string; device: { multiplyAdds: number } | null }[];
  const multiplyAdds = countMultiplyAdds(buildModel('squeeze0', { settings: { 'conv1.filters': 8 }, input: 16 }));
  expect(results.map(({ file, device: each }) => [file, each?.multiplyAdds])).toEqual([
    ['model.onnx', multiplyAdds],
    ['model.onnx', multiplyAdds],
    ['lrn.onnx', undefined],
    ['lrn.onnx', undefined],
  ]);
  expect(bench.stderr).toContain('lrn.onnx on a microcontroller: layer "lrn1" is a local response normalization');
  expect((await ablate('bench', 'infer', 'model.onnx', ...turns)).stdout).toMatch(
    /network +flash +RAM +multiply-adds +m33 @160 MHz\nmodel\.onnx/,
  );
});

describe('refused before anything is written', () => {
  test.each<[string, readonly string[], number, string]>([
    ['nothing to write', ['model.onnx'], 2, 'export must be told what to write\nadd --c <folder> for C, or --tflite <file>'],
    [
      'a network with per-image standardization',
      ['per-image.onnx', '--c', 'no'],
      1,
      'train it with constants, which cost nothing: --set standardization=channel',
    ],
    ['local response normalization', ['lrn.onnx', '--c', 'no'], 1, 'layer "lrn1" is a local response normalization'],
    [
      'a name that is no identifier',
      ['model.onnx', '--c', 'no', '--name', '2fast'],
      2,
      'name (=2fast) must be an identifier in C: a letter, then',
    ],
    [
      'a name that C has taken',
      ['model.onnx', '--c', 'no', '--name', 'switch'],
      2,
      'name (=switch) must be an identifier in C: a word that',
    ],
    ['too few images', ['model.onnx', '--c', 'no', '--images', '5'], 2, 'images (=5) must be at least 32'],
    ['more images than there are', ['model.onnx', '--c', 'no', '--images', '500'], 2, 'images (=500) must be at most 80'],
    [
      'more test images than there are',
      ['model.onnx', '--c', 'no', '--vectors', '21'],
      2,
      'vectors (=21) must be at most 20: so many test images images:',
    ],
    [
      'a core that is not known',
      ['model.onnx', '--c', 'no', '--device', 'm44'],
      2,
      'device (=m44) must begin with a core. Did you mean "m4"?',
    ],
    ['a clock that is none', ['model.onnx', '--c', 'no', '--device', 'm4@0'], 2, 'device (=m4@0) must have a clock above 0'],
    ['a folder in a folder that is not there', ['model.onnx', '--c', 'no/no'], 1, 'cannot make the folder no/no'],
    ['a file for a folder', ['model.onnx', '--c', 'model.onnx'], 1, 'cannot write into model.onnx: it is no folder'],
    ['another ending', ['model.onnx', '--tflite', 'no.tfl'], 2, 'tflite (=no.tfl) must end in .tflite'],
    [
      'a model of something else',
      ['model.onnx', '--tflite', 'other.tflite'],
      1,
      'other.tflite exists, a file of 5 B\nreplace it with --force',
    ],
    ['a run that is not there', ['tuto/9', '--c', 'no'], 1, 'tuto/9'],
    [
      'options of weights for a frozen file',
      ['model.onnx', '--c', 'no', '--classes', 'a,b'],
      2,
      '--classes is not for a frozen file',
    ],
  ])('%s', async (_, [reference, ...options], exitCode, message) => {
    const given = options.includes('--images')
      ? ['--data', 'images:images']
      : data.slice(0, options.includes('--vectors') ? 4 : undefined);
    const { code, stdout, stderr } = await ablate('export', reference!, ...given, ...options);
    expect(stderr).toContain(message);
    expect(code).toBe(exitCode);
    expect(stdout).toBe('');
    expect(existsSync(inFolder('no'))).toBe(false);
  });

  test('a quantized file', async () => {
    expect((await ablate('quantize', 'model.onnx', '--data', 'images:images', '--images', '40', '--no-evaluate')).code).toBe(0);
    const { code, stderr } = await ablate('export', 'model.int8.onnx', '--c', 'no', ...data);
    expect(stderr).toContain('model.int8.onnx is quantized already (int8)');
    expect(code).toBe(1);
  });

  test('files of somebody else', async () => {
    mkdirSync(inFolder('mine'));
    writeFileSync(inFolder('mine/Makefile'), 'all:\n');
    const { code, stderr } = await ablate('export', 'model.onnx', '--c', 'mine', ...data);
    expect(stderr).toContain('mine/Makefile exists, and was not made of model.onnx in the same way');
    expect(code).toBe(1);
    expect(readdirSync(inFolder('mine'))).toEqual(['Makefile']);
    expect((await ablate('export', 'model.onnx', '--c', 'mine', ...data, '--force', '--no-evaluate')).code).toBe(0);
    expect(readFileSync(inFolder('mine/Makefile'), 'utf8')).toContain('make check');
    // Of another training, whose file has the same name.
    mkdirSync(inFolder('other'));
    const other = await freezeUntrained(referenceEngine, { ...small, standardization: 'channel', seed: 2 });
    writeFileSync(inFolder('other/model.onnx'), other.encode(null));
    const refused = await ablate('export', 'other/model.onnx', '--c', 'mine', ...data);
    expect(refused.stderr).toMatch(/mine\/squeeze0\.c exists, and was not made of other\/model\.onnx in the same way/);
    expect(refused.code).toBe(1);
  });
});
