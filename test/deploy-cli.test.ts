/** Freezing and labelling from the command line, and what they say of bad input. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freezeUntrained } from './freeze-untrained.ts';
import type { Labelled } from '../src/deploy/label.ts';
import { readFrozenMetadata } from '../src/deploy/metadata.ts';
import { decodeModel, encodeModel, type TensorProto } from '../src/deploy/onnx/schema.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { initialValues } from '../src/nn/parameter.ts';
import { encodePng } from '../src/runs/png.ts';
import { encodeSafetensors } from '../src/runs/safetensors.ts';
import { uint32 } from '../src/util/random.ts';
import { runCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-deploy-'));
const inFolder = (name: string) => join(folder, name);
const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });

function png(width: number, height: number): Uint8Array {
  const samples = Uint8Array.from({ length: width * height * 3 }, (_, i) => uint32(9, i) % 256);
  return encodePng({ width, height, channels: 3, samples });
}

beforeAll(async () => {
  symlinkSync('/dev/null', inFolder('null.onnx'));
  const frozen = await freezeUntrained(referenceEngine, { model: 'squeeze0' });
  writeFileSync(inFolder('model.onnx'), frozen.encode(null));
  writeFileSync(inFolder('image.png'), png(50, 40));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('label', () => {
  test('classifies a folder of PNG, JPEG and WebP images of any size', async () => {
    mkdirSync(inFolder('images'));
    const picture = sharp(png(60, 45));
    writeFileSync(inFolder('images/a.png'), png(32, 32));
    writeFileSync(inFolder('images/b.jpg'), await picture.jpeg().toBuffer());
    writeFileSync(inFolder('images/c.webp'), await picture.webp().toBuffer());
    writeFileSync(inFolder('images/grey.png'), await picture.greyscale().png().toBuffer());
    writeFileSync(inFolder('images/notes.txt'), 'not an image');
    const { code, stdout, stderr } = await ablate('label', 'model.onnx', 'images', '--runs', '2', '--top', '3', '--json');
    expect(stderr).toBe('Passed over in images: 1 .txt (images are .png, .jpg, .jpeg or .webp files directly in the folder)\n');
    expect(code).toBe(0);
    const results = JSON.parse(stdout) as Labelled[];
    expect(results.map(({ image }) => image)).toEqual(
      ['a.png', 'b.jpg', 'c.webp', 'grey.png'].map((name) => join('images', name)),
    );
    for (const { top, inferenceMs } of results) {
      expect(top).toHaveLength(3);
      expect(top[0]!.probability).toBeGreaterThanOrEqual(top[1]!.probability);
      expect(inferenceMs).toBeGreaterThan(0);
    }
  });

  test('of a file that ONNX Runtime cannot load or run, our error is all that is said', async () => {
    const model = decodeModel(readFileSync(inFolder('model.onnx')))!;
    const withTensor = (name: RegExp, change: (tensor: TensorProto) => Partial<TensorProto>) => {
      const initializer = model.graph.initializer.map((each) => (name.test(each.name) ? { ...each, ...change(each) } : each));
      expect(initializer).not.toEqual(model.graph.initializer);
      return encodeModel({ ...model, graph: { ...model.graph, initializer } });
    };
    for (const [bytes, message] of [
      [
        withTensor(/^preprocess\/two$/, () => ({ rawData: new Uint8Array() })),
        /^error: ONNX Runtime cannot load damaged\.onnx: .*'preprocess\/two'.*\nfreeze it again\n$/,
      ],
      [
        // It fits until it is run.
        withTensor(/^preprocess\/shape$/, () => ({ rawData: new Uint8Array(BigInt64Array.of(0n, 25n, 25n, 3n).buffer) })),
        /^error: ONNX Runtime cannot run damaged\.onnx on a batch of 1: .*Reshape.*\nfreeze it again\n$/,
      ],
    ] as const) {
      writeFileSync(inFolder('damaged.onnx'), bytes);
      const { code, stdout, stderr } = await ablate('label', 'damaged.onnx', 'image.png', '--runs', '1');
      expect(stderr).toMatch(message);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    }
  });

  test('a bad image among good ones is named, the others are classified, and the exit code is 1', async () => {
    mkdirSync(inFolder('mixed'));
    writeFileSync(inFolder('mixed/a.png'), png(32, 32));
    writeFileSync(inFolder('mixed/b.png'), png(32, 32).subarray(0, 700));
    const { code, stdout, stderr } = await ablate('label', 'model.onnx', 'mixed', '--runs', '1', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toHaveLength(1);
    expect(stderr).toContain('b.png cannot be decoded');
    expect(stderr).toContain('1 of 2 images could not be classified');
  });

  /** A few kilobytes, as every pixel is black. */
  const hugePng = () => encodePng({ width: 10_000, height: 10_000, channels: 1, samples: new Uint8Array(100_000_000) });

  test.each([
    ['text.png', () => Buffer.from('this is no image'), 'is not an image, and must be PNG, JPEG or WebP'],
    ['truncated.png', () => png(64, 64).subarray(0, 3000), 'cannot be decoded'],
    ['empty.png', () => new Uint8Array(), 'is empty (0 bytes)'],
    ['small.png', () => png(40, 23), 'is 23x40 pixels (height x width), and the network sees 24x24'],
    ['huge.png', hugePng, 'has 100 megapixels, and at most 64 megapixels are read'],
    [
      'drawing.svg',
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>'),
      'is an SVG drawing, and must be PNG',
    ],
  ])('%s is refused', async (name, content, message) => {
    writeFileSync(inFolder(name), content());
    const { code, stdout, stderr } = await ablate('label', 'model.onnx', name, '--runs', '1');
    expect(stderr).toContain(`error: ${name} ${message}`);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('a model that is not ours, and files that are not there, are refused', async () => {
    writeFileSync(inFolder('foreign.onnx'), Buffer.from([0x08, 0x07, 0x12, 0x01, 0x78, 0x42, 0x02, 0x10, 0x11]));
    const foreign = await ablate('label', 'foreign.onnx', 'image.png');
    expect(foreign.stderr).toContain('foreign.onnx was not written by ablate');
    expect(foreign.code).toBe(1);
    const missing = await ablate('label', 'missing.onnx', 'image.png');
    expect(missing.stderr).toContain('cannot read missing.onnx: no such file or folder');
    expect(missing.code).toBe(1);
  });

  test('a compressed file labels as it is; one that is cut off is refused by name', async () => {
    const packed = gzipSync(readFileSync(inFolder('model.onnx')));
    writeFileSync(inFolder('packed.onnx.gz'), packed);
    writeFileSync(inFolder('cut.onnx.gz'), packed.subarray(0, 20_000));
    const top = async (model: string) => {
      const { code, stdout, stderr } = await ablate('label', model, 'image.png', '--runs', '1', '--json');
      expect(code, stderr).toBe(0);
      return (JSON.parse(stdout) as Labelled[])[0]!.top;
    };
    expect(await top('packed.onnx.gz')).toEqual(await top('model.onnx'));
    const { code, stdout, stderr } = await ablate('label', 'cut.onnx.gz', 'image.png');
    expect(stderr).toContain('error: the gzip data of cut.onnx.gz are damaged: unexpected end of file');
    expect([code, stdout]).toEqual([1, '']);
  });

  test('damaged weights are refused by ONNX Runtime', async () => {
    writeFileSync(inFolder('cut.onnx'), readFileSync(inFolder('model.onnx')).subarray(0, 20_000));
    const { code, stderr } = await ablate('label', 'cut.onnx', 'image.png');
    expect(stderr).toContain('cut.onnx is not an ONNX file, or is damaged');
    expect(code).toBe(1);
  });
});

