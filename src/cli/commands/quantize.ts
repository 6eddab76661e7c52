import type { Command } from 'commander';
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { singleProcess } from '../../cluster/collective.ts';
import type { FileComparison } from '../../compress/quantize/compare.ts';
import type { CheckSettings, FloatFile, MeasuredCheck, Quantized } from '../../compress/quantize/quantize.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { FrozenMetadata } from '../../deploy/metadata.ts';
import {
  calibrationMethods,
  quantizationSettings,
  type CalibrationMethod,
  type QuantizationScheme,
  type QuantizationSettings,
} from '../../deploy/quantization.ts';
import type { Engine } from '../../engine/engine.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { AblateError, ConfigurationError } from '../../util/errors.ts';
import { frozenFileName, requireFrozenName, weightsFileName } from '../../util/file-names.ts';
import { formatAccuracy, formatBytes, formatCount } from '../../util/format.ts';
import { bytesFor } from '../../util/gzip.ts';
import { mostSteps } from '../../util/largest.ts';
import { check } from '../../util/schema.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { existingFrozenFile, isOfRun } from '../existing-file.ts';
import { interruptible } from '../interrupt.ts';
import { integer, jsonOption, oneOf, parseNames, parseNumber, parseThreads, runsDirOption } from '../options.ts';
import { claimOutput, forceOption } from '../output-file.ts';
import { note, print, printTable, printJson } from '../output.ts';
import { stepProgress } from '../progress.ts';
import { addWeightsOptions, readReference, requireNoWeightsOptions, type WeightsOptions } from '../saved-model.ts';
import { trainingDisplay } from '../training-display.ts';

interface Options extends DataOptions, WeightsOptions, EngineOption {
  readonly output?: string;
  readonly force?: true;
  readonly weightsOnly?: 'int8' | 'float16';
  readonly calibration?: CalibrationMethod;
  readonly percentile?: number;
  readonly images?: number;
  readonly seed: number;
  readonly reduceRange?: boolean;
  readonly keepFloat?: readonly string[];
  readonly sensitivity?: true;
  readonly maxDrop?: number;
  readonly checkImages?: number;
  readonly evaluate: boolean;
  readonly fineTune?: number;
  readonly teacher?: string;
  readonly threads?: number;
  readonly json?: true;
}

export function addQuantizeCommand(program: Command): void {
  const command = program
    .command('quantize')
    .description('write a trained network as a smaller ONNX file in 8-bit integers')
    .argument(
      '<run|file>',
      'a run (its folder, <model>/<number>, or <model> for the newest), a safetensors file, or a file of `ablate freeze`',
    )
    .option(
      '-o, --output <file.onnx>',
      'where to write; .onnx.gz compresses (default: beside the file, or for a run here: <name>.int8.onnx)',
    )
    .option(...forceOption)
    .option('--weights-only <type>', 'store the weights as int8 or float16, and compute in float32', oneOf(['int8', 'float16']))
    .option(
      '--calibration <method>',
      'how ranges of activations are chosen: min-max, percentile or mse (default: mse)',
      oneOf(calibrationMethods),
    )
    .option('--percentile <p>', 'share of the values within the range, for the method percentile (default: 99.99)', parseNumber)
    .option('--images <n>', 'training images to calibrate on (default: 1024)', integer(1))
    .option('--seed <n>', 'which training images calibrate, and which measure layers', integer(0), 1)
    .option('--reduce-range', 'weights of 7 bits, right on every processor (default)')
    .option('--no-reduce-range', 'weights of 8 bits: right only with VNNI, on ARM, or in WebAssembly')
    .option('--keep-float <layer,...>', 'layers that stay in float32', parseNames)
    .option('--sensitivity', 'measure the cost of quantizing each layer alone, on training images')
    .option(
      '--max-drop <points>',
      'return layers to float32, worst first, until accuracy drops by no more than this',
      parseNumber,
    )
    .option(
      '--check-images <n>',
      'training images for these measurements, not those of the calibration (default: 2000)',
      integer(1),
    )
    .option(
      '--fine-tune <steps>',
      'first train a run or safetensors file for n steps with rounded weights',
      integer(1, mostSteps),
    )
    .option('--teacher <run|file>', 'with --fine-tune: also learn from the outputs of a trained network (distillation)')
    .option('--no-evaluate', 'do not measure the accuracy on the test set');
  addWeightsOptions(command);
  addDataOptions(command)
    .option(...engineOption)
    .option('--threads <n>', 'threads of ONNX Runtime for the measurements (default: physical cores)', parseThreads)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(quantizeModel);
}

