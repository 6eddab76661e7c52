/** docs/own-layers.md: its code runs, and what it builds trains, is pruned, and is refused as the page says. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { channelsOf } from '../src/compress/prune/channels.ts';
import { freeze } from '../src/deploy/freeze.ts';
import type { CheckedLayer } from '../src/engine/custom-gradients.ts';
import { referenceEngine } from '../src/engine/reference/engine.ts';
import { NetworkBuilder, type Network } from '../src/nn/network.ts';
import type { CustomLayer } from '../src/nn/custom.ts';
import { listCheckpoints } from '../src/runs/checkpoint.ts';
import { resolveConfig } from '../src/train/config.ts';
import { createClassifier, type Classifier } from '../src/train/classifier.ts';
import { resumeConfig } from '../src/train/resume.ts';
import { readSavedModel } from '../src/train/saved-model.ts';
import { train } from '../src/train/train.ts';
import type { TrainOptions } from '../src/train/train-options.ts';
import { checkpointWeights } from '../src/runs/checkpoint-weights.ts';
import { readSafetensors } from '../src/runs/safetensors.ts';
import { loadOnednn } from './load-onednn.ts';
import { noiseDataset } from './noise-dataset.ts';
import { writeNoiseImages } from './noise-images.ts';
import { runCli } from './run-cli.ts';

const page = readFileSync(new URL('../docs/own-layers.md', import.meta.url), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'ablate-own-layers-'));
afterAll(() => rmSync(folder, { recursive: true }));

const library = fileURLToPath(new URL('../src/index.ts', import.meta.url));

/** The code blocks of the page, each run as a module of its own. */
async function run(block: number): Promise<Record<string, unknown>> {
  const code = [...page.matchAll(/```ts\n([\s\S]*?)```/g)][block]![1]!;
  const file = join(folder, `block${block}.ts`);
  writeFileSync(file, code.replaceAll(`from 'ablate'`, `from ${JSON.stringify(library)}`));
  return (await import(/* @vite-ignore */ file)) as Record<string, unknown>;
}

let composed: { network: Network };
let own: { network: Network; softThreshold: CustomLayer; checked: readonly CheckedLayer[] };
beforeAll(async () => {
  composed = (await run(0)) as typeof composed;
  own = (await run(1)) as typeof own;
});

const engine = (await loadOnednn()) ?? referenceEngine;
const dataset = { ...noiseDataset(32, { train: 16, test: 8 }), classes: 'abcdefghij'.split('') };

/** A training of a network, without a model of the lab's. */
function options(network: Network, changes: Partial<TrainOptions> = {}): TrainOptions {
  const config = resolveConfig({
    ...{ model: 'tuto', dataset: 'noise', inputSize: 32, recipe: 'modern', augment: false, steps: 6, batchSize: 8 },
    ...{ evalEvery: 0, saveEvery: 3, logEvery: 1, threads: 1 },
  });
  const { preprocessing, classes, imageShape } = createClassifier(config, dataset);
  const classifier: Classifier = { network, preprocessing, classes, imageShape };
  return { config, engine, dataset, classifier, ...changes };
}

test('the composed layers of the page are trained, can be pruned, and are frozen', async () => {
  const { status, saved } = await train(options(composed.network));
  expect(status).toBe('finished');
  const { channels, outputs } = channelsOf(composed.network);
  // The factor for a channel belongs to it, and the sums of both blocks join what they add.
  const { filters, fixed } = channels[outputs.get('stem')![0]!]!;
  expect(fixed).toBeUndefined();
  expect(filters.map(({ layer }) => layer)).toEqual([
    'stem',
    'block1/conv',
    'block1/se/excite',
    'block2/conv',
    'block2/se/excite',
  ]);
  const frozen = await freeze({ saved: saved!, engine });
  expect(frozen.encode(null).length).toBeGreaterThan(1000);
});

test("the custom layer's gradients are right, and checked where a training is asked to", async () => {
  expect(own.checked).toMatchObject([{ layer: 'threshold', type: 'softThreshold' }]);
  expect(own.checked[0]!.error).toBeLessThan(1e-6);
  const notices: string[] = [];
  const hooks = { onNotice: (notice: string) => notices.push(notice) };
  await train(options(own.network, { checkGradients: true, hooks }));
  expect(notices).toEqual([
    expect.stringMatching(
      /^layer "threshold" \(custom layer "softThreshold"\): \d+ gradients agree with central differences, to \S+ of the largest$/,
    ),
  ]);
  await train(options(composed.network, { checkGradients: true, hooks }));
  expect(notices[1]).toBe('mine has no custom layers whose gradients could be checked');
});

