/** Latency and throughput of frozen files, in ONNX Runtime and in ablate's engine, measured in turns. */
import type { EngineChoice } from '../../engine/registry.ts';
import { percentile } from '../../util/percentile.ts';
import { readFrozenFile } from '../frozen-model.ts';
import { startCompetitor, type Competitor, type MeasureRequest, type NodeRuntime } from './competitor.ts';

/** A frozen file, and what to call it in the results. */
export interface BenchFile {
  readonly name: string;
  readonly path: string;
}

export interface BenchOptions {
  readonly files: readonly BenchFile[];
  /** Numbers of threads, each measured. */
  readonly threads: readonly number[];
  readonly runtimes: readonly NodeRuntime[];
  /** Of `ablate`; default `auto`. */
  readonly engine?: EngineChoice | undefined;
  /** Besides batches of one image, whose latency is reported. */
  readonly batchSizes: readonly number[];
  /** Times that all take a turn. */
  readonly rounds: number;
  /** Length of a turn. */
  readonly roundMs: number;
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

export interface InferenceResult {
  readonly model: string;
  /** Name of the frozen file, or of the run that it was made of. */
  readonly file: string;
  readonly runtime: string;
  readonly threads: number;
  /** Of one image at a time: bytes in, probabilities out. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** Images whose latency was measured. */
  readonly runs: number;
  /** By batch size, from the median time of a batch. */
  readonly throughput: readonly { readonly batchSize: number; readonly imagesPerSecond: number }[];
  /** The best of these. */
  readonly imagesPerSecond: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly parameters: number;
  readonly operations: number;
  /** Resident memory of the process that labels one image at a time, Node's own (about 60 MB) included. */
  readonly peakMemoryBytes: number;
}

/** Batches of a turn at least: a batch of the largest network may take longer than the turn. */
const minimumRuns = 5;

/** @throws DataError for a file that `ablate freeze` did not write; AblateError if a runtime fails */
export async function benchInference(options: BenchOptions): Promise<InferenceResult[]> {
  const entries = options.files.flatMap((file) =>
    options.runtimes.flatMap((runtime) => options.threads.map((threads) => describeEntry(file, runtime, threads))),
  );
  const competitors = entries.map(({ path, runtime, threads }) =>
    startCompetitor({ path, runtime, threads, engine: options.engine }),
  );
  try {
    const samples = await measureInTurns(competitors, options);
    return entries.map((entry, i) => summarize(entry, samples[i]!));
  } finally {
    for (const competitor of competitors) competitor.stop();
  }
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly runtime: NodeRuntime;
  readonly threads: number;
  readonly facts: Pick<InferenceResult, 'model' | 'bytes' | 'parameters' | 'operations'>;
}

function describeEntry({ name, path }: BenchFile, runtime: NodeRuntime, threads: number): Entry {
  const { bytes, metadata } = readFrozenFile(path);
  const { model, parameters, operations } = metadata;
  return { name, path, runtime, threads, facts: { model, bytes: bytes.length, parameters, operations } };
}

/** Of one competitor: the times of all batches, by batch size. */
export interface Samples {
  readonly timesMs: ReadonlyMap<number, readonly number[]>;
  /** After batches of one. */
  readonly peakMemoryBytes: number;
}

export type TurnOptions = Pick<BenchOptions, 'batchSizes' | 'rounds' | 'roundMs' | 'onProgress'>;

/**
 * All competitors take turns, one at a time, so that whatever else the machine does falls on all alike: for each batch size, so many rounds.
 * Batches of one image come first.
 */
export async function measureInTurns(competitors: readonly Competitor[], options: TurnOptions): Promise<Samples[]> {
  const { rounds, roundMs, onProgress } = options;
  const batchSizes = [1, ...options.batchSizes.filter((size) => size !== 1)];
  const times = competitors.map(() => new Map(batchSizes.map((size): [number, number[]] => [size, []])));
  const peaks = competitors.map(() => 0);
  const total = batchSizes.length * rounds * competitors.length;
  let done = 0;
  for (const batchSize of batchSizes) {
    const request: MeasureRequest = { batchSize, milliseconds: roundMs, minimumRuns };
    for (let round = 0; round < rounds; round++) {
      for (const [i, competitor] of competitors.entries()) {
        onProgress?.(done++, total, `batch ${batchSize}, ${competitor.runtime}, threads ${competitor.threads}`);
        const { timesMs, peakMemoryBytes } = await competitor.measure(request);
        // One at a time: there may be more of them than a function takes arguments.
        for (const timeMs of timesMs) times[i]!.get(batchSize)!.push(timeMs);
        if (batchSize === 1) peaks[i] = peakMemoryBytes;
      }
    }
  }
  onProgress?.(total, total, '');
  return competitors.map((_, i) => ({ timesMs: times[i]!, peakMemoryBytes: peaks[i]! }));
}

/** Percentiles of the time of one image at a time. */
export function latencyOf({ timesMs }: Samples): InferenceResult['latencyMs'] {
  const single = timesMs.get(1)!;
  return { p50: percentile(single, 0.5), p95: percentile(single, 0.95), p99: percentile(single, 0.99) };
}

function summarize({ name, runtime, threads, facts }: Entry, samples: Samples): InferenceResult {
  const throughput = [...samples.timesMs].map(([batchSize, timesMs]) => ({
    batchSize,
    imagesPerSecond: (1000 * batchSize) / percentile(timesMs, 0.5),
  }));
  const { model, ...sizes } = facts;
  return {
    model,
    file: name,
    runtime,
    threads,
    latencyMs: latencyOf(samples),
    runs: samples.timesMs.get(1)!.length,
    throughput,
    imagesPerSecond: Math.max(...throughput.map((row) => row.imagesPerSecond)),
    ...sizes,
    peakMemoryBytes: samples.peakMemoryBytes,
  };
}
