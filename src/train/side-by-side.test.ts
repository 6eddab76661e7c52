/** Several trainings on one engine, which here is the reference engine: in which groups it is asked for them, and what becomes of each. */
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { noiseDataset } from '../../test/noise-dataset.ts';
import type { Engine } from '../engine/engine.ts';
import { DeviceMemoryError } from '../engine/memory-error.ts';
import { referenceEngine } from '../engine/reference/engine.ts';
import { listCheckpoints } from '../runs/checkpoint.ts';
import { writeStatus } from '../runs/run-status.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { trainAll, type Outcome } from './side-by-side.ts';
import { train } from './train.ts';

const dataset = noiseDataset(8, { train: 8, test: 2 });

const training = (overrides: ConfigOverrides = {}) => ({
  dataset,
  config: resolveConfig({
    ...{ model: 'tuto', 'conv1.filters': 2, 'conv1.kernel': 3, 'conv2.filters': 2, 'conv2.kernel': 3, 'dense1.features': 2 },
    ...{ dense2: false, batchSize: 2, steps: 1, inputSize: 6, threads: 1, evalEvery: 0, movingAverage: false },
    ...overrides,
  }),
});

/** The reference engine; each lane says what it compiles, and fails as `fail` says. */
function logged(log: string[], name: string, fail: () => Error | undefined = () => undefined): Engine {
  return {
    ...referenceEngine,
    async compileTraining(network, options) {
      log.push(`${name}: ${network.name} ${options.batchSize} ${options.precision}`);
      const error = fail();
      if (error !== undefined) throw error;
      return await referenceEngine.compileTraining(network, { ...options, precision: 'f32' });
    },
    dispose: () => log.push(`${name} disposed of`),
  };
}

/** Does `most` networks at a time as it thinks, and `memory` as it turns out. */
function together(
  log: string[],
  most: number,
  memory = Infinity,
  error: (lane: number) => Error = () => new DeviceMemoryError('full'),
) {
  return {
    ...logged(log, 'alone'),
    sideBySide: {
      most: () => most,
      open: (count: number) => {
        log.push(`open ${count}`);
        return Array.from({ length: count }, (_, lane) =>
          logged(log, `lane ${lane}`, () => (count > memory ? error(lane) : undefined)),
        );
      },
    },
  };
}

const states = (outcomes: readonly Outcome[]) => outcomes.map(({ state }) => state);

describe('one after the other, where there is nothing to win', () => {
  const inTurn = async (errors: readonly (Error | undefined)[], signals: readonly (AbortSignal | undefined)[] = []) => {
    const log: string[] = [];
    let turn = 0;
    const engine = logged(log, 'alone', () => errors[turn++]);
    const trainings = errors.map((_, i) => ({ ...training({ seed: i }), ...(signals[i] && { signal: signals[i] }) }));
    const outcomes = await trainAll(engine, trainings);
    return { outcomes, begun: log.length };
  };

  test('one that fails does not stop the others', async () => {
    const error = new Error('it fell over');
    const { outcomes, begun } = await inTurn([error, undefined]);
    expect(outcomes).toEqual([
      { state: 'failed', error },
      { state: 'trained', result: expect.objectContaining({ step: 1 }) as unknown },
    ]);
    expect(begun).toBe(2);
  });

  test.each([new ConfigurationError('wrong'), new DataError('damaged')])('what is refused holds for all: %s', async (error) => {
    const { outcomes, begun } = await inTurn([new Error('it fell over'), error, undefined]);
    expect(states(outcomes)).toEqual(['failed', 'failed', 'notBegun']);
    expect(outcomes[1]).toEqual({ state: 'failed', error });
    expect(begun).toBe(2);
  });

  test('what is wrong with a run that goes on is wrong with that one alone', async () => {
    const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-side-by-side-'));
    onTestFinished(() => rmSync(runsFolder, { recursive: true }));
    const { run } = await train({ ...training({ saveEvery: 1 }), engine: referenceEngine, record: { runsFolder } });
    for (const { path } of listCheckpoints(run!)) truncateSync(path, 10);
    writeStatus(run!, { status: 'interrupted', step: 1, steps: 1 });
    const outcomes = await trainAll(logged([], 'alone'), [{ ...training(), record: { resume: run! } }, training()]);
    expect(states(outcomes)).toEqual(['failed', 'trained']);
    expect(outcomes[0]).toMatchObject({ error: { name: 'DataError' } });
  });

  test('what was aborted is not begun', async () => {
    const { outcomes } = await inTurn([new Error('a'), new Error('b')], [undefined, AbortSignal.abort()]);
    expect(states(outcomes)).toEqual(['failed', 'notBegun']);
  });
});

