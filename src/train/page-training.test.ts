import { expect, test } from 'vitest';
import { generatePageImages } from '../data/page-images.ts';
import { generateSynthetic } from '../data/synthetic.ts';
import type { Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { defineModel } from '../models/model.ts';
import { createClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import { trainInPage, type PageEvaluation, type PageTrainingOptions } from './page-training.ts';
import { train } from './train.ts';

const counts = { trainCount: 40, testCount: 10 };
const net = defineModel({
  name: 'net',
  settings: {},
  layers: (b, _settings, classes) =>
    b.dense(
      'logits',
      b.globalAvgPool('average', b.batchNorm('norm', b.conv('conv', b.input, { kernel: 3, filters: 4, stride: 4 }))),
      {
        features: classes,
      },
    ),
});
const engine = referenceEngine;
const inPage = (config: object, more: Partial<PageTrainingOptions> = {}) =>
  trainInPage({ config: { model: net, ...config }, engine, dataset: generatePageImages(counts), ...more });

test('the generated images are those of Node', () => {
  const { train: images, test: others } = generatePageImages(counts);
  const inNode = generateSynthetic(counts);
  expect(Buffer.compare(images.images, inNode.train.images)).toBe(0);
  expect([...others.labels]).toEqual([...inNode.test.labels]);
});

test.each([
  { recipe: '2017', steps: 5, batchSize: 4, evalEvery: 2 },
  {
    recipe: 'modern',
    steps: 4,
    batchSize: 16,
    val: true,
    augmentation: { mixup: 1 },
    lookahead: { type: 'lookahead', every: 2 },
  },
  { recipe: 'airbench', epochs: 1, batchSize: 20 },
])('the same losses, weights and evaluations as in Node: %o', async (keys) => {
  const losses: number[] = [];
  const evaluated: PageEvaluation[] = [];
  const page = await inPage(keys, { onStep: ({ loss }) => losses.push(loss), onEvaluation: (each) => evaluated.push(each) });

  const dataset = generateSynthetic(counts);
  const config = resolveConfig({ model: net, dataset: dataset.name, ...keys });
  const expected: number[] = [];
  const steps: number[] = [];
  const { saved, evaluations } = await train({
    ...{ config, dataset, engine, classifier: createClassifier(config, dataset, net) },
    hooks: {
      onStep: ({ loss }) => void expected.push(loss),
      onEvaluation: ({ step }) => void steps.push(step),
    },
  });
  expect(losses).toEqual(expected);
  expect([...new Set(evaluated.map(({ step }) => step))]).toEqual([...new Set(steps)]);
  const { accuracy, loss, confusion } = evaluations[0]!;
  expect(page.evaluation).toMatchObject({ accuracy, loss, confusion, step: page.config.steps });
  const prefix = page.evaluation!.weights === 'ema' ? 'ema.' : '';
  expect(page.weights.size).toBeGreaterThan(0);
  for (const [name, { data }] of page.weights) expect(data).toEqual(saved!.file.tensors.get(prefix + name)!.data);
});

test('an abort ends it after the step that it is at, with the weights of that step', async () => {
  const stop = new AbortController();
  const onStep = () => stop.abort();
  const { step, evaluation, weights } = await inPage({ steps: 50, batchSize: 4 }, { signal: stop.signal, onStep });
  expect({ step, evaluation, weights: weights.size }).toEqual({ step: 1, evaluation: undefined, weights: 8 });
});

test('what needs files, or does not fit, is refused in words', async () => {
  await expect(inPage({ init: 'tuto/1' })).rejects.toThrow(
    'init (=tuto/1) must be none in a page, which has no files and no runs',
  );
  const dataset = generatePageImages(counts);
  const labelled = (label: number) => ({ ...dataset, test: { ...dataset.test, labels: dataset.test.labels.map(() => label) } });
  await expect(inPage({}, { dataset: labelled(10) })).rejects.toThrow(
    'a label (=10) of the test images of synthetic must be the place of one of 10 classes, from 0',
  );
  const short = { ...dataset, train: { ...dataset.train, count: 41 } };
  await expect(inPage({}, { dataset: short })).rejects.toThrow(
    'the train images of synthetic must be 125952 bytes, 41 of [3, 32, 32], and are 122880',
  );
});

test('images that are none, or have not a label each, are refused in words', async () => {
  const dataset = generatePageImages(counts);
  const withTrain = (change: object) => inPage({}, { dataset: { ...dataset, train: { ...dataset.train, ...change } } });
  for (const count of [0, 1.5]) {
    await expect(withTrain({ count })).rejects.toThrow(`the train images of synthetic (=${count}) must be at least one`);
  }
  await expect(withTrain({ labels: dataset.train.labels.subarray(1) })).rejects.toThrow(
    'the train images of synthetic must have 40 labels, and have 39',
  );
});

test('what names files or runs is refused with its key; pruning needs none', async () => {
  const pruning = { pruning: true, 'pruning.sparsity': 0.5, steps: 4, batchSize: 4 };
  for (const [keys, key] of [
    [{ teacher: 'a' }, 'teacher'],
    [{ augmentWith: './a.ts' }, 'augmentWith'],
    [{ ...pruning, 'pruning.rewind': 'a' }, 'pruning.rewind'],
  ] as const) {
    await expect(inPage(keys)).rejects.toThrow(expect.objectContaining({ key }) as Error);
  }
  for (const rewind of ['rate', 'none']) {
    const { step, evaluation } = await inPage({ ...pruning, 'pruning.rewind': rewind }, { signal: AbortSignal.abort() });
    expect([step, evaluation]).toEqual([0, undefined]);
  }
});

test('steps that are under way are told of in their turn; all plans are let go, and nobody need listen', async () => {
  let open = 0;
  const inFlight: Engine = {
    ...engine,
    compileTraining: async (...args) => {
      open++;
      return Object.assign(await engine.compileTraining(...args), { stepsInFlight: 3, dispose: () => open-- });
    },
    compileInference: async (...args) => {
      open++;
      return Object.assign(await engine.compileInference(...args), { dispose: () => open-- });
    },
  };
  const told: string[] = [];
  const stop = new AbortController();
  const hooks = {
    onStep: ({ step, steps }: { step: number; steps: number }) => {
      told.push(`${step}/${steps}`);
      if (step === 6 && steps === 9) stop.abort();
    },
    onEvaluation: ({ step }: PageEvaluation) => told.push(`evaluated ${step}`),
  };
  const keys = { batchSize: 4, evalEvery: 0 };
  const { evaluation } = await inPage({ ...keys, steps: 4 }, { engine: inFlight, ...hooks });
  expect(told).toEqual(['1/4', '2/4', '3/4', '4/4', 'evaluated 4']);
  expect(evaluation).toMatchObject({ step: 4, split: 'test', images: 10 });
  told.length = 0;
  const stopped = await inPage({ ...keys, steps: 9, evalEvery: 4 }, { engine: inFlight, ...hooks, signal: stop.signal });
  expect(told.filter((text) => !text.startsWith('evaluated')).slice(0, 6)).toEqual(['1/9', '2/9', '3/9', '4/9', '5/9', '6/9']);
  expect(stopped.evaluation).toMatchObject({ step: 4 });
  const quiet = await inPage({ ...keys, steps: 1, val: true }, { engine: inFlight });
  expect(quiet.evaluation).toMatchObject({ step: 1, split: 'val', images: 4 });
  expect(open).toBe(0);
});
