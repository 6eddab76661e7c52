import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MetricsRecord } from '../runs/metrics.ts';
import { readRunResults, resultsOf } from './run-results.ts';

const record = (step: number, metrics: MetricsRecord['metrics']): MetricsRecord => ({ step, time: 't', metrics });

test('evaluations by step, of a step the last; the last loss of each kind', () => {
  const { curve, loss, trainLoss } = resultsOf(
    [
      record(10, { 'train/loss': 2 }),
      record(30, { 'test/accuracy': 0.6, 'test/loss': 1.5 }),
      record(20, { 'test/accuracy': 0.9, 'test/loss': 0.1 }),
      record(30, { 'test/accuracy': 0.5, 'test/loss': 1.25 }),
      record(30, { 'train/loss': 1 }),
    ],
    8,
  );
  expect(curve).toEqual([
    { step: 20, accuracy: 0.9 },
    { step: 30, accuracy: 0.5 },
  ]);
  expect([loss, trainLoss]).toEqual([1.25, 1]);
});

test('accuracy and loss are of validation images where those are what a run is evaluated on; zero is a value', () => {
  const { curve, loss } = resultsOf([record(1, { 'val/accuracy': 0, 'val/loss': 0 })], 8);
  expect([curve, loss]).toEqual([[{ step: 1, accuracy: 0 }], 0]);
});

test('seconds of stepping: steps since the record before, at the speed of the record; steps done again count once', () => {
  const speed = (step: number, imagesPerSecond: number) => record(step, { 'train/imagesPerSecond': imagesPerSecond });
  // 10 steps of 8 images at 16 a second are 5 seconds; 20 more at 40 a second are 4.
  const twice = resultsOf([speed(10, 16), speed(10, 1), speed(30, 40), speed(20, 1), record(40, {}), speed(50, 0)], 8);
  expect(twice.trainingSeconds).toBe(9);
  expect(twice.imagesPerSecond).toBe(240 / 9);
  const none = resultsOf([], 8);
  expect(none).toEqual({
    curve: [],
    lossCurve: [],
    loss: undefined,
    trainLoss: undefined,
    trainingSeconds: 0,
    imagesPerSecond: undefined,
  });
});

test('a training loss of many records in few points, each the mean of its steps', () => {
  const records = Array.from({ length: 120 }, (_, i) => ({
    step: 10 * (i + 1),
    time: '2026-01-31T12:00:00.000Z',
    metrics: { 'train/loss': i === 5 ? NaN : i },
  }));
  const { lossCurve } = resultsOf(records, 1);
  expect(lossCurve).toHaveLength(40);
  expect(lossCurve.slice(0, 2)).toEqual([
    { step: 30, loss: 1 },
    { step: 70, loss: (3 + 4 + 6) / 3 },
  ]);
  expect(lossCurve.at(-1)).toEqual({ step: 1200, loss: 118.5 });
  expect(resultsOf(records.slice(0, 2), 1).lossCurve).toEqual([
    { step: 10, loss: 0 },
    { step: 20, loss: 1 },
  ]);
});

test('exactly as many records as are shown are points of their own; one more, and two are one', () => {
  const records = Array.from({ length: 51 }, (_, i) => record(i + 1, { 'train/loss': i }));
  const points = (count: number) => resultsOf(records.slice(0, count), 1).lossCurve;
  expect(points(50)).toHaveLength(50);
  expect(points(51)).toHaveLength(26);
  expect(points(51).at(-1)).toEqual({ step: 51, loss: 50 });
  expect(resultsOf([record(1, { 'test/loss': 5 }), record(2, { 'train/loss': Infinity })], 1).lossCurve).toEqual([]);
});

test('the results of a run are read from its metrics', () => {
  const path = mkdtempSync(join(tmpdir(), 'ablate-run-results-'));
  const line = { step: 10, time: '2026-01-31T12:00:00.000Z', metrics: { 'train/imagesPerSecond': 16 } };
  const { metrics, ...rest } = line;
  writeFileSync(join(path, 'metrics.jsonl'), `${JSON.stringify({ ...rest, ...metrics })}\n`);
  expect(readRunResults({ path, model: 'tuto', number: 1 }, 8)).toMatchObject({ trainingSeconds: 5, imagesPerSecond: 16 });
  rmSync(path, { recursive: true });
});
