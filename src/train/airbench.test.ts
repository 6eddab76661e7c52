/** The recipe `airbench` on a tiny network: whitening, Lookahead, decoupled rates, a bias frozen on the way, test-time augmentation. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { createTransform } from '../data/transform.ts';
import type { Engine, ParameterArena } from '../engine/engine.ts';
import { createOnednnEngine } from '../engine/onednn/engine.ts';
import { probeOnednn } from '../engine/onednn/probe.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { buildModel } from '../models/registry.ts';
import { latestCheckpoint, loadCheckpoint } from '../runs/checkpoint.ts';
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import { resolveConfig } from './config.ts';
import { createEvaluator } from './evaluate.ts';
import { initializeParameters } from './initialize.ts';
import { preprocessingOf } from './preprocessing.ts';
import { resumeConfig } from './resume.ts';
import { viewsOf } from './test-time-augmentation.ts';
import { train, type TrainHooks, type TrainResult } from './train.ts';
import { whitenFirstLayers } from './whitening.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-airbench-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const shape = [3, 16, 16] as const;

const dataset = noiseDataset(16, { train: 12, test: 8 });

const config = resolveConfig({
  model: 'air94',
  recipe: 'airbench',
  dataset: 'noise',
  'group1.filters': 4,
  'group2.filters': 4,
  'group3.filters': 6,
  batchSize: 3,
  steps: 11,
  evalEvery: 0,
  saveEvery: 0,
  logEvery: 1,
  threads: 1,
});

const engines: [string, () => Engine][] = [
  ['reference', () => referenceEngine],
  ...(probeOnednn().ok ? [['onednn', () => createOnednnEngine({ threads: 1 })] satisfies [string, () => Engine]] : []),
];

test.each(engines)(
  'on the %s engine: whitened, frozen, slow weights at the end, and resumed to the same bytes',
  async (_, create) => {
    const engine = create();
    const biases: number[][] = [];
    const straight = await train({ config, engine, dataset, record: { runsFolder } });
    const { tensors } = loadCheckpoint(latestCheckpoint(straight.run!)!.path);
    const names = [...tensors.keys()];
    expect(names).toContain('opt.momentum.whitening.bias');
    expect(names).toContain('opt.lookahead.group1/conv1/norm.mean');
    expect(names).not.toContain('opt.momentum.whitening.weight');
    // After the last step the parameters are the slow ones, statistics included.
    for (const name of ['dense.weight', 'whitening.bias', 'group3/conv2/norm.variance']) {
      expect(tensors.get(name)!.data).toEqual(tensors.get(`opt.lookahead.${name}`)!.data);
    }

    for (const stopAt of [3, 6]) {
      const controller = new AbortController();
      const hooks: TrainHooks = { onStep: ({ step }) => step === stopAt && controller.abort() };
      const stopped = await train({ config, engine, dataset, record: { runsFolder }, hooks, signal: controller.signal });
      expect(stopped).toMatchObject({ status: 'interrupted', step: stopAt + 1 });
      const saved = loadCheckpoint(latestCheckpoint(stopped.run!)!.path).tensors;
      biases.push([...saved.get('opt.momentum.whitening.bias')!.data]);
      expect(saved.get('whitening.weight')!.data).toEqual(tensors.get('whitening.weight')!.data);
      const resumed = await train({ config: resumeConfig(stopped.run!, {}), engine, dataset, record: { resume: stopped.run! } });
      expect(tensorBytes(resumed)).toEqual(tensorBytes(straight));
    }
    // 0.3025 of 11 steps: the bias and its momentum no longer change after the fourth.
    expect(biases[0]!.some((value) => value !== 0)).toBe(true);
    expect(biases[1]).toEqual(biases[0]);
  },
);

describe('test-time augmentation', () => {
  test('the weights of the views of each level add up to one', () => {
    expect(viewsOf('none')).toEqual([{ view: { mirror: false, shift: [0, 0] }, weight: 1 }]);
    expect(viewsOf('mirror').map(({ weight }) => weight)).toEqual([0.5, 0.5]);
    const six = viewsOf('mirror+shift').map(({ view, weight }) => [view.mirror, ...view.shift, weight]);
    expect(six).toEqual([
      [false, 0, 0, 0.25],
      [true, 0, 0, 0.25],
      [false, 1, 1, 0.125],
      [true, 1, 1, 0.125],
      [false, -1, -1, 0.125],
      [true, -1, -1, 0.125],
    ]);
  });

  const network = buildModel('air94', { settings: config.modelSettings, input: shape, classes: 4 });
  const preprocessing = preprocessingOf(config, shape);

  /** Weights in which no two views of an image look alike. */
  function fill(arena: ParameterArena): void {
    initializeParameters(arena, 1, { type: 'heNormal' });
    whitenFirstLayers(arena, dataset.train, shape, preprocessing);
  }

  test.each(['none', 'mirror', 'mirror+shift'] as const)(
    '%s: the loss is of the averaged logits, over every image',
    async (tta) => {
      const options = { network, dataset, split: 'test', useVal: false, preprocessing, batchSize: 5, tta } as const;
      const evaluator = createEvaluator({ ...options, engine: referenceEngine });
      fill(evaluator.parameters);
      const evaluation = (await evaluator.run())!;
      expect(await evaluator.run()).toMatchObject({ accuracy: evaluation.accuracy, loss: evaluation.loss, images: 8, tta });
      await evaluator.dispose();

      // Again, image by image.
      const plan = referenceEngine.compileInference(network, { batchSize: 1 });
      fill(plan.parameters);
      const transform = createTransform(shape, preprocessing);
      let loss = 0;
      for (let n = 0; n < dataset.test.count; n++) {
        const mean = [0, 0, 0, 0];
        for (const { view, weight } of viewsOf(tta)) {
          transform.evaluation(dataset.test.images, n, view, plan.input, 0);
          plan.forward();
          plan.output.forEach((logit, k) => (mean[k]! += weight * logit));
        }
        loss += Math.log(mean.reduce((sum, logit) => sum + Math.exp(logit), 0)) - mean[dataset.test.labels[n]!]!;
      }
      expect(evaluation.loss).toBeCloseTo(loss / dataset.test.count, 5);
    },
  );
});

/** All tensors of the last checkpoint, without the metadata. */
function tensorBytes({ run }: TrainResult): Buffer {
  const { tensors } = loadCheckpoint(latestCheckpoint(run!)!.path);
  return Buffer.from(encodeSafetensors(tensors as Map<string, Tensor>, {}));
}
