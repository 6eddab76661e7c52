/** Trainings with an augmentation of the user's own, from a file and from a program. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { BatchLoader } from '../data/batch.ts';
import { createTrainingLoader, type TrainingLoaderOptions } from '../data/loader.ts';
import type { ApplyAugmentation } from '../data/own-augmentation.ts';
import { noAugmentation } from '../data/preprocessing.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { number } from '../models/settings.ts';
import { latestCheckpoint, loadCheckpoint } from '../runs/checkpoint.ts';
import type { Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { runIdentity } from '../study/identity.ts';
import { defineAugmentation } from '../user/augmentation.ts';
import { loadAugmentation } from '../user/augmentation-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { nextPatiently } from './own-augmentation.ts';
import { recordedConfig, resumeConfig } from './resume.ts';
import type { TrainOptions } from './train-options.ts';
import { train } from './train.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-own-'));
afterAll(() => rmSync(folder, { recursive: true }));
const runsFolder = join(folder, 'runs');
const dataset = noiseDataset(8, { train: 20, test: 4 });
const engine = referenceEngine;
const path = join(folder, 'augment.ts');

const tiny: ConfigOverrides = {
  ...{ model: 'tuto', dataset: 'noise', 'conv1.filters': 2, 'conv1.kernel': 3, 'conv2.filters': 2, 'conv2.kernel': 3 },
  ...{
    'dense1.features': 4,
    dense2: false,
    batchSize: 4,
    steps: 8,
    inputSize: 6,
    threads: 1,
    evalEvery: 0,
    logEvery: 1,
    saveEvery: 3,
  },
};

/** Adds noise, and fails as `more` says. */
const code = (more = ''): string => `import { defineAugmentation, number } from 'ablate';
import { add } from './add.ts';

export default defineAugmentation({
  name: 'noisy',
  settings: { strength: number(20, 'of the noise', { min: 0 }) },
  apply(image, random, { strength }) {
    add(image.pixels, () => random.normal(0, strength));
    ${more}
  },
});
`;

beforeEach(() => {
  writeFileSync(
    join(folder, 'add.ts'),
    'export const add = (pixels: Float32Array, draw: () => number) => pixels.forEach((p, i) => (pixels[i] = p + draw()));\n',
  );
  writeFileSync(path, code());
});

const noisy = defineAugmentation({
  name: 'noisy',
  settings: { strength: number(20, 'of the noise', { min: 0 }) },
  apply({ pixels }, random, { strength }) {
    for (let i = 0; i < pixels.length; i++) pixels[i]! += random.normal(0, strength);
  },
});

function start(overrides: ConfigOverrides, more: Partial<TrainOptions> = {}) {
  return train({ config: resolveConfig(tiny, overrides), engine, dataset, record: { runsFolder }, ...more });
}

function resume(run: Run, overrides: ConfigOverrides, more: Partial<TrainOptions> = {}) {
  return train({ config: resumeConfig(run, overrides), engine, dataset, record: { resume: run }, ...more });
}

function weightsOf(run: Run | undefined): ReadonlyMap<string, Tensor> {
  return loadCheckpoint(latestCheckpoint(run!)!.path).tensors;
}

test('a file and the same function of a program train the same; another setting does not', async () => {
  const { run: plain } = await start({});
  const { run: ofFile } = await start({ augmentWith: path });
  const { run: ofProgram } = await start({ augmentWith: noisy }, { augmentation: noisy });
  expect(weightsOf(ofFile)).not.toEqual(weightsOf(plain));
  expect(weightsOf(ofProgram)).toEqual(weightsOf(ofFile));
  const { run: weaker } = await start({ augmentWith: path, 'augmentWith.strength': 5 });
  expect(weightsOf(weaker)).not.toEqual(weightsOf(ofFile));
  expect(recordedConfig(weaker!)).toMatchObject({ augmentWith: path, augmentWithSettings: { strength: 5 } });
  expect(recordedConfig(ofProgram!)).toMatchObject({ augmentWith: 'noisy', augmentWithSettings: { strength: 20 } });
  const identities = [plain, ofFile, ofProgram, weaker].map((run) => runIdentity(recordedConfig(run!)));
  expect(new Set(identities).size).toBe(4);
  const { augmentationChecksum } = recordedConfig(ofFile!);
  expect(augmentationChecksum).toMatch(/^[0-9a-f]{64}$/);
  // Wherever the same file lies, it is the same experiment.
  expect(runIdentity({ ...recordedConfig(ofFile!), augmentWith: '/elsewhere/a.ts' })).toBe(identities[1]);
});

