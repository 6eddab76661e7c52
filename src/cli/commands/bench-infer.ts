import type { Command } from 'commander';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchFile, InferenceResult } from '../../deploy/bench/bench-inference.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { frozenFileName } from '../../util/file-names.ts';
import { withTemporaryFolder } from '../../util/temporary-folder.ts';
import { alignColumns, formatCount } from '../../util/text-table.ts';
import { formatBytes, formatMilliseconds, formatOperations } from '../../util/format.ts';
import { integer, jsonOption, parseThreads, runsDirOption } from '../options.ts';
import { print, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { readReference } from '../saved-model.ts';

interface Options {
  readonly threads?: readonly number[];
  readonly batchSizes: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  readonly runsDir: string;
  readonly json?: true;
}

export function addBenchInferCommand(bench: Command): void {
  bench
    .command('infer')
    .description("latency and throughput of frozen networks, in ONNX Runtime and in ablate's engine")
    .argument('<model.onnx|run...>', 'files that `ablate freeze` wrote, or runs')
    .option('--threads <n,...>', 'numbers of threads (default: 1 and the physical cores)', listOf(parseThreads))
    .option('--batch-sizes <n,...>', 'batch sizes for the throughput', listOf(integer(1, 10_000)), [1, 8, 32, 128])
    .option('--rounds <n>', 'turns that each takes', integer(1, 10_000), 5)
    .option('--round-ms <n>', 'length of a turn in milliseconds', integer(1, 3_600_000), 400)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(benchInfer);
}

/** Numbers separated by commas, each once and in ascending order. */
function listOf(parse: (text: string) => number): (text: string) => number[] {
  return (text) => [...new Set(text.split(',').map(parse))].sort((a, b) => a - b);
}

async function benchInfer(references: string[], options: Options): Promise<void> {
  const { benchInference } = await import('../../deploy/bench/bench-inference.ts');
  const progress = createProgress({ unit: 'turn', total: 0 });
  await withTemporaryFolder('ablate-bench-', async (folder) => {
    const files: BenchFile[] = [];
    for (const name of references) files.push({ name, path: await frozenFile(name, folder, options.runsDir) });
    const results = await benchInference({
      ...options,
      files,
      threads: options.threads ?? [...new Set([1, defaultThreads()])],
      runtimes: ['onnxruntime', 'ablate'],
      onProgress: (done, total, what) => {
        progress.update(done, `of ${total}  ${what}`);
      },
    });
    progress.finish();
    if (options.json === true) printJson(results);
    else await printResults(results);
  });
}

/** A file as it is; a run is frozen first. */
async function frozenFile(reference: string, folder: string, runsDir: string): Promise<string> {
  if (frozenFileName.test(reference)) return reference;
  const { freeze } = await import('../../deploy/freeze.ts');
  const { createOnednnEngine } = await import('../../engine/onednn/engine.ts');
  const { saved } = await readReference(reference, { runsDir });
  const frozen = await freeze({ saved, engine: createOnednnEngine() });
  const path = join(mkdtempSync(join(folder, 'run-')), 'model.onnx');
  writeFileSync(path, frozen.encode(null));
  return path;
}

async function printResults(results: readonly InferenceResult[]): Promise<void> {
  const { cpuInfo } = await import('../../util/cpu.ts');
  const batches = results[0]!.throughput.map(({ batchSize }) => batchSize);
  const header = ['network', 'runtime', 'threads', 'p50', 'p95', 'p99', ...batches.map((size) => `images/s @${size}`), 'memory'];
  const rows = results.map(({ file, runtime, threads, latencyMs, throughput, peakMemoryBytes }) => [
    file,
    runtime,
    String(threads),
    ...[latencyMs.p50, latencyMs.p95, latencyMs.p99].map(formatMilliseconds),
    ...throughput.map(({ imagesPerSecond }) => formatCount(Math.round(imagesPerSecond))),
    formatBytes(peakMemoryBytes),
  ]);
  print(alignColumns([header, ...rows], ['left', 'left', ...header.slice(2).map(() => 'right' as const)]));
  print('');
  const files = new Map(results.map((result) => [result.file, result]));
  const facts = [...files.values()].map(({ file, model, bytes, parameters, operations }) => [
    file,
    model,
    formatBytes(bytes),
    formatCount(parameters),
    formatOperations(operations),
  ]);
  print(
    alignColumns(
      [['network', 'model', 'size', 'parameters', 'operations'], ...facts],
      ['left', 'left', 'right', 'right', 'right'],
    ),
  );
  print('');
  const runs = results.map((result) => result.runs);
  print(`Latency of one image, bytes in, probabilities out; at least ${Math.min(...runs)} runs each. ${cpuInfo().model}`);
}
