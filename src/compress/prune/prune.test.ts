import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { buildModel } from '../../models/registry.ts';
import { initialValues } from '../../nn/parameter.ts';
import { resolveConfig } from '../../train/config.ts';
import { planPruning, prune } from './prune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });
const config = resolveConfig({
  model: 'squeeze0',
  'conv1.filters': 8,
  inputSize: 12,
  batchSize: 8,
  dataset: 'noise',
  threads: 1,
});
const network = buildModel('squeeze0', { settings: config.modelSettings, input: [3, 12, 12], classes: 4 });
const tensors = new Map(network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, 1) }]));
const source = { path: 'squeeze0.safetensors', file: { tensors, metadata: {} }, config, step: undefined, classes: undefined };
const method = { type: 'filters', target: { filters: 0.5 }, scope: 'layer' } as const;

test.each([0, 2])('stopped before anything is trained, it leaves nothing (steps %i)', async (steps) => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  try {
    const plan = planPruning({ source, reference: source.path, method, steps, overrides: {} }, dataset);
    const result = await prune(plan, { engine: referenceEngine, dataset, runsFolder, signal: AbortSignal.abort() });
    expect(result).toMatchObject({ status: 'interrupted', run: undefined, pruned: undefined });
    expect(readdirSync(runsFolder)).toEqual([]);
  } finally {
    rmSync(runsFolder, { recursive: true });
  }
});