describe('freeze', () => {
  function writeWeights(): void {
    const network = buildModel('nin0');
    const tensors = new Map(
      network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }] as const),
    );
    writeFileSync(inFolder('weights.safetensors'), encodeSafetensors(tensors, {}));
  }

  const freezeTo = (file: string) => ablate('freeze', 'weights.safetensors', '--model', 'nin0', '-o', file, '--json');

  test('writes weights from elsewhere, and says what is in the file', async () => {
    writeWeights();
    const { code, stdout, stderr } = await freezeTo('nin0.onnx');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: 'nin0.onnx',
      model: 'nin0',
      weights: 'raw',
      accuracy: null,
      parameters: 120_458,
    });
    expect(existsSync(inFolder('nin0.onnx'))).toBe(true);
  });

  test('compresses where the name says so', async () => {
    writeWeights();
    const { code, stdout, stderr } = await freezeTo('nin0.onnx.gz');
    expect(code, stderr).toBe(0);
    const bytes = readFileSync(inFolder('nin0.onnx.gz'));
    expect(JSON.parse(stdout)).toMatchObject({ file: 'nin0.onnx.gz', bytes: bytes.length });
    expect(readFrozenMetadata(gunzipSync(bytes), 'nin0.onnx.gz').model).toBe('nin0');
  });

  test.each([
    [['--weights', 'ema'], 1, 'has no moving averages'],
    [['--weights', 'best'], 2, "argument 'best' is invalid. It must be one of ema, raw."],
    [['--classes', 'cat,dog'], 1, 'does not fit the network'],
    [['-o', 'model.gz'], 2, 'output (=model.gz) must end in .onnx, or in .onnx.gz to be compressed'],
    // The system's own folder, which takes no files, not even from root.
    [['-o', '/proc/model.onnx'], 1, 'cannot write /proc/model.onnx'],
    // Root could rename a file over it.
    [['-o', 'null.onnx'], 1, 'cannot write null.onnx: it is a device, not a file'],
    [['-o', 'model.onnx'], 1, 'model.onnx exists, a frozen file of weights of squeeze0, step 0, and was not made of weights.saf'],
    [['-o', 'nowhere/model.onnx'], 1, 'cannot write nowhere/model.onnx: there is no folder nowhere'],
  ])('%j leaves no file', async (flags, exitCode, message) => {
    writeWeights();
    const before = readdirSync(folder);
    const { code, stderr } = await ablate('freeze', 'weights.safetensors', '--model', 'nin0', '-o', 'refused.onnx', ...flags);
    expect(stderr).toContain(message);
    expect(code).toBe(exitCode);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('a file of something else is replaced only if that is asked for; what it was is said', async () => {
    writeWeights();
    await freezeTo('kept.onnx');
    const before = readFileSync(inFolder('kept.onnx'));
    const again = await freezeTo('kept.onnx');
    expect(again.stderr).toContain(
      'error: kept.onnx exists, a frozen file of weights of nin0, and was not made of weights.safetensors',
    );
    expect(again.stderr).toContain('replace it with --force');
    expect([again.code, again.stdout]).toEqual([1, '']);
    const quantize = ['quantize', 'model.onnx', '--weights-only', 'int8', '--no-evaluate', '--json'];
    expect((await ablate(...quantize, '-o', 'kept.onnx')).code).toBe(1);
    expect(readFileSync(inFolder('kept.onnx'))).toEqual(before);
    const forced = await ablate(...quantize, '-o', 'kept.onnx', '--force');
    expect(forced).toMatchObject({ code: 0, stderr: 'replaced kept.onnx, a frozen file of weights of nin0\n' });
    const same = await ablate(...quantize, '-o', 'kept.onnx');
    expect(same).toMatchObject({ code: 0, stderr: 'replaced kept.onnx, a quantized file of weights of squeeze0, step 0\n' });
  });

  test('a folder that cannot be written is named', async () => {
    writeWeights();
    mkdirSync(inFolder('closed'));
    chmodSync(inFolder('closed'), 0o500);
    // Root may write everywhere, unless it gives up the right to.
    const rights = ['--bounding-set', '--inh-caps'].map((set) => `${set}=-dac_override,-dac_read_search`);
    const within = process.getuid!() === 0 ? ['setpriv', ...rights] : [];
    const args = ['freeze', 'weights.safetensors', '--model', 'nin0', '-o', 'closed/model.onnx'];
    const { code, stderr } = await runCli(args, { cwd: folder, within });
    expect(stderr).toContain('permission denied');
    expect(code).toBe(1);
    expect(readdirSync(inFolder('closed'))).toEqual([]);
  });
});
