import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Dataset } from '../data/dataset.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import type { Run } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { resumeConfig } from '../train/resume.ts';
import { train } from '../train/train.ts';
import { gatherRuns } from './compare-runs.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-compare-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const images = noiseDataset(12, { train: 16, test: 8 });

const tiny: ConfigOverrides = {
  ...{ model: 'tuto', 'conv1.filters': 2, 'conv2.filters': 2, 'dense1.features': 4, dense2: false },
  ...{ batchSize: 4, inputSize: 10, steps: 2, schedule: 'cosine', evalEvery: 0, saveEvery: 0, threads: 1 },
};

async function trained(overrides: ConfigOverrides, dataset: Dataset = images): Promise<Run> {
  const config = resolveConfig(tiny, overrides);
  return (await train({ config, engine: referenceEngine, dataset, record: { runsFolder } })).run!;
}

let first: Run;
let second: Run;
beforeAll(async () => {
  first = await trained({ seed: 1 });
  second = await trained({ seed: 2 });
});

function variantsOf(...runs: readonly Run[]) {
  const data = gatherRuns(
    runs.map(({ path }) => path),
    runsFolder,
  );
  return { sizes: data.variants.map((variant) => variant.runs.length), notes: data.notes.join('\n') };
}

test('runs that differ in their seed alone are repetitions', async () => {
  expect(variantsOf(first, second).sizes).toEqual([2]);
  expect(variantsOf(first, second, await trained({ learningRate: 0.05 })).sizes).toEqual([2, 1]);
});

test('a run continued from fewer steps is no repetition of one made for as many', async () => {
  const shorter = await trained({ seed: 3, steps: 1 });
  const config = resumeConfig(shorter, { steps: 2 });
  await train({ config, engine: referenceEngine, dataset: images, record: { resume: shorter } });
  const { sizes, notes } = variantsOf(first, second, shorter);
  expect(sizes).toEqual([2, 1]);
  expect(notes).toContain(
    `Continued to another number of steps than planned, so with a schedule of their own: tuto/${shorter.number}.`,
  );
});

test('runs of other images are refused', async () => {
  const other = await trained({ seed: 4 }, { ...images, fingerprint: 'noise of another kind' });
  expect(() => variantsOf(first, other)).toThrow(`tuto/${other.number} was trained on other images than tuto/${first.number}`);
});
