/** Trainings with an augmentation of the user's own, from a file and from a program. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { singleProcess, type Collective } from '../cluster/collective.ts';
import type { Batch, BatchLoader } from '../data/batch.ts';
import { createTrainingLoader, type TrainingLoaderOptions } from '../data/loader.ts';
import type { ApplyAugmentation } from '../data/own-augmentation.ts';
import { noAugmentation } from '../data/preprocessing.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { number } from '../models/settings.ts';
import { latestCheckpoint, loadCheckpoint, saveCheckpoint } from '../runs/checkpoint.ts';
import { createRun, readConfig, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import type { Tensor } from '../runs/safetensors.ts';
import { runIdentity } from '../study/identity.ts';
import { defineAugmentation } from '../user/augmentation.ts';
import { loadAugmentation } from '../user/augmentation-file.ts';
import { recordedAugmentation, recordOfFile } from '../user/recorded-file.ts';
import { ConfigurationError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { nextPatiently, ownAugmentationOf } from './own-augmentation.ts';
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

/** That what is asked of a training is refused so. */
const refusal = (message: string, fix: string): Error =>
  expect.objectContaining({ name: 'ConfigurationError', message, key: 'augmentWith', fix }) as Error;

describe('where the code is found', () => {
  const environment = { engine: 'reference' } as unknown as Parameters<typeof createRun>[3];
  const found = async (overrides: ConfigOverrides, more: Partial<TrainOptions> = {}, collective = singleProcess) =>
    (await ownAugmentationOf({ config: resolveConfig(tiny, overrides), engine, dataset, ...more }, collective))!;

  /** A run that has kept the file as it is now, in a folder of runs of its own. */
  async function runWithCopy(name: string): Promise<{ run: Run; runsFolder: string; sha256: string }> {
    const { file } = await loadAugmentation(path);
    const runsFolder = mkdtempSync(join(folder, name));
    const config = resolveConfig(tiny, { augmentWith: path });
    return {
      run: createRun(runsFolder, 'tuto', config, environment, recordOfFile('augmentation', file)),
      runsFolder,
      sha256: file.sha256,
    };
  }

  test('for a training alone, with its defaults; none is none', async () => {
    expect(await found({})).toBeUndefined();
    const { file } = await loadAugmentation(path);
    const own = await found({ augmentWith: path });
    expect(own).toEqual({
      name: path,
      keys: { augmentWith: path, augmentWithSettings: { strength: 20 }, augmentationChecksum: file.sha256 },
      loader: { code: file.code, settings: { strength: 20 }, explain: expect.any(Function) as unknown },
      records: { 'augmentation-file.json': { path, sha256: file.sha256 }, 'augmentation.mjs': file.code },
    });
    await expect(found({}, { augmentation: await loadAugmentation(path) })).rejects.toThrow('augmentWith (=none) must be');
    const fix =
      'ablate new augmentation augment.ts writes one to start from. One of a program is also given to train, as augmentation';
    const message = 'augmentWith (=flips) must be none, or a file of code that ends in .ts, .js, .mts or .mjs';
    await expect(found({ augmentWith: 'flips' })).rejects.toThrow(refusal(message, fix));
  });

  test('by the first of several processes, which tells the others', async () => {
    const told: Uint8Array[] = [];
    const first: Collective = { ...singleProcess, worldSize: 2, broadcast: (bytes) => void told.push(bytes.slice()) };
    const own = await found({ augmentWith: path }, {}, first);
    rmSync(path);
    const second: Collective = { ...first, rank: 1, broadcast: (bytes) => bytes.set(told.shift()!) };
    const other = await found({ augmentWith: path }, {}, second);
    expect(other).toMatchObject({ name: own.name, keys: own.keys, records: {} });
    expect(other.loader).toMatchObject({ code: (own.loader as { code: string }).code, settings: { strength: 20 } });
    expect(other).not.toHaveProperty('recordChange');
  });

  test('of an earlier training it is the file, or where that is gone or another the copy of a run', async () => {
    const { run, runsFolder, sha256 } = await runWithCopy('earlier-');
    const empty = mkdtempSync(join(folder, 'empty-'));
    createRun(runsFolder, 'alex', resolveConfig(tiny), environment);
    const trained: ConfigOverrides = { augmentWith: path, augmentWithSettings: { strength: 20 }, augmentationChecksum: sha256 };
    const codeOf = async (more: Partial<TrainOptions>) => {
      const { keys, loader, records } = await found(trained, more);
      expect(keys).toEqual(trained);
      expect(records).toMatchObject({ 'augmentation-file.json': { path, sha256 } });
      return (loader as { code: string }).code;
    };
    const original = await codeOf({});
    expect(original).toContain('strength');
    const weights = { path: join(run.path, 'checkpoints', 'step-3.safetensors'), file: { tensors: new Map(), metadata: {} } };
    const places: Partial<TrainOptions>[] = [
      { record: { runsFolder } },
      { record: { resume: { ...run, path: join(runsFolder, 'tuto', '7') } } },
      { initialWeights: weights },
      { record: { runsFolder: empty }, initialWeights: weights },
      { record: { runsFolder: join(folder, 'nowhere') }, initialWeights: weights },
    ];
    for (const [change, what] of [
      [() => writeFileSync(path, `${code()}// changed\n`), 'has changed since the network was trained with it'],
      [() => rmSync(path), 'is gone, which the network was trained with'],
    ] as const) {
      change();
      for (const place of places) expect(await codeOf(place)).toContain('strength');
      const fix = 'restore it, or go on without it: --set augmentWith=none';
      for (const place of [{}, { record: { runsFolder: empty } }]) {
        await expect(found(trained, place)).rejects.toThrow(refusal(`${path} ${what}`, fix));
      }
    }
    // A copy is of that code alone.
    const other = { ...trained, augmentationChecksum: '0'.repeat(64) };
    await expect(found(other, { record: { runsFolder } })).rejects.toThrow('is gone, which the network was trained with');
  });

  test("a program's is refused where it is another than before", async () => {
    const given = { augmentation: noisy };
    const { keys } = await found({ augmentWith: noisy }, given);
    const before: ConfigOverrides = { augmentWith: 'noisy', augmentationChecksum: keys.augmentationChecksum };
    expect((await found(before, given)).keys).toEqual(keys);
    const message = 'noisy has changed since the training that is continued was started with it';
    const other = { augmentation: { ...noisy, apply: () => undefined } };
    await expect(found(before, other)).rejects.toThrow(refusal(message, 'restore it, or start a new run'));
  });

  test('of a run that goes on it is what it was started with, until another counts from there on', async () => {
    const { run, sha256 } = await runWithCopy('continued-');
    const goOn = (newAugmentation?: boolean, step?: number) => {
      if (step !== undefined) saveCheckpoint(run, { step, tensors: new Map(), metadata: {} });
      const record = { resume: run, ...(newAugmentation !== undefined && { newAugmentation }) };
      return found({ augmentWith: path, augmentWithSettings: { strength: 5 } }, { record });
    };
    const keys = { augmentWith: path, augmentWithSettings: { strength: 5 }, augmentationChecksum: sha256 };
    // Nothing to record: it is the same code, whether it is named again or not.
    for (const own of [await goOn(), await goOn(false), await goOn(true), await goOn(true, 2)]) {
      expect(own.keys).toEqual(keys);
      expect(own).not.toHaveProperty('recordChange');
    }
    writeFileSync(path, code('// mended'));
    await expect(goOn()).rejects.toThrow('has changed since the run');
    const { file } = await loadAugmentation(path);
    const mended = await goOn(true, 3);
    expect(mended.keys.augmentationChecksum).toMatch(/^[0-9a-f]{64}$/);
    expect([sha256, file.sha256]).not.toContain(mended.keys.augmentationChecksum);
    expect(readConfig(run)).toMatchObject({ augmentationChecksum: '' });
    expect(mended.recordChange!(run)).toBe(
      `${path} augments from step 3 on; the code before is kept in ${join(run.path, 'augmentation.mjs')}`,
    );
    expect(readConfig(run)).toMatchObject({ model: 'tuto', ...mended.keys });
    expect(recordedAugmentation(run)).toMatchObject({
      sha256: file.sha256,
      before: [{ sha256, until: 3, copy: 'augmentation.mjs' }],
    });
    expect(readFileSync(join(run.path, recordedAugmentation(run)!.copy), 'utf8')).toBe(file.code);
  });

  test('what replaces code that was never used leaves no trace of it', async () => {
    const { run } = await runWithCopy('unused-');
    writeFileSync(path, code('// mended'));
    const { file } = await loadAugmentation(path);
    // The file that was loaded already is not looked for again.
    rmSync(path);
    const augmentation = { definition: noisy, file };
    const { keys, recordChange } = await found(
      { augmentWith: path },
      { augmentation, record: { resume: run, newAugmentation: true } },
    );
    expect(keys.augmentationChecksum).toBe(file.sha256);
    expect(recordChange!(run)).toBeUndefined();
    expect(recordedAugmentation(run)).toMatchObject({ sha256: file.sha256, before: [] });
  });
});

