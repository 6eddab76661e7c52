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
    .description('time a training step, layer by layer, against the ceiling that its kernels set; nothing is recorded')
    .argument('<model>', 'name of a model (ablate info lists them), or a file of your own');
  addDataOptions(command, 'cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder> or a file; default: synthetic')
    .option('--recipe <name>', 'how to train (default: 2017)')
    .option('--batch-size <n>', 'images in a step', parseNumber)
    .option('--precision <type>', 'f32 or bf16')
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
  const { definition } = await loadModel(model, { saysWhenSlow: true });
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
  result: TrainingBenchmark & { model: string; precision: string; threads: number; batchSize: number; steps: number },
): void {
  const { model, precision, threads, batchSize, steps, msPerStep, breakdown } = result;
  print(`${model}, ${precision}, batch ${batchSize}, ${threads} threads, ${steps} steps`);
  print(
    `${formatMilliseconds(msPerStep.median)} a step (least ${formatMilliseconds(msPerStep.min)}, 95% below ${formatMilliseconds(msPerStep.p95)}), ` +
      `${Math.round(result.imagesPerSecond)} images/s, ${Math.round(result.gflops)} GFLOP/s`,
  );
  const ceiling = `${formatMilliseconds(result.ceilingMs)} of kernels alone and hot`;
  print(`${Math.round(100 * result.ceilingFraction)}% of the ceiling (${ceiling})`);
  print(`${formatBytes(result.memoryBytes)} for the network, ${formatBytes(result.residentBytes)} for the process\n`);
  const parts = Object.entries(breakdown).map(([part, ms]) => [part, ms.toFixed(2), percent(ms, msPerStep.median)]);
  print(alignColumns([['', 'ms', 'of a step'], ...parts], ['left', 'right', 'right']) + '\n');
  const rows = result.layers.map(({ layer, pass, ms, ceilingMs, implementation }: OperationTime) => [
    layer,
    pass,
    ms.toFixed(3),
    ceilingMs?.toFixed(3) ?? '',
    implementation,
  ]);
  printTable([['layer', 'pass', 'ms', 'ceiling ms', 'kernel'], ...rows], ['left', 'left', 'right', 'right', 'left']);
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
