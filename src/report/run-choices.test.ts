import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRun } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { choicesOfRuns, describeChoices } from './run-choices.ts';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ablate-choices-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let number = 0;
function runWith(config: string) {
  const folder = join(root, 'tuto', String(++number));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), config);
  return openRun(folder);
}

function choicesOf(overrides: ConfigOverrides) {
  return choicesOfRuns([runWith(JSON.stringify(resolveConfig({ model: 'tuto', ...overrides })))])[0];
}

test('a recipe as it is: its name and the seed, whatever the number of steps and threads', () => {
  const choices = choicesOf({ recipe: 'modern', steps: 77, seed: 4, threads: 1, dataset: 'synthetic' });
  expect(choices).toEqual({ recipe: 'modern', seed: 4, changes: {} });
  expect(describeChoices(choices!)).toBe('modern, seed 4');
});

test('the size of the images is no change of a recipe that takes them whole', () => {
  const recorded = { ...resolveConfig({ model: 'air94', recipe: 'airbench' }), inputSize: 32 };
  expect(choicesOfRuns([runWith(JSON.stringify(recorded))])[0]!.changes).toEqual({});
});

test('keys of the configuration and settings of the model that are not the recipe’s', () => {
  const choices = choicesOf({ lrn: false, learningRate: 0.05, schedule: 'cosine' });
  expect(choices!.changes).toMatchObject({ 'model.lrn': 'false', learningRate: '0.05', 'schedule.type': 'cosine' });
  expect(describeChoices(choices!)).toMatch(/^2017, seed 1, (.*, )?model\.lrn false(,|$)/);
});

test('nothing of a damaged configuration, or of a recipe that there is not', () => {
  const config = resolveConfig({ model: 'tuto' });
  const configs = [JSON.stringify(config), '{"model": "tuto"', JSON.stringify({ ...config, recipe: 'gone' })];
  expect(choicesOfRuns(configs.map(runWith))).toEqual([{ recipe: '2017', seed: 1, changes: {} }, undefined, undefined]);
});
