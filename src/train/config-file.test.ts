import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { defineModel } from '../models/model.ts';
import type { NetworkBuilder } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import { loadConfig, modelOfFile, readConfigFile, resolveFile } from './config-file.ts';
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
  ['tuto', 'run.yaml has no keys of a configuration'],
  // Settings of the model, however they are written.
  ['model: tuto\nsteps: 3\nmodel.lrn: 3', 'run.yaml:3: lrn (=3) must be true or false'],
  ['model: tuto\nsteps: 3\nmodelSettings.lrn: 3', 'run.yaml:3: lrn (=3) must be true or false'],
  ['model: tuto\nmodelSettings:\n  dense2: false\n  lrn: 3', 'run.yaml:4: lrn (=3) must be true or false'],
  // What is not said in it, at the group that it is missing in, or at what it contradicts.
  ['model: tuto\noptimizer:\n  nesterov: true', 'run.yaml:2: optimizer.momentum (=0) must be above 0'],
  [
    'model: tuto\npruning:\n  type: magnitude\n  sparsity: 0.5\n  rounds: 3',
    'run.yaml:5: steps (=10) must be a multiple of pruning.rounds (=3)',
    { steps: 10 },
  ],
  // Lists where one file is wanted.
  ['model: tuto\naugmentWith: [a.ts]', 'run.yaml:2: augmentWith (=["a.ts"]) must be'],
  ['model: tuto\ndataset: [a.ts]', 'run.yaml:2: dataset (=["a.ts"]) must be'],
  // Other keys are given, and not the one that is wrong.
  ['model: tuto\nlearningRate: -1', 'run.yaml:2: learningRate (=-1) must be a number above 0', { steps: 3 }],
  // What is wrong is not in the file.
  ['model: tuto\nschedule: constant', 'schedule.warmup (=2) must be', { schedule: { type: 'cosine', warmup: 2 } }],
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

test('what is wrong with the file as a whole is refused with what to do', () => {
  for (const [text, message, fix, key] of [
    ['- 3', 'run.yaml has no keys of a configuration', 'write one in each line, for example learningRate: 0.05', undefined],
    ['steps:', 'run.yaml:1: steps has no value', 'give one, or leave the key out', 'steps'],
    ['model: 3', 'run.yaml:1: model must be the name of a model, or of a file of your own', undefined, 'model'],
  ] as const) {
    expect(() => readConfigFile(written(text))).toThrow(
      expect.objectContaining({ message: message.replace('run.yaml', path), fix, key }) as Error,
    );
  }
  writeFileSync(path, Uint8Array.of(0xff));
  expect(() => readConfigFile(path)).toThrow(
    expect.objectContaining({ fix: 'give a file of keys, saved as UTF-8 (docs/training.md)' }) as Error,
  );
});

test('an error is explained with its line, and keeps all else; one that has none is left as it is', () => {
  const { explain } = readConfigFile(written('model: tuto\nmodelSettings: { dense2: false }\nlearningRate: 1'));
  const error = new ConfigurationError('wrong', { key: 'learningRate', otherKeys: ['steps'], fix: 'mend it' });
  expect(explain(error, {})).toMatchObject({
    ...{ message: `${path}:3: wrong`, key: 'learningRate', otherKeys: ['steps'], fix: 'mend it', cause: error },
  });
  // Of what it contradicts, where the key itself is not in the file.
  const another = new ConfigurationError('wrong', { key: 'steps', otherKeys: ['learningRate'] });
  expect(explain(another, {})).toMatchObject({ message: `${path}:3: wrong` });
  for (const other of [
    new Error('wrong'),
    new ConfigurationError('wrong'),
    new ConfigurationError('wrong', { otherKeys: ['learningRate'] }),
    // That there are settings of the model says nothing of this one.
    new ConfigurationError('wrong', { key: 'modelSettings.lrn' }),
  ]) {
    expect(explain(other, {})).toBe(other);
  }
});

test('an augmentation of the user is looked for beside the file', () => {
  const augmentWith = (text: string) => readConfigFile(written(text)).keys['augmentWith'];
  expect(augmentWith('augmentWith: ./augment.ts')).toBe(join(folder, 'augment.ts'));
  expect(augmentWith('augmentWith: none')).toBe('none');
  expect(readConfigFile(written('steps: 3')).keys).toEqual({ steps: 3 });
});

test('the model may be given beside the file', () => {
  const layers = (b: NetworkBuilder, _: unknown, classes: number) => b.dense('logits', b.input, { features: classes });
  const own = defineModel({ name: 'own', settings: {}, layers });
  const file = readConfigFile(written('model: ./net.ts\nsteps: 3'));
  expect(resolveFile(file, [{ steps: 4 }], own)).toMatchObject({ model: 'own', steps: 4 });
  expect(() => resolveFile(file, [])).toThrow('there is no model "./net.ts"');
});
