import { InvalidArgumentError, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceFigures } from '../../deploy/mcu/figures.ts';
import type { Standardization } from '../../data/preprocessing.ts';
import type { ImageShape } from '../../data/pixel-planes.ts';
import type { LoadedModel } from '../../user/model-file.ts';
import type { Setting } from '../../models/settings.ts';
import { kindOf, type Layer } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import type { Classifier } from '../../train/classifier.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes, formatCount, formatOperations } from '../../util/format.ts';
import { frozenFileName, isCodeFile, weightsFileName } from '../../util/file-names.ts';
import { formatSize, imageSize, parseSize, sidesOf, type ImageSize } from '../../util/image-size.ts';
import { dataDirOption, dataUrlOption, loadImages, type DataOptions } from '../dataset.ts';
import { jsonOption, parseAssignment, runsDirOption, type Assignments } from '../options.ts';
import { deviceLines, devicesOf } from '../device.ts';
import { print, printTable, printJson } from '../output.ts';
import { readReference } from '../saved-model.ts';

interface InfoOptions extends DataOptions {
  readonly input?: ImageSize;
  readonly set: Assignments;
  readonly settings?: true;
  readonly device?: string;
  readonly runsDir: string;
  readonly json?: true;
}

export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('layers, parameters and operations of a model; without a name, all models with cost and accuracy')
    .argument('[model|run|file]', 'name or file of the model, or a trained network: a run, its weights or a frozen file')
    .option(
      '--input <pixels>',
      "the network's input: a side, usually 24 or 32, or <height>x<width> (default: what the model was published with)",
      parseInput,
    )
    .option('--data <name>', 'data set whose images and classes the network is for (default: 10 classes, colour)')
    .option(...dataDirOption)
    .option(...dataUrlOption)
    .option('--set <key=value>', 'change a setting of the model; may be repeated', parseAssignment, {})
    .option('--settings', "list the model's settings instead, with defaults and allowed values")
    .option('--device <core@MHz,...>', 'cost on a microcontroller, as 8-bit integers: m0+, m4, m33, m7, m85; m4@168')
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(async (model: string | undefined, options: InfoOptions) => {
      if (model === undefined) await listModels(options);
      else if (await isTrained(model, options)) await describeTrained(model, options);
      else if (options.settings === true) await listSettings(model, options);
      else await describeModel(model, options);
    });
}

async function listModels(options: InfoOptions): Promise<void> {
  const { input, data, settings, set, device } = options;
  const given = [input, data, settings, device].some((option) => option !== undefined);
  if (given || Object.keys(set).length > 0) {
    throw new ConfigurationError('a model must be named with --input, --data, --set, --settings and --device', {
      fix: 'The models are listed by: ablate info',
    });
  }
  const { buildModel, modelDefinition, modelNames } = await import('../../models/registry.ts');
  const { bestAccuracies } = await import('../../models/best-accuracies.ts');
  const models = await Promise.all(
    modelNames().map(async (name) => {
      const { summary, defaultInputSize: input } = modelDefinition(name);
      return { name, summary, input, ...(await costsOf(buildModel(name, { input }))), best: bestAccuracies[name] ?? null };
    }),
  );
  if (options.json === true) {
    printJson(models);
    return;
  }
  const rows = models.map(({ name, input, parameters, operations, bytes, best }) => [
    ...[name, String(input), formatCount(parameters), formatOperations(operations), formatBytes(bytes)],
    ...(best === null ? ['', '', ''] : [formatAccuracy(best.accuracy), best.recipe, formatCount(best.steps)]),
  ]);
  const header = ['model', 'input', 'parameters', 'operations', 'bytes', 'accuracy', 'recipe', 'steps'];
  printTable([header, ...rows], ['left', 'right', 'right', 'right', 'right', 'right', 'left', 'right']);
  print('');
  print('input: side of the images, in pixels; operations: for one image of that size;');
  print('bytes: of the parameters in float32; accuracy: the best on record, on the test');
  print('images of CIFAR-10, and how it was trained.');
  for (const { name, input, best } of models) {
    if (best === null || best.inputSize === input) continue;
    print(`${name} reached it on images of ${best.inputSize} pixels, with fewer operations.`);
  }
  print('ablate info <model> shows the layers of a model.');
}

async function costsOf(network: Network) {
  const { countMultiplyAdds, countOperations, countParameters } = await import('../../nn/network.ts');
  const parameters = countParameters(network.parameters);
  return {
    parameters,
    operations: countOperations(network),
    multiplyAdds: countMultiplyAdds(network),
    bytes: parameters * Float32Array.BYTES_PER_ELEMENT,
  };
}

async function listSettings(model: string, options: InfoOptions): Promise<void> {
  const { describeAllowed } = await import('../../models/settings.ts');
  const { definition } = await loaded(model);
  const settings = Object.entries(definition.settings);
  if (options.json === true) {
    printJson(settings.map(([name, setting]: [string, Setting]) => ({ name, ...setting })));
    return;
  }
  const rows = settings.map(([name, setting]) => [name, String(setting.default), describeAllowed(setting), setting.summary]);
  printTable([['setting', 'default', 'allowed', ''], ...rows], ['left', 'right', 'left', 'left']);
}

async function describeModel(model: string, options: InfoOptions): Promise<void> {
  const { buildModel } = await import('../../models/registry.ts');
  const { definition, file } = await loaded(model);
  const { input: asked, data } = options;
  const dataset = data === undefined ? undefined : await loadImages(data, options);
  const shape: ImageShape = dataset?.shape ?? [3, ...sidesOf(definition.defaultInputSize)];
  const [channels, height, width] = shape;
  const input = asked ?? imageSize(height, width);
  const network = buildModel(definition, {
    input: [channels, ...sidesOf(input)],
    settings: modelSettings(options.set),
    ...(dataset && { classes: dataset.classes.length }),
  });
  const other = data === undefined && typeof input === 'number' ? otherInput(options, input, file === undefined) : '';
  await printNetwork(network, { model: definition.name, input, other, summary: definition.summary }, options);
}

