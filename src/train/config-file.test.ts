import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigurationError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import { loadConfig, modelOfFile, readConfigFile } from './config-file.ts';
import type { ConfigOverrides } from './config-schema.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'run.yaml');

function written(text: string): string {
  writeFileSync(path, text);
  return path;
}

function refusal(text: string, ...layers: ConfigOverrides[]): string {
  try {
    loadConfig(written(text), ...layers);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return (error as Error).message.replaceAll(path, 'run.yaml');
  }
  throw new Error('not refused');
}

test('keys in groups, dotted, short, and settings of the model; what is given beside the file is stronger', () => {
  const text = [
    '# a comment',
    'model: tuto',
    'recipe: 2017',
    'optimizer: { type: adamw, beta2: 0.99 }',
    'schedule.type: cosine',
    'schedule.warmup: 0.1',
    'movingAverage: false',
    'steps: 50',
    'lrn: false',
  ];
  expect(loadConfig(written(text.join('\n')), { steps: 60, 'optimizer.beta1': 0.8 })).toEqual(
    resolveConfig({
      ...{ model: 'tuto', recipe: '2017', 'optimizer.type': 'adamw', 'optimizer.beta1': 0.8, 'optimizer.beta2': 0.99 },
      ...{ 'schedule.type': 'cosine', 'schedule.warmup': 0.1, movingAverage: false, steps: 60, lrn: false },
    }),
  );
});

test('the complete configuration of a run is such a file', () => {
  const config = resolveConfig({
    model: 'nin2',
    recipe: 'modern',
    optimizer: 'muon',
    seed: 7,
    steps: 500,
    pruning: true,
    'pruning.sparsity': 0.5,
  });
  expect(loadConfig(written(JSON.stringify(config, undefined, 2)))).toEqual(config);
});

test.each<[string, string, ConfigOverrides?]>([
  ['model: tuto\nsteps: 10\nlearningRat: 1', 'run.yaml:3: there is no key "learningRat". Did you mean "learningRate"?'],
  ['model: tuto\n\nlearningRate: -1', 'run.yaml:3: learningRate (=-1) must be a number above 0'],
  ['model: tuto\noptimizer:\n  type: adamw\n  beta1: 1', 'run.yaml:4: optimizer.beta1 (=1) must be a number in [0, 1)'],
  [
    'model: tuto\noptimizer: { type: adamw, momentum: 0.9 }',
    'run.yaml:2: there is no key "momentum" in optimizer of type "adamw"',
  ],
  ['model: tuto\nschedule.type: cosine\nschedule.warmup: 2', 'run.yaml:3: schedule.warmup (=2) must be a number in [0, 1)'],
  ['model: tuto\nlrn: 3', 'run.yaml:2: lrn (=3) must be true or false'],
  ['steps: 3\nmodel: toto', 'run.yaml:2: there is no model "toto"'],
  ['model: tuto\nsteps: 3\nsteps: 4', 'run.yaml:3: Map keys must be unique'],
  ['model: tuto\nsteps:', 'run.yaml:2: steps has no value'],
  ['steps: 1\nmodel: { build: 3 }', 'run.yaml:2: model must be the name of a model'],
  ['model: tuto\n3: 4', 'run.yaml:2: there is no key "3"'],
  ['model: [', 'run.yaml:1: '],
  ['- model', 'run.yaml has no keys of a configuration'],
  ['', 'run.yaml has no keys of a configuration'],
  ['model: tuto\n---\nsteps: 3', 'run.yaml:2: a second document begins here: a file of keys has one'],
  // What is wrong is not in the file.
  ['model: tuto\nsteps: 3', 'batchSize (=0) must be a positive integer', { batchSize: 0 }],
  ['model: tuto\nsteps: 3', 'steps (=0) must be an integer from 1 to', { steps: 0 }],
])('%j is refused', (text, expected, layer = {}) => {
  expect(refusal(text, layer).slice(0, expected.length)).toBe(expected);
});

test('what is no text or too large is refused', () => {
  writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0));
  expect(() => loadConfig(path)).toThrow(/is not text in UTF-8/);
  writeFileSync(path, ' '.repeat(1_000_001));
  expect(() => loadConfig(path)).toThrow(/at most 1.0 MB/);
  expect(() => loadConfig(join(folder, 'none.yaml'))).toThrow(/none\.yaml/);
});

test('a model of the user is looked for beside the file', () => {
  const isCode = (name: string) => name.endsWith('.ts');
  expect(modelOfFile(readConfigFile(written('model: ./net.ts')), isCode)).toBe(join(folder, 'net.ts'));
  expect(modelOfFile(readConfigFile(written('model: tuto')), isCode)).toBe('tuto');
  expect(modelOfFile(readConfigFile(written('steps: 3')), isCode)).toBeUndefined();
});

test('images are looked for beside the file; those of a recorded configuration where the run was started', () => {
  const datasetOf = (text: string) => readConfigFile(written(text)).keys['dataset'];
  expect(datasetOf('dataset: ./data.ts')).toBe(join(folder, 'data.ts'));
  expect(datasetOf("dataset: 'images:../photos?size=96&test=0.2'")).toBe(`images:${join(folder, '../photos')}?size=96&test=0.2`);
  for (const name of ['cifar10', 'cifar100?labels=coarse', 'images:']) expect(datasetOf(`dataset: '${name}'`)).toBe(name);
  writeFileSync(join(folder, 'status.json'), '{}');
  expect(datasetOf('dataset: ./data.ts')).toBe('./data.ts');
});
