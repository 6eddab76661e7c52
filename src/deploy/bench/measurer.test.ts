import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, InferencePlan } from '../../engine/engine.ts';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { createMeasurer, repeat } from './measurer.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-measurer-'));
const path = join(folder, 'small.onnx');

beforeAll(async () => {
  const { encode } = await freezeUntrained(referenceEngine, { model: 'squeeze0', inputSize: 8, 'conv1.filters': 4 });
  writeFileSync(path, encode(null));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A clock that only runs advance, by the times given, and for ever by the last. */
function runsOf(...times: readonly number[]) {
  let time = 50;
  let runs = 0;
  return {
    now: () => time,
    run: () => {
      time += times[Math.min(runs++, times.length - 1)]!;
    },
    runs: () => runs,
  };
}

test('runs go on until both the time and the number are reached, each timed by itself', async () => {
  const few = runsOf(3, 4, 5, 6);
  expect(await repeat(few.run, 12, 1, few.now)).toEqual([3, 4, 5]);
  const slow = runsOf(100);
  expect(await repeat(slow.run, 10, 3, slow.now)).toEqual([100, 100, 100]);
  const none = runsOf(1);
  expect(await repeat(none.run, 0, 0, none.now)).toEqual([]);
});

describe.each(['ablate', 'onnxruntime'] as const)('%s', (runtime) => {
  test('warms up for ten runs and 200 ms, then takes the times', async () => {
    const plans: { batchSize: number; forwards: number; disposed: boolean; plan: InferencePlan }[] = [];
    const askedThreads: unknown[] = [];
    const engine: Engine = {
      ...referenceEngine,
      async compileInference(network, options) {
        const plan = await referenceEngine.compileInference(network, options);
        const record = { batchSize: options.batchSize, forwards: 0, disposed: false, plan };
        plans.push(record);
        const { batchSize, precision, parameters, input, output, memoryBytes } = plan;
        return {
          ...{ network, batchSize, precision, parameters, input, output, memoryBytes },
          bindInput: () => undefined,
          forward: () => {
            record.forwards++;
            plan.forward();
          },
          dispose: () => {
            record.disposed = true;
            plan.dispose();
          },
        };
      },
    };
    let calls = 0;
    const measure = createMeasurer(
      { runtime, path, threads: 2 },
      {
        // A millisecond from call to call.
        now: () => calls++,
        openEngine({ threads }) {
          askedThreads.push(threads);
          return Promise.resolve(engine);
        },
      },
    );
    const { timesMs, peakMemoryBytes } = await measure({ batchSize: 1, milliseconds: 30, minimumRuns: 4 });
    // A run asks three times: whether to go on (not before the fourth), its start, its end. After 4 runs 9 ms, then 3 more each: 7 more.
    expect(timesMs).toEqual(Array<number>(11).fill(1));
    expect(peakMemoryBytes).toBeGreaterThan(2 ** 20);
    expect(peakMemoryBytes).toBeLessThanOrEqual(1024 * process.resourceUsage().maxRSS);
    await measure({ batchSize: 1, milliseconds: 0, minimumRuns: 2 });
    const two = await measure({ batchSize: 2, milliseconds: 0, minimumRuns: 2 });
    expect(two.timesMs).toEqual([1, 1]);
    if (runtime === 'onnxruntime') return;
    expect(askedThreads).toEqual([2]);
    expect(plans.map(({ batchSize, disposed }) => [batchSize, disposed])).toEqual([
      [1, true],
      [2, false],
    ]);
    // 10 runs take 21 ms, then 60 more of 3 ms each pass 200: 70 warm up.
    expect(plans[1]!.forwards).toBe(70 + 2);
    expect(plans[0]!.forwards).toBe(70 + 11 + 70 + 2);
    // What it computes is the network, of images that are not all the same.
    const { output, input, parameters } = plans[1]!.plan;
    expect(new Set(input).size).toBeGreaterThan(50);
    expect(input.subarray(0, 192)).not.toEqual(input.subarray(192));
    expect((await output.read()).every(Number.isFinite)).toBe(true);
    expect(new Set(await parameters.values.read()).size).toBeGreaterThan(100);
  });

  test('a file that is not there is told', async () => {
    const measure = createMeasurer({ runtime, path: join(folder, 'none.onnx'), threads: 1 });
    await expect(measure({ batchSize: 1, milliseconds: 1, minimumRuns: 1 })).rejects.toThrow('cannot read');
  });
});
