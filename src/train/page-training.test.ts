import { expect, test } from 'vitest';
import { generatePageImages } from '../data/page-images.ts';
import { generateSynthetic } from '../data/synthetic.ts';
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
