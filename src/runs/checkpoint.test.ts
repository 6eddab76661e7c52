import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { told } from '../../test/told.ts';
import { callsOf, watchFs } from '../../test/watched-fs.ts';
import { AblateError, DataError } from '../util/errors.ts';
import {
  bestCheckpoint,
  checkpointPath,
  latestCheckpoint,
  listCheckpoints,
  loadCheckpoint,
  loadNewestCheckpoint,
  saveBestCheckpoint,
  saveCheckpoint,
  type Checkpoint,
} from './checkpoint.ts';
import { checkpointWeights } from './checkpoint-weights.ts';
import { describeEnvironment } from './environment.ts';
import { checkpointsFolder, createRun } from './run-folder.ts';
import { encodeSafetensors, readSafetensors } from './safetensors.ts';

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
  for (const name of ['notes.txt', 'old-step-000000998.safetensors', 'step-000000997.safetensors.bak', 'best.safetensors']) {
    writeFileSync(join(checkpointsFolder(run), name), '');
  }
  expect(listCheckpoints(run)).toEqual(
    [20, 100, 999_999_999, 3_000_000_000].map((step) => ({ step, path: checkpointPath(run, step) })),
  );
  expect(latestCheckpoint(run)?.step).toBe(3_000_000_000);
  expect(loadNewestCheckpoint(run).checkpoint).toMatchObject({ step: 3_000_000_000, path: checkpointPath(run, 3_000_000_000) });
  rmSync(checkpointsFolder(run), { recursive: true });
  expect(listCheckpoints(run)).toEqual([]);
  // What cannot be listed is not taken for a run without checkpoints, which would start anew.
  writeFileSync(checkpointsFolder(run), '');
  expect(told(() => listCheckpoints(run)).message).toBe(
    `cannot read ${checkpointsFolder(run)}: a part of the path is a file, not a folder (ENOTDIR)`,
  );
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
  for (const keep of [0, 1.5, NaN]) {
    expect(told(() => saveCheckpoint(run, checkpointAt(8), { keep }))).toEqual({
      kind: 'ConfigurationError',
      message: `keep (=${keep}) must be a positive integer`,
      fix: 'leave it out to keep all checkpoints',
    });
  }
  expect(steps()).toEqual([4, 6, 7]);
});

test('a checkpoint that another removed meanwhile is no failure, one that cannot be removed or read is', () => {
  const run = newRun();
  const [first, second] = [1, 2].map((step) => saveCheckpoint(run, checkpointAt(step))) as [string, string];
  const keepOne = (step: number, before: (path: string) => void) =>
    watchFs(
      ({ name, path }) => {
        if (name === 'rmSync') before(path);
      },
      () => saveCheckpoint(run, checkpointAt(step), { keep: 1 }),
    );
  const removed: string[] = [];
  keepOne(3, (path) => {
    removed.push(path);
    rmSync(path);
  });
  expect(removed).toEqual([first, second]);
  expect(listCheckpoints(run).map(({ step }) => step)).toEqual([3]);
  const third = checkpointPath(run, 3);
  const refused = () =>
    keepOne(4, (path) => {
      rmSync(path);
      mkdirSync(path);
    });
  expect(told(refused).message).toMatch(/^cannot remove .*step-000000003\.safetensors: .*DIR\)$/);
  rmSync(third, { recursive: true });
  symlinkSync(third, third);
  expect(told(() => saveCheckpoint(run, checkpointAt(5), { keep: 1 })).message).toBe(
    `cannot read ${third}: its links lead in a circle (ELOOP)`,
  );
});

test('the best checkpoint is one file, replaced by a better one, whatever else is kept', () => {
  const run = newRun();
  expect(bestCheckpoint(run)).toBeUndefined();
  rmSync(checkpointsFolder(run), { recursive: true });
  expect(bestCheckpoint(run)).toBeUndefined();
  saveBestCheckpoint(run, checkpointAt(10), 0.5);
  saveBestCheckpoint(run, checkpointAt(30), 0.8125);
  const path = join(run.path, 'checkpoints', 'best.safetensors');
  expect(bestCheckpoint(run)).toEqual({ path, step: 30, accuracy: 0.8125 });
  expect(readSafetensors(path)).toEqual({
    tensors: checkpointAt(30).tensors,
    metadata: {
      model: 'tuto',
      config: '{"steps":100}',
      format: 'ablate-checkpoint-1',
      step: '30',
      validationAccuracy: '0.8125',
    },
  });
  expect(loadCheckpoint(path).step).toBe(30);
  saveCheckpoint(run, checkpointAt(40), { keep: 1 });
  saveCheckpoint(run, checkpointAt(50), { keep: 1 });
  expect(readdirSync(checkpointsFolder(run)).sort()).toEqual(['best.safetensors', 'step-000000050.safetensors']);
  writeFileSync(path, 'damaged');
  expect(() => bestCheckpoint(run)).toThrow(DataError);
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
  expect(told(() => loadCheckpoint(path))).toEqual({
    kind: 'DataError',
    message: `${path} is not a checkpoint of the format "ablate-checkpoint-1": its format is undefined, its step undefined`,
    fix: 'to start from the weights of another program, use --init',
  });
  const format = 'ablate-checkpoint-1';
  for (const [metadata, found] of [
    [{ format: 'pt', step: '3' }, 'its format is "pt", its step "3"'],
    [{ format }, `its format is "${format}", its step undefined`],
    [{ format, step: '-1' }, `its format is "${format}", its step "-1"`],
    [{ format, step: '1.5' }, `its format is "${format}", its step "1.5"`],
  ] as const) {
    writeFileSync(path, encodeSafetensors(new Map(), metadata));
    expect(() => loadCheckpoint(path)).toThrow(`: ${found}`);
  }
  writeFileSync(path, encodeSafetensors(new Map(), { format, step: '0' }));
  expect(loadCheckpoint(path)).toEqual({ step: 0, tensors: new Map(), metadata: { format, step: '0' } });
});

test('weights may be called as if they were something else within', () => {
  const weight = { shape: [1], data: Float32Array.of(1) };
  const names = ['schema.weight', 'adopt.weight', 'unmask.weight', 'block.ema.weight'];
  const others = ['ema.schema.weight', 'opt.momentum.adopt.weight', 'mask.unmask.weight'];
  const tensors = new Map([...names, ...others].map((name) => [name, weight]));
  expect([...checkpointWeights({ tensors }, 'raw', 'c').keys()]).toEqual(names);
  expect(told(() => checkpointWeights({ tensors: new Map(names.map((name) => [name, weight])) }, 'ema', 'c'))).toEqual({
    kind: 'DataError',
    message: 'c has no moving averages of the weights',
    fix: '--weights raw',
  });
  // The first four of many.
  const many = new Map([1, 2, 3, 4, 5, 6].map((i) => [`w${i}`, weight])).set('ema.w6', weight);
  expect(told(() => checkpointWeights({ tensors: many }, 'ema', 'c'))).toEqual({
    kind: 'DataError',
    message: 'c lacks moving averages of some weights: ema.w1, ema.w2, ema.w3, ema.w4',
    fix: '--weights raw, or an earlier checkpoint',
  });
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
