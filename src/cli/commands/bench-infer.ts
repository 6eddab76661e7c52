import type { Command } from 'commander';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchFile, InferenceResult } from '../../deploy/bench/bench-inference.ts';
import type { DeviceFigures } from '../../deploy/mcu/figures.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { frozenFileName } from '../../util/file-names.ts';
import { withTemporaryFolder } from '../../util/temporary-folder.ts';
import { formatBytes, formatCount, formatMilliseconds, formatOperations, formatPredictedMs } from '../../util/format.ts';
import { AblateError } from '../../util/errors.ts';
import { devicesOf } from '../device.ts';
import { integer, jsonOption, parseThreads, runsDirOption } from '../options.ts';
import { note, print, printTable, printJson } from '../output.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { createProgress } from '../progress.ts';
import { readReference } from '../saved-model.ts';

interface Options extends EngineOption {
  readonly threads?: readonly number[];
  readonly batchSizes: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  readonly device?: string;
  readonly runsDir: string;
  readonly json?: true;
}

export function addBenchInferCommand(bench: Command): void {
  bench
    .command('infer')
    .description("latency and throughput of networks in ONNX Runtime and in ablate's engine")
    .argument('<model.onnx|run...>', 'files that `ablate freeze` wrote, or runs')
    .option('--threads <n,...>', 'numbers of threads (default: 1 and the physical cores)', listOf(parseThreads))
    .option('--batch-sizes <n,...>', 'batch sizes for the throughput', listOf(integer(1, 10_000)), [1, 8, 32, 128])
    .option('--rounds <n>', 'turns that each takes', integer(1, 10_000), 5)
    .option('--round-ms <n>', 'length of a turn in milliseconds', integer(1, 3_600_000), 400)
    .option('--device <core@MHz,...>', 'also the predicted cost on microcontrollers: m0+, m4, m33, m7, m85, or m4@168')
    .option(...engineOption)
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
    for (const name of references) files.push({ name, path: await frozenFile(name, folder, options) });
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
    const onDevices = await figuresOnDevices(files, options);
    const withDevice = results.map((result) => ({ ...result, ...(onDevices && { device: onDevices.get(result.file) ?? null }) }));
    if (options.json === true) printJson(withDevice);
    else {
      await printResults(results);
      if (onDevices) printDevices(onDevices);
    }
  });
}

/** A file as it is; a run is frozen first. */
async function frozenFile(reference: string, folder: string, options: Options): Promise<string> {
  if (frozenFileName.test(reference)) return reference;
  const { freeze } = await import('../../deploy/freeze.ts');
  const { saved } = await readReference(reference, { runsDir: options.runsDir });
  const frozen = await freeze({ saved, engine: await openChosen(options) });
  const path = join(mkdtempSync(join(folder, 'run-')), 'model.onnx');
  writeFileSync(path, frozen.encode(null));
  return path;
}

/** By file; undefined for a network that integers on a device cannot compute, which is told. */
async function figuresOnDevices(
  files: readonly BenchFile[],
  { device }: Options,
): Promise<ReadonlyMap<string, DeviceFigures | undefined> | undefined> {
  if (device === undefined) return undefined;
  const { readFrozenFile } = await import('../../deploy/frozen-model.ts');
  const { frozenClassifier } = await import('../../deploy/metadata.ts');
  const { networkFigures } = await import('../../deploy/mcu/figures.ts');
  const devices = await devicesOf(device);
  return new Map(
    files.map(({ name, path }) => {
      try {
        return [name, networkFigures(frozenClassifier(readFrozenFile(path).metadata, name), devices)];
      } catch (error) {
        if (!(error instanceof AblateError)) throw error;
        note(`${name} on a microcontroller: ${error.message}`);
        return [name, undefined];
      }
    }),
  );
}

function printDevices(figures: ReadonlyMap<string, DeviceFigures | undefined>): void {
  const known = [...figures].flatMap(([file, each]) => (each === undefined ? [] : [{ file, ...each }]));
  if (known.length === 0) return;
  const cores = known[0]!.cores.map(({ core, clockMHz }) => `${core} @${clockMHz} MHz`);
  const rows = known.map(({ file, flashBytes, ramBytes, multiplyAdds, cores: times }) => [
    file,
    formatBytes(flashBytes.weights + flashBytes.code),
    formatBytes(ramBytes.activations),
    formatOperations(multiplyAdds),
    ...times.map(({ ms }) => formatPredictedMs(ms)),
  ]);
  const header = ['network', 'flash', 'RAM', 'multiply-adds', ...cores];
  print('');
  printTable([header, ...rows], ['left', ...header.slice(1).map(() => 'right' as const)]);
  print('On microcontrollers, as 8-bit integers: times predicted, code estimated (docs/microcontrollers.md).');
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
  printTable([header, ...rows], ['left', 'left', ...header.slice(2).map(() => 'right' as const)]);
  print('');
  const files = new Map(results.map((result) => [result.file, result]));
  const facts = [...files.values()].map(({ file, model, bytes, parameters, operations }) => [
    file,
    model,
    formatBytes(bytes),
    formatCount(parameters),
    formatOperations(operations),
  ]);
  printTable([['network', 'model', 'size', 'parameters', 'operations'], ...facts], ['left', 'left', 'right', 'right', 'right']);
  print('');
  const runs = results.map((result) => result.runs);
  print(`Latency of one image, bytes in, probabilities out; at least ${Math.min(...runs)} runs each. ${cpuInfo().model}`);
}
