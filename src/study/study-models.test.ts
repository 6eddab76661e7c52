import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { told, toldLater } from '../../test/told.ts';
import { defineModel } from '../models/model.ts';
import { modelDefinition } from '../models/registry.ts';
import { recordRun } from '../../test/recorded-runs.ts';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { openRun } from '../runs/run-folder.ts';
import { encodeSafetensors } from '../runs/safetensors.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { resolveConfig } from '../train/config.ts';
import { parseStudyFile } from './study-file.ts';
import { labModels, loadStudyModels, studyModels, type StudyModels } from './study-models.ts';

const own = (name: string) =>
  defineModel({ name, layers: (b, _, classes) => b.dense('logits', b.flatten('flat', b.input), { features: classes }) });

test("the lab's models by their names", () => {
  expect(labModels('tuto')).toEqual({ definition: modelDefinition('tuto'), file: undefined });
  expect(labModels.augmentation).toBeUndefined();
  expect(() => labModels('tutu')).toThrow('tutu');
});

test("a program's own models beside the lab's, none of which may have the name of another", () => {
  const [first, second] = [own('first'), own('second')];
  const find = studyModels(first, second);
  expect(find('second')).toEqual({ definition: second, file: undefined });
  expect(find('first').definition).toBe(first);
  expect(find('tuto').definition).toBe(modelDefinition('tuto'));
  const twice = (name: string) => ({
    kind: 'ConfigurationError',
    message: `two models are called "${name}"`,
    fix: 'give the one of your own another name',
  });
  expect(told(() => studyModels(first, second, own('first')))).toEqual(twice('first'));
  expect(told(() => studyModels(own('tuto')))).toEqual(twice('tuto'));
});

describe('weights that a study names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-study-weights-'));
  const runsFolder = join(folder, 'runs');
  afterAll(() => rmSync(folder, { recursive: true }));
  const config = (overrides: ConfigOverrides) => resolveConfig({ model: 'tuto', ...overrides });
  const file = parseStudyFile('name: s\nseeds: [1]\nbaseline: {}\ndesign: models', join(folder, 'study.yaml'));
  const tensors = (value: number) => new Map([['w', { shape: [1], data: Float32Array.of(value) }]]);
  const weightsFile = (path: string, value: number) => writeFileSync(path, encodeSafetensors(tensors(value), {}));

  test('are files beside it or runs, and what they hold counts', async () => {
    const { weights } = await loadStudyModels(file, { runsFolder });
    expect(weights!(config({}))).toEqual({ init: 'none', initChecksum: '', teacher: 'none', teacherChecksum: '' });
    const path = join(folder, 'own.safetensors');
    weightsFile(path, 1);
    const first = weights!(config({ init: 'own.safetensors', teacher: path }));
    const digits = expect.stringMatching(/^[0-9a-f]{64}$/) as unknown;
    expect(first).toEqual({ init: path, initChecksum: digits, teacher: path, teacherChecksum: digits });
    weightsFile(path, 2);
    const second = weights!(config({ init: 'own.safetensors', teacher: path }));
    expect(second.initChecksum).not.toBe(first.initChecksum);
    expect(second.teacherChecksum).not.toBe(first.teacherChecksum);
    const run = openRun(recordRun(runsFolder, { number: 1, records: 1, evaluations: 1 }));
    saveCheckpoint(run, { step: 1, tensors: tensors(2), metadata: {} });
    const ofRun = weights!(config({ init: 'tuto/1' }));
    expect(ofRun).toEqual({ ...second, init: 'tuto/1', teacher: 'none', teacherChecksum: '' });
  });

  test.each([
    ['init', { init: 'gone.safetensors' }],
    ['teacher', { teacher: 'gone.safetensors' }],
    ['pruning.rewind', { pruning: 'magnitude', 'pruning.sparsity': 0.5, 'pruning.rewind': 'gone.safetensors' }],
  ])('must be there: %s', async (key, overrides) => {
    const { weights } = await loadStudyModels(file, { runsFolder });
    let error: unknown;
    try {
      weights!(config(overrides));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ key, message: 'there is no file gone.safetensors', fix: 'check the path' });
  });
});