describe('a function that does not end', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function waitFor(signal: AbortSignal | undefined, onNotice?: (notice: string) => void) {
    let arrive!: (batch: Batch | undefined) => void;
    const next = () => new Promise<Batch | undefined>((resolve) => (arrive = resolve));
    const loader: BatchLoader = { next, waitMs: 0, dispose: () => Promise.resolve() };
    const waiting = nextPatiently(loader, { name: 'a.ts', signal, ...(onNotice && { onNotice }) });
    return { waiting, arrive };
  }

  const batch: Batch = { inputs: new Float32Array(1), labels: new Uint8Array(1), count: 1 };
  const notice = 'still waiting for the next batch: the augmentation of a.ts has not ended for 10 s; Ctrl-C stops';

  test('is told of once, and an abort before or after need not wait for it', async () => {
    for (const abortAt of ['before', 'after']) {
      const controller = new AbortController();
      const notices: string[] = [];
      const { waiting } = waitFor(controller.signal, (text) => void notices.push(text));
      if (abortAt === 'before') controller.abort();
      await vi.advanceTimersByTimeAsync(9999);
      expect(notices).toEqual([]);
      await vi.advanceTimersByTimeAsync(1);
      expect(notices).toEqual([notice]);
      if (abortAt === 'after') controller.abort();
      expect(await waiting).toBeUndefined();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(notices).toHaveLength(1);
    }
  });

  test('and ends after all gives its batch; nothing waits or listens any more', async () => {
    const { signal } = new AbortController();
    const listeners: [string, unknown][] = [];
    vi.spyOn(signal, 'addEventListener').mockImplementation((...added) => void listeners.push([added[0], added[1]]));
    vi.spyOn(signal, 'removeEventListener').mockImplementation((type, listener) => {
      const at = listeners.findIndex(([addedType, added]) => addedType === type && added === listener);
      expect(at).toBeGreaterThanOrEqual(0);
      listeners.splice(at, 1);
    });
    for (const [seconds, listening] of [
      [5, 0],
      [15, 1],
    ] as const) {
      const { waiting, arrive } = waitFor(signal);
      await vi.advanceTimersByTimeAsync(1000 * seconds);
      expect(listeners).toHaveLength(listening);
      arrive(batch);
      expect(await waiting).toBe(batch);
      expect([vi.getTimerCount(), listeners.length]).toEqual([0, 0]);
    }
  });

  test('needs neither a signal nor a listener', async () => {
    const { waiting, arrive } = waitFor(undefined);
    await vi.advanceTimersByTimeAsync(11_000);
    arrive(batch);
    expect(await waiting).toBe(batch);
  });
});
