import { expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { network, sparse } from '../../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { fineTune, fineTuneConfig } from './fine-tune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });

test('weights that are zero in a file without masks stay zero, all others are trained', async () => {
  const tuned = await fineTune(sparse, fineTuneConfig(sparse, 2, 1, 'noise'), { bits: 7, engine: referenceEngine, dataset });
  for (const { name, role } of network.parameters) {
    if (role !== 'weight') continue;
    const after = tuned!.file.tensors.get(name)!.data;
    const before = sparse.file.tensors.get(name)!.data;
    expect(after.every((value, i) => i % 2 === 1 || value === 0)).toBe(true);
    expect(after.some((value, i) => value !== before[i])).toBe(true);
  }
});
