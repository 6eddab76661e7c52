import { expect, test } from 'vitest';
import { learningRateAt, scaledLearningRate, type Schedule } from './schedules.ts';

const rates = (schedule: Schedule, steps: readonly number[], length = 100) =>
  steps.map((step) => Number(learningRateAt(schedule, 0.5, step, length).toFixed(6)));

test('constant', () => {
  expect(rates({ type: 'constant' }, [0, 50, 99])).toEqual([0.5, 0.5, 0.5]);
});

test('step: multiplied by the factor from each milestone on', () => {
  const schedule: Schedule = { type: 'step', milestones: [0.5, 0.75], factor: 0.1 };
  expect(rates(schedule, [0, 49, 50, 74, 75, 99])).toEqual([0.5, 0.5, 0.05, 0.05, 0.005, 0.005]);
});

test('cosine: half a cosine from the peak to the final rate', () => {
  expect(rates({ type: 'cosine', warmup: 0, final: 0 }, [0, 50, 100])).toEqual([0.5, 0.25, 0]);
  expect(rates({ type: 'cosine', warmup: 0.2, final: 0.1 }, [0, 9, 19, 20, 60, 100])).toEqual([
    0.025, 0.25, 0.5, 0.5, 0.275, 0.05,
  ]);
});

test('linear: from the peak to the final rate, after a warm-up from nothing', () => {
  expect(rates({ type: 'linear', warmup: 0, final: 0 }, [0, 1, 50, 99])).toEqual([0.5, 0.495, 0.25, 0.005]);
  expect(rates({ type: 'linear', warmup: 0.2, final: 0.1 }, [0, 9, 19, 20, 60, 100])).toEqual([
    0.025, 0.25, 0.5, 0.5, 0.275, 0.05,
  ]);
});

test('one-cycle: linear up, then linear down', () => {
  const schedule: Schedule = { type: 'oneCycle', warmup: 0.2, initial: 0.2, final: 0.1 };
  expect(rates(schedule, [0, 9, 19, 20, 60, 100])).toEqual([0.12, 0.3, 0.5, 0.5, 0.275, 0.05]);
});

test('triangular: from the initial rate at step 0, the warm-up in whole steps', () => {
  // airbench94: 476 steps, of which floor(0.23 * 476) = 109 go up and 367 go down.
  const schedule: Schedule = { type: 'triangular', warmup: 0.23, initial: 0.2, final: 0.07 };
  expect(rates(schedule, [0, 1, 108, 109, 110, 475], 476)).toEqual(
    [0.2, 0.2 + 0.8 / 109, 0.2 + (0.8 * 108) / 109, 1, 1 - 0.93 / 367, 0.07 + 0.93 / 367].map((rate) =>
      Number((rate / 2).toFixed(6)),
    ),
  );
  expect(rates({ ...schedule, warmup: 0.001 }, [0], 100)).toEqual([0.5]);
});

test('a warm-up of less than a step is none', () => {
  expect(rates({ type: 'oneCycle', warmup: 0.001, initial: 0, final: 0 }, [0], 100)).toEqual([0.5]);
});

test('linear scaling: from the rate itself to that times the batch over the reference', () => {
  const run = { learningRate: 0.1, batchSize: 512, steps: 100 };
  const scaled = (warmup: number, steps: readonly number[]) =>
    steps.map((step) => Number(scaledLearningRate({ type: 'linear', referenceBatchSize: 128, warmup }, run, step).toFixed(6)));
  expect(scaled(0.1, [0, 4, 9, 50])).toEqual([0.13, 0.25, 0.4, 0.4]);
  expect(scaled(0, [0, 50])).toEqual([0.4, 0.4]);
  expect(scaledLearningRate({ type: 'none' }, run, 50)).toBe(0.1);
});
