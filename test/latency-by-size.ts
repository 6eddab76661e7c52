import { statSync } from 'node:fs';
import type { BenchOptions, InferenceResult } from '../src/deploy/bench/bench-inference.ts';

/**
 * In place of a stopwatch: a median of one millisecond for each 1,000 bytes of a file, and percentiles that are far from it.
 *
 * @param timed gets what was asked for
 */
export function latencyBySize(timed: BenchOptions[] = []) {
  return (options: BenchOptions): Promise<Pick<InferenceResult, 'latencyMs'>[]> => {
    timed.push(options);
    const latencies = options.files.map(({ path }) => statSync(path).size / 1000);
    return Promise.resolve(latencies.map((p50) => ({ latencyMs: { p50, p95: 10 * p50, p99: 20 * p50 } })));
  };
}
