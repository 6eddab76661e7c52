import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { defineModel } from '../models/model.ts';
import { defineLayer } from '../nn/custom.ts';
import { latestCheckpoint, saveBestCheckpoint, saveCheckpoint } from '../runs/checkpoint.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { createRun } from '../runs/run-folder.ts';
import { encodeSafetensors } from '../runs/safetensors.ts';
import { DataError } from '../util/errors.ts';
import { createClassifier, encodeClassifier } from './classifier.ts';
import { resolveConfig } from './config.ts';
import { classifierFor, findWeights, fixedReference, readSavedModel, readTrainedModel } from './saved-model.ts';

const refusal = (name: string, message: string, fix: string): Error => expect.objectContaining({ name, message, fix }) as Error;

test('a frozen file has no weights to train on, whether it is there or not', () => {
  for (const name of ['small.onnx', 'nowhere/small.onnx.gz']) {
    const message = `${name} is a frozen file, which cannot be trained on`;
    const fix = 'give the run, or the file of weights, that it was frozen from';
    for (const find of [findWeights, fixedReference]) {
      expect(() => find(name, 'runs')).toThrow(refusal('DataError', message, fix));
    }
  }
});

test('a file of code is no trained network, whether it is there or not', () => {
  const message = 'my net.ts is a file of code, not a trained network';
  const fix = "train it, and give the run: ablate train 'my net.ts'";
  expect(() => findWeights('my net.ts', 'runs')).toThrow(refusal('DataError', message, fix));
});

test('a file of weights that is not there is named', () => {
  const message = 'there is no file nowhere/w.safetensors.gz';
  expect(() => findWeights('nowhere/w.safetensors.gz', 'runs')).toThrow(refusal('DataError', message, 'check the path'));
});

describe('a reference', () => {
  const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-saved-runs-'));
  afterAll(() => rmSync(runsFolder, { recursive: true, force: true }));
  const tensors = new Map([['a.bias', { shape: [1], data: Float32Array.of(1) }]]);

  function newRun() {
    const config = resolveConfig({ model: 'tuto', threads: 1, steps: 9 });
    const run = createRun(runsFolder, 'tuto', config, describeEnvironment({ threads: 1, libraries: {} }));
    const classifier = createClassifier(config, { shape: [3, 24, 24], classes: ['a', 'b'] });
    const metadata = { model: 'tuto', config: JSON.stringify(config), classifier: JSON.stringify(encodeClassifier(classifier)) };
    return { run, config, metadata };
  }

  test('names a file, the newest checkpoint of a run, or its best; of a model it is fixed to its newest run', () => {
    const { run: older, metadata } = newRun();
    const { run, config } = newRun();
    for (const step of [3, 9]) saveCheckpoint(older, { step, tensors, metadata });
    saveCheckpoint(run, { step: 4, tensors, metadata });
    saveBestCheckpoint(run, { step: 2, tensors, metadata }, 0.5);
    const [newest, best] = [latestCheckpoint(run)!.path, join(run.path, 'checkpoints', 'best.safetensors')];
    const pathOf = (reference: string) => findWeights(reference, runsFolder);
    expect(pathOf(newest)).toEqual({ path: newest, run: undefined });
    expect(pathOf('tuto')).toEqual({ path: newest, run });
    expect(pathOf('tuto/1')).toEqual({ path: latestCheckpoint(older)!.path, run: older });
    for (const reference of ['tuto@best', 'tuto/2@best', `${run.path}@best`])
      expect(pathOf(reference)).toEqual({ path: best, run });
    const message = 'tuto/1 has no checkpoint that is the best on validation images';
    const fix = 'Trainings with --val keep one. tuto/1 alone is its newest';
    expect(() => pathOf('tuto/1@best')).toThrow(refusal('DataError', message, fix));

    const references = ['none', newest, 'tuto', 'tuto@best', 'tuto/1', 'tuto/2@best', older.path];
    expect(references.map((reference) => fixedReference(reference, runsFolder))).toEqual([
      ...['none', newest, 'tuto/2', 'tuto/2@best', 'tuto/1', 'tuto/2@best', older.path],
    ]);
    expect(readTrainedModel('tuto/2', { runsFolder })).toMatchObject({ run, saved: { path: newest, step: 4, config } });
    expect(() => readTrainedModel('alex7')).toThrow('there is no run "alex7" in runs');
  });
});

describe('weights from elsewhere', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-elsewhere-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'w.safetensors');
  const tensors = new Map([['logits.bias', { shape: [2], data: Float32Array.of(1, 2) }]]);
  const write = (metadata: Record<string, string>) => writeFileSync(path, encodeSafetensors(tensors, metadata));
  const images = { shape: [3, 32, 32] as const, classes: ['a', 'b'] };

  test('are of the model that they name, or that is given, with its defaults', () => {
    write({ model: 'cs231n' });
    const { config, ...others } = readSavedModel(path);
    expect(config).toEqual(resolveConfig({ model: 'cs231n' }));
    expect(others).toStrictEqual({
      path,
      file: { tensors, metadata: { model: 'cs231n' } },
      step: undefined,
      classifier: undefined,
    });
    const given = { model: 'cs231n', 'conv1.filters': 7 };
    expect(readSavedModel(path, given).config).toEqual(resolveConfig(given));
    expect(classifierFor(readSavedModel(path, given), images)).toEqual(createClassifier(resolveConfig(given), images));
    write({});
    expect(readSavedModel(path, given).config).toEqual(resolveConfig(given));
    const message = `${path} does not say which model its weights are for`;
    expect(() => readSavedModel(path, { steps: 3 })).toThrow(refusal('ConfigurationError', message, 'add --model <name>'));
  });

  test('are not of another model than they say', () => {
    write({ model: 'tuto' });
    expect(() => readSavedModel(path, { model: 'cs231n' })).toThrow(
      refusal('DataError', `${path} is of model tuto, not "cs231n"`, 'leave --model out, or give --model tuto'),
    );
  });

  test('may be of a model of the user', () => {
    const definition = defineModel({
      ...{ name: 'own', settings: {} },
      layers: (b, _, classes) => b.dense('logits', b.input, { features: classes }),
    });
    write({ model: 'own' });
    const saved = readSavedModel(path, {}, definition);
    expect(saved.definition).toBe(definition);
    expect(saved.config.model).toBe('own');
    expect(classifierFor(saved, images).network).toMatchObject({ name: 'own', outputShape: [2] });
    expect(() => readSavedModel(path)).toThrow('there is no model "own"');
  });
});

