import { mkdtempSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { callsOf } from '../../test/watched-fs.ts';
import { AblateError, ConfigurationError, DataError } from '../util/errors.ts';
import {
  checkpointPath,
  latestCheckpoint,
  listCheckpoints,
  loadCheckpoint,
  loadNewestCheckpoint,
  saveCheckpoint,
  type Checkpoint,
} from './checkpoint.ts';
import { checkpointWeights } from './checkpoint-weights.ts';
import { describeEnvironment } from './environment.ts';
import { checkpointsFolder, createRun } from './run-folder.ts';
import { encodeSafetensors } from './safetensors.ts';

vi.mock('node:fs', async (original) => (await import('../../test/watched-fs.ts')).watchedFs(await original()));

const folder = mkdtempSync(join(tmpdir(), 'ablate-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = describeEnvironment({ threads: 2 });
const newRun = () => createRun(folder, 'tuto', { steps: 100 }, environment);

function checkpointAt(step: number): Checkpoint {
  return {
    step,
    tensors: new Map([
      ['conv1.weight', { shape: [2, 1], data: Float32Array.of(step, 2) }],
      ['norm1.mean', { shape: [1], data: Float32Array.of(3) }],
      ['ema.conv1.weight', { shape: [2, 1], data: Float32Array.of(4, 5) }],
      ['opt.momentum.conv1.weight', { shape: [2, 1], data: Float32Array.of(6, 7) }],
    ]),
    metadata: { model: 'tuto', config: '{"steps":100}' },
  };
}

test('what is saved is loaded, with its step and format in the metadata', () => {
  const run = newRun();
  const path = saveCheckpoint(run, checkpointAt(10_000));
  expect(path).toBe(join(run.path, 'checkpoints', 'step-000010000.safetensors'));
  const loaded = loadCheckpoint(path);
  expect(loaded.step).toBe(10_000);
  expect(loaded.tensors).toEqual(checkpointAt(10_000).tensors);
  expect(loaded.metadata).toEqual({
    model: 'tuto',
    config: '{"steps":100}',
    step: '10000',
    format: 'ablate-checkpoint-1',
    final: 'false',
  });
});

test('checkpoints are listed by step, without temporary and other files', () => {
  const run = newRun();
  expect(latestCheckpoint(run)).toBeUndefined();
  expect(loadNewestCheckpoint(run)).toEqual({ checkpoint: undefined, damaged: [] });
  // By name, the last would be the second.
  for (const step of [20, 3_000_000_000, 100, 999_999_999]) saveCheckpoint(run, checkpointAt(step));
  writeFileSync(join(checkpointsFolder(run), '.step-000000999.safetensors.1-a.tmp'), '');
  writeFileSync(join(checkpointsFolder(run), 'notes.txt'), '');
  expect(listCheckpoints(run)).toEqual(
    [20, 100, 999_999_999, 3_000_000_000].map((step) => ({ step, path: checkpointPath(run, step) })),
  );
  expect(latestCheckpoint(run)?.step).toBe(3_000_000_000);
  expect(loadNewestCheckpoint(run).checkpoint).toMatchObject({ step: 3_000_000_000, path: checkpointPath(run, 3_000_000_000) });
  rmSync(checkpointsFolder(run), { recursive: true });
  expect(listCheckpoints(run)).toEqual([]);
});

test('keeps the newest, and those at which a training ended', () => {
  const run = newRun();
  const steps = () => listCheckpoints(run).map(({ step }) => step);
  for (const step of [1, 2, 3]) saveCheckpoint(run, checkpointAt(step));
  saveCheckpoint(run, checkpointAt(4), { keep: 2, final: true });
  expect(steps()).toEqual([3, 4]);
  // Goes on from the final checkpoint, whose metadata must not make its successors final.
  for (const step of [5, 6, 7])
    saveCheckpoint(run, { ...checkpointAt(step), metadata: loadNewestCheckpoint(run).checkpoint!.metadata }, { keep: 2 });
  expect(steps()).toEqual([4, 6, 7]);
  for (const keep of [0, 1.5, NaN]) expect(() => saveCheckpoint(run, checkpointAt(8), { keep })).toThrow(ConfigurationError);
});

test('a damaged old checkpoint does not stop a training', () => {
  const run = newRun();
  truncateSync(saveCheckpoint(run, checkpointAt(1)), 20);
  saveCheckpoint(run, checkpointAt(2), { keep: 1 });
  expect(listCheckpoints(run).map(({ step }) => step)).toEqual([1, 2]);
  expect(() => loadCheckpoint(checkpointPath(run, 1))).toThrow(
    /step-000000001.safetensors is not a valid safetensors file: .*truncated/,
  );
});

test('a checkpoint is on the disk under its name before an older one is removed', () => {
  const run = newRun();
  saveCheckpoint(run, checkpointAt(1));
  const calls = callsOf(() => saveCheckpoint(run, checkpointAt(2), { keep: 1 }));
  const order = calls.flatMap(({ name, path }) =>
    ['writeFileSync', 'fsyncSync', 'renameSync', 'rmSync'].includes(name)
      ? `${name} ${basename(path).replace(/\.\d+-.*/, '')}`
      : [],
  );
  expect(order).toEqual([
    'writeFileSync .step-000000002.safetensors',
    'fsyncSync .step-000000002.safetensors',
    'renameSync .step-000000002.safetensors',
    'fsyncSync checkpoints',
    'rmSync step-000000001.safetensors',
  ]);
});

test('the newest checkpoint that is whole, and those that are newer and damaged', () => {
  const run = newRun();
  for (const step of [1, 2, 3, 4]) saveCheckpoint(run, checkpointAt(step));
  const damaged = [4, 3].map((step) => checkpointPath(run, step));
  for (const path of damaged) truncateSync(path, statSync(path).size - 1);
  expect(loadNewestCheckpoint(run)).toMatchObject({ checkpoint: { step: 2, path: checkpointPath(run, 2) }, damaged });
  for (const step of [1, 2]) writeFileSync(checkpointPath(run, step), '');
  expect(loadNewestCheckpoint(run)).toEqual({
    checkpoint: undefined,
    damaged: [4, 3, 2, 1].map((step) => checkpointPath(run, step)),
  });
  // One that may be whole is not passed over.
  rmSync(damaged[0]!);
  symlinkSync(damaged[0]!, damaged[0]!);
  expect(() => loadNewestCheckpoint(run)).toThrow(/cannot read .*step-000000004.safetensors: .*ELOOP/);
});

test('weights of another program are not a checkpoint', () => {
  const path = join(folder, 'weights.safetensors');
  writeFileSync(path, encodeSafetensors(new Map(), {}));
  expect(() => loadCheckpoint(path)).toThrow(DataError);
  expect(() => loadCheckpoint(path)).toThrow('is not a checkpoint of the format "ablate-checkpoint-1": its format is undefined');
});

test('weights are raw, or the moving averages of all of them', () => {
  const { tensors } = checkpointAt(1);
  const whole = new Map(tensors).set('ema.norm1.mean', { shape: [1], data: Float32Array.of(8) });
  const values = (kind: 'ema' | 'raw') =>
    [...checkpointWeights({ tensors: whole }, kind, 'c')].map(([name, { data }]) => [name, ...data]);
  expect(values('raw')).toEqual([
    ['conv1.weight', 1, 2],
    ['norm1.mean', 3],
  ]);
  expect(values('ema')).toEqual([
    ['conv1.weight', 4, 5],
    ['norm1.mean', 8],
  ]);
  const without = new Map([['conv1.weight', tensors.get('conv1.weight')!]]);
  expect(() => checkpointWeights({ tensors: without }, 'ema', 'step-1')).toThrow('step-1 has no moving averages');
  // Never the averages of some and the last values of others.
  const averages = () => checkpointWeights({ tensors }, 'ema', 'step-1');
  expect(averages).toThrow(DataError);
  expect(averages).toThrow('step-1 lacks moving averages of some weights: ema.norm1.mean');
});

test('a folder that cannot be written gives the path, the reason and a fix', () => {
  const run = newRun();
  rmSync(checkpointsFolder(run), { recursive: true });
  writeFileSync(checkpointsFolder(run), '');
  const save = () => saveCheckpoint(run, checkpointAt(1));
  expect(save).toThrow(AblateError);
  expect(save).toThrow(/cannot create .*checkpoints: .*(ENOTDIR|EEXIST)/);
});
