import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { noiseDataset } from '../../../test/noise-dataset.ts';
import { network, sparse, untrained } from '../../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { planPruning, prune, startOf } from './prune.ts';

const dataset = noiseDataset(12, { train: 16, test: 4 });
const method = { type: 'filters', target: { filters: 0.5 }, scope: 'layer' } as const;

test.each([0, 2])('stopped before anything is trained, it leaves nothing (steps %i)', async (steps) => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-prune-'));
  try {
    const plan = planPruning({ source: untrained, reference: untrained.path, method, steps, overrides: {} }, dataset);
    const result = await prune(plan, { engine: referenceEngine, dataset, runsFolder, signal: AbortSignal.abort() });
    expect(result).toMatchObject({ status: 'interrupted', run: undefined, pruned: undefined });
    expect(readdirSync(runsFolder)).toEqual([]);
  } finally {
    rmSync(runsFolder, { recursive: true });
  }
});

test.each([
  ['weights', { type: 'weights', pruning: { sparsity: 0.95, scope: 'global', rounds: 3, growth: 'cubic', rewind: 'rate' } }],
  ['filters', method],
] as const)('weights that are zero in a file without masks stay zero when %s are pruned', (_, what) => {
  const start = startOf(planPruning({ source: sparse, reference: sparse.path, method: what, steps: 2, overrides: {} }, dataset));
  for (const { name, role } of network.parameters) {
    if (role !== 'weight') continue;
    const { data } = start.file.tensors.get(name)!;
    expect(start.file.tensors.get(`mask.${name}`)!.data).toEqual(data.map((value) => (value === 0 ? 0 : 1)));
  }
});

describe('less sparsity than the network has is refused, whether anything is trained or not', () => {
  const plan = (sparsity: number, steps: number, source: typeof sparse) => () =>
    planPruning(
      {
        ...{ source, reference: source.path, steps, overrides: {} },
        method: { type: 'weights', pruning: { sparsity, scope: 'global', rounds: 1, growth: 'cubic', rewind: 'rate' } },
      },
      dataset,
    );

  test.each([0, 2])('steps %i', (steps) => {
    expect(plan(0.3, steps, sparse)).toThrow(
      /^pruning\.sparsity \(=0\.3\) must be above 0\.50\d\d, the sparsity of the weights it starts from$/,
    );
    expect(plan(0.6, steps, sparse)).not.toThrow();
    expect(plan(0.3, steps, untrained)).not.toThrow();
  });
});
