import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { referenceEngine } from '../../engine/reference/engine.ts';
import { freezeUntrained } from '../../../test/freeze-untrained.ts';
import { benchInference, measureInTurns } from './bench-inference.ts';
import { startCompetitor, type Competitor } from './competitor.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-bench-'));
const path = join(folder, 'squeeze0.onnx');

beforeAll(async () => {
  const frozen = await freezeUntrained(referenceEngine, { model: 'squeeze0' });
  writeFileSync(path, frozen.encode(null));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('measures a frozen file in a process of its own', async () => {
  const results = await benchInference({
    files: [{ name: 'squeeze', path }],
    threads: [1],
    runtimes: ['onnxruntime'],
    batchSizes: [1, 2],
    rounds: 2,
    roundMs: 10,
  });
  expect(results).toHaveLength(1);
  const { latencyMs, throughput, ...facts } = results[0]!;
  expect(facts).toMatchObject({ model: 'squeeze0', file: 'squeeze', runtime: 'onnxruntime', threads: 1, parameters: 122_986 });
  expect(facts.runs).toBeGreaterThanOrEqual(10);
  expect(facts.peakMemoryBytes).toBeGreaterThan(20e6);
  expect(latencyMs.p50).toBeGreaterThan(0);
  expect(latencyMs.p50).toBeLessThanOrEqual(latencyMs.p95);
  expect(latencyMs.p95).toBeLessThanOrEqual(latencyMs.p99);
  expect(throughput.map(({ batchSize }) => batchSize)).toEqual([1, 2]);
  expect(facts.imagesPerSecond).toBe(Math.max(...throughput.map(({ imagesPerSecond }) => imagesPerSecond)));
});

test('a process that cannot do it says why', async () => {
  const competitor = startCompetitor({ runtime: 'onnxruntime', path: join(folder, 'missing.onnx'), threads: 1 });
  const measured = competitor.measure({ batchSize: 1, milliseconds: 1, minimumRuns: 1 });
  await expect(measured).rejects.toThrow(/onnxruntime with 1 threads: cannot read .*missing\.onnx/);
  competitor.stop();
});

test('competitors take turns, one batch size after the other', async () => {
  const turns: string[] = [];
  const fake = (runtime: string): Competitor => ({
    runtime,
    threads: 1,
    measure({ batchSize }) {
      turns.push(`${runtime}${batchSize}`);
      return Promise.resolve({ timesMs: [turns.length], peakMemoryBytes: turns.length });
    },
    stop: () => undefined,
  });
  const [a] = await measureInTurns([fake('a'), fake('b')], { batchSizes: [4, 1], rounds: 2, roundMs: 1 });
  expect(turns).toEqual(['a1', 'b1', 'a1', 'b1', 'a4', 'b4', 'a4', 'b4']);
  expect(a!.timesMs.get(1)).toEqual([1, 3]);
  expect(a!.peakMemoryBytes).toBe(3);
});
