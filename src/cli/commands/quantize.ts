import type { Command } from 'commander';
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { singleProcess } from '../../cluster/collective.ts';
import type { FileComparison } from '../../compress/quantize/compare.ts';
import type { FloatFile, MeasuredCheck, Quantized, QuantizeOptions } from '../../compress/quantize/quantize.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { FrozenAccuracy, FrozenMetadata, QuantizationScheme } from '../../deploy/metadata.ts';
import type { OnednnEngine } from '../../engine/onednn/engine.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { AblateError, ConfigurationError } from '../../util/errors.ts';
import { frozenFileName, weightsFileName } from '../../util/file-names.ts';
import { formatAccuracy, formatBytes } from '../../util/format.ts';
import { bytesFor } from '../../util/gzip.ts';
import { mostSteps } from '../../util/limits.ts';
import { alignColumns, formatCount } from '../../util/text-table.ts';
import { dataDirOption, dataUrlOption, loadImages, type SourceOptions } from '../dataset.ts';
import { Interruption } from '../errors.ts';
import { existingFrozenFile, isOfRun } from '../existing-file.ts';
import { weightsKind } from '../frozen-files.ts';
import { interruptible } from '../interrupt.ts';
import {
  integerUpTo,
  jsonOption,
  parseAssignment,
  parseNumber,
  parsePositiveInteger,
  parseThreads,
  runsDirOption,
  type Assignments,
} from '../options.ts';
import { claimOutput, forceOption, requireFrozenName } from '../output-file.ts';
import { note, print, printJson } from '../output.ts';
import { createProgress } from '../progress.ts';
import { readReference } from '../saved-model.ts';
import { trainingDisplay } from '../training-display.ts';

interface Options extends SourceOptions {
  readonly output?: string;
  readonly force?: true;
  readonly weightsOnly?: string;
  readonly calibration?: string;
  readonly percentile?: number;
  readonly images?: number;
  readonly seed: number;
  readonly reduceRange?: boolean;
  readonly keepFloat?: string;
  readonly sensitivity?: true;
  readonly maxDrop?: number;
  readonly checkImages?: number;
  readonly evaluate: boolean;
  readonly fineTune?: number;
  readonly teacher?: string;
  readonly weights?: string;
  readonly model?: string;
  readonly set: Assignments;
  readonly classes?: string;
  readonly data?: string;
  readonly threads?: number;
  readonly runsDir: string;
  readonly json?: true;
}

export function addQuantizeCommand(program: Command): void {
  program
    .command('quantize')
    .description('write a trained network as a smaller ONNX file that computes in 8-bit integers')
    .argument(
      '<run|file>',
      'a run (its folder, <model>/<number>, or <model> for the newest), a safetensors file, or a file of `ablate freeze`',
    )
    .option(
      '-o, --output <file.onnx>',
      'where to write; .onnx.gz compresses (default: beside the file, or for a run here: <name>.int8.onnx)',
    )
    .option(...forceOption)
    .option('--weights-only <type>', 'store the weights as int8 or float16, and compute in float32')
    .option('--calibration <method>', 'how the ranges of the activations are chosen: min-max, percentile or mse (default: mse)')
    .option('--percentile <p>', 'share of the values within the range, for the method percentile (default: 99.99)', parseNumber)
    .option('--images <n>', 'training images to calibrate on (default: 1024)', parsePositiveInteger)
    .option('--seed <n>', 'which training images calibrate, and which measure layers', parseNumber, 1)
    .option('--reduce-range', 'weights of 7 bits, which no processor adds up wrongly (default)')
    .option('--no-reduce-range', 'weights of 8 bits: right only with VNNI, on ARM, or in WebAssembly')
    .option('--keep-float <layer,...>', 'layers that stay in float32')
    .option('--sensitivity', 'measure on training images what each layer costs, quantized alone')
    .option('--max-drop <points>', 'return layers to float32, the worst first, until accuracy drops by no more', parseNumber)
    .option(
      '--check-images <n>',
      'training images for these measurements, others than for calibration (default: 2000)',
      parsePositiveInteger,
    )
    .option(
      '--fine-tune <steps>',
      'first train a run or safetensors file on for so many steps, with rounded weights',
      integerUpTo(mostSteps),
    )
    .option('--teacher <run|file>', 'with --fine-tune: learn from the outputs of a trained network too (distillation)')
    .option('--no-evaluate', 'do not measure the accuracy on the test set')
    .option('--weights <kind>', 'of a run or safetensors file: ema (moving averages) or raw (default: ema where there are any)')
    .option('--model <name>', 'model of the safetensors file, where it does not say')
    .option('--set <key=value>', 'setting of the model of the file, where it does not say; may be repeated', parseAssignment, {})
    .option('--classes <a,b,...>', 'names of the classes, where the file does not say')
    .option('--data <name>', 'data set (default: what it was trained on)')
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option('--threads <n>', 'threads of ONNX Runtime for the measurements (default: physical cores)', parseThreads)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(quantizeModel);
}

