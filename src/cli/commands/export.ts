import type { Command } from 'commander';
import { basename } from 'node:path';
import type { TrainedClassifier } from '../../deploy/mcu/build.ts';
import type { CodeOptions } from '../../deploy/mcu/c/source.ts';
import type { Dataset } from '../../data/dataset.ts';
import type { DeviceFigures } from '../../deploy/mcu/figures.ts';
import type { DeviceNetwork, Origin } from '../../deploy/mcu/export.ts';
import { calibrationMethods, integerSettings, type CalibrationMethod } from '../../deploy/quantization.ts';
import type { RangeMethod } from '../../deploy/integers/ranges.ts';
import { preferredWeights } from '../../train/weights.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { frozenFileName, isDatasetFile } from '../../util/file-names.ts';
import { formatAccuracy, formatCount } from '../../util/format.ts';
import { check } from '../../util/schema.ts';
import { readRegularFile, statIfReachable } from '../../util/regular-file.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { deviceLines, deviceOption, devicesOf } from '../device.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { integer, jsonOption, oneOf, parseNumber, parseThreads, runsDirOption } from '../options.ts';
import { claimFolder, claimOutput, forceOption, writeTogether, type Output } from '../output-file.ts';
import { print, printJson } from '../output.ts';
import { stepProgress } from '../progress.ts';
import { addWeightsOptions, readReference, requireNoWeightsOptions, type WeightsOptions } from '../saved-model.ts';

interface Options extends DataOptions, WeightsOptions {
  readonly c?: string;
  readonly tflite?: string;
  readonly name?: string;
  readonly force?: true;
  readonly calibration?: CalibrationMethod;
  readonly percentile?: number;
  readonly images?: number;
  readonly seed: number;
  readonly evaluate: boolean;
  readonly device?: string;
  readonly vectors?: number;
  readonly threads?: number;
  readonly json?: true;
}

export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description('write a trained network for a microcontroller: C, or TensorFlow Lite, in 8-bit integers')
    .argument(
      '<run|file>',
      'a run (its folder, <model>/<number>, or <model> for the newest), a safetensors file, or a file of `ablate freeze`',
    )
    .option('--c <folder>', 'folder for the C code, test images, a program that tries them, and a Makefile')
    .option('--tflite <file.tflite>', 'where to write a TensorFlow Lite model of the same integers')
    .option('--name <identifier>', 'prefix of the names in C (default: the name of the model)')
    .option(...forceOption)
    .option(
      '--calibration <method>',
      'how ranges of activations are chosen: min-max, percentile or mse (default: mse)',
      oneOf(calibrationMethods),
    )
    .option('--percentile <p>', 'share of the values within the range, for the method percentile (default: 99.99)', parseNumber)
    .option('--images <n>', 'training images to calibrate on (default: 1024)', integer(1))
    .option('--seed <n>', 'which training images calibrate', integer(0), 1)
    .option('--no-evaluate', 'do not measure the accuracy on the test set')
    .option(...deviceOption)
    .option('--vectors <n>', 'test images that go with the code (default: 8, or all where there are fewer)', integer(1, 1000));
  addWeightsOptions(command);
  addDataOptions(command)
    .option('--threads <n>', 'threads of ONNX Runtime for the accuracy in float32 (default: physical cores)', parseThreads)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(exportNetwork);
}

async function exportNetwork(reference: string, options: Options): Promise<void> {
  const { deviceGraph } = await import('../../deploy/mcu/device-graph.ts');
  const { rangeMethodOf } = await import('../../deploy/integers/ranges.ts');
  const { originLines, vectorCount } = await import('../../deploy/mcu/export.ts');
  const { calibration, percentile } = options;
  if (options.c === undefined && options.tflite === undefined) {
    throw new ConfigurationError('export must be told what to write', { fix: 'add --c <folder> for C, or --tflite <file>' });
  }
  const range = rangeMethodOf(check(integerSettings, { scheme: 'int8', calibration, percentile }));
  const devices = await devicesOf(options.device);
  const source = await readSource(reference, options);
  const { trained, origin } = source;
  const name = options.name ?? origin.model.replace(/[^A-Za-z0-9_]/g, '_');
  // What a device cannot compute, or what would be written over, is told before images are loaded.
  const { classifier, folded } = trained;
  const { graph } = deviceGraph(classifier.network, folded, classifier.preprocessing.standardization);
  if (options.tflite !== undefined) {
    const { requireTfliteOperators } = await import('../../deploy/mcu/tflite/model.ts');
    requireTfliteOperators(graph.nodes);
  }
  const outputs = await claimOutputs(reference, name, source, options);
  const dataset = await loadImages(datasetOf(reference, source.dataset, options), options);
  if (options.c !== undefined) vectorCount(dataset, options.vectors);
  const network = await calibrateAndMeasure(source, options, { range, dataset });
  const lines = originLines(
    { ...origin, dataset: isDatasetFile(dataset.name) ? 'a file' : dataset.name.split(':')[0]! },
    network,
    range,
  );
  const code = { name, plan: network.plan, memory: network.memory, classes: trained.classifier.classes, origin: lines };
  const { codeSize } = await import('../../deploy/mcu/code-size.ts');
  const { figuresOf } = await import('../../deploy/mcu/figures.ts');
  const figures = figuresOf(network.plan, network.memory, await codeSize(code), devices);
  const result = { files: await outputs.write(code, dataset), network, figures };
  if (options.json === true) printAsJson(result);
  else printAsText(result, options);
}