test('a run keeps its code, is resumed to the bit with the file or without, and not with another', async () => {
  const more = { augmentWith: path, 'augmentation.mixup': 1 };
  const { run: whole } = await start(more);
  const { run } = await start({ ...more, steps: 4 });
  expect(JSON.parse(readFileSync(join(run!.path, 'augmentation-file.json'), 'utf8'))).toMatchObject({ path });
  expect(readFileSync(join(run!.path, 'augmentation.mjs'), 'utf8')).toContain('strength');
  writeFileSync(path, `${code()}// changed\n`);
  await expect(resume(run!, { steps: 8 })).rejects.toThrow(`${path} has changed since the run ${run!.path} was started with it`);
  expect(weightsOf(run).get('conv1.weight')).toBeDefined();
  rmSync(path);
  rmSync(join(folder, 'add.ts'));
  await resume(run!, { steps: 6 });
  writeFileSync(path, code());
  writeFileSync(join(folder, 'add.ts'), 'export const add = 1;\n');
  await expect(resume(run!, { steps: 8 })).rejects.toThrow('has changed since');
  rmSync(path);
  await resume(run!, { steps: 8 });
  expect(weightsOf(run)).toEqual(weightsOf(whole));
});

test("a program's is resumed by the program alone", async () => {
  const given = { augmentation: noisy };
  const { run: whole } = await start({ augmentWith: noisy }, given);
  const { run } = await start({ augmentWith: noisy, steps: 5 }, given);
  await expect(resume(run!, { steps: 8 })).rejects.toThrow('augmentWith (=noisy) must be none, or a file of code that ends in');
  const other = { ...noisy, apply: () => undefined };
  await expect(resume(run!, { steps: 8 }, { augmentation: other })).rejects.toThrow('noisy has changed since the training');
  await resume(run!, { steps: 8 }, given);
  expect(weightsOf(run)).toEqual(weightsOf(whole));
});

describe('what it does wrong is told with the name of the file', () => {
  test.each([
    ['throws', 'if (random.uniform() < 0.1) throw new TypeError(`no more`);', /^augment\.ts:9: no more$/],
    [
      'no number',
      'if (random.uniform() < 0.1) image.pixels[1] = NaN;',
      /^augment\.ts: apply made a pixel NaN \(channel 0, row 0, column 1 of an image of 3x6x6\)/,
    ],
    [
      'another shape',
      'if (random.uniform() < 0.1) return new Float32Array(9);',
      /^augment\.ts: apply returned a Float32Array of 9 pixels; .* a Float32Array of 108 pixels/,
    ],
  ])('%s; what was trained is saved', async (_, more, message) => {
    writeFileSync(path, code(more));
    const augmentation = await loadAugmentation('augment.ts', { folder });
    const runs: (Run | undefined)[] = [];
    const hooks = { onStart: ({ run }: { run: Run | undefined }) => void runs.push(run) };
    // A thread prepares its batches ahead: only the long run comes to the image that fails.
    const error: unknown = await start({ augmentWith: path, steps: 500, saveEvery: 0 }, { augmentation, hooks }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).toMatch(message);
    const [run] = runs;
    const { status, step, reason } = readStatus(run!);
    expect([status, reason]).toEqual(['failed', (error as Error).message]);
    expect(latestCheckpoint(run!)?.step ?? 0).toBe(step);
  });

  test.each<[string, string, ConfigOverrides, RegExp]>([
    ['another export', 'export default { name: 1 };\n', {}, /must export what defineAugmentation returns as its default$/],
    ['what throws when it is read', 'export default { get name() { throw new Error(`read`); } };\n', {}, /augment\.ts:1: read$/],
    ['no export', 'export const a = 1;\n', {}, /has no default export$/],
    [
      'a name of a part of the library that threads do not have',
      "import { train } from 'ablate';\nexport default train;\n",
      {},
      /augment\.ts:1: "train" is nothing that a file of this kind can import from ablate$/,
    ],
    [
      'no function',
      "import { defineAugmentation } from 'ablate';\nexport default defineAugmentation({ name: 'a' } as never);\n",
      {},
      /augment\.ts:2: apply \(=missing\) of augmentation "a" must be a function/,
    ],
    [
      'a wrong name',
      "import { defineAugmentation } from 'ablate';\nexport default defineAugmentation({ name: '../a', apply() {} });\n",
      {},
      /augment\.ts:2: the name of an augmentation \(=\.\.\/a\) must begin/,
    ],
    [
      'a setting that it does not have',
      code(),
      { 'augmentWith.strenth': 3 },
      /^augmentation "noisy" has no setting "strenth"\. Did you mean "strength"\?$/,
    ],
    [
      'a value that its setting refuses',
      code(),
      { 'augmentWith.strength': -1 },
      /^strength \(=-1\) must be a number of at least 0 for augmentation "noisy"$/,
    ],
  ])('%s: before anything is written', async (_, text, overrides, message) => {
    writeFileSync(path, text);
    const record = { runsFolder: join(folder, 'none') };
    await expect(start({ augmentWith: path, ...overrides }, { record })).rejects.toThrow(message);
    expect(existsSync(record.runsFolder)).toBe(false);
  });

  test('a file that is not there, and what is no file', async () => {
    await expect(start({ augmentWith: join(folder, 'nowhere.ts') })).rejects.toThrow(`cannot read ${join(folder, 'nowhere.ts')}`);
    await expect(start({ augmentWith: 'flips' })).rejects.toThrow('augmentWith (=flips) must be none, or a file of code');
    expect(() => resolveConfig(tiny, { 'augmentWith.strength': 1 })).toThrow(
      'augmentWith (=none) must be the file that has the setting strength',
    );
  });
});

