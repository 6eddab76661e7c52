import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { recordedEvaluation } from '../../test/recorded-evaluation.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { saveCheckpoint } from '../runs/checkpoint.ts';
import { openRun, runName, type Run } from '../runs/run-folder.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { thisProcess } from '../util/process-identity.ts';
import { stampOf } from '../util/regular-file.ts';
import { identityFormat, runIdentity } from './identity.ts';
import { createRunFinder, fingerprintOf, wasExtended } from './run-finder.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-finder-'));
afterAll(() => rmSync(root, { recursive: true }));
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(root, 'runs-'));
});

const config = resolveConfig({ model: 'tuto', steps: 100, threads: 1 });
const identity = runIdentity(config);

interface Records {
  readonly overrides?: ConfigOverrides;
  readonly status?: object;
  /** Of the evaluation; undefined: there is none. */
  readonly images?: string;
}

const finished = { status: 'finished', step: 100, steps: 100 };

function record(number: number, { overrides = {}, status = finished, images }: Records = {}): Run {
  const path = join(folder, 'tuto', String(number));
  mkdirSync(path, { recursive: true });
  const write = (name: string, value: unknown) => writeFileSync(join(path, name), JSON.stringify(value));
  write('config.json', resolveConfig(config, overrides));
  write('status.json', { ...thisProcess(), updatedAt: '2026-01-31T12:00:00.000Z', ...status });
  if (images !== undefined) write('evaluation.json', recordedEvaluation({ datasetFingerprint: images }));
  return openRun(path);
}

/** @param images null: any */
function found(images: string | null = 'images', isUseful?: (run: Run) => boolean): string | undefined {
  const run = createRunFinder(folder).find(identity, images ?? undefined, isUseful);
  return run && runName(run);
}

test('the run of that identity: a finished one before one that runs, before the one that came furthest, before one that failed', () => {
  record(1, { images: 'images', overrides: { learningRate: 0.3 } });
  expect(found()).toBeUndefined();
  record(2, { images: 'images', status: { status: 'failed', step: 99, steps: 100 } });
  expect(found()).toBe('tuto/2');
  record(3, { images: 'images', status: { status: 'interrupted', step: 10, steps: 100 } });
  expect(found()).toBe('tuto/3');
  record(4, { images: 'images', status: { status: 'interrupted', step: 20, steps: 100 } });
  expect(found()).toBe('tuto/4');
  record(5, { images: 'images', status: { status: 'running', step: 5, steps: 100 } });
  expect(found()).toBe('tuto/5');
  record(6, { images: 'images' });
  record(7, { images: 'images' });
  expect(found()).toBe('tuto/6');
  expect(found('images', (run) => run.number! < 4)).toBe('tuto/3');
});

test('only on the same images: as the checkpoint says, else the evaluation; what has neither may become any, unless it is finished', () => {
  record(1);
  expect(found()).toBeUndefined();
  record(2, { images: 'others' });
  expect(found()).toBeUndefined();
  expect(found(null)).toBe('tuto/2');
  createRunFinder(folder).find(identity, undefined);
  const third = record(3, { status: { status: 'interrupted', step: 0, steps: 100 } });
  expect([found(), fingerprintOf(third)]).toEqual(['tuto/3', undefined]);
  const fourth = record(4, { images: 'others' });
  saveCheckpoint(fourth, { step: 100, tensors: new Map(), metadata: { model: 'tuto', datasetFingerprint: 'images' } });
  expect([found(), fingerprintOf(fourth)]).toEqual(['tuto/4', 'images']);
});

test('not one that was continued to other steps', () => {
  const extended = record(1, { images: 'images', status: { status: 'finished', step: 200, steps: 200 } });
  expect([wasExtended(extended), found()]).toEqual([true, undefined]);
  const second = record(2, { images: 'images' });
  expect([wasExtended(second), found()]).toEqual([false, 'tuto/2']);
  // Of a status that cannot be read, nothing is known.
  writeFileSync(join(second.path, 'status.json'), '{');
  expect(wasExtended(second)).toBe(false);
});

