import { expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { OnednnEngine } from '../engine/onednn/engine.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { benchmarkTraining } from './benchmark.ts';
import { resolveConfig } from './config.ts';

test('a teacher is refused, not silently left out of the steps timed', async () => {
  const config = resolveConfig({ model: 'tuto', teacher: 'nin2' });
  const dataset = noiseDataset(32, { train: 2, test: 2 });
  // Refused before the engine is asked for anything.
  const engine = referenceEngine as OnednnEngine;
  const timing = benchmarkTraining({ engine, config, dataset, warmUpSteps: 0, steps: 1, repetitions: 1 });
  await expect(timing).rejects.toThrow('teacher (=nin2) must be none');
});
