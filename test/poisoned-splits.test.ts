/**
 * No image that evaluates is read by anything that trains, whitens, calibrates or checks. Each split is poisoned in turn (white images with
 * wrong labels in its place): what must not read it stays the same to the last bit, and what must read it changes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareOnTest } from '../src/compress/quantize/compare.ts';
import { fineTune, fineTuneConfig } from '../src/compress/quantize/fine-tune.ts';
import { quantize } from '../src/compress/quantize/quantize.ts';
import type { Dataset, ImageSet, SplitName } from '../src/data/dataset.ts';
import { sliceImages } from '../src/data/image-set.ts';
import { allocateImages } from '../src/data/new-image-set.ts';
import { evaluateFrozen } from '../src/deploy/evaluate.ts';
import { freeze, type Frozen } from '../src/deploy/freeze.ts';
import { openSession } from '../src/deploy/onnx-runtime.ts';
import { referenceEngine as engine } from '../src/engine/reference/engine.ts';
import { latestCheckpoint } from '../src/runs/checkpoint.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { resolveConfig } from '../src/train/config.ts';
import { createEvaluator } from '../src/train/evaluate.ts';
import { readSavedModel, type SavedModel } from '../src/train/saved-model.ts';
import type { Evaluation } from '../src/train/tally.ts';
import { train } from '../src/train/train.ts';
import { loadWeights } from '../src/train/weights.ts';
import { noiseDataset } from './noise-dataset.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-poison-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

/** The last 8 training images are those of validation. Test images are no whole number of batches. */
const counts = { train: 80, val: 8, test: 11 };
const border = counts.train - counts.val;
const clean = noiseDataset(16, { train: counts.train, test: counts.test });

function poisonedSet(set: ImageSet, from: number, to: number): ImageSet {
  const copy = allocateImages(set.count, clean.shape);
  copy.images.set(set.images);
  copy.labels.set(set.labels);
  const part = sliceImages(copy, from, to);
  part.images.fill(255);
  part.labels.forEach((label, i) => (part.labels[i] = (label + 1) % 4));
  return copy;
}

const poisoned = {
  val: { ...clean, train: poisonedSet(clean.train, border, counts.train) },
  test: { ...clean, test: poisonedSet(clean.test, 0, counts.test) },
  'first of train': { ...clean, train: poisonedSet(clean.train, 0, 1) },
  'last of train': { ...clean, train: poisonedSet(clean.train, border - 1, border) },
} satisfies Record<string, Dataset>;

type Poison = keyof typeof poisoned;
const ofTraining: readonly Poison[] = ['first of train', 'last of train'];

/** Three steps are one epoch of the images that train: each is read once. */
const keys: ConfigOverrides = {
  model: 'air94',
  recipe: 'modern',
  inputSize: 16,
  dataset: 'noise',
  'group1.filters': 4,
  'group2.filters': 4,
  'group3.filters': 6,
  batchSize: border / 3,
  steps: 3,
  evalEvery: 0,
  saveEvery: 0,
  logEvery: 1,
  threads: 1,
};

async function trained(dataset: Dataset, val: boolean): Promise<SavedModel> {
  const { run } = await train({ config: resolveConfig(keys, { val }), engine, dataset, record: { runsFolder } });
  return readSavedModel(latestCheckpoint(run!)!.path, {});
}

function weightsOf({ file }: SavedModel): Record<string, number[]> {
  return Object.fromEntries([...file.tensors].map(([name, { data }]) => [name, [...data]]));
}

let model: SavedModel;
let withoutVal: SavedModel;
let frozen: Frozen;
beforeAll(async () => {
  model = await trained(clean, true);
  withoutVal = await trained(clean, false);
  frozen = await freeze({ saved: model, weights: 'raw', engine });
});

test('training and whitening with val read the images that are left to train, each of them, and no other', async () => {
  for (const split of ['val', 'test'] as const) expect(weightsOf(await trained(poisoned[split], true))).toEqual(weightsOf(model));
  for (const one of ofTraining) {
    const changed = weightsOf(await trained(poisoned[one], true));
    expect(changed['whitening.weight'], one).not.toEqual(weightsOf(model)['whitening.weight']);
    expect(changed['dense.weight'], one).not.toEqual(weightsOf(model)['dense.weight']);
  }
});

test('without val, its images train and whiten as well; those of the test never do', async () => {
  expect(weightsOf(await trained(poisoned.test, false))).toEqual(weightsOf(withoutVal));
  const changed = weightsOf(await trained(poisoned.val, false));
  expect(changed['whitening.weight']).not.toEqual(weightsOf(withoutVal)['whitening.weight']);
});

