import type { Command } from 'commander';
import { singleProcess } from '../../cluster/collective.ts';
import type { FilterPruning, NetworkReport, PruneResult, PrunedNetwork, WeightPruning } from '../../compress/prune/prune.ts';
import type { FilterScope } from '../../compress/prune/filter-order.ts';
import type { Engine } from '../../engine/engine.ts';
import type { ConfigOverrides, TrainingConfig } from '../../train/config-schema.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { formatAccuracy, formatBytes, formatCount, formatOperations } from '../../util/format.ts';
import { alignColumns } from '../../util/text-table.ts';
import { mostSteps } from '../../util/largest.ts';
import { quoted } from '../../util/shell.ts';
import { addDataOptions, datasetOf, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, engineToResume, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import {
  integer,
  jsonOption,
  oneOf,
  parseAssignment,
  parseNumber,
  parseThreads,
  runsDirOption,
  type Assignments,
} from '../options.ts';
import { claimOutput, forceOption, type Output } from '../output-file.ts';
import { print, printTable, printJson } from '../output.ts';
import { readReference } from '../saved-model.ts';
import { shortPath, trainingDisplay, type Display } from '../training-display.ts';

interface Options extends DataOptions, EngineOption {
  readonly sparsity?: number;
  readonly structured?: true;
  readonly operations?: number;
  readonly filters?: number;
  readonly scope?: FilterScope;
  readonly rounds?: number;
  readonly schedule?: 'cubic' | 'geometric';
  readonly rewind?: string;
  readonly steps?: number;
  readonly resume?: string;
  readonly output?: string;
  readonly force?: true;
  readonly model?: string;
  readonly set: Assignments;
  readonly threads?: number;
  readonly runsDir: string;
  readonly json?: true;
}

/** Steps of training after each pruning, if nothing is said. */
const usualSteps = 1000;

export function addPruneCommand(program: Command): void {
  const command = program
    .command('prune')
    .description('remove weights or filters of a trained network, and train the rest')
    .argument('[run|file]', 'a run (its folder, <model>/<number>, or <model> for the newest) or a safetensors file')
    .option('--sparsity <part>', 'part of the weights that becomes zero, in (0, 1)', parseNumber)
    .option('--structured', 'remove whole filters: the result is a smaller network')
    .option('--operations <part>', 'with --structured: part of the operations to leave, in (0, 1)', parseNumber)
    .option('--filters <part>', 'with --structured: part of the filters to leave, in (0, 1)', parseNumber)
    .option(
      '--scope <scope>',
      'global: the least important of the network go; layer: the same part of every layer (default: global for weights, layer for filters)',
      oneOf(['global', 'layer']),
    )
    .option('--rounds <n>', 'times that weights are pruned, with training after each (default: 1)', integer(1))
    .option(
      '--schedule <name>',
      'how the sparsity grows over the rounds: cubic or geometric (default: cubic)',
      oneOf(['cubic', 'geometric']),
    )
    .option(
      '--rewind <what>',
      'what each round restarts: none, rate (the learning-rate schedule), or a run or file, whose values the remaining weights also go back to (default: rate)',
    )
    .option('--steps <n>', `steps of training after each pruning; 0: prune only (default: ${usualSteps})`, integer(0, mostSteps))
    .option('--set <key=value>', 'change a key of the configuration for this training; may be repeated', parseAssignment, {})
    .option('--model <name|file>', 'model of the file, where it does not say')
    .option('--resume <run>', 'continue the training of an interrupted pruning')
    .option(
      '-o, --output <file>',
      'where to write the weights, .safetensors.gz or .safetensors (default: <model>-pruned.safetensors.gz)',
    )
    .option(...forceOption)
    .option(...engineOption)
    .option('--threads <n>', 'OpenMP threads (default: as it was trained)', parseThreads);
  addDataOptions(command, 'data set to train and evaluate on (default: what it was trained on)')
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(pruneModel);
}

async function pruneModel(reference: string | undefined, options: Options): Promise<void> {
  const { result, file, output } =
    options.resume === undefined ? await startPruning(reference, options) : await resume(reference, options);
  if (result.pruned === undefined) throw interruption(result);
  output.write(await encodeWeights(file, result.pruned));
  if (options.json === true) printJson(describe(result, result.pruned, file));
  else printReport(result, result.pruned, file);
}

async function startPruning(reference: string | undefined, options: Options) {
  if (reference === undefined) {
    throw new ConfigurationError('the network to prune is missing', {
      fix: 'ablate prune <run|file>; ablate runs list shows runs',
    });
  }
  const method = methodOf(options);
  const { saved } = await readReference(reference, { runsDir: options.runsDir, model: options.model });
  const claimed = await claim(saved.config.model, reference, options);
  const { planPruning, prune } = await import('../../compress/prune/prune.ts');
  const dataset = await loadImages(datasetOf(reference, saved.config.dataset, options), options);
  const { runsDir: runsFolder, steps = usualSteps } = options;
  const request = { source: saved, reference, method, steps, overrides: overridesOf(options), runsFolder };
  const plan = planPruning(request, dataset);
  const result = await trainWith(plan.config, options, (work) => prune(plan, { ...work, dataset, runsFolder }));
  return { result, ...claimed };
}

const startingOptions = [
  'sparsity',
  'structured',
  'operations',
  'filters',
  'scope',
  'rounds',
  'schedule',
  'rewind',
  'steps',
] as const;

async function resume(reference: string | undefined, options: Options) {
  const given = startingOptions.find((name) => options[name] !== undefined);
  if (reference !== undefined || given !== undefined) {
    throw new ConfigurationError(
      `${given === undefined ? 'the network to prune' : `--${given}`} was decided when the run was started`,
      {
        fix: `ablate prune --resume ${quoted(options.resume!)} continues it`,
      },
    );
  }
  const { findRun } = await import('../../runs/run-folder.ts');
  const { configOfPruning, resumePruning } = await import('../../compress/prune/prune.ts');
  const run = findRun(options.runsDir, options.resume!);
  const claimed = await claim(run.model, run.path, options);
  const config = configOfPruning(run, overridesOf(options), options.data);
  const dataset = await loadImages(config.dataset, options);
  const result = await trainWith(config, { engine: engineToResume(run, options) }, (work) =>
    resumePruning(run, config, { ...work, dataset }),
  );
  return { result, ...claimed };
}

interface Work {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  readonly hooks: Display['hooks'];
}

async function trainWith(
  config: TrainingConfig,
  options: EngineOption,
  work: (parts: Work) => Promise<PruneResult>,
): Promise<PruneResult> {
  const engine = await openChosen(options, config.threads);
  const { hooks, finish } = trainingDisplay(config, singleProcess, engine);
  return await interruptible('stopping after this step, and saving', (signal) => work({ engine, signal, hooks }).finally(finish));
}

/** Keys of the configuration that the options change. */
function overridesOf({ threads, set }: Options): ConfigOverrides {
  return { ...(threads !== undefined && { threads }), ...set };
}

function methodOf(options: Options): WeightPruning | FilterPruning {
  const { sparsity, structured, operations, filters, scope, rounds, schedule: growth, rewind } = options;
  if (structured === true) return filterPruning(options);
  for (const [name, value] of Object.entries({ operations, filters })) {
    if (value !== undefined) throw new ConfigurationError(`--${name} removes filters`, { fix: 'Add --structured' });
  }
  if (sparsity === undefined) {
    throw new ConfigurationError('how much to prune is missing', {
      fix: '--sparsity 0.9, or --structured with --operations 0.5 or --filters 0.7',
    });
  }
  return { type: 'weights', pruning: { sparsity, scope, rounds, growth, rewind } };
}

function filterPruning({ sparsity, operations, filters, scope, rounds, schedule, rewind }: Options): FilterPruning {
  for (const [name, value] of Object.entries({ sparsity, rounds, schedule, rewind })) {
    if (value !== undefined)
      throw new ConfigurationError(`--${name} is for pruning weights, --structured removes filters at once`);
  }
  if (operations !== undefined && filters === undefined) return { type: 'filters', target: { operations }, scope };
  if (filters !== undefined && operations === undefined) return { type: 'filters', target: { filters }, scope };
  throw new ConfigurationError('--structured needs one of --operations and --filters', { fix: 'for example --operations 0.5' });
}

/** Before the work. A file of weights does not say which network it was pruned from, so that none is replaced unasked. */
async function claim(model: string, source: string, { output, force }: Options): Promise<{ file: string; output: Output }> {
  const { requireWeightsFileName } = await import('../../compress/weights-file.ts');
  const file = output ?? `${model}-pruned.safetensors.gz`;
  requireWeightsFileName(file);
  return { file, output: claimOutput(file, { source, what: 'prune', force: force === true }) };
}

async function encodeWeights(file: string, { saved }: PrunedNetwork): Promise<Uint8Array> {
  const { encodeSavedWeights } = await import('../../compress/weights-file.ts');
  return encodeSavedWeights(file, saved);
}

function interruption({ run, step, steps }: PruneResult): Interruption {
  if (run === undefined) return new Interruption('the pruning was stopped, nothing is written');
  const path = shortPath(run.path);
  return new Interruption(`stopped after step ${step} of ${steps}, which is saved in ${path}`, {
    fix: `ablate prune --resume ${quoted(path)} continues, and evaluates at the end`,
  });
}

function describe({ run, record }: PruneResult, { report }: PrunedNetwork, file: string) {
  const { method, source, before, layers } = record;
  return { method, source, run: run === undefined ? null : `${run.model}/${run.number}`, file, before, after: report, layers };
}

function printReport({ run, record }: PruneResult, { report }: PrunedNetwork, file: string): void {
  const { method, before, layers } = record;
  const row = (name: string, value: (of: NetworkReport) => string) => [name, value(before), value(report)];
  const rows = [
    ['', 'before', 'after'],
    row('parameters', ({ parameters }) => formatCount(parameters)),
    row('operations an image', ({ operations }) => formatOperations(operations)),
    row('weights that are not zero', ({ nonZeroWeights }) => formatCount(nonZeroWeights)),
    row('sparsity', ({ sparsity }) => formatAccuracy(sparsity)),
    row('float32 file', ({ bytes }) => formatBytes(bytes)),
    row('compressed file', ({ compressedBytes }) => formatBytes(compressedBytes)),
    row(`accuracy (${report.evaluation?.split ?? 'test'})`, ({ evaluation }) => formatAccuracy(evaluation?.accuracy)),
  ];
  printTable(rows, ['left', 'right', 'right']);
  print('');
  print(method === 'weights' ? sparsityTable(report) : filterTable(layers));
  print('');
  print(`pruned: ${record.source}`);
  if (run !== undefined) print(`run: ${shortPath(run.path)}`);
  print(`wrote ${file}`);
}

function sparsityTable({ layers }: NetworkReport): string {
  const rows = layers.map(({ name, weights, nonZero, sparsity }) => [
    name,
    formatCount(weights),
    formatCount(nonZero),
    formatAccuracy(sparsity),
  ]);
  return alignColumns([['weights', 'all', 'not zero', 'sparsity'], ...rows], ['left', 'right', 'right', 'right']);
}

function filterTable(layers: PruneResult['record']['layers']): string {
  const rows = layers.map(({ name, before, after }) => [name, formatCount(before), formatCount(after)]);
  return alignColumns([['filters', 'before', 'after'], ...rows], ['left', 'right', 'right']);
}