test('settings are those of the augmentation that is named last', () => {
  const layers = (...given: ConfigOverrides[]) => resolveConfig(tiny, ...given).augmentWithSettings;
  const base = { augmentWith: './a.ts', 'augmentWith.strength': 1, 'augmentWith.other': 2 };
  expect(layers(base, { 'augmentWith.strength': 3 })).toEqual({ strength: 3, other: 2 });
  expect(layers(base, { augmentWith: './b.ts', 'augmentWith.x': true })).toEqual({ x: true });
  expect(layers(base, { augmentWith: 'none' })).toEqual({});
  expect(layers(base, { augmentWith: './a.ts' })).toEqual({ strength: 1, other: 2 });
  expect(() => layers(base, { augmentWithSettings: 5 })).toThrow('augmentWithSettings (=5) must be');
});

test('batches are the same for any number of threads, and for processes that share them', async () => {
  const { file } = await loadAugmentation('augment.ts', { folder });
  const { train: images, shape } = dataset;
  const preprocessing = {
    inputSize: 6,
    standardization: { type: 'image' },
    augmentation: { ...noAugmentation, flip: 'random', mixup: 1 },
  } as const;
  const augmentation = { code: file.code, settings: { strength: 20 }, explain: (error: unknown) => error as Error };
  const apply: ApplyAugmentation = (image, random) => noisy.apply(image, random, { strength: 20 });
  async function batches(options: Partial<TrainingLoaderOptions>, count: number): Promise<number[][]> {
    const defaults = { images, shape, preprocessing, batchSize: 4, seed: 1, firstStep: 0, augmentation };
    const loader: BatchLoader = createTrainingLoader({ ...defaults, ...options });
    const copies: number[][] = [];
    for (let i = 0; i < count; i++) copies.push([...(await loader.next())!.inputs]);
    await loader.dispose();
    return copies;
  }
  const one = await batches({}, 8);
  expect(await batches({ workers: 3, ahead: 2 }, 8)).toEqual(one);
  expect(await batches({ firstStep: 5 }, 3)).toEqual(one.slice(5));
  expect(await batches({ augmentation: { apply } }, 8)).toEqual(one);
  const [first, second] = [
    await batches({ batchSize: 2, rank: 0, worldSize: 2 }, 8),
    await batches({ batchSize: 2, rank: 1, worldSize: 2 }, 8),
  ];
  expect(first.map((part, i) => [...part, ...second[i]!])).toEqual(one);
  expect(await batches({ augmentation: undefined }, 8)).not.toEqual(one);
});

test('a function that does not end is told of, and an abort need not wait for it', async () => {
  vi.useFakeTimers();
  try {
    const loader = { next: () => new Promise<never>(() => undefined), waitMs: 0, dispose: () => Promise.resolve() };
    const controller = new AbortController();
    const notices: string[] = [];
    const waiting = nextPatiently(loader, {
      name: 'a.ts',
      signal: controller.signal,
      onNotice: (notice) => void notices.push(notice),
    });
    controller.abort();
    await vi.advanceTimersByTimeAsync(9000);
    expect(notices).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await waiting).toBeUndefined();
    expect(notices).toEqual([expect.stringContaining('the augmentation of a.ts has not ended for 10 s')]);
  } finally {
    vi.useRealTimers();
  }
});
