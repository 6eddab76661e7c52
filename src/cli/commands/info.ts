import type { Command } from 'commander';
import type { DeviceFigures } from '../../deploy/mcu/figures.ts';
import type { LoadedModel } from '../../user/model-file.ts';
import type { Setting } from '../../models/settings.ts';
import { kindOf, type Layer } from '../../nn/layer.ts';
import type { Network } from '../../nn/network.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes, formatCount, formatOperations } from '../../util/format.ts';
import { integer, jsonOption, parseAssignment, type Assignments } from '../options.ts';
import { deviceLines, devicesOf } from '../device.ts';
import { print, printTable, printJson } from '../output.ts';

interface InfoOptions {
  readonly input?: number;
  readonly set: Assignments;
  readonly settings?: true;
  readonly device?: string;
  readonly json?: true;
}

export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('layers, parameters and operations of a model; without a name, all models with cost and accuracy')
    .argument('[model]', 'name of the model')
    .option(
      '--input <pixels>',
      'side of the input images, usually 24 or 32 (default: what the model was published with)',
      integer(1, 65_536),
    )
    .option('--set <key=value>', 'change a setting of the model; may be repeated', parseAssignment, {})
    .option('--settings', "list the model's settings instead, with defaults and allowed values")
    .option('--device <core@MHz,...>', 'cost on a microcontroller, as 8-bit integers: m0+, m4, m33, m7, m85; m4@168')
    .option(...jsonOption)
    .action(async (model: string | undefined, options: InfoOptions) => {
      if (model === undefined) await listModels(options);
      else if (options.settings === true) await listSettings(model, options);
      else await describeModel(model, options);
    });
}

async function listModels(options: InfoOptions): Promise<void> {
  const { input, settings, set, device } = options;
  if (input !== undefined || settings === true || device !== undefined || Object.keys(set).length > 0) {
    throw new ConfigurationError('a model must be named with --input, --set, --settings and --device', {
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
  const { networkTable } = await import('../../nn/table.ts');
  const { definition, file } = await loaded(model);
  const input = options.input ?? definition.defaultInputSize;
  const network = buildModel(definition, { input, settings: modelSettings(options.set) });
  const totals = await costsOf(network);
  const { countParameters } = await import('../../nn/network.ts');
  const layers = network.layers.map((layer) => describeLayer(layer, countParameters(layer.parameters)));
  const device = await deviceFigures(network, options);
  if (options.json === true) printJson({ model: definition.name, input, ...totals, ...(device && { device }), layers });
  else {
    print(networkTable(network));
    print(
      `${formatBytes(totals.bytes)} in float32, ${formatOperations(totals.operations)} operations an image of ${input}x${input} pixels${otherInput(options, input, file === undefined)}`,
    );
    if (definition.summary !== '') print(definition.summary);
    for (const line of device === undefined ? [] : deviceLines(device)) print(line);
  }
}

async function deviceFigures(network: Network, { device }: InfoOptions): Promise<DeviceFigures | undefined> {
  if (device === undefined) return undefined;
  const { networkFigures } = await import('../../deploy/mcu/figures.ts');
  return networkFigures(network, await devicesOf(device));
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