describe('what a file says of its network is checked when it is read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-saved-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const config = resolveConfig({ model: 'tuto', threads: 1 });
  const classifier = createClassifier(config, { shape: [3, 24, 24], classes: ['a', 'b'] });
  const written = JSON.stringify(encodeClassifier(classifier));
  const metadata = { model: 'tuto', config: JSON.stringify(config), step: '7', classifier: written };
  const tensors = new Map([['logits.bias', { shape: [2], data: Float32Array.of(1, 2) }]]);
  const write = (changes: object, values = tensors): string => {
    const path = join(folder, 'w.safetensors');
    writeFileSync(path, encodeSafetensors(values, { ...metadata, ...changes }));
    return path;
  };

  test('what is right is known', () => {
    const path = write({});
    const file = { tensors, metadata };
    expect(readSavedModel(path, {})).toEqual({ path, file, config, step: 7, classifier });
    // Its model may be said again, and nothing else changed.
    const given = { model: 'tuto' };
    const saved = readSavedModel(path, given);
    expect(saved).toEqual({ path, file, config, step: 7, classifier });
    expect(classifierFor(saved, { shape: [1, 9, 9], classes: [] })).toBe(saved.classifier);
    expect(() => readSavedModel(path, { ...given, batchSize: 3 })).toThrow(
      refusal('ConfigurationError', `batchSize is fixed by ${path}, which records how it was trained`, 'leave batchSize out'),
    );
  });

  test('the functions of custom layers are those of the model that is given, since no file has them', () => {
    const half = defineLayer({ name: 'half', forward: () => undefined, backward: () => undefined });
    const modelWith = (custom: boolean) =>
      defineModel({
        ...{ name: 'own', settings: {} },
        layers: (b, _, classes) => b.dense('logits', custom ? b.custom('own', b.input, half) : b.input, { features: classes }),
      });
    for (const custom of [true, false]) {
      const definition = modelWith(custom);
      const config = resolveConfig({ model: definition, threads: 1 });
      const own = createClassifier(config, { shape: [3, 24, 24], classes: ['a', 'b'] }, definition);
      const path = write({ model: 'own', config: JSON.stringify(config), classifier: JSON.stringify(encodeClassifier(own)) });
      expect(readSavedModel(path).classifier!.network).not.toHaveProperty('customLayers');
      const { network } = readSavedModel(path, {}, definition).classifier!;
      expect(network.layers).toEqual(own.network.layers);
      expect(network.customLayers).toEqual(custom ? new Map([['half', half]]) : undefined);
    }
  });

  test.each([
    [
      { classifier: 'junk' },
      'the metadata of PATH is damaged: classifier (=junk) must be a group of keys: network, preprocessing, classes, imageShape',
    ],
    [
      { classifier: written.replace('["a","b"]', '["a"]') },
      'what PATH says of its network is damaged: classes (=["a"]) must be a list of 2',
    ],
    [{ config: 'null' }, 'the metadata of PATH is damaged: config (=null) must be a group of keys'],
    [{ config: '{"model":"tuto"}' }, 'the configuration recorded in PATH cannot be used: modelSettings (=missing) must be'],
    [
      { config: JSON.stringify({ ...config, threads: 100_000 }) },
      'the configuration recorded in PATH cannot be used: threads (=100000) must be',
    ],
  ])('%j is refused', (changes, problem) => {
    const path = write(changes);
    const read = () => readSavedModel(path, {});
    expect(read).toThrow(DataError);
    expect(read).toThrow(problem.replace('PATH', path));
  });

  test('values that are not finite are refused', () => {
    const path = write({}, new Map([['logits.bias', { shape: [2], data: Float32Array.of(1, NaN) }]]));
    expect(() => readSavedModel(path, {})).toThrow(`${path} has values in logits.bias that are not finite`);
  });

  test.each([0.5, -1, 2])('a mask of %s is refused', (value) => {
    const mask = { shape: [3], data: Float32Array.of(0, 1, value) };
    const path = write({}, new Map([...tensors, ['mask.logits.weight', mask]]));
    const read = () => readSavedModel(path, {});
    expect(read).toThrow(DataError);
    expect(read).toThrow(
      `${path} is damaged: mask.logits.weight has the value ${value}, and masks have 0 for pruned weights and 1`,
    );
    mask.data[2] = 0;
    expect(readSavedModel(write({}, new Map([['mask.logits.weight', mask]])), {}).step).toBe(7);
  });
});
