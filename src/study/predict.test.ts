import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeEnvironment } from '../runs/environment.ts';
import { createClassifier } from '../train/classifier.ts';
import { resolveConfig } from '../train/config.ts';
import type { ConfigOverrides, SettledConfig } from '../train/config-schema.ts';
import { createPredictor, secondsInAll, type ImageFacts } from './predict.ts';

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
  const facts = {
    shape: [3, 32, 32],
    train: { count: 50_000 },
    classes: Array.from('abcdefghij'),
    testImages: 22,
    validationImages: 7,
  } as const;

  function config(overrides: ConfigOverrides = {}) {
    return resolveConfig({ model: 'tuto', steps: 100, batchSize: 100, evalEvery: 50, threads: 2 }, overrides, {
      inputSize: overrides['inputSize'] ?? 24,
    }) as SettledConfig;
  }

  function training(overrides: ConfigOverrides = {}) {
    const complete = config(overrides);
    return { config: complete, classifier: createClassifier(complete, facts) };
  }

  let folders = 0;
  const newFolder = () => join(root, String(++folders));

  /** A run of 100 steps, whose records tell the images a second. */
  function record(
    folder: string,
    number: number,
    { imagesPerSecond = [1000, 1000], host = hostname(), step = 100, overrides = {}, engine = 'onednn', damaged = false } = {},
  ) {
    const complete = config(overrides);
    const path = join(folder, complete.model, String(number));
    mkdirSync(path, { recursive: true });
    const write = (name: string, text: string) => writeFileSync(join(path, name), text);
    write('config.json', damaged ? '{' : JSON.stringify(complete));
    write('environment.json', JSON.stringify({ ...describeEnvironment({ threads: 1, engine }), host }));
    write(
      'status.json',
      JSON.stringify({ status: 'finished', step, steps: 100, pid: 1, host, updatedAt: '2026-01-31T12:00:00.000Z' }),
    );
    const records = imagesPerSecond.map((speed, i) => ({ step: i + 1, time: 't', 'train/imagesPerSecond': speed }));
    write('metrics.jsonl', records.map((each) => `${JSON.stringify(each)}\n`).join(''));
  }

  // 100 steps of 1.5 ms and two evaluations of 30 ms, whatever the network.
  const fixedSeconds = 0.21;
  // A step is three passes over its images, an evaluation one for raw and averaged weights each: 100 * 100 * 3 + 2 * 2 * 22.
  const passes = 30_088;
  // 37.75 million operations an image, as tensorsandbox published; 50 billion a second.
  const secondsPerPass = 37.75e6 / 50e9;
  /** Of a predictor for processes that have the images after `loaded` seconds, and half a second later begin. */
  const predictor = (folder: string, images: ImageFacts = facts, loaded = 0) =>
    createPredictor(folder, images, { loadedSeconds: loaded });

  test('without runs, a guess: 50 billion operations a second and thread', () => {
    const { seconds, basis, startSeconds } = predictor(newFolder(), facts, 1.25);
    expect(basis).toBe('a guess, as no run was recorded on this machine yet');
    expect(startSeconds).toBe(1.75);
    const steps = (overrides: ConfigOverrides, threads = 1) => seconds(training(overrides), threads) - 1.75;
    expect(steps({})).toBeCloseTo(fixedSeconds + passes * secondsPerPass, 2);
    expect(steps({}, 2)).toBeCloseTo(fixedSeconds + (passes * secondsPerPass) / 2, 2);
    expect(steps({ movingAverage: false })).toBeCloseTo(fixedSeconds + 30_044 * secondsPerPass, 2);
    expect(steps({ evalEvery: 0 })).toBeCloseTo(fixedSeconds - 0.03 + 30_044 * secondsPerPass, 2);
    // After 30, 60, 90 and 100 steps.
    expect(steps({ evalEvery: 30 })).toBeCloseTo(fixedSeconds + 0.06 + 30_176 * secondsPerPass, 2);
  });

  test('what is left of a run: its process starts again, and the evaluation that may follow its last step is done', () => {
    const { seconds } = predictor(newFolder());
    expect(seconds(training(), 1, 60)).toBeCloseTo(0.5 + 0.06 + 0.03 + (12_000 + 44) * secondsPerPass, 2);
    expect(seconds(training(), 1, 50)).toBeCloseTo(0.5 + 0.075 + 0.06 + (15_000 + 88) * secondsPerPass, 2);
    expect(seconds(training(), 1, 100)).toBeCloseTo(0.5 + 0.03 + 44 * secondsPerPass, 2);
  });

  test('a process starts as this one has done, but for what it waited', () => {
    const { startSeconds } = createPredictor(newFolder(), facts);
    const { user, system } = process.cpuUsage();
    expect(startSeconds).toBeGreaterThan(0.5);
    expect(startSeconds).toBeLessThanOrEqual(0.5 + (user + system) / 1e6);
    expect(startSeconds).toBeLessThanOrEqual(0.5 + performance.now() / 1000);
  });

  test('evaluations take as long as there are images in the split', () => {
    const { seconds } = predictor(newFolder(), { ...facts, testImages: 60_000, validationImages: 3000 });
    const plain = predictor(newFolder(), { ...facts, testImages: 0 }).seconds(training(), 1);
    expect(seconds(training(), 1) - plain).toBeCloseTo(240_000 * secondsPerPass, 1);
    expect(seconds(training({ val: true }), 1) - plain).toBeCloseTo(12_000 * secondsPerPass, 1);
  });

  // 100 images in a step of two threads: what is guessed for a second of steps is 0.0015 + 300 * secondsPerPass / 2.
  const guessedStep = 0.0015 + 150 * secondsPerPass;
  const guessed = (threads: number) => fixedSeconds + (passes * secondsPerPass) / threads;

  test('from runs of the same network on this machine: 1000 images a second by two threads', () => {
    const folder = newFolder();
    record(folder, 1);
    const { seconds, basis } = predictor(folder);
    expect(basis).toBe('1 run recorded on this machine');
    // A step took 0.1 s.
    const slowness = 0.1 / guessedStep;
    expect(seconds(training(), 1)).toBeCloseTo(0.5 + slowness * guessed(1), 2);
    expect(seconds(training(), 2)).toBeCloseTo(0.5 + slowness * guessed(2), 2);
    // With the threads it had, it takes what it took: 10 s, and the evaluations.
    expect(seconds(training(), 2)).toBeCloseTo(0.5 + 10 + slowness * (0.06 + 44 * secondsPerPass), 2);
    // The first record is of a start, another of a moment when the machine was busy.
    record(folder, 1, { imagesPerSecond: [20, 1000, 30] });
    expect(predictor(folder).seconds(training(), 1)).toBe(seconds(training(), 1));
    // Another network by its operations: at 32x32 it has 66.98 million, not 37.75.
    const larger = fixedSeconds + (passes * 66.98e6) / 50e9;
    expect(seconds(training({ inputSize: 32 }), 1)).toBeCloseTo(0.5 + slowness * larger, 1);
  });

  test('a run of another precision counts where there is none of the same, one of another engine never', () => {
    const folder = newFolder();
    record(folder, 1, { imagesPerSecond: [4000, 4000], overrides: { precision: 'bf16' } });
    const { seconds } = predictor(folder);
    expect(seconds(training(), 1)).toBe(seconds(training({ precision: 'bf16' }), 1));
    record(folder, 2);
    const [f32, bf16] = [training(), training({ precision: 'bf16' })].map((each) => predictor(folder).seconds(each, 1) - 0.5);
    expect(bf16).toBeCloseTo(f32! / 4, 5);
    record(folder, 3, { imagesPerSecond: [9000, 9000], engine: 'webgpu' });
    const onednn = createPredictor(folder, facts, { engine: 'onednn', loadedSeconds: 0 });
    expect(onednn.basis).toBe('2 runs recorded on this machine');
    expect(onednn.seconds(training(), 1) - 0.5).toBe(f32);
  });

  test('a run that has recorded a second or two of steps once says nothing: most of it may be its start', () => {
    const folder = newFolder();
    // A step of 100 images: one second, then two and a half.
    record(folder, 1, { imagesPerSecond: [100] });
    expect(predictor(folder).basis).toBe('a guess, as no run was recorded on this machine yet');
    record(folder, 1, { imagesPerSecond: [100, 1000] });
    expect(predictor(folder).basis).toBe('1 run recorded on this machine');
    // Two seconds are enough.
    record(folder, 1, { imagesPerSecond: [50] });
    expect(predictor(folder).basis).toBe('1 run recorded on this machine');
    record(folder, 1, { imagesPerSecond: [51] });
    expect(predictor(folder).basis).toBe('a guess, as no run was recorded on this machine yet');
  });

  test('nor does a run of another machine, or one that has recorded no speed', () => {
    const folder = newFolder();
    record(folder, 1, { host: 'elsewhere' });
    record(folder, 2, { imagesPerSecond: [] });
    expect(predictor(folder).basis).toBe('a guess, as no run was recorded on this machine yet');
  });

  test('a tiny network, whose steps are mostly not operations, says little of the speed of a large one', () => {
    const folder = newFolder();
    const tiny = { batchSize: 1, 'conv1.filters': 1, 'conv2.filters': 1, dense1: false, dense2: false };
    // 3 ms a step, where half of it is guessed: twice as slow, not thousands of times.
    record(folder, 1, { imagesPerSecond: [1 / 3, 1 / 0.003], overrides: tiny });
    const { seconds } = predictor(folder);
    const slowness = (seconds(training(), 2) - 0.5) / guessed(2);
    expect(slowness).toBeGreaterThan(1.9);
    expect(slowness).toBeLessThanOrEqual(2);
  });

  test('the median of the newest five, those of the same network before others; other machines and damaged runs do not count', () => {
    const folder = newFolder();
    record(folder, 1, { imagesPerSecond: [1] });
    [2, 3, 4].forEach((number) => record(folder, number, { imagesPerSecond: [1, 1000 * number] }));
    record(folder, 5, { imagesPerSecond: [77], host: 'elsewhere' });
    record(folder, 6, { damaged: true });
    record(folder, 7, { imagesPerSecond: [5], step: 0 });
    record(folder, 1, { imagesPerSecond: [10], overrides: { model: 'alex2' } });
    const { seconds, basis } = predictor(folder);
    // Numbers 3 to 7 are read, of which 3 and 4 count: 33 and 25 ms a step.
    expect(basis).toBe('3 runs recorded on this machine');
    expect(seconds(training({ evalEvery: 0 }), 2)).toBeGreaterThan(0.5 + 100 / 30);
    expect(seconds(training({ evalEvery: 0 }), 2)).toBeLessThan(0.5 + 100 / 29);
    expect(seconds(training({ model: 'alex2', evalEvery: 0 }), 2)).toBeGreaterThan(0.5 + 1000);
  });
});