/** Whether a name is that of a run or a file, and not of a model. */
async function isTrained(reference: string, { runsDir }: InfoOptions): Promise<boolean> {
  if (isCodeFile(reference)) return false;
  if (frozenFileName.test(reference) || weightsFileName.test(reference) || /[/\\@]/.test(reference)) return true;
  const { modelNames } = await import('../../models/registry.ts');
  return !modelNames().includes(reference) && existsSync(join(runsDir, reference));
}

async function describeTrained(reference: string, options: InfoOptions): Promise<void> {
  requireNoChoice(options);
  const { model, classifier } = await trainedNetwork(reference, options);
  const { inputSize: input, standardization } = classifier.preprocessing;
  await printNetwork(classifier.network, { model, input, other: '', summary: '', standardization }, options);
}

async function trainedNetwork(reference: string, { runsDir }: InfoOptions): Promise<{ model: string; classifier: Classifier }> {
  if (frozenFileName.test(reference)) {
    const { readFrozenFile } = await import('../../deploy/frozen-model.ts');
    const { frozenClassifier } = await import('../../deploy/metadata.ts');
    const { metadata } = readFrozenFile(reference);
    return { model: metadata.model, classifier: frozenClassifier(metadata, reference) };
  }
  const { saved } = await readReference(reference, { runsDir });
  if (saved.classifier !== undefined) return { model: saved.config.model, classifier: saved.classifier };
  throw new ConfigurationError(`${reference} does not say which images its network is for`, {
    fix: `ablate info ${saved.config.model} --data <name> describes the model`,
  });
}

/** @throws ConfigurationError for what a trained network says itself */
function requireNoChoice({ input, data, settings, set }: InfoOptions): void {
  const options = { input, data, settings, set: Object.keys(set)[0] };
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : `--${name}`));
  if (given.length === 0) return;
  throw new ConfigurationError(`${given.join(' and ')} cannot be given for a trained network, which says itself what it is`, {
    fix: `leave out ${given.join(' and ')}, or name the model`,
  });
}

interface Described {
  readonly model: string;
  readonly input: ImageSize;
  /** What to say of other sizes. */
  readonly other: string;
  readonly summary: string;
  /** Of a trained network. */
  readonly standardization?: Standardization;
}

async function printNetwork(network: Network, described: Described, options: InfoOptions): Promise<void> {
  const { model, input, other, summary, standardization } = described;
  const { networkTable } = await import('../../nn/table.ts');
  const { countParameters } = await import('../../nn/network.ts');
  const totals = await costsOf(network);
  const layers = network.layers.map((layer) => describeLayer(layer, countParameters(layer.parameters)));
  const device = await deviceFigures(network, standardization, options);
  if (options.json === true) printJson({ model, input, ...totals, ...(device && { device }), layers });
  else {
    print(networkTable(network));
    print(
      `${formatBytes(totals.bytes)} in float32, ${formatOperations(totals.operations)} operations an image of ${formatSize(input)} pixels${other}`,
    );
    if (summary !== '') print(summary);
    for (const line of device === undefined ? [] : deviceLines(device)) print(line);
  }
}

/** `32`, or `24x32`: the height first. */
function parseInput(text: string): ImageSize {
  const size = parseSize(text);
  if (size !== undefined && sidesOf(size).every((side) => side >= 1 && side <= 65_536)) return size;
  throw new InvalidArgumentError('It must be a number of pixels from 1 to 65536, or two (24x32, the height first).');
}

/** @param trained how its images are standardized; of a network that is not trained, as they usually are for devices */
async function deviceFigures(
  network: Network,
  trained: Standardization | undefined,
  { device }: InfoOptions,
): Promise<DeviceFigures | undefined> {
  if (device === undefined) return undefined;
  const { networkFigures, usualStandardization } = await import('../../deploy/mcu/figures.ts');
  const standardization = trained ?? usualStandardization(network.inputShape[0]!);
  return networkFigures({ network, preprocessing: { standardization } }, await devicesOf(device));
}

async function loaded(model: string): Promise<LoadedModel> {
  const { loadModel } = await import('../../user/model-file.ts');
  return await loadModel(model, { watched: true });
}

/** Models were published with images of different sizes: without `--input` that must be seen, or they are compared wrongly. */
function otherInput({ input }: InfoOptions, used: number, isPublished: boolean): string {
  if (input !== undefined) return '';
  const other = used === 24 ? 32 : 24;
  return `${isPublished ? ', as it was published' : ''}; --input ${other} counts for ${other}x${other}`;
}

/** The settings as `ablate train --set` takes them: `lrn=false` or `model.lrn=false`. */
function modelSettings(assignments: Assignments): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(assignments).map(([key, value]) => [key.replace(/^model\./, ''), value]));
}

interface LayerDescription {
  readonly name: string;
  readonly kind: string;
  readonly inputs: readonly string[];
  /** Shape without the batch. */
  readonly output: readonly number[];
  readonly parameters: number;
  readonly operations: number;
  readonly multiplyAdds: number;
}

function describeLayer(layer: Layer, parameters: number): LayerDescription {
  const { name, inputs, outputShape, operations, multiplyAdds } = layer;
  return { name, kind: kindOf(layer), inputs, output: outputShape, parameters, operations, multiplyAdds };
}