async function quantizeModel(reference: string, options: Options): Promise<void> {
  const scheme = schemeOf(options);
  const settings = await settingsOf(scheme, options);
  const source = await readSource(reference, options);
  const output = options.output ?? `${source.name}${suffixes[scheme]}`;
  requireFrozenName(output);
  const existing = await existingFrozenFile(output, (metadata) => metadata.quantization !== null && source.isSourceOf(metadata));
  const claimed = claimOutput(output, { source: reference, what: 'quantize', force: options.force === true, existing });
  const dataset = await loadData(source.dataset, scheme, options);
  const file = await source.freeze(settings.weightBits, dataset);
  const { quantize } = await import('../../compress/quantize/quantize.ts');
  const quantized = await quantize({ ...settings, file, dataset });
  const comparison = dataset && options.evaluate ? await compare(file, quantized, dataset, options) : undefined;
  const bytes = quantized.encode(comparison && dataset ? accuracyRecord(comparison, dataset) : null);
  const written = bytesFor(output, bytes);
  claimed.write(written);
  const sizes = { bytes: written.length, uncompressedBytes: bytes.length, sourceBytes: file.bytes.length };
  const result = { file: output, ...sizes, quantized, comparison };
  if (options.json === true) printJson(jsonOf(result));
  else printResult(result);
}

const suffixes: Readonly<Record<QuantizationScheme, string>> = {
  int8: '.int8.onnx',
  'int8-weights': '.int8-weights.onnx',
  'float16-weights': '.float16.onnx',
};

function schemeOf({ weightsOnly, calibration, images, reduceRange, fineTune }: Options): QuantizationScheme {
  if (weightsOnly === undefined) return 'int8';
  if (weightsOnly !== 'int8' && weightsOnly !== 'float16') {
    throw new ConfigurationError(`weights-only (=${weightsOnly}) must be one of int8, float16`);
  }
  if (calibration !== undefined || images !== undefined || reduceRange !== undefined) {
    throw new ConfigurationError(
      '--calibration, --images and --reduce-range are for integer arithmetic, and with --weights-only it stays in float32',
      { fix: 'leave them out, or leave --weights-only out' },
    );
  }
  if (weightsOnly === 'float16' && fineTune !== undefined) {
    throw new ConfigurationError(
      '--fine-tune is for 8-bit weights: rounding to float16 loses nothing that training could win back',
    );
  }
  return `${weightsOnly}-weights`;
}

/** All that is asked for, checked before the work begins. */
async function settingsOf(scheme: QuantizationScheme, options: Options): Promise<Omit<QuantizeOptions, 'file' | 'dataset'>> {
  const { seed, maxDrop, checkImages, teacher, fineTune } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ConfigurationError(`seed (=${seed}) must be an integer of at least 0`);
  if (maxDrop !== undefined && maxDrop < 0) throw new ConfigurationError(`max-drop (=${maxDrop}) must be a number of at least 0`);
  if (teacher !== undefined && fineTune === undefined) {
    throw new ConfigurationError(`teacher (=${teacher}) is for training on before the weights are rounded`, {
      fix: 'add --fine-tune <steps>, or leave --teacher out',
    });
  }
  const measures = maxDrop !== undefined || options.sensitivity === true;
  if (!measures && checkImages !== undefined) {
    throw new ConfigurationError('--check-images is for measuring layers', { fix: 'add --sensitivity or --max-drop' });
  }
  return {
    scheme,
    weightBits: options.reduceRange === false || scheme !== 'int8' ? 8 : 7,
    calibration: await calibrationOf(options),
    keepFloat: options.keepFloat?.split(',').map((name) => name.trim()) ?? [],
    check: measures
      ? { images: checkImages, maxDrop, threads: options.threads ?? defaultThreads(), onLayer: layerProgress() }
      : undefined,
    seed,
  };
}

async function calibrationOf({ calibration = 'mse', percentile, images }: Options): Promise<QuantizeOptions['calibration']> {
  const { calibrationMethods } = await import('../../deploy/metadata.ts');
  const method = calibrationMethods.find((each) => each === calibration);
  if (method === undefined) {
    throw new ConfigurationError(`calibration (=${calibration}) must be one of ${calibrationMethods.join(', ')}`);
  }
  if (percentile !== undefined && method !== 'percentile') {
    throw new ConfigurationError(`percentile (=${percentile}) is for the method percentile, and calibration is ${method}`, {
      fix: 'add --calibration percentile, or leave --percentile out',
    });
  }
  if (percentile !== undefined && !(percentile > 50 && percentile <= 100)) {
    throw new ConfigurationError(`percentile (=${percentile}) must be a number above 50 and at most 100`);
  }
  const { usualPercentile } = await import('../../compress/quantize/quantize.ts');
  return { method, percentile: percentile ?? usualPercentile, images };
}

