import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRun } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { runIdentity } from '../study/identity.ts';
import { valueOfText } from '../train/key-layers.ts';
import { choicesOfRuns, createChooser, describeChoices, trainingCommand } from './run-choices.ts';

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
  expect(choices).toEqual({ recipe: 'modern', seed: 4, dataset: 'synthetic', changes: {} });
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

test('all settings of a model of the user’s own, of each run its own, as no run records what is usual in it', () => {
  const own = (width: number, weightDecay: number) => {
    const config = resolveConfig({ model: 'tuto', weightDecay });
    return { ...config, model: 'tiny', modelSettings: { width, deep: true } };
  };
  const [first, second] = [own(16, 0.1), own(32, 0.2)];
  const choices = choicesOfRuns([first, second].map((config) => runWith(JSON.stringify(config))));
  expect(choices.map((each) => each!.changes)).toEqual([
    { 'model.width': '16', 'model.deep': 'true' },
    { 'model.width': '32', 'model.deep': 'true' },
  ]);
  expect(trainingCommand(second, choices[1]!, '/my nets/tiny.ts')).toMatch(
    /^npx ablate train '\/my nets\/tiny\.ts' --data cifar10 .*--set model\.width=32 --set model\.deep=true$/,
  );
});

test('nothing of a damaged configuration, or of a recipe that there is not', () => {
  const config = resolveConfig({ model: 'tuto' });
  const configs = [JSON.stringify(config), '{"model": "tuto"', JSON.stringify({ ...config, recipe: 'gone' })];
  expect(choicesOfRuns(configs.map(runWith))).toEqual([
    { recipe: '2017', seed: 1, dataset: 'cifar10', changes: {} },
    undefined,
    undefined,
  ]);
});

test.each<ConfigOverrides>([
  {},
  { recipe: 'modern', steps: 777, seed: 5, val: true },
  { lrn: false, augment: false, inputSize: 24, learningRate: 0.05 },
  { schedule: { type: 'step', milestones: [0.3, 0.6] }, movingAverage: false, weightDecay: { rule: 'coupled', value: 0.001 } },
  { model: 'squeeze1', recipe: 'modern', dataset: 'images:my pictures', 'model.batchNorm': false, init: 'tuto/1' },
])('the command of a run trains the same: %o', (overrides) => {
  // As runs have it: in steps, whatever they were asked for in.
  const config = resolveConfig({ model: 'tuto', steps: 1000, ...overrides });
  const command = trainingCommand(config, createChooser()(config));
  // As a shell divides it: words in quotes hold blanks.
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, inQuotes, plain]) => inQuotes ?? plain!);
  const [npx, ablate, train, model, ...options] = words;
  expect([npx, ablate, train]).toEqual(['npx', 'ablate', 'train']);
  const names: Readonly<Record<string, string>> = {
    '--data': 'dataset',
    '--recipe': 'recipe',
    '--steps': 'steps',
    '--seed': 'seed',
  };
  let given: ConfigOverrides = { model };
  for (let i = 0; i < options.length; i += 2) {
    const [option, value] = [options[i]!, options[i + 1]!];
    const [, key, text] = /^([^=]+)=(.*)$/.exec(value) ?? [];
    const name = names[option];
    if (name === 'dataset' || name === 'recipe') given = { ...given, [name]: value };
    else given = option === '--set' ? { ...given, [key!]: valueOfText(text!) } : { ...given, [name!]: Number(value) };
  }
  expect(runIdentity(resolveConfig(given))).toBe(runIdentity(config));
});
