import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import { untrained } from '../../test/untrained-squeeze0.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { resumeConfig } from '../train/resume.ts';
import { train } from '../train/train.ts';
import { trainRound } from './round-runs.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-rounds-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const dataset = noiseDataset(12, { train: 16, test: 4 });

test('a round that is finished is found again, one that was continued to more steps is not', async () => {
  const config = { ...untrained.config, steps: 1, evalEvery: 0 };
  const round = { config, initialWeights: untrained, engine: referenceEngine, dataset, runsFolder };
  const first = await trainRound(round);
  expect(await trainRound(round)).toEqual({ ...first, reused: true });
  const longer = { config: resumeConfig(first.run, { steps: 2 }), engine: referenceEngine, dataset };
  await train({ ...longer, record: { resume: first.run } });
  const again = await trainRound(round);
  expect(again).toMatchObject({ status: 'finished', step: 1, reused: false });
  expect(again.run.number).toBeGreaterThan(first.run.number);
});