test('a wrong gradient stops a training before it begins, in the words of the page', async () => {
  const wrong: CustomLayer = {
    ...own.softThreshold,
    backward(pass) {
      own.softThreshold.backward(pass);
      pass.parameterGradients['threshold']![1] = 0.5;
    },
  };
  const b = new NetworkBuilder('sparse', [3, 32, 32]);
  const conv = b.conv('conv', b.input, { kernel: 5, stride: 2, filters: 16 });
  const network = b.build(b.dense('logits', b.custom('threshold', conv, wrong, { initial: 0.2 }), { features: 10 }));
  const message = page.split('both values:\n\n```\n')[1]!.split('\n')[0]!;
  const runsFolder = join(folder, 'wrong');
  await expect(train(options(network, { checkGradients: true, record: { runsFolder } }))).rejects.toThrow(message);
});

test('a run with a custom layer goes on to the same weights, given its functions again', async () => {
  const runsFolder = join(folder, 'runs');
  const whole = await train(options(own.network, { record: { runsFolder } }));
  const { run } = whole;
  const [first, last] = listCheckpoints(run!);
  expect([first!.step, last!.step]).toEqual([3, 6]);
  const weights = () => checkpointWeights(readSafetensors(last!.path), 'raw', last!.path);
  const expected = weights();
  expect(expected.get('threshold.threshold')!.data.some((value) => value !== Math.fround(0.2))).toBe(true);
  rmSync(last!.path);
  rmSync(join(run!.path, 'evaluation.json'), { force: true });
  const resume = (changes: Partial<TrainOptions>) =>
    train({ engine, dataset, config: resumeConfig(run!, {}), record: { resume: run! }, ...changes });
  await expect(resume({})).rejects.toThrow('layer "threshold" is the custom layer "softThreshold", whose functions are not here');
  await resume({ classifier: options(own.network).classifier! });
  expect(weights()).toEqual(expected);
});

test('a network with a custom layer is no ONNX file, whether it has its functions or not', async () => {
  const message = 'layer "threshold" is the custom layer "softThreshold", which cannot be written as ONNX';
  const runsFolder = join(folder, 'frozen');
  const { saved, run } = await train(options(own.network, { record: { runsFolder } }));
  await expect(freeze({ saved: saved!, engine })).rejects.toThrow(message);
  const read = readSavedModel(listCheckpoints(run!)[0]!.path, {});
  expect(read.classifier!.network.customLayers).toBeUndefined();
  await expect(freeze({ saved: read, engine })).rejects.toThrow(message);
});

