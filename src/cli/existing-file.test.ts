import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { freezeUntrained } from '../../test/freeze-untrained.ts';
import { encodeFrozenMetadata } from '../deploy/metadata.ts';
import { decodeModel, encodeModel } from '../deploy/onnx/schema.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { resolveConfig } from '../train/config.ts';
import { existingFrozenFile, isOfRun } from './existing-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-existing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('of a frozen file that is there it is told what it was made of, and whether that is the same run', async () => {
  const { metadata, encode } = await freezeUntrained(referenceEngine, { model: 'squeeze0', inputSize: 8, 'conv1.filters': 4 });
  const model = decodeModel(encode(null))!;
  const path = join(folder, 'model.onnx');
  const ofRun = { ...metadata, run: 'squeeze0/3', step: 20 };
  writeFileSync(path, encodeModel({ ...model, metadata: encodeFrozenMetadata(ofRun) }));
  expect(await existingFrozenFile(path, ({ run }) => run === 'squeeze0/3')).toEqual({
    isOwn: true,
    description: 'a frozen file of squeeze0/3, step 20',
  });
  expect(await existingFrozenFile(path, () => false)).toMatchObject({ isOwn: false });
  const { config } = metadata;
  expect(isOfRun(ofRun, 'squeeze0/3', { ...config, steps: 77, threads: 3 })).toBe(true);
  expect(isOfRun(ofRun, 'squeeze0/4', config)).toBe(false);
  // Of a run that is elsewhere, the file has no more than the name of its folder.
  expect(isOfRun({ ...ofRun, run: 'mine' }, '/home/me/mine', config)).toBe(true);
  expect(isOfRun({ ...ofRun, run: 'mine' }, '/home/me/yours', config)).toBe(false);
  expect(isOfRun(ofRun, undefined, config)).toBe(false);
  expect(isOfRun(metadata, undefined, config)).toBe(false);
  expect(isOfRun(ofRun, 'squeeze0/3', { ...config, seed: config.seed + 1 })).toBe(false);
  expect(isOfRun(ofRun, 'squeeze0/3', { ...config, init: 'squeeze0/1' })).toBe(false);
  // Files have no paths.
  const trained = { ...config, dataset: 'images:/home/me', init: '/home/me/x.safetensors' };
  expect(isOfRun({ ...ofRun, config: { ...config, dataset: 'images', init: 'file' } }, 'squeeze0/3', trained)).toBe(true);
  expect(isOfRun(ofRun, 'squeeze0/3', resolveConfig({ model: 'squeeze0', recipe: 'modern' }))).toBe(false);
});

test('another file says nothing', async () => {
  const path = join(folder, 'other.onnx');
  writeFileSync(path, 'notes');
  expect(await existingFrozenFile(path, () => true)).toBeUndefined();
  expect(await existingFrozenFile(join(folder, 'none.onnx'), () => true)).toBeUndefined();
});
