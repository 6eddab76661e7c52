/** The recipe `airbench` on a tiny network: whitening, Lookahead, decoupled rates, a bias frozen on the way, test-time augmentation. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { ImageSet } from '../data/dataset.ts';
import { allocateImages } from '../data/new-image-set.ts';
import type { Engine } from '../engine/engine.ts';
import { createOnednnEngine } from '../engine/onednn/engine.ts';
import { probeOnednn } from '../engine/onednn/probe.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { latestCheckpoint, loadCheckpoint } from '../runs/checkpoint.ts';
import { encodeSafetensors, type Tensor } from '../runs/safetensors.ts';
import { resolveConfig } from './config.ts';
import { resumeConfig } from './resume.ts';
import type { TrainHooks, TrainResult } from './train-options.ts';
import { train } from './train.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-airbench-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

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

test('images that are kept out of training change nothing but the evaluation', async () => {
  const large = noiseDataset(16, { train: 20, test: 4 });
  const trained = async (poisoned: ('val' | 'test' | 'train')[]) => {
    const copy = { ...large, train: copyOf(large.train), test: copyOf(large.test) };
    // The last tenth of the training images is for validation.
    const { length } = copy.train.images;
    if (poisoned.includes('val')) copy.train.images.fill(255, 0.9 * length, 0.95 * length);
    if (poisoned.includes('train')) copy.train.images.fill(255, 0.8 * length, 0.9 * length);
    if (poisoned.includes('test')) copy.test.images.fill(255);
    const result = await train({
      config: { ...config, steps: 2, batchSize: 18, val: true },
      engine: referenceEngine,
      dataset: copy,
      record: { runsFolder },
    });
    const whitening = loadCheckpoint(latestCheckpoint(result.run!)!.path).tensors.get('whitening.weight')!.data;
    return { bytes: tensorBytes(result), whitening, loss: result.evaluations[0]!.loss };
  };
  const clean = await trained([]);
  const held = await trained(['val', 'test']);
  expect(held.bytes).toEqual(clean.bytes);
  expect(held.loss).not.toBe(clean.loss);
  expect((await trained(['test'])).loss).toBe(clean.loss);
  const other = await trained(['train']);
  expect(other.bytes).not.toEqual(clean.bytes);
  expect(other.whitening).not.toEqual(clean.whitening);
});

function copyOf(set: ImageSet): ImageSet {
  const copy = allocateImages(set.count, [3, 16, 16]);
  copy.images.set(set.images);
  copy.labels.set(set.labels);
  return copy;
}

/** All tensors of the last checkpoint, without the metadata. */
function tensorBytes({ run }: TrainResult): Buffer {
  const { tensors } = loadCheckpoint(latestCheckpoint(run!)!.path);
  return Buffer.from(encodeSafetensors(tensors as Map<string, Tensor>, {}));
}
