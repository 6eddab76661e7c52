import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeEnvironment } from '../runs/environment.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides } from '../train/config-schema.ts';
import { createPredictor, secondsInAll } from './predict.ts';

test('runs at the same time take as long as the busiest place', () => {
  expect(secondsInAll([3, 1, 2], 1)).toBe(6);
  expect(secondsInAll([3, 1, 2], 2)).toBe(3);
  expect(secondsInAll([1, 1, 1], 2)).toBe(2);
  expect(secondsInAll([3, 1, 2], 100)).toBe(3);
  // What is finished takes no time.
  expect(secondsInAll([0, 0, 5], 2)).toBe(5);
});

describe('seconds of a run', () => {
  const root = mkdtempSync(join(tmpdir(), 'ablate-predict-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const facts = { shape: [3, 32, 32], classes: 10, evaluationImages: 22, validationImages: 7 } as const;

  function config(overrides: ConfigOverrides = {}) {
    return resolveConfig({ model: 'tuto', steps: 100, batchSize: 100, evalEvery: 50, threads: 2 }, overrides, {
      inputSize: overrides['inputSize'] ?? 24,
    });
  }

  let folders = 0;
  const newFolder = () => join(root, String(++folders));

  /** A run of the first 100 steps, of which a report tells the images a second. */
  function record(
    folder: string,
    number: number,
    { imagesPerSecond = 1000, host = hostname(), step = 100, overrides = {}, damaged = false } = {},
  ) {
    const complete = config(overrides);
    const path = join(folder, complete.model, String(number));
    mkdirSync(path, { recursive: true });
    const write = (name: string, text: string) => writeFileSync(join(path, name), text);
    write('config.json', damaged ? '{' : JSON.stringify(complete));
    write('environment.json', JSON.stringify({ ...describeEnvironment({ threads: 1 }), host }));
    write(
      'status.json',
      JSON.stringify({ status: 'finished', step, steps: 100, pid: 1, host, updatedAt: '2026-01-31T12:00:00.000Z' }),
    );
    write('metrics.jsonl', `${JSON.stringify({ step: 100, time: 't', 'train/imagesPerSecond': imagesPerSecond })}\n`);
  }

  // A step is three passes over its images, an evaluation one for raw and averaged weights each: 100 * 100 * 3 + 2 * 2 * 22.
  const passes = 30_088;

  test('without runs, a guess: 50 billion operations a second and thread', () => {
    const { seconds, basis } = createPredictor(newFolder(), facts);
    expect(basis).toBe('a guess, as no run was recorded on this machine yet');
    // 37.75 million operations an image, as tensorsandbox published.
    const expected = (passes * 37.75e6) / 50e9;
    expect(seconds(config(), 1) / expected).toBeCloseTo(1, 3);
    expect(seconds(config(), 2) / expected).toBeCloseTo(1 / 2, 3);
    expect(seconds(config({ movingAverage: false }), 1) / expected).toBeCloseTo(30_044 / passes, 3);
    expect(seconds(config({ evalEvery: 0 }), 1) / expected).toBeCloseTo(30_044 / passes, 3);
    expect(seconds(config({ evalEvery: 30 }), 1) / expected).toBeCloseTo(30_176 / passes, 3);
  });

  test('evaluations take as long as there are images in the split', () => {
    const { seconds } = createPredictor(newFolder(), { ...facts, evaluationImages: 60_000, validationImages: 3000 });
    const plain = createPredictor(newFolder(), { ...facts, evaluationImages: 0 }).seconds(config(), 1);
    expect(seconds(config(), 1) / plain).toBeCloseTo(270_000 / 30_000, 9);
    expect(seconds(config({ val: true }), 1) / plain).toBeCloseTo(42_000 / 30_000, 9);
  });

  test('from runs of the same network on this machine: 1000 images a second by two threads', () => {
    const folder = newFolder();
    record(folder, 1);
    const { seconds, basis } = createPredictor(folder, facts);
    expect(basis).toBe('1 run recorded on this machine');
    // An image of training is three passes: 1500 passes a second and thread.
    expect(seconds(config(), 1)).toBeCloseTo(passes / 1500, 9);
    expect(seconds(config(), 4)).toBeCloseTo(passes / 6000, 9);
    // Of another network by its operations: at 32x32 it has 66.98 million, not 37.75.
    expect(seconds(config({ inputSize: 32 }), 1) / (passes / 1500)).toBeCloseTo(66.98 / 37.75, 2);
  });

  test('the median of the newest five, those of the same network before others; other machines and damaged runs do not count', () => {
    const folder = newFolder();
    record(folder, 1, { imagesPerSecond: 1 });
    [2, 3, 4].forEach((number) => record(folder, number, { imagesPerSecond: 1000 * number }));
    record(folder, 5, { imagesPerSecond: 77, host: 'elsewhere' });
    record(folder, 6, { damaged: true });
    record(folder, 7, { imagesPerSecond: 5, step: 0 });
    record(folder, 1, { imagesPerSecond: 10, overrides: { model: 'alex2' } });
    const { seconds, basis } = createPredictor(folder, facts);
    // Numbers 3 to 7 are read, of which 3 and 4 count.
    expect(basis).toBe('3 runs recorded on this machine');
    expect(seconds(config(), 1)).toBeCloseTo(passes / 6000, 9);
    expect(seconds(config({ model: 'alex2' }), 1)).toBeCloseTo(passes / 15, 9);
  });
});
