import { closeSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { describeEnvironment } from '../runs/environment.ts';
import { bestCheckpoint, listCheckpoints, loadCheckpoint } from '../runs/checkpoint.ts';
import { readMetrics } from '../runs/metrics.ts';
import { createRun, metricsPath, type Run } from '../runs/run-folder.ts';
import { readStatus } from '../runs/run-status.ts';
import { resolveConfig } from './config.ts';
import type { ConfigOverrides } from './config-schema.ts';
import { readEvaluation } from './recorded-evaluation.ts';
import { openRecorder, silentRecorder } from './run-recorder.ts';
import { createTally } from './tally.ts';
import { skippable } from '../../test/skippable.ts';

const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-recorder-'));
afterAll(() => rmSync(runsFolder, { recursive: true }));

const whyNotLinux = process.platform === 'linux' ? undefined : 'needs /dev/full of Linux';

test.skipIf(whyNotLinux)(
  skippable('how a run ended is recorded even if its files cannot be written, and once', whyNotLinux),
  () => {
    const config = resolveConfig({ model: 'tuto', threads: 1 });
    const run = createRun(runsFolder, 'tuto', config, describeEnvironment({ threads: 1, libraries: {} }));
    const recorder = openRecorder(run, config, {});
    // Writing to it now fails, as on a full disk.
    closeSync(descriptorOf(join(run.path, 'events.out.tfevents')));
    expect(() => recorder.end('failed', 3, 'why')).toThrow(/events\.out\.tfevents|EBADF/);
    expect(readStatus(run)).toMatchObject({ status: 'failed', step: 3, reason: 'why' });
    recorder.end('finished', 4);
    expect(readStatus(run)).toMatchObject({ status: 'failed', step: 3 });
  },
);

function descriptorOf(path: string): number {
  const open = readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(path);
    } catch {
      return false; // That of the listing itself.
    }
  });
  expect(open).toHaveLength(1);
  return Number(open[0]);
}

