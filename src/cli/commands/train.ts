import { dirname, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { firstOfMachineFirst, fromFirst, requireAgreement } from '../../cluster/agreement.ts';
import type { Collective } from '../../cluster/collective.ts';
import type { Run } from '../../runs/run-folder.ts';
import type { ConfigOverrides, TrainingConfig } from '../../train/config-schema.ts';
import type { ConfigFile } from '../../train/config-file.ts';
import type { LoadedAugmentation } from '../../user/augmentation-file.ts';
import type { LoadedModel } from '../../user/model-file.ts';
import { requireEngineChoice } from '../../engine/registry.ts';
import type { TrainResult } from '../../train/train-options.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { isCodeFile } from '../../util/file-names.ts';
import { quoted } from '../../util/shell.ts';
import { formatAccuracy, formatCount, formatDuration } from '../../util/format.ts';
import { addDataOptions, loadImages, type DataOptions } from '../dataset.ts';
import { engineOption, engineToResume, openChosen, type EngineOption } from '../engine.ts';
import { Interruption } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { uiOption, withLivePage, type UiOption } from '../live-page.ts';
import {
  integer,
  parseDuration,
  jsonOption,
  parseAssignment,
  parseNumber,
  parseThreads,
  runsDirOption,
  type Assignments,
} from '../options.ts';
import { note, print, printJson, styles } from '../output.ts';
import { endSeveral, parseSeeds, printSeveral, severalDisplay } from '../several-runs.ts';
import { together, type Processes } from '../processes.ts';
import { describeEvaluation, shortPath, silentDisplay, trainingDisplay } from '../training-display.ts';

/** As the command line gives them: `--resume` may be repeated. */
interface CommandLine extends Omit<Options, 'resume'> {
  readonly resume?: readonly string[] | true;
  readonly seeds?: readonly number[];
}

interface Options extends DataOptions, EngineOption, UiOption {
  readonly recipe?: string;
  readonly config?: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly learningRate?: number;
  readonly seed?: number;
  readonly precision?: string;
  readonly threads?: number;
  readonly resume?: string | true;
  readonly init?: string;
  readonly teacher?: string;
  readonly augment: boolean;
  readonly augmentWith?: string;
  readonly ema: boolean;
  readonly val?: true;
  readonly patience?: number;
  readonly maxTime?: number;
  readonly checkGradients?: true;
  readonly set: Assignments;
  readonly evalEvery?: number;
  readonly saveEvery?: number;
  readonly logEvery?: number;
  readonly runsDir: string;
  readonly json?: true;
}

export function addTrainCommand(program: Command): void {
  const command = program
    .command('train')
    .description('train a model and record the run')
    .argument(
      '[model]',
      'name of a model (ablate info lists them), or a file of your own (ablate new model net.ts); may be left out with --resume <run>',
    );
  addDataOptions(
    command,
    'cifar10, cifar100, mnist, fashion-mnist, synthetic, images:<folder> or a file of your own (ablate new data data.ts); default: cifar10',
  )
    .option('--recipe <name>', 'how to train: 2017, modern, airbench or airbench-muon (default: 2017)')
    .option('--config <file>', 'YAML with keys of the configuration, or the config.json of a run; other flags are stronger')
    .option('--steps <n>', 'optimizer steps in all', parseNumber)
    .option('--epochs <n>', 'passes over the training images, instead of steps', parseNumber)
    .option('--batch-size <n>', 'images in a step, of all processes together', parseNumber)
    .option('--learning-rate <rate>', 'peak of the learning-rate schedule', parseNumber)
    .option('--seed <n>', 'decides initial weights, order and augmentation of the images, and dropout', parseNumber)
    .option(
      '--seeds <list>',
      'train several networks that differ in their seed, each with its own run: 1..8 or 1,2,5',
      parseSeeds,
    )
    .option('--precision <type>', 'f32, bf16 or f16')
    .option(...engineOption)
    .option(
      '--threads <n>',
      'OpenMP threads of each process (default: the physical cores, divided among the processes)',
      parseThreads,
    )
    .option(
      '--val',
      'evaluate on the last training images (5,000, or a tenth of fewer than 50,000), kept out of training, not on the test set',
    )
    .option('--patience <n>', 'stop after n evaluations without a better one; needs --val', integer(1))
    .option('--max-time <time>', 'save and stop after 90s, 30m, 2h or 1h30m; --resume goes on', parseDuration)
    .option('--check-gradients', 'before training, compare the gradients of custom layers with central differences')
    .option('--no-augment', 'train on the whole images, unchanged')
    .option('--augment-with <file>', 'also change training images with code of yours (ablate new augmentation augment.ts)')
    .option('--no-ema', 'without moving averages of the weights')
    .option('--init <run|file>', 'start from the weights of a run or a safetensors file; pruned weights stay pruned')
    .option(
      '--teacher <run|file>',
      'also learn from the outputs of a trained network (distillation; keys teacherWeight, teacherTemperature)',
    )
    .option(
      '--resume [run]',
      'continue a run: <model>/<number> or its folder (default: the newest of the model); may be repeated',
      (run: string, before?: readonly string[]) => [...(before ?? []), run],
    )
    .option(
      '--set <key=value>',
      'change any key of the configuration or setting of the model; may be repeated',
      parseAssignment,
      {},
    )
    .option(
      '--eval-every <n>',
      'steps between evaluations; 0: only at the end (default: as many as cost little, 20 at most)',
      parseNumber,
    )
    .option('--save-every <n>', 'steps between checkpoints; 0: only at the end', parseNumber)
    .option('--log-every <n>', 'steps between records of the training loss', parseNumber)
    .option(...uiOption)
    .option(...runsDirOption)
    .option(...jsonOption)
    .action(trainModel);
}

async function trainModel(model: string | undefined, { resume, seeds, ...rest }: CommandLine): Promise<void> {
  const only = resume === true ? true : resume?.[0];
  const options: Options = { ...rest, ...(only !== undefined && { resume: only }) };
  const runs = resume !== undefined && resume !== true && resume.length > 1 ? resume : undefined;
  await together(async (processes) => {
    if (seeds === undefined && runs === undefined) await trainTogether(model, options, processes);
    else await trainSeveral(model, options, { seeds, runs }, processes);
  });
}

/** What makes several trainings of a command line: seeds, or runs to continue. */
interface Several {
  readonly seeds: readonly number[] | undefined;
  readonly runs: readonly string[] | undefined;
}

async function trainSeveral(
  model: string | undefined,
  options: Options,
  { seeds, runs }: Several,
  { collective, libraries }: Processes,
): Promise<void> {
  const overrides = overridesOf(options);
  if (collective.worldSize > 1) {
    throw new ConfigurationError(`several runs need one process, not ${collective.worldSize} that train each of them together`, {
      fix: 'start it without mpirun or srun, or train one run at a time',
    });
  }
  if (seeds !== undefined && overrides['seed'] !== undefined) {
    throw new ConfigurationError('the seed is given twice: --seeds has those of all runs', { fix: 'leave --seed out' });
  }
  if (seeds !== undefined && options.resume !== undefined) {
    throw new ConfigurationError('--seeds starts new runs, --resume continues them: they do not go together', {
      fix: 'ablate train --resume <run> --resume <run> continues several',
    });
  }
  const file = await configFileOf(options);
  const loaded = await modelToTrain(model, options, file);
  const name = loaded?.definition.name ?? model;
  const found: Run[] = [];
  for (const resume of runs ?? []) {
    const run = (await runToResume(name, { ...options, resume }))!;
    if (found.some(({ path }) => path === run.path)) throw new ConfigurationError(`--resume names ${run.path} twice`);
    found.push(run);
  }
  const each =
    seeds === undefined
      ? found.map((run) => ({ run, overrides }))
      : seeds.map((seed) => ({ run: undefined, overrides: { ...overrides, seed } }));
  const models = await Promise.all(
    each.map(async ({ run }) => loaded ?? (run && (await modelOfCode((await codeOfCustomLayers(run)) ?? '')))),
  );
  const asked = await Promise.all(
    each.map(({ run, overrides: own }) => sharedConfig(collective, loaded, options, run, { file, overrides: own })),
  );
  const first = asked[0]!;
  const other = asked.find(({ dataset }) => dataset !== first.dataset);
  if (other !== undefined) {
    throw new ConfigurationError(
      `runs that are continued together need the same images, not ${first.dataset} and ${other.dataset}`,
      { fix: 'continue them one at a time' },
    );
  }
  const augmentation = found.length === 0 ? await ownAugmentation(first) : undefined;
  const images = await loadImages(first.dataset, options);
  const { settle } = await import('../../train/run-length.ts');
  const configs = asked.map((config) => settle(config, images));
  // Those that were only prepared go with the others.
  const begun = found.length === 0 ? [options.engine] : found.map((run) => engineToResume(run, options));
  const engines = new Set(begun.filter((engine) => engine !== undefined));
  if (engines.size > 1) {
    throw new ConfigurationError(`the runs were begun with ${[...engines].join(' and ')}`, {
      fix: 'continue them one at a time, or give --engine, which may round otherwise',
    });
  }
  const [engineName] = engines;
  const engine = await openChosen({ engine: requireEngineChoice(engineName ?? 'auto') }, first.threads);
  const { trainAll } = await import('../../train/side-by-side.ts');
  const { createClassifier } = await import('../../train/classifier.ts');
  const { recordOfFile } = await import('../../user/recorded-file.ts');
  const display = severalDisplay(configs, engine);
  const files = recordOfFile('model', loaded?.file);
  const training = () =>
    interruptible('stopping after this step, and saving', async (signal) => {
      const outcomes = await trainAll(
        engine,
        configs.map((config, i) => ({
          config,
          dataset: images,
          record: found[i] === undefined ? { runsFolder: options.runsDir, files } : { resume: found[i] },
          ...(augmentation && { augmentation }),
          ...(models[i] !== undefined && { classifier: createClassifier(config, images, models[i].definition) }),
          ...{ libraries, signal, hooks: display.hooks[i]! },
          ...(options.patience !== undefined && { patience: options.patience }),
          ...(options.maxTime !== undefined && { maxSeconds: options.maxTime }),
          ...(options.checkGradients && i === 0 && { checkGradients: true }),
        })),
        display.onNotice,
      ).finally(display.finish);
      return { outcomes, isStopped: signal.aborted };
    });
  const { outcomes, isStopped } = await withLivePage(options, options.runsDir, training);
  if (options.json === true) {
    const trained = outcomes.flatMap((outcome, i) =>
      outcome.state === 'trained' ? [describe(outcome.result, configs[i]!, images.synthetic)] : [],
    );
    printJson(trained);
  } else if (!isStopped) await printSeveral(configs, outcomes);
  endSeveral(configs, outcomes, isStopped);
}

async function trainTogether(model: string | undefined, options: Options, { collective, libraries }: Processes): Promise<void> {
  const overrides = overridesOf(options);
  // Only process 0 needs to see the folder of the runs.
  const file = await configFileOf(options);
  const given = await modelToTrain(model, options, file);
  const resume = collective.rank === 0 ? await runToResume(given?.definition.name ?? model, options) : undefined;
  const code = resume && (await codeOfCustomLayers(resume));
  const loaded = given ?? (await modelOfCode(fromFirst(collective, () => code ?? '')));
  const asked = await sharedConfig(collective, loaded, options, resume, { file, overrides });
  const newAugmentation = resume !== undefined && overrides['augmentWith'] !== undefined;
  const augmentation =
    collective.rank === 0 && (resume === undefined || newAugmentation) ? await ownAugmentation(asked) : undefined;
  // Whether images that are named here are those of the run is known once they are read.
  if (options.data === undefined && (await isFinished(collective, resume, asked))) {
    if (resume !== undefined) await printFinished(resume, asked, options);
    return;
  }
  // All look for a teacher in the folder in which process 0 does.
  const runsFolder = fromFirst(collective, () => (resume === undefined ? options.runsDir : dirname(dirname(resume.path))));
  const dataset = await firstOfMachineFirst(collective, () => loadImages(asked.dataset, options, collective.rank > 0));
  const { describeChoice, settle } = await import('../../train/run-length.ts');
  const { trainingCount } = await import('../../data/image-set.ts');
  const trainImages = trainingCount(dataset.train.count, asked.val);
  const config = settle(asked, dataset);
  const chosen = describeChoice(asked, config, trainImages);
  if (chosen !== undefined && collective.rank === 0) note(chosen);
  // Only process 0 sees a run that is continued.
  const engineName = resume === undefined ? options.engine : engineToResume(resume, options);
  const choice = requireEngineChoice(fromFirst(collective, () => engineName ?? 'auto'));
  const engine = await openChosen({ engine: choice }, config.threads);
  requireAgreement(collective, 'what computes', engine.name, 'Give all of them the same --engine');
  const { train } = await import('../../train/train.ts');
  const { createClassifier } = await import('../../train/classifier.ts');
  const { recordOfFile } = await import('../../user/recorded-file.ts');
  const { hooks, finish } = collective.rank === 0 ? trainingDisplay(config, collective, engine) : silentDisplay;
  const training = () =>
    interruptible('stopping after this step, and saving', (signal) =>
      train({
        config,
        engine,
        dataset,
        collective,
        record: resume === undefined ? { runsFolder, files: recordOfFile('model', loaded?.file) } : { resume, newAugmentation },
        ...(augmentation && { augmentation }),
        ...(loaded !== undefined && { classifier: createClassifier(config, dataset, loaded.definition) }),
        libraries,
        signal,
        hooks,
        ...(options.patience !== undefined && { patience: options.patience }),
        ...(options.maxTime !== undefined && { maxSeconds: options.maxTime }),
        ...(options.checkGradients && { checkGradients: true }),
      }).finally(finish),
    );
  const result = await (collective.rank === 0 ? withLivePage(options, runsFolder, training) : training());
  if (result.run === undefined) return;
  if (options.json === true) printJson(describe(result, config, dataset.synthetic));
  else if (result.stopped !== 'signal') printResult(result, config, options);
  if (result.stopped === 'signal') {
    const path = shortPath(result.run.path);
    throw new Interruption(`stopped after step ${result.step} of ${config.steps}, which is saved in ${path}`, {
      fix: `ablate train --resume ${quoted(path)} continues, and evaluates at the end`,
    });
  }
}

/** Undefined for a run that is continued by its own name: it has its network. */
async function modelToTrain(
  argument: string | undefined,
  { resume }: Options,
  file: ConfigFile | undefined,
): Promise<LoadedModel | undefined> {
  if (resume !== undefined && (argument === undefined || !isCodeFile(argument))) return undefined;
  const model = argument ?? (file && (await import('../../train/config-file.ts')).modelOfFile(file, isCodeFile));
  if (model === undefined) {
    throw new ConfigurationError('the model to train is missing', {
      fix: 'ablate train <model>; ablate info lists them. ablate new model net.ts begins one of your own',
    });
  }
  const { loadModel } = await import('../../user/model-file.ts');
  try {
    return await loadModel(model, { watched: true });
  } catch (error) {
    throw argument === undefined && file !== undefined ? file.explain(error, {}) : error;
  }
}

/** Where the functions of custom layers are, for a run that has some: its record of the network holds none. */
async function codeOfCustomLayers(run: Run): Promise<string | undefined> {
  const { recordedClassifier } = await import('../../train/classifier-record.ts');
  const { modelCodeOf } = await import('../../user/recorded-file.ts');
  return recordedClassifier(run)?.network.layers.some(({ kind }) => kind === 'custom') === true ? modelCodeOf(run) : undefined;
}

/** None for an empty path. */
async function modelOfCode(path: string): Promise<LoadedModel | undefined> {
  if (path === '') return undefined;
  const { loadModel } = await import('../../user/model-file.ts');
  return loadModel(path, { watched: true });
}

async function configFileOf({ config, resume }: Options): Promise<ConfigFile | undefined> {
  if (config === undefined) return undefined;
  if (resume !== undefined) {
    throw new ConfigurationError('--config starts a new run, --resume continues one: they do not go together', {
      fix: 'change keys of a run that is continued by their flags, or with --set',
    });
  }
  const { readConfigFile } = await import('../../train/config-file.ts');
  return readConfigFile(config);
}

/** What the command line asks for. */
interface Asked {
  readonly file: ConfigFile | undefined;
  readonly overrides: ConfigOverrides;
}

/** Before images are read: what is wrong with it is said at once. */
async function ownAugmentation({ augmentWith }: TrainingConfig): Promise<LoadedAugmentation | undefined> {
  if (augmentWith === 'none') return undefined;
  const { loadAugmentation } = await import('../../user/augmentation-file.ts');
  const fromHere = relative('', augmentWith);
  return await loadAugmentation(fromHere.startsWith('..') ? augmentWith : fromHere, { watched: true });
}

/** The configuration of process 0, after a check that all were asked for the same; each process has its own number of threads. */
async function sharedConfig(
  collective: Collective,
  loaded: LoadedModel | undefined,
  options: Options,
  resume: Run | undefined,
  { file, overrides }: Asked,
): Promise<TrainingConfig> {
  const { checkConfig } = await import('../../train/complete-config.ts');
  const { requireThreads } = await import('../../util/limits.ts');
  const { defaultThreads } = await import('../../util/cpu.ts');
  const { threads, ...asked } = overrides;
  const given = JSON.stringify([
    loaded?.definition.name,
    loaded?.file?.sha256,
    options.resume,
    options.runsDir,
    options.engine,
    file?.keys,
    asked,
  ]);
  requireAgreement(collective, 'their options', given, 'Start all of them with the same command line');
  const resolved =
    collective.rank === 0 ? await configOf(loaded, resume, { file, overrides: asked }, options.runsDir) : undefined;
  const config = JSON.parse(fromFirst(collective, () => JSON.stringify(resolved))) as TrainingConfig;
  if (threads !== undefined) {
    const changed = checkConfig({ ...config, threads });
    requireThreads(changed.threads);
    return changed;
  }
  if (collective.worldSize === 1) return config;
  const shared = defaultThreads(collective.localSize);
  // A run goes on with the threads it has had, which its sums depend on, where there are as many.
  return { ...config, threads: options.resume === undefined ? shared : Math.min(config.threads, shared) };
}

/** The configuration keys that the flags change. A key may be given by its flag or with --set, not both. */
function overridesOf(options: Options): ConfigOverrides {
  const { data, recipe, steps, batchSize, learningRate, seed, precision, threads, val, evalEvery, saveEvery, logEvery } = options;
  const { init, teacher, epochs, augmentWith } = options;
  const flags = {
    ...{ dataset: data, recipe, steps, batchSize, learningRate, seed, precision, threads, val, evalEvery, saveEvery, logEvery },
    ...{ init, teacher, epochs, augmentWith },
    augment: options.augment ? undefined : false,
    movingAverage: options.ema ? undefined : false,
  };
  const given: ConfigOverrides = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const twice = Object.keys(options.set).find((key) => Object.hasOwn(given, key));
  if (twice !== undefined) throw new ConfigurationError(`${twice} is given twice: by its flag and with --set`, { key: twice });
  if (Object.hasOwn(options.set, 'model')) {
    throw new ConfigurationError('model is the first argument, not a key to --set', {
      key: 'model',
      fix: 'ablate train <model>',
    });
  }
  const all = { ...given, ...options.set };
  const file = all['augmentWith'];
  // As it is recorded: a run can be continued from anywhere.
  return typeof file === 'string' && file.includes('.') ? { ...all, augmentWith: resolve(file) } : all;
}

async function runToResume(model: string | undefined, options: Options): Promise<Run | undefined> {
  if (options.resume === undefined) return undefined;
  if (options.init !== undefined) {
    throw new ConfigurationError('--init starts a new run, --resume continues one: they do not go together');
  }
  const reference = options.resume === true ? model : options.resume;
  if (reference === undefined) {
    throw new ConfigurationError('the run to resume is missing', {
      fix: 'ablate train --resume <run>; ablate runs list shows them',
    });
  }
  const { findRun, runName } = await import('../../runs/run-folder.ts');
  const run = findRun(options.runsDir, reference);
  const { requireSameFiles } = await import('../../user/recorded-file.ts');
  requireSameFiles(run);
  if (model !== undefined && run.model !== model) {
    throw new ConfigurationError(`model (=${model}) must be ${run.model}, which ${runName(run)} trains`, {
      fix: 'leave the model out',
    });
  }
  return run;
}

async function configOf(
  loaded: LoadedModel | undefined,
  resume: Run | undefined,
  { file, overrides }: Asked,
  runsFolder: string,
): Promise<TrainingConfig> {
  if (resume !== undefined) {
    const { resumeConfig } = await import('../../train/resume.ts');
    return resumeConfig(resume, overrides);
  }
  const { definition } = loaded!;
  const { resolveConfig } = await import('../../train/config.ts');
  const config =
    file === undefined
      ? resolveConfig({ ...overrides, model: definition })
      : (await import('../../train/config-file.ts')).resolveFile(file, [overrides], definition);
  const { fixedReference } = await import('../../train/saved-model.ts');
  const fixed = (reference: string) => fixedReference(reference, runsFolder);
  return { ...config, init: fixed(config.init), teacher: fixed(config.teacher) };
}

/** Whether process 0 continues a run that has nothing left to do. */
async function isFinished(collective: Collective, resume: Run | undefined, config: TrainingConfig): Promise<boolean> {
  const { finalEvaluation } = await import('../../train/resume.ts');
  // How many steps epochs are is known with the images.
  const isOver = () => resume !== undefined && config.epochs === 'none' && finalEvaluation(resume, config) !== undefined;
  return fromFirst(collective, () => String(isOver())) === 'true';
}

async function printFinished(run: Run, config: TrainingConfig, { json }: Options): Promise<void> {
  const { finalEvaluation } = await import('../../train/resume.ts');
  const { runName } = await import('../../runs/run-folder.ts');
  const { bestCheckpoint } = await import('../../runs/checkpoint.ts');
  const evaluation = finalEvaluation(run, config)!;
  const { step } = evaluation;
  note(`${runName(run)} is finished: all ${formatCount(step)} steps are taken; --steps <n> goes on`);
  const done = {
    status: 'finished',
    stopped: 'steps',
    best: bestCheckpoint(run),
    run,
    step,
    trainLoss: undefined,
    evaluations: [evaluation],
    imagesPerSecond: 0,
    seconds: 0,
    saved: undefined,
  } as const;
  if (json === true) printJson(describe(done, config, config.dataset === 'synthetic'));
  else print(describeEvaluation(evaluation));
}

/** Why a training that nobody interrupted ended. */
function describeStop({ stopped, step, best }: TrainResult, { patience, maxTime }: Options): string | undefined {
  if (stopped === 'patience') {
    return `stopped after step ${step}: none of the last ${patience} evaluations was better than that of step ${best?.step ?? 0}`;
  }
  return stopped === 'time' ? `stopped after step ${step}: ${formatDuration(maxTime ?? 0)} are over` : undefined;
}

function printResult(result: TrainResult, config: TrainingConfig, options: Options): void {
  const { evaluations, step, seconds, imagesPerSecond, run, best } = result;
  const { bold } = styles(process.stdout);
  evaluations.forEach((evaluation, i) => {
    const line = describeEvaluation(evaluation);
    print(i === 0 ? bold(line) : line);
  });
  // A run that only had to end took no step.
  if (imagesPerSecond > 0) {
    print(`${step} steps in ${formatDuration(seconds)}, ${formatCount(Math.round(imagesPerSecond))} images/s while training`);
  }
  if (best !== undefined && run !== undefined) {
    const named = quoted(`${run.model}/${run.number}@best`);
    print(`best on the validation images: ${formatAccuracy(best.accuracy)} at step ${best.step} (ablate eval ${named})`);
  }
  if (run !== undefined) print(`run: ${shortPath(run.path)}`);
  const why = describeStop(result, options);
  if (why !== undefined && run !== undefined) {
    note(`${why}. ${config.steps - step} steps are left: ablate train --resume ${quoted(shortPath(run.path))} takes them`);
  }
}

/** The result for `--json`. `evaluation` is of the moving averages where those are kept, the raw weights otherwise. */
function describe(result: TrainResult, config: TrainingConfig, synthetic: boolean) {
  const { run, status, stopped, best, step, trainLoss, evaluations, imagesPerSecond, seconds } = result;
  const short = evaluations.map(({ split, weights, tta, accuracy, loss, images }) => ({
    split,
    weights,
    tta,
    accuracy,
    loss,
    images,
  }));
  return {
    ...{ run: run === undefined ? null : `${run.model}/${run.number}`, path: run?.path ?? null },
    ...{
      model: config.model,
      dataset: config.dataset,
      synthetic,
      status,
      stopped,
      best: best === undefined ? null : { step: best.step, accuracy: best.accuracy },
      step,
      trainLoss: trainLoss ?? null,
    },
    ...{ evaluation: short[0] ?? null, evaluations: short, imagesPerSecond, seconds },
  };
}