test('odd entries are not in the way, wherever they are', () => {
  mkdirSync(join(folder, 'tuto'), { recursive: true });
  writeFileSync(join(folder, 'alex0'), 'a file in the place of a model');
  writeFileSync(join(folder, 'tuto', '1'), 'a file in the place of a run');
  symlinkSync('2', join(folder, 'tuto', '2'));
  mkdirSync(join(folder, 'tuto', '3', 'config.json'), { recursive: true });
  mkdirSync(join(folder, 'tuto', '4'));
  writeFileSync(join(folder, 'tuto', '4', 'config.json'), 'null');
  // With the right configuration, but a torn checkpoint.
  const torn = record(5, { images: 'images' });
  mkdirSync(join(torn.path, 'checkpoints'));
  writeFileSync(join(torn.path, 'checkpoints', 'step-000000100.safetensors'), 'torn');
  expect(found()).toBeUndefined();
  record(6, { images: 'images' });
  expect(found()).toBe('tuto/6');
});

test('but one that is trained while its records cannot be read is not taken for none', () => {
  const run = record(1, { images: 'images', status: { status: 'running', step: 5, steps: 100 } });
  mkdirSync(join(run.path, 'checkpoints'));
  writeFileSync(join(run.path, 'checkpoints', 'step-000000005.safetensors'), 'torn');
  expect(() => found()).toThrow('step-000000005.safetensors');
});

test('identities are kept: a configuration is read again when it changed, or when the rules are others', () => {
  const run = record(1, { images: 'images' });
  expect(found()).toBe('tuto/1');
  const cache = join(folder, '.studies', '.identities.json');
  const kept = JSON.parse(readFileSync(cache, 'utf8')) as { format: string; runs: Record<string, { identity: string }> };
  const stamp = stampOf(join(run.path, 'config.json'));
  expect(kept).toEqual({ format: identityFormat, runs: { 'tuto/1': { stamp, identity } } });
  const changed = { ...kept, runs: { 'tuto/1': { ...kept.runs['tuto/1'], identity: 'another' } } };
  writeFileSync(cache, JSON.stringify(changed));
  expect(found()).toBeUndefined();
  writeFileSync(cache, JSON.stringify({ ...changed, format: 'of another version' }));
  expect(found()).toBe('tuto/1');
  writeFileSync(cache, '{');
  expect(found()).toBe('tuto/1');
  // The same number, given again.
  writeFileSync(join(run.path, 'config.json'), JSON.stringify({ ...config, learningRate: 0.3 }));
  utimesSync(join(run.path, 'config.json'), 1, 1);
  expect(found()).toBeUndefined();
});

test('one finder sees the runs that were made since', () => {
  const finder = createRunFinder(folder);
  expect(finder.find(identity, 'images')).toBeUndefined();
  record(1, { images: 'images' });
  expect(finder.find(identity, 'images')?.number).toBe(1);
  rmSync(join(folder, 'tuto', '1'), { recursive: true });
  expect(finder.find(identity, 'images')).toBeUndefined();
});

test('identities are written when a run was added, without waiting for the disk, and not again', () => {
  const cache = join(folder, '.studies', '.identities.json');
  record(1, { images: 'images' });
  const calls = callsOf(() => expect(found()).toBe('tuto/1')).map(({ name }) => name);
  expect([calls.includes('renameSync'), calls.includes('fsyncSync')]).toEqual([true, false]);
  const before = stampOf(cache);
  expect(found()).toBe('tuto/1');
  expect(stampOf(cache)).toBe(before);
});

test('where identities cannot be kept, they are read again', () => {
  writeFileSync(join(folder, '.studies'), 'a file in the place of the folder');
  record(1, { images: 'images' });
  expect([found(), found()]).toEqual(['tuto/1', 'tuto/1']);
});

test('a run that does not say how far it is may still be used', () => {
  const run = record(1, { images: 'images' });
  writeFileSync(join(run.path, 'status.json'), '{');
  expect([wasExtended(run), found()]).toEqual([false, 'tuto/1']);
});

test('a defect of the program is not taken for a damaged run', () => {
  record(1, { images: 'images' });
  const defect = () => {
    throw new TypeError('a defect');
  };
  expect(() => found('images', defect)).toThrow('a defect');
  rmSync(join(folder, '.studies'), { recursive: true });
  const failing = () => watchFs(({ name, path }) => name === 'openSync' && path.endsWith('config.json') && defect(), found);
  expect(failing).toThrow('a defect');
});
