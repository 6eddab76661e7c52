import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { told } from '../../test/told.ts';
import { encodeSafetensors } from './safetensors.ts';
import { decodeMetadata, parseWeightsMetadata, readWeightsMetadata } from './weights-metadata.ts';

const complete = {
  model: 'tuto',
  config: '{"model":"tuto","steps":5}',
  step: '5',
  classifier: '{"classes":["a","b"]}',
  dataset: 'noise',
  datasetFingerprint: 'f',
};

test('what is recorded is read; what ablate does not know is left alone', () => {
  expect(parseWeightsMetadata({ ...complete, preprocessing: 'x', other: 'null' }, 'w')).toEqual({
    model: 'tuto',
    config: { model: 'tuto', steps: 5 },
    step: 5,
    classifier: { classes: ['a', 'b'] },
    dataset: 'noise',
    datasetFingerprint: 'f',
  });
});

test('weights from elsewhere record no configuration, and may say what they like', () => {
  expect(parseWeightsMetadata({ format: 'pt', step: 'twelve', classes: 'null' }, 'w')).toBeUndefined();
});

const classifier = 'a group of keys: network, preprocessing, classes, imageShape';

test.each([
  ['classifier', 'null', 'classifier (=null)', classifier],
  ['classifier', '[]', 'classifier (=[])', classifier],
  ['classifier', '{', 'classifier (="{")', classifier],
  ['step', '-1', 'step (=-1)', 'an integer of at least 0'],
  ['step', '0.5', 'step (=0.5)', 'an integer of at least 0'],
  ['step', '1e300', 'step (=1e+300)', 'at most 9007199254740991'],
  ['step', 'null', 'step (=null)', 'an integer of at least 0'],
  ['config', 'null', 'config (=null)', 'a group of keys'],
  ['config', '[]', 'config (=[])', 'a group of keys'],
  ['config', '{', 'config (="{")', 'a group of keys'],
  ['model', '', 'model (="")', 'a name'],
  ['model', 'nin', 'model (=nin)', 'the same as in config'],
])('%s=%s is refused', (key, text, what, allowed) => {
  expect(told(() => parseWeightsMetadata({ ...complete, [key]: text }, 'runs/w.safetensors'))).toEqual({
    kind: 'DataError',
    message: expect.stringContaining(`the metadata of runs/w.safetensors is damaged: ${what} must be ${allowed}`) as string,
    fix: 'use another file, or an earlier checkpoint',
  });
});

test('texts stay texts, whatever they look like; of all else the JSON is read, and what is missing stays missing', () => {
  const schema = z.object({
    name: z.string(),
    kind: z.enum(['1', '2']),
    count: z.int(),
    maybe: z.string().optional(),
    missing: z.int().optional(),
  });
  const decoded = decodeMetadata(schema, { name: '5', kind: '1', count: '7', maybe: 'null', more: 'x' });
  expect(decoded).toStrictEqual({ name: '5', kind: '1', count: 7, maybe: 'null' });
});

test('of a file, what its header says is read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ablate-metadata-'));
  const path = join(folder, 'w.safetensors');
  try {
    writeFileSync(path, encodeSafetensors(new Map(), complete));
    expect(readWeightsMetadata(path)).toEqual(parseWeightsMetadata(complete, 'w'));
    expect(readWeightsMetadata(path)?.model).toBe('tuto');
    writeFileSync(path, encodeSafetensors(new Map(), {}));
    expect(readWeightsMetadata(path)).toBeUndefined();
    writeFileSync(path, encodeSafetensors(new Map(), { ...complete, step: '-1' }));
    expect(() => readWeightsMetadata(path)).toThrow(`the metadata of ${path} is damaged: step (=-1)`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a missing model is refused, several faults are told together, and long ones in short', () => {
  const { config, classifier: own } = complete;
  expect(() => parseWeightsMetadata({ config, classifier: own }, 'w')).toThrow('damaged: model (=missing) must be a name');
  expect(() => parseWeightsMetadata({ ...complete, step: 'x', classifier: `"${'y'.repeat(300)}"` }, 'w')).toThrow(
    `damaged: step (=x) must be an integer of at least 0; classifier (=${'y'.repeat(200)}...) must be ${classifier}`,
  );
});