interface Outputs {
  /** Makes all files before the first is written. @returns their paths */
  write(code: CodeOptions, dataset: Dataset): Promise<readonly string[]>;
}

async function claimOutputs(reference: string, name: string, { origin }: Source, options: Options): Promise<Outputs> {
  const { codeFileNames, codeFiles } = await import('../../deploy/mcu/c/files.ts');
  const { originLine, testVectors, vectorCount } = await import('../../deploy/mcu/export.ts');
  const { c: folder, tflite, vectors } = options;
  const [force, mark] = [options.force === true, originLine(origin)];
  const codeFolder =
    folder === undefined ? undefined : claimFolder(folder, codeFileNames(name), { source: reference, force, mark });
  const tfliteOutput = tflite === undefined ? undefined : claimTflite(tflite, { source: reference, force, mark });
  return {
    async write(code, dataset) {
      const { tfliteFile } = await import('../../deploy/mcu/tflite/model.ts');
      const texts = codeFolder && codeFiles(code, testVectors(code.plan, dataset, vectorCount(dataset, vectors)));
      const bytes = tfliteOutput && tfliteFile(code.plan, [...code.origin, `Classes: ${code.classes.join(', ')}`].join('\n'));
      return writeTogether([
        ...(codeFolder && texts ? [codeFolder.prepare(texts)] : []),
        ...(tfliteOutput && bytes ? [tfliteOutput.prepare(bytes)] : []),
      ]);
    },
  };
}

/** A file says of itself what it was made of. */
function claimTflite(file: string, { source, force, mark }: { source: string; force: boolean; mark: string }): Output {
  if (!file.endsWith('.tflite')) throw new ConfigurationError(`tflite (=${file}) must end in .tflite`);
  const isOwn = statIfReachable(file)?.isFile() === true && readRegularFile(file).includes(mark);
  return claimOutput(file, {
    source,
    what: 'export',
    force,
    existing: isOwn ? { isOwn, description: 'an earlier export' } : undefined,
  });
}

/** What is exported. */
interface Source {
  readonly trained: TrainedClassifier;
  readonly origin: Omit<Origin, 'dataset'>;
  /** The data set it was trained on. */
  readonly dataset: string;
  /** Whether its last training images were kept for validation. */
  readonly val: boolean;
}

async function readSource(reference: string, options: Options): Promise<Source> {
  const { trainedFromFrozen, trainedFromSaved } = await import('../../deploy/mcu/trained.ts');
  const { trainingIdentity } = await import('../../deploy/training-identity.ts');
  if (frozenFileName.test(reference)) {
    requireNoWeightsOptions(options);
    const { readFrozenFile } = await import('../../deploy/frozen-model.ts');
    const file = readFrozenFile(reference);
    const { config, run } = file.metadata;
    const origin = { model: config.model, from: run ?? basename(reference), training: trainingIdentity(config) };
    return { trained: trainedFromFrozen(file, reference), origin, dataset: config.dataset, val: config.val };
  }
  const { saved, run } = await readReference(reference, options);
  const { runName } = await import('../../runs/run-folder.ts');
  const { config } = saved;
  const { weights, classes } = options;
  const trained = trainedFromSaved(saved, weights ?? preferredWeights(saved.file), classes);
  const from = run === undefined ? basename(reference) : runName(run);
  return {
    trained,
    origin: { model: config.model, from, training: trainingIdentity(config) },
    dataset: config.dataset,
    val: config.val,
  };
}

async function calibrateAndMeasure(
  { trained, val }: Source,
  { images, seed, evaluate, threads = defaultThreads() }: Options,
  { range, dataset }: { readonly range: RangeMethod; readonly dataset: Dataset },
): Promise<DeviceNetwork> {
  const { deviceNetwork } = await import('../../deploy/mcu/export.ts');
  const calibration = stepProgress('image');
  const evaluation = stepProgress('image');
  const stopped = 'the export was stopped, nothing is written';
  const work = async (signal: AbortSignal) => {
    const network = await deviceNetwork({
      ...{ trained, dataset, val, range, images, seed, evaluate, threads, signal },
      onCalibration: (done, total) => {
        calibration(done, total, 'calibrating');
      },
      onProgress: (done, total) => {
        evaluation(done, total, 'in integers and in float32');
      },
    });
    if (signal.aborted) throw new Interruption(stopped);
    return network;
  };
  return await interruptible('stopping', work, stopped);
}

interface Result {
  readonly files: readonly string[];
  readonly network: DeviceNetwork;
  readonly figures: DeviceFigures;
}

function printAsJson({ files, network: { evaluation }, figures }: Result): void {
  const { accuracy = null, floatAccuracy = null, agreement = null, images = null } = evaluation ?? {};
  printJson({ files, ...figures, accuracy, floatAccuracy, agreement, images });
}

function printAsText({ files, network, figures }: Result, { c }: Options): void {
  print(`wrote ${files.join(', ')}`);
  if (c === undefined) print('as C (--c <folder>); an interpreter of TensorFlow Lite files takes more:');
  for (const line of deviceLines(figures)) print(line);
  if (network.evaluation === undefined) {
    print('accuracy on the test set not measured');
    return;
  }
  const { accuracy, floatAccuracy, agreement, images } = network.evaluation;
  print(
    `test accuracy ${formatAccuracy(accuracy)} in integers, ${formatAccuracy(floatAccuracy)} in float32, on ${formatCount(images)} images; ` +
      `${formatAccuracy(agreement)} get the same label`,
  );
}