describe('a file with a custom layer, by the command line', () => {
  const ablate = (...args: readonly string[]) => runCli(args, { cwd: folder });
  const training = ['--data', 'images:images', '--batch-size', '8', '--threads', '1', '--set', 'inputSize=16', '--steps', '4'];

  /** The page's layer in a file, with `backward` as it is given. */
  function writeNet(name: string, change: (code: string) => string = (code) => code): void {
    const [layer] = [...page.matchAll(/```ts\n([\s\S]*?)```/g)][1]![1]!.split('const b = new NetworkBuilder') as [string];
    const model = `export default defineModel({
      name: '${name}',
      settings: { filters: count(4, 'filters') },
      layers(b, { filters }, classes) {
        const conv = b.conv('conv', b.input, { kernel: 3, filters, activation: 'relu6' });
        const own = b.custom('threshold', conv, softThreshold, { initial: 0.2 });
        return b.dense('logits', b.globalAvgPool('average', own), { features: classes });
      },
    });`;
    const imports = "import { count, defineLayer, defineModel } from 'ablate';\n";
    writeFileSync(join(folder, `${name}.ts`), imports + change(layer.replace(/^import .*$/m, '')) + model);
  }

  beforeAll(() => {
    writeNoiseImages(join(folder, 'images'), { train: 16, test: 16, side: 16 });
  });

  test('it is checked, trained, continued, evaluated with its file, and refused by exporters', { timeout: 120_000 }, async () => {
    writeNet('net');
    const info = await ablate('info', 'net.ts', '--input', '16', '--json');
    expect(JSON.parse(info.stdout)).toMatchObject({
      layers: [{}, { kind: 'softThreshold', operations: 5 * 4 * 16 * 16 }, {}, {}],
    });
    const trained = await ablate('train', 'net.ts', ...training, '--check-gradients');
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stderr).toMatch(
      /layer "threshold" \(custom layer "softThreshold"\): \d+ gradients agree with central differences/,
    );

    const resumed = await ablate('train', 'net.ts', '--resume', 'net/1', '--set', 'steps=6', '--json');
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ run: 'net/1', step: 6 });

    const evaluated = await ablate('eval', 'net/1', '--model', 'net.ts', '--json');
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ model: 'net', step: 6, images: 32 });
    const watched = await ablate('eval', 'net/1', '--watch', '--model', 'net.ts', '--json');
    expect(watched.code, watched.stderr).toBe(0);
    expect((JSON.parse(watched.stdout) as { step: number }[]).at(-1)).toMatchObject({ model: 'net', step: 6, images: 32 });
    const without = await ablate('eval', 'net/1');
    expect(without.code).toBe(2);
    expect(without.stderr).toContain('layer "threshold" is the custom layer "softThreshold", whose functions are not here');
    expect(without.stderr).toContain('--model <file>');

    const frozen = await ablate('freeze', 'net/1', '-o', 'net.onnx');
    expect(frozen.code).toBe(2);
    expect(frozen.stderr).toContain('layer "threshold" is the custom layer "softThreshold", which cannot be written as ONNX');
    const pruned = await ablate('prune', 'net/1', '--structured', '--filters', '0.5', '-o', 'small.safetensors');
    expect(pruned.code).toBe(2);
    expect(pruned.stderr).toContain('conv: the custom layer "threshold" reads it');
  });

  test('a study trains it, and its runs go on without the file', { timeout: 120_000 }, async () => {
    writeNet('studied');
    const study = {
      ...{ name: 'layers', dataset: 'images:images', design: 'one-at-a-time', seeds: [1] },
      baseline: { model: './studied.ts', recipe: '2017', steps: 2, batchSize: 8, inputSize: 16 },
      factors: [{ name: 'more filters', set: { filters: 6 } }],
    };
    writeFileSync(join(folder, 'layers.yaml'), JSON.stringify(study));
    const studied = await ablate('study', 'layers.yaml', '--threads', '1', '--no-latency', '--json');
    expect(studied.code, studied.stderr).toBe(0);
    rmSync(join(folder, 'studied.ts'));
    for (const runs of [['studied/1'], ['studied/1', 'studied/2']]) {
      const steps = String(2 + 2 * runs.length);
      const more = ['--set', `steps=${steps}`, '--json'];
      const { code, stderr } = await ablate('train', ...runs.flatMap((name) => ['--resume', name]), ...more);
      expect(code, stderr).toBe(0);
    }
  });

  test('a wrong gradient is told before anything is trained', { timeout: 60_000 }, async () => {
    writeNet('wrong', (code) => code.replace('dx![i] = dy[i]!;', 'dx![i] = 2 * dy[i]!;'));
    const { code, stderr } = await ablate('train', 'wrong.ts', ...training, '--check-gradients');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: layer "threshold" \(custom layer "softThreshold"\): the gradient of its input is \S+ at \[\d, \d, \d+, \d+\], and central differences of its forward are \S+$/m,
    );
    expect(existsSync(join(folder, 'runs/wrong'))).toBe(false);
  });

  test('what its functions throw is told with the file and the line', { timeout: 60_000 }, async () => {
    writeNet('thrower', (code) => code.replace('dx![i] = dy[i]!;', 'throw new Error("no gradient");'));
    const line =
      1 +
      readFileSync(join(folder, 'thrower.ts'), 'utf8')
        .split('\n')
        .findIndex((text) => text.includes('no gradient'));
    const { code, stderr } = await ablate('train', 'thrower.ts', ...training);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `error: layer "threshold" (custom layer "softThreshold"): its backward threw thrower.ts:${line}: no gradient`,
    );
  });
});