function layerProgress(): (done: number, total: number, layer: string) => void {
  let progress: ReturnType<typeof createProgress> | undefined;
  return (done, total, layer) => {
    progress ??= createProgress({ unit: 'layer', total });
    progress.update(done, layer);
    if (done === total) progress.finish();
  };
}

/** What is quantized: a frozen file, or trained weights that are frozen first. */
interface Source {
  /** The path to which the suffix of the new file is put. */
  readonly name: string;
  /** The data set it was trained on. */
  readonly dataset: string;
  /** Whether a quantized file was made of it. */
  isSourceOf(metadata: FrozenMetadata): boolean;
  /** The float32 file; trained on before, if that is asked for. */
  freeze(bits: 7 | 8, dataset: Dataset | undefined): Promise<FloatFile>;
}

async function readSource(reference: string, options: Options): Promise<Source> {
  return frozenFileName.test(reference)
    ? await readFrozenSource(reference, options)
    : await readTrainedSource(reference, options);
}

async function readFrozenSource(path: string, { weights, model, set, classes, fineTune }: Options): Promise<Source> {
  if (fineTune !== undefined) {
    throw new ConfigurationError('--fine-tune needs weights to train, and a frozen file has none', {
      fix: 'give the run or the safetensors file that it was made of',
    });
  }
  if (weights !== undefined || model !== undefined || classes !== undefined || Object.keys(set).length > 0) {
    throw new ConfigurationError(
      '--weights, --model, --set and --classes are not for a frozen file, which says itself what it is',
      { fix: 'leave them out' },
    );
  }
  const { readFrozenFile } = await import('../../deploy/frozen-model.ts');
  const { bytes, metadata } = readFrozenFile(path);
  return {
    name: path.replace(frozenFileName, ''),
    dataset: metadata.config.dataset,
    isSourceOf: ({ quantization }) => quantization?.source.sha256 === createHash('sha256').update(bytes).digest('hex'),
    freeze: () => Promise.resolve({ bytes, source: path }),
  };
}

async function readTrainedSource(reference: string, options: Options): Promise<Source> {
  const { saved, run } = await readReference(reference, options);
  const { runName } = await import('../../runs/run-folder.ts');
  const teacher = await teacherPath(options);
  return {
    name: run === undefined ? reference.replace(weightsFileName, '') : saved.config.model,
    dataset: saved.config.dataset,
    isSourceOf: (metadata) => isOfRun(metadata, run && runName(run), saved.config),
    async freeze(bits, dataset) {
      const { freeze } = await import('../../deploy/freeze.ts');
      const { createOnednnEngine } = await import('../../engine/onednn/engine.ts');
      const { fineTune: steps, classes, threads } = options;
      const engine = createOnednnEngine(threads === undefined ? {} : { threads });
      const tuned =
        steps === undefined || dataset === undefined
          ? saved
          : await trainOn(saved, { steps, teacher }, { engine, dataset, bits });
      const frozen = await freeze({
        saved: tuned,
        weights: await weightsKind(tuned, options.weights),
        engine,
        classes: classes?.split(',').map((name) => name.trim()),
        run: run && runName(run),
      });
      return { bytes: frozen.encode(null), source: reference, fineTuningSteps: steps ?? 0 };
    },
  };
}

/** Of its weights, looked for before the work begins. @throws DataError if there are none */
async function teacherPath({ teacher, runsDir }: Options): Promise<string | undefined> {
  if (teacher === undefined) return undefined;
  const { findWeights } = await import('../../train/saved-model.ts');
  return resolve(findWeights(teacher, runsDir).path);
}

async function trainOn(
  saved: SavedModel,
  settings: { readonly steps: number; readonly teacher: string | undefined },
  { engine, dataset, bits }: { readonly engine: OnednnEngine; readonly dataset: Dataset; readonly bits: 7 | 8 },
): Promise<SavedModel> {
  const { fineTune, fineTuneConfig } = await import('../../compress/quantize/fine-tune.ts');
  const config = fineTuneConfig(saved, { ...settings, threads: engine.threads, dataset: dataset.name });
  const { hooks, finish } = trainingDisplay(config, singleProcess);
  return await interruptible('stopping', async (signal) => {
    const tuned = await fineTune(saved, config, { engine, dataset, bits, signal, hooks }).finally(finish);
    if (tuned === undefined) throw new Interruption('the fine-tuning was stopped, nothing is written');
    return tuned;
  });
}