describe('a recorder', () => {
  afterEach(() => vi.restoreAllMocks());

  const newRun = (overrides: ConfigOverrides = {}) => {
    const config = resolveConfig({ model: 'tuto', threads: 1, steps: 50, ...overrides });
    return { config, run: createRun(runsFolder, 'tuto', config, describeEnvironment({ threads: 1, libraries: {} })) };
  };

  const eventsOf = (run: Run): Buffer => {
    const files = readdirSync(run.path).filter((name) => name.startsWith('events.'));
    return Buffer.concat(files.map((name) => readFileSync(join(run.path, name))));
  };

  const weights = new Map([['a.weight', { shape: [1], data: Float32Array.of(1) }]]);

  test("shows the latest accuracy as the run's, also after a resume", () => {
    const { run, config } = newRun();
    const recorder = openRecorder(run, config, {});
    expect(readStatus(run)).toMatchObject({ status: 'running', step: 0, steps: 50 });
    recorder.metrics(10, { 'test/accuracy': 0.5 }, 0.5);
    expect(readStatus(run)).toMatchObject({ step: 10, accuracy: 0.5 });
    // Nothing new to say: the status stays.
    recorder.metrics(20, { 'train/loss': 1 });
    expect(readStatus(run)).toMatchObject({ step: 10, accuracy: 0.5 });
    recorder.metrics(30, { 'val/accuracy': 0.75 }, 0.75);
    expect([10, 20, 30, 31].map((step) => recorder.hasEvaluation(step))).toEqual([true, false, true, false]);
    recorder.end('interrupted', 30);
    expect(readStatus(run)).toMatchObject({ status: 'interrupted', step: 30, accuracy: 0.75 });
    const again = openRecorder(run, config, {}, 20);
    // What came after step 20 will be done again.
    expect(readStatus(run)).toMatchObject({ status: 'running', step: 20, accuracy: 0.5 });
    expect(readMetrics(metricsPath(run)).map(({ step }) => step)).toEqual([10, 20]);
    again.end('finished', 50, 'why', true);
    expect(readStatus(run)).toMatchObject({ status: 'finished', step: 50, accuracy: 0.5, reason: 'why', diverged: true });
  });

  test('says every five seconds that the run goes on, not more often', () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    const { run, config } = newRun();
    const recorder = openRecorder(run, config, {});
    const reported = (step: number, at: number): number => {
      now.mockReturnValue(at);
      recorder.alive(step);
      return readStatus(run).step;
    };
    expect(reported(1, 5999)).toBe(0);
    expect(reported(2, 6000)).toBe(2);
    expect(reported(3, 10_999)).toBe(2);
    expect(reported(4, 11_000)).toBe(4);
    recorder.end('finished', 5);
  });

  test('keeps as many checkpoints as the configuration says, with what they are of', () => {
    for (const [keepCheckpoints, expected] of [
      [0, [1, 2, 3, 4]],
      [2, [2, 3, 4]],
    ] as const) {
      const { run, config } = newRun({ keepCheckpoints });
      const recorder = openRecorder(run, config, { model: 'tuto' });
      for (const step of [1, 2, 3, 4]) recorder.save(step, weights, step === 2);
      expect(listCheckpoints(run).map(({ step }) => step)).toEqual(expected);
      expect(readStatus(run).step).toBe(4);
      const [first, last] = [listCheckpoints(run).find(({ step }) => step === 2)!, listCheckpoints(run).at(-1)!];
      expect(loadCheckpoint(first.path).metadata).toMatchObject({ model: 'tuto', final: 'true' });
      expect(loadCheckpoint(last.path).metadata).toMatchObject({ final: 'false', step: '4' });
      recorder.end('finished', 4);
    }
  });

  test('gives TensorBoard the configuration as one flat table, once a run', () => {
    const { run, config } = newRun({ 'augmentation.contrast': [0.25, 1.5] });
    openRecorder(run, config, {}).end('interrupted', 0);
    const text = eventsOf(run).toString('latin1');
    for (const name of ['schedule.type', 'model.lrn', 'model', 'learningRate', 'optimizer.nesterov', 'augmentation.contrast']) {
      expect(text).toContain(name);
    }
    expect(text).toContain('[0.25,1.5]');
    expect(text).not.toContain('modelSettings');
    const before = eventsOf(run).length;
    openRecorder(run, config, {}, 3).end('interrupted', 3);
    const later = eventsOf(run).subarray(before).toString('latin1');
    expect(later).not.toContain('learningRate');
    // From the start again: the first session never was.
    const { run: other } = newRun();
    openRecorder(other, config, {}, 0).end('finished', 0);
    expect(eventsOf(other).toString('latin1')).toContain('learningRate');
  });

  test('shows up to 64 inputs of one or three channels', () => {
    const { run, config } = newRun();
    const recorder = openRecorder(run, config, {});
    const shown = (count: number, channels: number): number => {
      const before = eventsOf(run).length;
      const inputs = Float32Array.from({ length: count * channels * 4 }, (_, i) => Math.sin(i));
      recorder.inputs(0, { inputs, labels: new Uint8Array(count), count }, [channels, 2, 2]);
      return eventsOf(run).length - before;
    };
    expect(shown(4, 2)).toBe(0);
    expect(shown(4, 4)).toBe(0);
    expect(shown(4, 1)).toBeGreaterThan(0);
    expect(eventsOf(run).toString('latin1')).toContain('train/inputs');
    expect(shown(4, 3)).toBeGreaterThan(0);
    const full = shown(64, 3);
    expect(full).toBeGreaterThan(shown(16, 3));
    expect(shown(200, 3)).toBe(full);
    recorder.end('finished', 1);
  });

  test('keeps an evaluation in full with the fingerprint of its images', () => {
    const { run, config } = newRun();
    const tally = createTally(['a', 'b']);
    tally.add(1, Float32Array.of(0, 1));
    const evaluation = { ...tally.evaluation('test'), imagesPerSecond: 5, step: 7, weights: 'ema' } as const;
    const recorder = openRecorder(run, config, { datasetFingerprint: 'abc' });
    expect(readEvaluation(run)).toBeUndefined();
    recorder.evaluation(evaluation);
    expect(readEvaluation(run)).toEqual({ ...evaluation, datasetFingerprint: 'abc' });
    recorder.end('finished', 7);
    const { run: other } = newRun();
    const nameless = openRecorder(other, config, {});
    nameless.evaluation(evaluation);
    expect(readEvaluation(other)!.datasetFingerprint).toBe('');
    nameless.end('finished', 7);
  });

  test('says whether there is a checkpoint, and why it ended only if there is a reason', () => {
    const { run, config } = newRun();
    const first = openRecorder(run, config, {});
    expect(readStatus(run)).toMatchObject({ status: 'running', step: 0, saved: false });
    first.save(3, new Map(), false);
    expect(readStatus(run)).toMatchObject({ status: 'running', step: 3, saved: true });
    first.end('interrupted', 3);
    const second = openRecorder(run, config, {}, 3);
    expect(readStatus(run)).toMatchObject({ status: 'running', step: 3, saved: true });
    second.end('finished', 50);
    // Its files are closed.
    expect(() => second.metrics(51, {})).toThrow();
    for (const key of ['accuracy', 'reason', 'diverged']) expect(readStatus(run)).not.toHaveProperty(key);
  });

  test('tells TensorBoard how it ended, of a run that will not go on', () => {
    const statusOf = (status: 'finished' | 'failed' | 'interrupted') => {
      const { run, config } = newRun();
      const recorder = openRecorder(run, config, {});
      const before = eventsOf(run).length;
      recorder.end(status, 1);
      return eventsOf(run).subarray(before).toString('latin1');
    };
    const [finished, failed, interrupted] = [statusOf('finished'), statusOf('failed'), statusOf('interrupted')];
    expect(finished).toContain('hparams');
    expect(failed).toContain('hparams');
    expect(failed).not.toBe(finished);
    expect(interrupted).toBe('');
  });

  test('keeps the best checkpoint, and the evaluations of before it went on', () => {
    const { run, config } = newRun();
    const recorder = openRecorder(run, config, { model: 'tuto' });
    expect(recorder.evaluations()).toEqual([]);
    recorder.metrics(10, { 'val/accuracy': 0.5 }, 0.5);
    recorder.metrics(10, { 'train/loss': 0.5 });
    recorder.metrics(20, { 'val/accuracy': 0.25 }, 0.25);
    recorder.saveBest(10, new Map(), 0.5);
    recorder.end('interrupted', 20);
    expect(bestCheckpoint(run)).toMatchObject({ step: 10, accuracy: 0.5 });
    const again = openRecorder(run, config, {}, 20);
    expect(again.evaluations()).toEqual([
      { step: 10, accuracy: 0.5 },
      { step: 20, accuracy: 0.25 },
    ]);
    again.end('interrupted', 20);
  });

  test('of a process that is not the first has seen no evaluation', () => {
    expect(silentRecorder.hasEvaluation(0)).toBe(false);
    expect(silentRecorder.evaluations()).toEqual([]);
  });
});