test('side by side are those of one network, batch size and precision, as many as there is room for; each as if alone', async () => {
  const log: string[] = [];
  const notices: string[] = [];
  const trainings = [
    training({ seed: 1 }),
    training({ seed: 2, batchSize: 4 }),
    training({ seed: 3 }),
    training({ seed: 4 }),
    training({ seed: 5, 'dense1.features': 3 }),
    training({ seed: 6, precision: 'bf16' }),
  ];
  const outcomes = await trainAll(together(log, 2), trainings, (notice) => notices.push(notice));
  expect(states(outcomes)).toEqual(Array(6).fill('trained'));
  const opened = log.filter((line) => !line.includes('alone:'));
  expect(opened).toHaveLength(5);
  expect(opened.slice(0, 3)).toEqual(['open 2', 'lane 0: tuto 2 f32', 'lane 1: tuto 2 f32']);
  expect(opened.slice(3).sort()).toEqual(['lane 0 disposed of', 'lane 1 disposed of']);
  // The third of the first group, and the three that are like no other.
  expect(log.filter((line) => line.includes('alone:'))).toEqual([
    'alone: tuto 2 f32',
    'alone: tuto 4 f32',
    'alone: tuto 2 f32',
    'alone: tuto 2 bf16',
  ]);
  expect(notices).toEqual(["2 networks of tuto at a time fit the device's arrays: 3 take 2 rounds"]);
  for (const index of [2, 3]) {
    const outcome = outcomes[index]!;
    const alone = await train({ ...trainings[index]!, engine: referenceEngine });
    expect(outcome.state === 'trained' && outcome.result.saved!.file).toEqual(alone.saved!.file);
  }
});

test('rounds are of like size; where none has room, one after the other; one alone needs no room', async () => {
  const opened = async (count: number, most: number) => {
    const log: string[] = [];
    const notices: string[] = [];
    // None is trained: the first refusal is of them all, but what is opened is known before.
    const engine = together(log, most, 0, () => new Error('not trained'));
    const trainings = Array.from({ length: count }, (_, seed) => ({ ...training({ seed }) }));
    const failing = { ...engine, compileTraining: () => Promise.reject(new Error('not trained')) };
    expect(states(await trainAll(failing, trainings, (notice) => notices.push(notice)))).toEqual(Array(count).fill('failed'));
    return [log.filter((line) => line.startsWith('open')), notices.length];
  };
  expect(await opened(4, 3)).toEqual([['open 2', 'open 2'], 1]);
  expect(await opened(3, 3)).toEqual([['open 3'], 0]);
  expect(await opened(2, 0)).toEqual([[], 1]);
  expect(await opened(1, 0)).toEqual([[], 0]);
});

test('what the device has no memory for is tried again by halves', async () => {
  const log: string[] = [];
  const notices: string[] = [];
  const trainings = [1, 2, 3].map((seed) => training({ seed }));
  const outcomes = await trainAll(together(log, 3, 2), trainings, (notice) => notices.push(notice));
  expect(states(outcomes)).toEqual(['trained', 'trained', 'trained']);
  expect(log.filter((line) => line.startsWith('open'))).toEqual(['open 3', 'open 2']);
  expect(notices).toEqual(['the device has no memory for 3 networks at a time: trying 2']);
  // Not so where one failed for another reason.
  log.length = 0;
  const mixed = together(log, 3, 2, (lane) => (lane === 1 ? new ConfigurationError('wrong') : new DeviceMemoryError('full')));
  expect(states(await trainAll(mixed, trainings))).toEqual(['failed', 'failed', 'failed']);
  expect(log.filter((line) => line.startsWith('open'))).toEqual(['open 3']);
});

test('a group of which one was aborted is not begun', async () => {
  const log: string[] = [];
  const trainings = [training({ seed: 1 }), { ...training({ seed: 2 }), signal: AbortSignal.abort() }];
  expect(states(await trainAll(together(log, 2), trainings))).toEqual(['notBegun', 'notBegun']);
  expect(log).toEqual([]);
});