async function quantizeModel(reference: string, options: Options): Promise<void> {
  requireTogether(options);
  const quantization = settingsOf(options);
  const { scheme } = quantization;
  const source = await readSource(reference, options);
  const output = options.output ?? `${source.name}${suffixes[scheme]}`;
  requireFrozenName(output);
  const existing = await existingFrozenFile(output, (metadata) => metadata.quantization !== null && source.isSourceOf(metadata));
  const claimed = claimOutput(output, { source: reference, what: 'quantize', force: options.force === true, existing });
  const dataset = await loadData({ reference, trainedOn: source.dataset }, scheme, options);
  const file = await source.freeze(scheme === 'int8' ? quantization.weightBits : 8, dataset);
  const { compareOnTest } = await import('../../compress/quantize/compare.ts');
  const { quantize } = await import('../../compress/quantize/quantize.ts');
  const { accuracyRecord } = await import('../../deploy/evaluate.ts');
  const { images: calibrationImages, keepFloat, seed, threads = defaultThreads() } = options;
  const calibration = stepProgress('image');
  const onCalibration = (done: number, total: number) => {
    calibration(done, total, 'calibrating');
  };
  const measured = { seed, dataset, check: checkOf(options) };
  const quantized = await quantize({ file, quantization, calibrationImages, keepFloat, ...measured, onCalibration });
  const { encode, metadata } = quantized;
  const comparison =
    dataset && options.evaluate
      ? await compareOnTest({ float: file.bytes, quantized: encode(null), metadata, dataset, threads })
      : undefined;
  const bytes = encode(comparison && dataset ? accuracyRecord({ ...comparison, split: 'test' }, dataset) : null);
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

/** That options go together, before the work begins. */
function requireTogether(options: Options): void {
  const { weightsOnly, calibration, percentile, images, reduceRange, fineTune, teacher, checkImages } = options;
  if (weightsOnly !== undefined && [calibration, percentile, images, reduceRange].some((given) => given !== undefined)) {
    throw new ConfigurationError(
      '--calibration, --percentile, --images and --reduce-range are for integer arithmetic, and with --weights-only it stays in float32',
      { fix: 'leave them out, or leave --weights-only out' },
    );
  }
  if (weightsOnly === 'float16' && fineTune !== undefined) {
    throw new ConfigurationError(
      '--fine-tune is for 8-bit weights: rounding to float16 loses nothing that training could win back',
    );
  }
  if (teacher !== undefined && fineTune === undefined) {
    throw new ConfigurationError(`teacher (=${teacher}) is for training on before the weights are rounded`, {
      fix: 'add --fine-tune <steps>, or leave --teacher out',
    });
  }
  if (!measuresLayers(options) && checkImages !== undefined) {
    throw new ConfigurationError('--check-images is for measuring layers', { fix: 'add --sensitivity or --max-drop' });
  }
}

function settingsOf({ weightsOnly, calibration, percentile, reduceRange }: Options): QuantizationSettings {
  if (weightsOnly !== undefined) return { scheme: `${weightsOnly}-weights` };
  const weightBits = reduceRange === false ? 8 : 7;
  return check(quantizationSettings, { scheme: 'int8', calibration, percentile, weightBits });
}

function measuresLayers({ maxDrop, sensitivity }: Options): boolean {
  return maxDrop !== undefined || sensitivity === true;
}

function checkOf(options: Options): CheckSettings | undefined {
  const { checkImages: images, maxDrop, threads = defaultThreads() } = options;
  return measuresLayers(options) ? { images, maxDrop, threads, onLayer: stepProgress('layer') } : undefined;
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

async function readFrozenSource(path: string, options: Options): Promise<Source> {
  if (options.fineTune !== undefined) {
    throw new ConfigurationError('--fine-tune needs weights to train, and a frozen file has none', {
      fix: 'give the run or the safetensors file that it was made of',
    });
  }
  requireNoWeightsOptions(options);
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
  const { findWeights } = await import('../../train/saved-model.ts');
  const { teacher, runsDir, fineTune: fineTuningSteps = 0, classes, weights, threads } = options;
  // Looked for before the work begins.
  const taughtBy = teacher === undefined ? undefined : resolve(findWeights(teacher, runsDir).path);
  const name = run && runName(run);
  return {
    name: run === undefined ? reference.replace(weightsFileName, '') : saved.config.model,
    dataset: saved.config.dataset,
    isSourceOf: (metadata) => isOfRun(metadata, name, saved.config),
    async freeze(bits, dataset) {
      const { freeze } = await import('../../deploy/freeze.ts');
      const engine = await openChosen(options, threads);
      const tuned =
        fineTuningSteps === 0
          ? saved
          : await trainOn(saved, { steps: fineTuningSteps, teacher: taughtBy }, { engine, dataset: dataset!, bits });
      const frozen = await freeze({ saved: tuned, weights, engine, classes, run: name });
      return { bytes: frozen.encode(null), source: reference, fineTuningSteps };
    },
  };
}

async function trainOn(
  saved: SavedModel,
  settings: { readonly steps: number; readonly teacher: string | undefined },
  { engine, dataset, bits }: { readonly engine: Engine; readonly dataset: Dataset; readonly bits: 7 | 8 },
): Promise<SavedModel> {
  const { fineTune, fineTuneConfig } = await import('../../compress/quantize/fine-tune.ts');
  const config = fineTuneConfig(saved, { ...settings, threads: engine.threads, dataset: dataset.name });
  const { hooks, finish } = trainingDisplay(config, singleProcess, engine);
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
async function loadData(
  { reference, trainedOn }: { readonly reference: string; readonly trainedOn: string },
  scheme: QuantizationScheme,
  options: Options,
): Promise<Dataset | undefined> {
  const isNeeded = scheme === 'int8' || measuresLayers(options) || options.fineTune !== undefined;
  if (!isNeeded && !options.evaluate) return undefined;
  try {
    return await loadImages(datasetOf(reference, trainedOn, options), options);
  } catch (error) {
    if (isNeeded || !(error instanceof AblateError)) throw error;
    note(`The accuracy is not measured: ${error.message}`);
    return undefined;
  }
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
  printTable([header, ...rows, together], ['left', 'right', 'right', 'left']);
  print(`on ${formatCount(images)} training images that did not calibrate; accuracy in float32 ${formatAccuracy(floatAccuracy)}`);
  print('');
}
