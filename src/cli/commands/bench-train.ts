import type { Command } from 'commander';
import type { ConfigOverrides } from '../../train/config-schema.ts';
import type { OperationTime, TrainingBenchmark } from '../../train/benchmark.ts';
import { formatBytes, formatMilliseconds } from '../../util/format.ts';
import { alignColumns } from '../../util/text-table.ts';
import { addDataOptions, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { integer, jsonOption, parseAssignment, parseNumber, parseThreads, type Assignments } from '../options.ts';
import { print, printTable, printJson } from '../output.ts';

interface Options extends DataOptions, EngineOption {
  readonly recipe?: string;
  readonly batchSize?: number;
  readonly precision?: string;
  readonly threads?: number;
  readonly set: Assignments;
  readonly steps: number;
  readonly warmUp: number;
  readonly repetitions: number;
  readonly json?: true;
}

export function addBenchTrainCommand(bench: Command): void {
  const command = bench
    .command('train')
    .description('time each layer of a training step, and what its kernels or the graphics card allow; records nothing')
    .argument('<model>', 'name of a model (ablate info lists them), or a file of your own');
  addDataOptions(command, 'cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder> or a file; default: synthetic')
    .option('--recipe <name>', 'how to train (default: 2017)')
    .option('--batch-size <n>', 'images in a step', parseNumber)
    .option('--precision <type>', 'f32, bf16 or f16')
    .option(...engineOption)
    .option('--threads <n>', 'OpenMP threads (default: physical cores)', parseThreads)
    .option('--set <key=value>', 'change any key of the configuration or setting of the model', parseAssignment, {})
    .option('--steps <n>', 'steps timed', integer(1, 1_000_000), 50)
    .option('--warm-up <n>', 'steps before the timing', integer(1, 1_000_000), 10)
    .option('--repetitions <n>', 'runs of each operation by itself', integer(1, 1_000_000), 20)
    .option(...jsonOption)
    .action(benchTrain);
}

async function benchTrain(model: string, options: Options): Promise<void> {
  const { data = 'synthetic', recipe, batchSize, precision, threads } = options;
  const { resolveWith } = await import('../../train/config.ts');
  const { loadModel } = await import('../../user/model-file.ts');
  const { definition } = await loadModel(model, { watched: true });
  const flags = Object.entries({ model, dataset: data, recipe, batchSize, precision, threads });
  const given: ConfigOverrides = Object.fromEntries(flags.filter(([, value]) => value !== undefined));
  const config = resolveWith(() => definition, { ...given, ...options.set });
  const dataset = await loadImages(config.dataset, options);
  const { createClassifier } = await import('../../train/classifier.ts');
  const { benchmarkTraining } = await import('../../train/benchmark.ts');
  const engine = await openChosen(options, config.threads);
  const { warmUp: warmUpSteps, steps, repetitions } = options;
  const result = await benchmarkTraining({
    engine,
    config,
    classifier: createClassifier(config, dataset, definition),
    dataset,
    warmUpSteps,
    steps,
    repetitions,
  });
  const described = {
    model: config.model,
    engine: engine.name,
    computesOn: engine.description,
    ...engine.versions,
    precision: config.precision,
    threads: config.threads,
    batchSize: config.batchSize,
    steps,
    ...result,
  };
  if (options.json === true) printJson(described);
  else printBenchmark(described);
}

function printBenchmark(
  result: TrainingBenchmark & {
    model: string;
    computesOn: string;
    precision: string;
    threads: number;
    batchSize: number;
    steps: number;
  },
): void {
  const { model, precision, threads, batchSize, steps, msPerStep, breakdown, device } = result;
  const on = device === undefined ? `${threads} threads` : result.computesOn;
  print(`${model}, ${precision}, batch ${batchSize}, ${on}, ${steps} steps`);
  print(
    `${formatMilliseconds(msPerStep.median)} a step (least ${formatMilliseconds(msPerStep.min)}, 95% below ${formatMilliseconds(msPerStep.p95)}), ` +
      `${Math.round(result.imagesPerSecond)} images/s, ${Math.round(result.gflops)} GFLOP/s`,
  );
  const ceiling =
    device === undefined ? 'of kernels alone and hot' : 'if each kernel multiplied or copied as fast as the card does';
  print(`${Math.round(100 * result.ceilingFraction)}% of the ceiling (${formatMilliseconds(result.ceilingMs)} ${ceiling})`);
  if (device !== undefined) printDevice(device);
  print(`${formatBytes(result.memoryBytes)} for the network, ${formatBytes(result.residentBytes)} for the process\n`);
  const parts = Object.entries(breakdown).map(([part, ms]) => [part, ms.toFixed(2), percent(ms, msPerStep.median)]);
  print(alignColumns([['', 'ms', 'of a step'], ...parts], ['left', 'right', 'right']) + '\n');
  const rates = device === undefined ? [] : ['GFLOP/s', 'GB/s'];
  const rows = result.layers.map(({ layer, pass, ms, ceilingMs, implementation, gflops, gbPerSecond }: OperationTime) => [
    ...[layer, pass, ms.toFixed(3), ceilingMs?.toFixed(3) ?? ''],
    ...(device === undefined ? [] : [gflops?.toPrecision(3) ?? '', gbPerSecond?.toPrecision(3) ?? '']),
    implementation,
  ]);
  const right = ['ms', 'ceiling ms', ...rates];
  const alignments = ['left', 'left', ...right.map(() => 'right'), 'left'] as ('left' | 'right')[];
  printTable([['layer', 'pass', ...right, 'kernel'], ...rows], alignments);
}

function printDevice({ ceilings, timedBy, inputWaitMs }: NonNullable<TrainingBenchmark['device']>): void {
  const { productGflops, copyGBPerSecond } = ceilings;
  print(
    `measured ceilings: ${productGflops.toPrecision(3)} GFLOP/s in products, ${copyGBPerSecond.toPrecision(3)} GB/s in copying`,
  );
  const clock =
    timedBy === 'timestamps' ? "by the card's clock" : 'by waiting for each, since the card shows no clock (no timestamp-query)';
  print(`kernels are timed ${clock}; ${formatMilliseconds(inputWaitMs)} of a step waited for images`);
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
