import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun, runName, type Run } from '../runs/run-folder.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides, TrainingConfig } from './config-schema.ts';
import { recordedConfig, resumableKeys, resumeConfig } from './resume.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-resume-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const config = resolveConfig({ model: 'tuto', threads: 1, steps: 100 });

function newRun(made: TrainingConfig = config): Run {
  return createRun(runsFolder, 'tuto', made, describeEnvironment({ threads: 1, libraries: {} }));
}

function errorOf(run: Run, overrides: ConfigOverrides): unknown {
  try {
    resumeConfig(run, overrides);
  } catch (error) {
    return error;
  }
  return undefined;
}

test('a run goes on as it was started; what does not change a step may be changed', () => {
  const run = newRun();
  expect(resumeConfig(run, {})).toEqual(config);
  const allowed = { steps: 200, evalEvery: 1, saveEvery: 2, saveEverySeconds: 3, logEvery: 4, keepCheckpoints: 5, threads: 2 };
  // A length is in steps or in epochs.
  expect([...Object.keys(allowed), 'epochs'].sort()).toEqual([...resumableKeys].sort());
  expect(resumeConfig(run, { epochs: 30 })).toMatchObject({ epochs: 30 });
  expect(resumeConfig(run, allowed)).toEqual({ ...config, ...allowed });
  // Said again, nothing is changed.
  expect(resumeConfig(run, { learningRate: 0.1, schedule: 'constant', lrn: true })).toEqual(config);
});

test('anything else would make it another run', () => {
  const run = newRun();
  const fix = `A resumed run may change: ${resumableKeys.join(', ')}. For anything else start a new run`;
  expect(errorOf(run, { seed: 2 })).toMatchObject({ message: `seed (=2) must be 1, as ${runName(run)} was started with`, fix });
  expect(errorOf(run, { 'augmentation.flip': 'none' })).toMatchObject({
    message: expect.stringMatching(/^augmentation \(=\{.*"flip":"none".*\}\) must be \{.*"flip":"random"/) as string,
    fix,
  });
  expect(errorOf(run, { stepps: 3 })).toMatchObject({ message: expect.stringContaining('there is no key "stepps"') as string });
});

test('the rounds of pruning keep their length', () => {
  const run = newRun(resolveConfig(config, { pruning: 'magnitude', 'pruning.sparsity': 0.5, 'pruning.rounds': 4 }));
  expect(resumeConfig(run, { steps: 100, logEvery: 7 }).logEvery).toBe(7);
  expect(errorOf(run, { steps: 200 })).toMatchObject({
    message: `steps (=200) must be 100, which the rounds of pruning of ${runName(run)} divide into equal parts`,
    fix: `Prune ${runName(run)} further in a new run: ablate prune ${runName(run)}`,
  });
});

test('what the newest checkpoint was trained with counts, not what the run was started with', () => {
  const run = newRun();
  expect(recordedConfig(run)).toEqual(config);
  const tensors = new Map([['a.weight', { shape: [1], data: new Float32Array(1) }]]);
  for (const [step, steps] of [
    [1, 150],
    [2, 300],
  ] as const) {
    const metadata = { model: 'tuto', config: JSON.stringify({ ...config, steps }), classifier: '{}' };
    saveCheckpoint(run, { step, tensors, metadata });
  }
  expect(recordedConfig(run)).toEqual({ ...config, steps: 300 });
  expect(resumeConfig(run, { logEvery: 1 })).toEqual({ ...config, steps: 300, logEvery: 1 });
});

test("a file of augmentation may be another from here on, with its settings; a run without one, or with a program's, stays so", () => {
  const made = (keys: ConfigOverrides) => ({ ...resolveConfig({ ...config, ...keys }) });
  const settings = { augmentWithSettings: { strength: 1 }, augmentationChecksum: 'abc' };
  const run = newRun(made({ augmentWith: '/old/a.ts', ...settings }));
  const mended = { augmentWith: '/new/b.ts', augmentWithSettings: { other: 2 } };
  // What is in the file now counts: its settings and checksum are made when it is read.
  expect(resumeConfig(run, mended)).toEqual({ ...recordedConfig(run), augmentWith: '/new/b.ts' });
  expect(errorOf(run, { augmentWithSettings: { strength: 2 } })).toMatchObject({
    message: `augmentWithSettings (={"strength":2}) must be {"strength":1}, as ${runName(run)} was started with`,
  });
  expect(errorOf(run, { augmentationChecksum: 'def' })).toMatchObject({
    message: `augmentationChecksum (="def") must be "abc", as ${runName(run)} was started with`,
  });
  expect(errorOf(run, { ...mended, seed: 2 })).toMatchObject({
    message: expect.stringContaining('seed (=2) must be 1') as string,
  });
  for (const augmentWith of ['none', 'noisy']) {
    const other = newRun(made({ augmentWith, ...(augmentWith === 'noisy' && settings) }));
    expect(errorOf(other, { augmentWith: '/new/b.ts' })).toMatchObject({
      message: expect.stringContaining(`augmentWith (="/new/b.ts") must be "${augmentWith}"`) as string,
    });
  }
  expect(errorOf(run, { augmentWith: 'noisy' })).toMatchObject({
    message: expect.stringContaining('augmentWith (="noisy") must be "/old/a.ts"') as string,
  });
});

test('images may have moved where a checkpoint knows them, and nothing else with them; epochs keep the rounds of pruning too', () => {
  const run = newRun();
  expect(errorOf(run, { dataset: 'elsewhere' })).toMatchObject({
    message: expect.stringContaining('dataset (="elsewhere")') as string,
  });
  const tensors = new Map([['a.weight', { shape: [1], data: new Float32Array(1) }]]);
  const metadata = { model: 'tuto', config: JSON.stringify(config), classifier: '{}' };
  saveCheckpoint(run, { step: 1, tensors, metadata });
  expect(resumeConfig(run, { dataset: 'elsewhere' })).toEqual({ ...config, dataset: 'elsewhere' });
  expect(errorOf(run, { seed: 2 })).toMatchObject({ message: expect.stringContaining('seed (=2) must be 1') as string });
  const pruned = newRun(resolveConfig(config, { pruning: 'magnitude', 'pruning.sparsity': 0.5, 'pruning.rounds': 4 }));
  expect(errorOf(pruned, { epochs: 2 })).toMatchObject({
    message: expect.stringContaining('must be 100, which the rounds') as string,
  });
  // Of a checkpoint that is damaged, or says nothing, the one before.
  saveCheckpoint(run, { step: 2, tensors, metadata: {} });
  expect(recordedConfig(run)).toEqual(config);
  writeFileSync(saveCheckpoint(run, { step: 3, tensors, metadata }), 'damaged');
  expect(recordedConfig(run)).toEqual(config);
});