test('fine-tuning for quantization keeps to the images that trained the network', async () => {
  const config = fineTuneConfig(model, { steps: 3, threads: 1, dataset: 'noise' });
  const tuned = async (dataset: Dataset) => weightsOf((await fineTune(model, config, { bits: 7, engine, dataset }))!);
  const right = await tuned(clean);
  for (const split of ['val', 'test'] as const) expect(await tuned(poisoned[split])).toEqual(right);
  expect(await tuned(poisoned['last of train'])).not.toEqual(right);
});

/** All images that may: half of them calibrate, the other half measures the layers. */
async function quantized(dataset: Dataset, of = frozen) {
  const { encode, check } = await quantize({
    file: { bytes: of.encode(null), source: 'frozen' },
    quantization: { scheme: 'int8', calibration: 'min-max' },
    check: { threads: 1 },
    seed: 1,
    dataset,
  });
  return { bytes: Buffer.from(encode(null)).toString('base64'), check };
}

test('calibration and the measuring of layers read training images only', async () => {
  const right = await quantized(clean);
  expect(right.check!.images).toBe(border / 2);
  for (const split of ['val', 'test'] as const) expect(await quantized(poisoned[split])).toEqual(right);
  for (const one of ofTraining) expect(await quantized(poisoned[one]), one).not.toEqual(right);
  // Validation images trained this one, and so they may calibrate it.
  const all = await freeze({ saved: withoutVal, weights: 'raw', engine });
  const rightWithAll = await quantized(clean, all);
  expect(rightWithAll.check!.images).toBe(counts.train / 2);
  expect(await quantized(poisoned.val, all)).not.toEqual(rightWithAll);
  expect(await quantized(poisoned.test, all)).toEqual(rightWithAll);
});

async function evaluate(dataset: Dataset, split: SplitName): Promise<Evaluation> {
  const { config } = model;
  const evaluator = await createEvaluator({
    engine,
    classifier: model.classifier!,
    dataset,
    split,
    useVal: true,
    batchSize: 4,
  });
  try {
    await loadWeights(evaluator.parameters, model.file, { kind: 'raw', model: config.model, source: model.path });
    return (await evaluator.run())!;
  } finally {
    await evaluator.dispose();
  }
}

async function evaluateFile(dataset: Dataset, split: SplitName): Promise<Evaluation> {
  const session = await openSession(frozen.encode(null), 'frozen');
  try {
    return (await evaluateFrozen({ session, metadata: frozen.metadata, dataset, split, batchSize: 4 }))!;
  } finally {
    await session.dispose();
  }
}

test.each([
  ['the engine', evaluate],
  ['a frozen file', evaluateFile],
])('evaluation by %s reads its own split', async (_, run) => {
  for (const split of ['val', 'test'] as const) {
    const right = await run(clean, split);
    for (const poison of Object.keys(poisoned) as Poison[]) {
      const { loss } = await run(poisoned[poison], split);
      if (poison === split) expect(loss).not.toBe(right.loss);
      else expect(loss, `${split} with poison in ${poison}`).toBe(right.loss);
    }
  }
});

test.each([
  ['the engine', evaluate],
  ['a frozen file', evaluateFile],
])('evaluation by %s reads every image once: the loss is the mean of the losses of each image alone', async (_, run) => {
  const alone: Evaluation[] = [];
  for (let i = 0; i < counts.test; i++) alone.push(await run({ ...clean, test: sliceImages(clean.test, i, i + 1) }, 'test'));
  const together = await run(clean, 'test');
  const mean = (value: (evaluation: Evaluation) => number): number =>
    alone.reduce((sum, evaluation) => sum + value(evaluation), 0) / counts.test;
  expect(new Set(alone.map(({ loss }) => loss)).size).toBe(counts.test);
  expect(together.loss).toBeCloseTo(
    mean(({ loss }) => loss),
    5,
  );
  expect(together.accuracy).toBeCloseTo(
    mean(({ accuracy }) => accuracy),
    10,
  );
});

test('two files are compared on every test image, and on no other', async () => {
  const compare = (dataset: Dataset) =>
    compareOnTest({ float: frozen.encode(null), quantized: frozen.encode(null), metadata: frozen.metadata, dataset, threads: 1 });
  const right = await compare(clean);
  expect(right).toMatchObject({ images: counts.test, agreement: 1 });
  expect(await compare(poisoned.val)).toEqual(right);
  expect(await compare(poisoned['last of train'])).toEqual(right);
  // All images are the same now and get one label, which is the poisoned label of a part of them.
  const { accuracy } = await compare(poisoned.test);
  expect([2, 3].map((right) => right / counts.test)).toContain(accuracy);
});
