import type { Command } from 'commander';
import { singleProcess } from '../../cluster/collective.ts';
import type { Compressed, CompressTargets } from '../../compress/pipeline.ts';
import type { TrainingConfig } from '../../train/config-schema.ts';
import { AblateError, ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes, formatOperations } from '../../util/format.ts';
import { alignColumns, formatCount } from '../../util/text-table.ts';
import { dataDirOption, dataUrlOption, loadImages, type SourceOptions } from '../dataset.ts';
import { Interruption } from '../errors.ts';
import { physicalCores } from '../frozen-files.ts';
import { interruptible } from '../interrupt.ts';
import { jsonOption, parseAssignment, parseNumber, runsDirOption, type Assignments } from '../options.ts';
import { requireWritableFolder } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { readReference } from '../saved-model.ts';
import { shortPath, trainingDisplay } from '../training-display.ts';
import { trainingOverrides } from '../training-overrides.ts';

interface Options extends SourceOptions, CompressTargets {
  readonly steps: number;
  readonly set: Assignments;
  readonly output?: string;
  readonly model?: string;
  readonly threads?: number;
  readonly data?: string;
  readonly runsDir: string;
  readonly json?: true;
}

export function addCompressCommand(program: Command): void {
  program
    .command('compress')
    .description('make a trained network fit: remove filters, train on, and quantize to one small ONNX file')
    .argument('<run|file>', 'a run (its folder, <model>/<number>, or <model> for the newest) or a safetensors file')
    .option('--operations <part>', 'part of the operations that is left at most, in (0, 1)', parseNumber)
    .option('--bytes <n>', 'largest size of the file', parseNumber)
    .option(
      '--max-drop <points>',
      'accuracy that quantization may cost on training images; layers return to float32 until it does not',
      parseNumber,
    )
    .option('--steps <n>', 'steps of training after filters are removed', parseNumber, 1000)
    .option('--set <key=value>', 'change a key of the configuration for this training; may be repeated', parseAssignment, {})
    .option('--model <name>', 'model of the file, where it does not say')
    .option('-o, --output <file.onnx>', 'where to write (default: <model>.small.onnx)')
    .option('--threads <n>', 'threads (default: as it was trained)', parseNumber)
    .option('--data <name>', 'data set (default: what it was trained on)')
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(compressModel);
}

async function compressModel(reference: string, options: Options): Promise<void> {
  const { operations, bytes, maxDrop, steps, runsDir, model, data } = options;
  if (operations === undefined && bytes === undefined) {
    throw new ConfigurationError('what to reach is missing', {
      fix: '--operations 0.5, --bytes 200000, or both; ablate quantize only quantizes',
    });
  }
  if (!Number.isInteger(steps) || steps < 1) throw new ConfigurationError(`steps (=${steps}) must be a positive integer`);
  const { saved: source } = await readReference(reference, { runsDir, model });
  const file = options.output ?? `${source.config.model}.small.onnx`;
  requireWritableFolder(file);
  const dataset = await loadImages(data ?? source.config.dataset, options);
  const overrides = await trainingOverrides(options);
  const { createOnednnEngine } = await import('../../engine/onednn/engine.ts');
  const { compress } = await import('../../compress/pipeline.ts');
  const { writeFileAtomic } = await import('../../util/atomic-file.ts');
  const config: TrainingConfig = { ...source.config, steps, threads: options.threads ?? source.config.threads };
  const engine = createOnednnEngine({ threads: config.threads });
  const { hooks, finish } = trainingDisplay(config, singleProcess);
  const threads = options.threads ?? (await physicalCores());
  const targets = { operations, bytes, maxDrop };
  const libraries = { onednn: engine.libraryVersion };
  const work = { source, reference, targets, steps, overrides, engine, dataset, runsFolder: runsDir, threads, hooks, libraries };
  const result = await interruptible('stopping after this step, and saving', (signal) =>
    compress({ ...work, signal }).finally(finish),
  );
  if ('stopped' in result) {
    const { run, step } = result.stopped;
    const path = run === undefined ? 'the run' : shortPath(run.path);
    throw new Interruption(`stopped after step ${step} of ${steps}, which is saved in ${path}`, {
      fix: `ablate prune --resume ${path} continues the training; ablate quantize ${path} then does the rest`,
    });
  }
  writeFileAtomic(file, result.file);
  if (options.json === true) printJson(describe(result, reference, file));
  else printReport(result, file);
  const missed = result.targets.filter(({ met }) => !met);
  if (missed.length === 0) return;
  const what = missed.map(({ target, limit, value }) => `${target} is ${value}, above ${limit}`);
  throw new AblateError(`the file was written, but misses its target: ${what.join('; ')}`, {
    fix: 'allow a larger --max-drop, or ask for fewer --operations',
  });
}

function describe({ stages, targets, run, quantized }: Compressed, source: string, file: string) {
  const { floatLayers } = quantized.quantization;
  return { file, source, run: run === undefined ? null : `${run.model}/${run.number}`, stages, targets, floatLayers };
}

function printReport({ stages, targets, run, quantized }: Compressed, file: string): void {
  const rows = stages.map(({ name, parameters, operations, bytes, accuracy }) => [
    name,
    formatCount(parameters),
    formatOperations(operations),
    formatBytes(bytes),
    formatAccuracy(accuracy),
  ]);
  const header = ['', 'parameters', 'operations', 'file', 'accuracy (test)'];
  print(alignColumns([header, ...rows], ['left', 'right', 'right', 'right', 'right']));
  print('');
  for (const { target, limit, value, met } of targets) {
    const [reached, wanted] =
      target === 'bytes' ? [formatCount(value), formatCount(limit)] : [formatAccuracy(value), formatAccuracy(limit)];
    print(`${target}: ${reached}, at most ${wanted}${met ? '' : ': missed'}`);
  }
  const { floatLayers } = quantized.quantization;
  if (floatLayers.length > 0) print(`in float32: ${floatLayers.join(', ')}`);
  if (run !== undefined) print(`run: ${shortPath(run.path)}`);
  print(`wrote ${file}`);
}
