import { expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { buildModel } from '../../models/registry.ts';
import { initialValues } from '../../nn/parameter.ts';
import { resolveConfig } from '../../train/config.ts';
import { fineTune, fineTuneConfig } from './fine-tune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });

test('weights that are zero in a file without masks stay zero, all others are trained', async () => {
  const config = resolveConfig({
    model: 'squeeze0',
    'conv1.filters': 8,
    inputSize: 12,
    batchSize: 8,
    dataset: 'noise',
    threads: 1,
  });
  const network = buildModel('squeeze0', { settings: config.modelSettings, input: [3, 12, 12], classes: 4 });
  const sparse = (values: Float32Array) => values.map((value, i) => (i % 2 === 0 ? 0 : value));
  const tensors = new Map(
    network.parameters.map((spec) => {
      const values = initialValues(spec, 1);
      return [spec.name, { shape: spec.shape, data: spec.role === 'weight' ? sparse(values) : values }] as const;
    }),
  );
  const source = { path: 'pruned.safetensors', file: { tensors, metadata: {} }, config, step: undefined, classes: undefined };
  const tuned = await fineTune(source, fineTuneConfig(source, 2, 1, 'noise'), { bits: 7, engine: referenceEngine, dataset });
  for (const { name, role } of network.parameters) {
    if (role !== 'weight') continue;
    const after = tuned!.file.tensors.get(name)!.data;
    const before = tensors.get(name)!.data;
    expect(after.every((value, i) => i % 2 === 1 || value === 0)).toBe(true);
    expect(after.some((value, i) => value !== before[i])).toBe(true);
  }
});