describe('files of code', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ablate-study-models-'));
    mkdirSync(join(folder, 'nets'));
    const model = (name: string) =>
      `export default { name: '${name}', summary: '', settings: {}, weightDecay2017: 5, defaultInputSize: 8, build() {} };`;
    for (const name of ['one', 'two', 'three']) writeFileSync(join(folder, 'nets', `${name}.mjs`), model(name));
    const setting = `{ type: 'number', default: 2, summary: '', min: 0 }`;
    writeFileSync(
      join(folder, 'blur.mjs'),
      `export default { name: 'blur', settings: { strength: ${setting} }, apply(image) { return image; } };`,
    );
    writeFileSync(join(folder, 'nothing.mjs'), 'export default 5;');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const load = (rest: string, path = join(folder, 'study.yaml')): Promise<StudyModels> =>
    loadStudyModels(parseStudyFile(`name: test\nseeds: [1]\n${rest}`, path));

  test('are the models that a study names, wherever it does, relative to its own folder', async () => {
    const find = await load(`
baseline: { model: nets/one.mjs, steps: 5, recipe: null }
design: one-at-a-time
factors:
  - { name: another, levels: [{ model: ./nets/two.mjs }, { model: nets/one.mjs }] }
`);
    const { definition, file } = find('nets/one.mjs');
    expect([definition.name, definition.weightDecay2017, file!.path]).toEqual(['one', 5, join(folder, 'nets', 'one.mjs')]);
    expect(find('./nets/two.mjs').definition.name).toBe('two');
    expect(find('tuto').definition).toBe(modelDefinition('tuto'));
    expect(() => find('nets/three.mjs')).toThrow('nets/three.mjs');
  });

  test('are found in lists of models, and nowhere else', async () => {
    const find = await load(`
title: nothing.mjs
baseline: { steps: 5, recipe: nothing.mjs }
design: models
models: [tuto, nets/three.mjs]
`);
    expect(find('nets/three.mjs').definition.name).toBe('three');
    expect(() => find('nothing.mjs')).toThrow('nothing.mjs');
    expect(find.augmentation!('nothing.mjs')).toBeUndefined();
  });

  test('are the augmentations of a study: what a configuration says of them, and what a run keeps', async () => {
    const find = await load(`
baseline: { model: tuto, augmentWith: blur.mjs }
design: one-at-a-time
factors: [{ name: plain, set: { augmentWith: none } }]
`);
    const { keys, records } = find.augmentation!('blur.mjs')!;
    const names = Object.keys(records);
    expect(names).toEqual(['augmentation-file.json', 'augmentation.mjs']);
    const { path, sha256 } = records['augmentation-file.json'] as { readonly path: string; readonly sha256: string };
    expect(path).toBe(join(folder, 'blur.mjs'));
    const config = resolveConfig({ model: 'tuto', steps: 5, threads: 1 });
    expect(keys({ ...config, augmentWithSettings: { strength: 3 } })).toEqual({
      augmentWith: path,
      augmentWithSettings: { strength: 3 },
      augmentationChecksum: sha256,
    });
    expect(find.augmentation!('none')).toBeUndefined();
  });

  test('that cannot be used are refused with the line of the study', async () => {
    const path = join(folder, 'study.yaml');
    const listed = 'baseline: { steps: 5 }\ndesign: models\nmodels:\n  - nets/one.mjs\n  - nothing.mjs\n  - nothing.mjs\n';
    expect(await toldLater(load(listed))).toEqual({
      kind: 'ConfigurationError',
      message: `${path}:7: nothing.mjs must export what defineModel returns as its default`,
      fix: 'export default defineModel({ name, settings, layers }), as ablate new model writes it',
    });
    expect(await toldLater(load('baseline: { model: tuto,\n  augmentWith: nothing.mjs }\ndesign: grid\n'))).toEqual({
      kind: 'ConfigurationError',
      message: `${path}:4: nothing.mjs must export what defineAugmentation returns as its default`,
      fix: 'export default defineAugmentation({ name, apply(image, random) { ... } }), as ablate new augmentation writes it',
    });
  });

  test('are looked for where the caller says', async () => {
    const file = parseStudyFile(
      'name: test\nseeds: [1]\nbaseline: { model: one.mjs }\ndesign: grid\n',
      join(folder, 'study.yaml'),
    );
    const find = await loadStudyModels(file, { folder: join(folder, 'nets') });
    expect(find('one.mjs').definition.name).toBe('one');
  });

  test('a defect of the program is not taken for the line of a study', async () => {
    const file = parseStudyFile(
      'name: test\nseeds: [1]\nbaseline: { model: "\\0.mjs" }\ndesign: grid\n',
      join(folder, 'study.yaml'),
    );
    await expect(loadStudyModels(file)).rejects.toThrow(TypeError);
  });
});