/**
 * The images to calibrate and measure with. Weights alone are stored without any, so there missing images only mean that the accuracy is
 * not known.
 */
async function loadData(trainedOn: string, scheme: QuantizationScheme, options: Options): Promise<Dataset | undefined> {
  const { maxDrop, sensitivity, fineTune } = options;
  const isNeeded = scheme === 'int8' || maxDrop !== undefined || sensitivity === true || fineTune !== undefined;
  if (!isNeeded && !options.evaluate) return undefined;
  try {
    return await loadImages(options.data ?? trainedOn, options);
  } catch (error) {
    if (isNeeded || !(error instanceof AblateError)) throw error;
    note(`The accuracy is not measured: ${error.message}`);
    return undefined;
  }
}

async function compare(
  { bytes: float }: FloatFile,
  { metadata, encode }: Quantized,
  dataset: Dataset,
  { threads }: Options,
): Promise<FileComparison> {
  const { compareOnTest } = await import('../../compress/quantize/compare.ts');
  return await compareOnTest({ float, quantized: encode(null), metadata, dataset, threads: threads ?? defaultThreads() });
}

function accuracyRecord({ accuracy: value, images }: FileComparison, { name: dataset, fingerprint }: Dataset): FrozenAccuracy {
  return { value, split: 'test', images, dataset, fingerprint };
}

interface Result {
  readonly file: string;
  /** As it is on the disk. */
  readonly bytes: number;
  /** The same where the file is not compressed. */
  readonly uncompressedBytes: number;
  /** Of the float32 file, not compressed either. */
  readonly sourceBytes: number;
  readonly quantized: Quantized;
  readonly comparison: FileComparison | undefined;
}

function jsonOf({ file, bytes, uncompressedBytes, sourceBytes, quantized, comparison }: Result) {
  const { metadata, quantization, layers, check } = quantized;
  const { scheme, weightBits, calibration, fineTuningSteps, floatLayers } = quantization;
  const { model, run, step } = metadata;
  return {
    file,
    bytes,
    uncompressedBytes,
    sourceBytes,
    model,
    run,
    step,
    scheme,
    weightBits,
    calibration,
    fineTuningSteps,
    quantizedLayers: layers,
    floatLayers,
    test: comparison ?? null,
    check: check ?? null,
  };
}

function printResult({ file, bytes, uncompressedBytes, sourceBytes, quantized, comparison }: Result): void {
  const { quantization, check } = quantized;
  const { calibration, floatLayers } = quantization;
  const share = `${((100 * uncompressedBytes) / sourceBytes).toFixed(1)}% of ${formatBytes(sourceBytes)}`;
  const size = formatBytes(uncompressedBytes);
  print(`wrote ${file}: ${bytes === uncompressedBytes ? size : `${formatBytes(bytes)}, uncompressed ${size}`}, ${share}`);
  const calibrated = calibration === null ? '' : `; ${calibration.method} on ${formatCount(calibration.images)} training images`;
  print(`${describe(quantization)}${calibrated}`);
  print(`in float32: ${floatLayers.length === 0 ? 'no layer with weights' : floatLayers.join(', ')}`);
  if (check !== undefined) printCheck(check, floatLayers);
  if (comparison === undefined) {
    print('accuracy on the test set not measured');
    return;
  }
  const { images, floatAccuracy, accuracy, agreement } = comparison;
  print(
    `test accuracy ${formatAccuracy(accuracy)}, before ${formatAccuracy(floatAccuracy)}, on ${formatCount(images)} images; ` +
      `${formatAccuracy(agreement)} get the same label`,
  );
}

function describe({ scheme, weightBits }: Quantized['quantization']): string {
  switch (scheme) {
    case 'int8':
      return `integer arithmetic, weights of ${weightBits} bits, activations of 8`;
    case 'int8-weights':
      return 'weights of 8 bits, float32 arithmetic';
    case 'float16-weights':
      return 'weights of 16 bits, float32 arithmetic';
  }
}

function printCheck({ images, floatAccuracy, cost, sensitivities }: MeasuredCheck, floatLayers: readonly string[]): void {
  print('');
  const rows = sensitivities.map(({ layer, dropPoints, divergence }) => [
    layer,
    dropPoints.toFixed(2),
    divergence.toExponential(1),
    floatLayers.includes(layer) ? 'float32' : 'quantized',
  ]);
  const header = ['quantized alone', 'drop (points)', 'divergence (nats)', ''];
  const together = ['together', cost.dropPoints.toFixed(2), cost.divergence.toExponential(1), ''];
  print(alignColumns([header, ...rows, together], ['left', 'right', 'right', 'left']));
  print(`on ${formatCount(images)} training images that did not calibrate; accuracy in float32 ${formatAccuracy(floatAccuracy)}`);
  print('');
}
