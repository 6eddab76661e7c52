import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { network, sparse, untrained } from '../../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { buildModel } from '../../models/registry.ts';
import { initialValues } from '../../nn/parameter.ts';
import { checkpointWeights } from '../../runs/checkpoint-weights.ts';
import { createClassifier } from '../../train/classifier.ts';
import { resolveConfig } from '../../train/config.ts';
import { weightsChecksum } from '../../train/weights-checksum.ts';
import { encodeSavedWeights } from '../weights-file.ts';
import { fineTune, fineTuneConfig } from './fine-tune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });
const settings = { steps: 2, threads: 1, dataset: 'noise' };

test('weights that are zero in a file without masks stay zero, all others are trained', async () => {
  const tuned = await fineTune(sparse, fineTuneConfig(sparse, settings), { bits: 7, engine: referenceEngine, dataset });
  for (const { name, role } of network.parameters) {
    if (role !== 'weight') continue;
    const after = tuned!.file.tensors.get(name)!.data;
    const before = sparse.file.tensors.get(name)!.data;
    expect(after.every((value, i) => i % 2 === 1 || value === 0)).toBe(true);
    expect(after.some((value, i) => value !== before[i])).toBe(true);
  }
});

test('training sees weights of as many bits as asked for', async () => {
  const keys = {
    model: 'cs231n',
    'conv1.filters': 2,
    'dense1.features': 4,
    inputSize: 8,
    batchSize: 8,
    dataset: 'noise',
    threads: 1,
  };
  const config = resolveConfig(keys);
  const tiny = buildModel('cs231n', { settings: config.modelSettings, input: [3, 8, 8], classes: 4 });
  const tensors = new Map(tiny.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }]));
  const source = { ...untrained, config, classifier: undefined, file: { tensors, metadata: {} } };
  const images = noiseDataset(8, { train: 16, test: 4 });
  const tuned = async (bits: 7 | 8) => {
    const saved = await fineTune(source, fineTuneConfig(source, settings), { bits, engine: referenceEngine, dataset: images });
    return weightsChecksum(saved!.file.tensors);
  };
  const seven = await tuned(7);
  expect(await tuned(7)).toBe(seven);
  expect(await tuned(8)).not.toBe(seven);
});

test('a network that was trained in bf16 is tuned in float32; its own teacher and pruning are left out', () => {
  const config = resolveConfig({
    ...untrained.config,
    epochs: 'none',
    precision: 'bf16',
    teacher: 'nin2/1',
    pruning: { type: 'magnitude', sparsity: 0.5 },
  });
  expect(fineTuneConfig({ ...untrained, config }, settings)).toMatchObject({
    ...{ precision: 'f32', teacher: 'none', pruning: { type: 'none' }, steps: 2 },
    learningRate: 0.1 * config.learningRate,
  });
});

test('a teacher changes what is learnt, by as much as the configuration says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-teacher-'));
  try {
    const teacher = join(folder, 'teacher.safetensors');
    // Logits far from those of the network that learns.
    const tensors = new Map(
      [...untrained.file.tensors].map(([name, { shape, data }]) => [name, { shape, data: data.map((value) => -2 * value) }]),
    );
    const file = { tensors, metadata: {} };
    const saved = { ...untrained, classifier: createClassifier(untrained.config, dataset), file };
    writeFileSync(teacher, encodeSavedWeights(teacher, saved));
    const tune = async (teacherWeight: number, given: string | undefined) => {
      const source = { ...untrained, config: { ...untrained.config, teacherWeight } };
      const config = fineTuneConfig(source, { ...settings, teacher: given });
      const tuned = await fineTune(source, config, { bits: 7, engine: referenceEngine, dataset });
      return weightsChecksum(checkpointWeights(tuned!.file, 'raw', 'the tuned network'));
    };
    const [alone, none, half] = [await tune(0.5, undefined), await tune(0, teacher), await tune(0.5, teacher)];
    expect(none).toBe(alone);
    expect(half).not.toBe(alone);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
